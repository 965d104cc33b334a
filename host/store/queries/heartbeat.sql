-- A worker lives, and has finished $8 jobs since its last heartbeat. A heartbeat that comes later than $10 s after the one before
-- begins a new steady time. Counts of more than an hour ago, which nobody looks at any more, go with it.
WITH old AS (
  DELETE FROM queue_throughput WHERE queue = $2 AND minute_at < now() - interval '1 hour'),
counted AS (
  INSERT INTO queue_throughput AS t (queue, worker, minute_at, finished)
  SELECT $2, $1, date_trunc('minute', now()), $8 WHERE $8 > 0
  ON CONFLICT (queue, minute_at, worker) DO UPDATE SET finished = t.finished + EXCLUDED.finished),
alive AS (
  INSERT INTO workers AS w (id, queue, host, pid, version, started_at, seen_at, running, process_space, paused, steady_since)
  VALUES ($1, $2, $3, $4, $5, coalesce($6, now()), now(), $7, $9, $11, now())
  ON CONFLICT (id) DO UPDATE
    SET seen_at = now(), running = EXCLUDED.running, paused = EXCLUDED.paused,
        steady_since = CASE WHEN w.seen_at < now() - make_interval(secs => $10) THEN now() ELSE w.steady_since END
  RETURNING w.number, w.started_at)
SELECT a.number, a.started_at,
       coalesce(c.restart_asked_at > a.started_at, false) AS restart,
       c.paused_at IS NOT NULL AS paused,
       -- The workers that can be seen by their pid, and whether one has missed its heartbeats.
       neighbours.ids, neighbours.pids,
       EXISTS (SELECT FROM workers w WHERE w.seen_at < now() - make_interval(secs => $12)) AS missing
FROM alive a LEFT JOIN queue_controls c ON c.queue = $2,
     (SELECT coalesce(array_agg(w.id), '{}') AS ids, coalesce(array_agg(w.pid), '{}') AS pids
      FROM workers w WHERE w.process_space = $9 AND w.pid <> $4) neighbours
