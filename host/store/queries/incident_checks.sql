-- The checks of the incident $1's monitor from $2 to $3 (or now), those of one location in a row that found the same folded into
-- one. A row ends also between two checks where something was decided ($4). At most $5 rows, and how many there are.
WITH seen AS (
  SELECT location, started_at, slot_at, outcome, degraded, class, message,
         concat_ws(' ', outcome, degraded, class, (SELECT count(*) FROM unnest($4::timestamptz[]) d(at) WHERE d.at <= started_at)) AS found
  FROM check_results WHERE monitor_id = (SELECT monitor_id FROM incidents WHERE id = $1) AND started_at >= $2 AND started_at <= coalesce($3, now())),
edges AS (
  SELECT *, found IS DISTINCT FROM lag(found) OVER w AS is_first, found IS DISTINCT FROM lead(found) OVER w AS is_last
  FROM seen WINDOW w AS (PARTITION BY location ORDER BY started_at, slot_at)),
runs AS (
  SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY location ORDER BY started_at, slot_at ROWS UNBOUNDED PRECEDING) AS run FROM edges)
SELECT min(started_at) AS at, max(started_at) AS until, count(*) AS checks, location, outcome, degraded, class,
       max(message) FILTER (WHERE is_first) AS message, max(message) FILTER (WHERE is_last) AS last_message,
       count(*) OVER () AS runs
FROM runs GROUP BY location, run, outcome, degraded, class ORDER BY min(started_at) LIMIT $5
