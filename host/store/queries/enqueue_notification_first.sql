-- One notification without an incident, and its job before all that waits: it is about the queue itself. A channel that was told
-- to wait gets the job when the wait is over. $5: what it has in common with those that it must not overtake.
WITH notification AS (
  INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
  VALUES ($1, $2, $3, 0, $4, 'queued')
  RETURNING id),
job AS (
  INSERT INTO jobs (queue, subject, concurrency_key, order_key, available_at)
  SELECT 'notifications', n.id, $2, $5 || ':' || $2::text,
         greatest(c.paused_until,
                  least(now(), (SELECT min(available_at) - interval '1 microsecond' FROM jobs
                                WHERE queue = 'notifications' AND (reserved_until IS NULL OR reserved_until < now()))))
  FROM notification n, channels c WHERE c.id = $2
  RETURNING id)
SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', 'notifications') IS NULL END AS announced FROM job
