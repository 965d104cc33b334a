-- Notifications, in this order, and a job for each that is not in a digest. A channel that was told to wait gets its jobs when the
-- wait is over. A second one for the same incident, channel, event and sequence is not made.
WITH wanted AS (
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::jsonb[], $7::bigint[]) WITH ORDINALITY
    w(delivery_id, channel_id, incident_id, event, sequence, snapshot, digest_id, nth)),
made AS (
  INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state, digest_id)
  SELECT w.delivery_id, w.channel_id, w.incident_id, w.event, w.sequence, w.snapshot, 'queued', w.digest_id
  FROM wanted w ORDER BY w.nth
  ON CONFLICT (incident_id, channel_id, event, sequence) DO NOTHING
  RETURNING id, channel_id, incident_id, digest_id),
job AS (
  INSERT INTO jobs (queue, subject, concurrency_key, order_key, available_at)
  SELECT 'notifications', m.id, m.channel_id, order_of(m.incident_id, m.channel_id), greatest(c.paused_until, now())
  FROM made m JOIN channels c ON c.id = m.channel_id WHERE m.digest_id IS NULL ORDER BY m.id
  RETURNING id)
SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', 'notifications') IS NULL END AS announced FROM job
