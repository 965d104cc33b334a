-- The queues of checks in which results are overdue by $1 intervals, and at least $2 seconds: how many, and the first $3 rows of
-- each. A queue that is paused, or went on a moment ago, expects none. The narrow rows are read once (a million: 0.2 s); names
-- are looked up for what is shown.
WITH overdue AS MATERIALIZED (
  SELECT coalesce('monitor-checks:' || l.location, 'monitor-checks') AS queue, s.monitor_id, s.interval_ms, s.awaited_since,
         CASE WHEN l.monitor_id IS NULL THEN s.last_check_at ELSE l.last_check_at END AS last_at
  FROM monitor_states s LEFT JOIN monitor_locations l ON l.monitor_id = s.monitor_id
  WHERE s.active
    AND greatest(CASE WHEN l.monitor_id IS NULL THEN s.last_check_at ELSE l.last_check_at END, s.awaited_since)
        <= now() - greatest($1 * s.interval_ms / 1000.0, $2) * interval '1 second'),
counted AS (
  SELECT o.*, greatest(o.awaited_since, c.resumed_at) AS since,
         count(*) OVER (PARTITION BY o.queue) AS overdue, row_number() OVER (PARTITION BY o.queue ORDER BY o.monitor_id) AS place
  FROM overdue o LEFT JOIN queue_controls c ON c.queue = o.queue
  WHERE c.paused_at IS NULL
    AND coalesce(c.resumed_at, '-infinity') <= now() - greatest($1 * o.interval_ms / 1000.0, $2) * interval '1 second')
SELECT c.queue, m.name, c.interval_ms / 1e3::float8 AS interval, true AS active, false AS queue_paused, c.last_at AS last_check_at,
       c.since AS result_awaited_since, c.overdue, now() AS now,
       (SELECT count(*) FROM monitor_states s LEFT JOIN monitor_locations l ON l.monitor_id = s.monitor_id
        WHERE s.active AND coalesce('monitor-checks:' || l.location, 'monitor-checks') = c.queue) AS of,
       (SELECT count(*) FROM workers w
        WHERE w.queue = c.queue AND NOT w.paused AND w.seen_at > now() - make_interval(secs => $4)) AS workers
FROM counted c JOIN monitors m ON m.id = c.monitor_id
WHERE c.place <= $3
ORDER BY c.queue, c.place
