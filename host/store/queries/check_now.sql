-- Checks that are due now. One that waits for later comes earlier; one that runs stands for it. Rows that somebody else holds
-- are passed over: they are being looked at.
-- The states are locked as everybody locks them, before the jobs and in the order of their ids.
WITH free AS MATERIALIZED (
  SELECT monitor_id FROM monitor_states WHERE monitor_id = ANY ($2) AND active
  ORDER BY monitor_id FOR NO KEY UPDATE SKIP LOCKED),
waiting AS (
  SELECT id FROM jobs WHERE queue = $1 AND subject IN (SELECT monitor_id FROM free) FOR UPDATE SKIP LOCKED),
earlier AS (
  UPDATE jobs j SET available_at = now() FROM waiting w
  WHERE j.id = w.id AND j.reserved_until IS NULL AND j.available_at > now() RETURNING j.id),
added AS (
  INSERT INTO jobs (queue, subject, available_at)
  SELECT $1, s.monitor_id, now() FROM free s
  WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.queue = $1 AND j.subject = s.monitor_id)
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING id)
SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', $1) IS NULL END AS announced
FROM (SELECT id FROM earlier UNION ALL SELECT id FROM added) woken
