-- What is in each queue: in the named ones ($1), and if $2 in all that hold something, have a worker or were spoken to. `jobs`
-- is read once, whatever there is in it (measured: 0.17 s for a million rows that wait, 0.3 s with a million failed ones
-- beside them). A lease that ran out holds nothing: its job is ready. $3: seconds for which a worker's heartbeat is good.
-- Of jobs with one order only the first can be ready, and what is due behind it waits for it: those that are due and have an order
-- are among the delayed here, and `in_order` says that there are some. `ready_in_order` has those whose turn it is.
WITH waiting AS MATERIALIZED (
  SELECT queue,
         count(*) FILTER (WHERE is_free AND due_at <= now()) AS ready,
         count(*) FILTER (WHERE is_free) AS free,
         count(*) FILTER (WHERE NOT is_free) AS reserved,
         min(due_at) FILTER (WHERE is_free AND due_at <= now()) AS oldest_at,
         count(*) > count(due_at) AS in_order
  FROM (SELECT queue, CASE WHEN order_key IS NULL OR payload <> '{}' THEN available_at END AS due_at,
               reserved_until IS NULL OR reserved_until < now() AS is_free
        FROM jobs WHERE $2 OR queue = ANY ($1)) j
  GROUP BY queue),
failed AS MATERIALIZED (
  SELECT queue, count(*) AS failed FROM failed_jobs WHERE $2 OR queue = ANY ($1) GROUP BY queue),
alive AS MATERIALIZED (
  SELECT queue, count(*) AS workers, count(*) FILTER (WHERE paused) AS paused_workers FROM workers WHERE seen_at > now() - make_interval(secs => $3) GROUP BY queue),
listed AS (
  SELECT unnest($1::text[]) AS queue
  UNION SELECT queue FROM waiting WHERE $2
  UNION SELECT queue FROM failed WHERE $2
  UNION SELECT queue FROM alive WHERE $2
  UNION SELECT queue FROM queue_controls WHERE $2 AND (paused_at IS NOT NULL OR busy_since IS NOT NULL))
SELECT l.queue,
       coalesce(w.ready, 0) AS ready,
       coalesce(w.free - w.ready, 0) AS delayed,
       coalesce(w.reserved, 0) AS reserved,
       coalesce(f.failed, 0) AS failed,
       (extract(epoch FROM now() - w.oldest_at) * 1000)::bigint AS oldest_wait_ms,
       -- Over this minute so far and the one before it.
       (SELECT (coalesce(sum(finished), 0) / (60 + extract(second FROM now())))::double precision FROM queue_throughput t
        WHERE t.queue = l.queue AND t.minute_at >= date_trunc('minute', now()) - interval '1 minute') AS per_second,
       coalesce(a.workers, 0) AS workers,
       coalesce(a.paused_workers, 0) AS paused_workers,
       c.paused_at,
       coalesce(w.in_order, false) AS in_order
FROM listed l
LEFT JOIN waiting w ON w.queue = l.queue
LEFT JOIN failed f ON f.queue = l.queue
LEFT JOIN alive a ON a.queue = l.queue
LEFT JOIN queue_controls c ON c.queue = l.queue
ORDER BY l.queue
