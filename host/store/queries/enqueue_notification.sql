-- One notification and its job. A channel that was told to wait gets the job when the wait is over. $7: it is about the queue
-- itself, and goes before all that waits there. $8: what it has in common with those that it must not overtake, when that is
-- not an incident.
WITH notification AS (
  INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state)
  VALUES ($1, $2, $3, $4, $5, $6, 'queued')
  ON CONFLICT (incident_id, channel_id, event, sequence) DO NOTHING
  RETURNING id),
job AS (
  INSERT INTO jobs (queue, subject, lane, order_key, available_at)
  SELECT 'notifications', n.id, $2, coalesce($3::text, $8) || ':' || $2::text,
         greatest(c.paused_until,
                  CASE WHEN $7
                       THEN least(now(), (SELECT min(available_at) - interval '1 microsecond' FROM jobs
                                          WHERE queue = 'notifications' AND (reserved_until IS NULL OR reserved_until < now())))
                       ELSE now() END)
  FROM notification n, channels c WHERE c.id = $2
  RETURNING id)
SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', 'notifications') IS NULL END AS announced FROM job
