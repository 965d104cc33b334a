-- Checks of these monitors ($1) that are due now, in each of their locations. One that waits for later comes earlier; one that
-- runs stands for it. Rows that somebody else holds are passed over: they are being looked at.
-- The states are locked as everybody locks them, before the jobs and in the order of their ids.
WITH free AS MATERIALIZED (
  SELECT monitor_id, timeout_ms FROM monitor_states WHERE monitor_id = ANY ($1) AND active
  ORDER BY monitor_id FOR NO KEY UPDATE SKIP LOCKED),
wanted AS MATERIALIZED (
  SELECT q.queue, q.monitor_id, f.timeout_ms FROM check_queues q JOIN free f ON f.monitor_id = q.monitor_id),
waiting AS (
  SELECT j.id FROM jobs j JOIN wanted w ON w.queue = j.queue AND w.monitor_id = j.subject FOR UPDATE OF j SKIP LOCKED),
earlier AS (
  UPDATE jobs j SET available_at = now() FROM waiting w
  WHERE j.id = w.id AND j.reserved_until IS NULL AND j.available_at > now() RETURNING j.queue),
added AS (
  INSERT INTO jobs (queue, subject, available_at, timeout_ms)
  SELECT w.queue, w.monitor_id, now(), w.timeout_ms FROM wanted w
  WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.queue = w.queue AND j.subject = w.monitor_id)
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING queue)
SELECT pg_notify('uptime_jobs', queue) IS NULL AS announced
FROM (SELECT queue FROM earlier UNION SELECT queue FROM added) woken
