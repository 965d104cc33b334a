-- A worker lives, and has finished $8 jobs since it said so last. What nobody looks at any more goes with it: the counts of
-- more than an hour ago, and workers that were killed.
WITH old AS (
  DELETE FROM queue_throughput WHERE queue = $2 AND minute_at < now() - interval '1 hour'),
dead AS (
  DELETE FROM workers WHERE queue = $2 AND seen_at < now() - interval '10 minutes' AND id <> $1),
counted AS (
  INSERT INTO queue_throughput AS t (queue, worker, minute_at, finished)
  SELECT $2, $1, date_trunc('minute', now()), $8 WHERE $8 > 0
  ON CONFLICT (queue, minute_at, worker) DO UPDATE SET finished = t.finished + EXCLUDED.finished),
alive AS (
  INSERT INTO workers AS w (id, queue, host, pid, version, started_at, seen_at, running)
  VALUES ($1, $2, $3, $4, $5, coalesce($6, now()), now(), $7)
  ON CONFLICT (id) DO UPDATE SET seen_at = now(), running = EXCLUDED.running
  RETURNING w.started_at)
SELECT a.started_at,
       coalesce(c.restart_asked_at > a.started_at, false) AS restart,
       c.paused_at IS NOT NULL AS paused
FROM alive a LEFT JOIN queue_controls c ON c.queue = $2
