-- Notifications, which are locked, failed or muted and without a job, get a new one and are queued again. It comes after the
-- jobs of its incident that wait, so what one of those tells later, or has told, leaves nothing to say: superseded. Those of
-- one call may be each other's later ones, and keep their order.
WITH superseded AS (
  UPDATE notifications n SET state = 'discarded', last_error = 'a later notice of the same incident takes its place'
  WHERE n.id = ANY ($1)
    AND EXISTS (SELECT FROM notifications later
                WHERE later.incident_id = n.incident_id AND later.channel_id = n.channel_id AND later.id > n.id
                  AND later.state IN ('queued', 'paused', 'delivered'))
  RETURNING n.id),
renewed AS (
  UPDATE notifications n SET state = 'queued'
  WHERE n.id = ANY ($1) AND n.id NOT IN (SELECT id FROM superseded)
  RETURNING n.id, n.channel_id, n.incident_id),
job AS (
  INSERT INTO jobs (queue, subject, lane, order_key, available_at)
  SELECT 'notifications', r.id, r.channel_id,
         (SELECT i.monitor_id || ':' || r.channel_id FROM incidents i WHERE i.id = r.incident_id),
         greatest(now(), c.paused_until)
  FROM renewed r JOIN channels c ON c.id = r.channel_id ORDER BY r.id
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING id),
announced AS (
  SELECT pg_notify('uptime_jobs', 'notifications') FROM job LIMIT 1)
SELECT id, true AS superseded, NULL::bigint AS announced FROM superseded
UNION ALL
SELECT id, false, (SELECT count(*) FROM announced) FROM renewed
