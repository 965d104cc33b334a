-- Checks that are due now. One that waits for later comes earlier; one that runs stands for it. Rows that somebody else holds
-- are passed over: they are being looked at.
WITH waiting AS (
  SELECT id, subject FROM jobs WHERE queue = $1 AND subject = ANY ($2) FOR UPDATE SKIP LOCKED),
earlier AS (
  UPDATE jobs j SET available_at = now() FROM waiting w
  WHERE j.id = w.id AND j.reserved_until IS NULL AND j.available_at > now() RETURNING j.id),
added AS (
  INSERT INTO jobs (queue, subject, available_at)
  SELECT $1, s.monitor_id, now() FROM monitor_states s
  WHERE s.monitor_id = ANY ($2) AND s.active
    AND NOT EXISTS (SELECT FROM jobs j WHERE j.queue = $1 AND j.subject = s.monitor_id)
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING id)
SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', $1) IS NULL END AS announced
FROM (SELECT id FROM earlier UNION ALL SELECT id FROM added) woken
