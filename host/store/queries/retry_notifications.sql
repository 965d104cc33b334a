-- Notifications, which are locked, failed or muted and without a job, get a new one and are queued again, but for those that must
-- not be sent again ($2, `uptime_core::reconcile`; $3: why). A probe that waits for one becomes its job.
WITH superseded AS (
  UPDATE notifications n SET state = 'discarded', last_error = s.reason
  FROM unnest($2::bigint[], $3::text[]) s(id, reason) WHERE n.id = ANY ($1) AND n.id = s.id
  RETURNING n.id),
renewed AS (
  UPDATE notifications n SET state = 'queued'
  WHERE n.id = ANY ($1) AND n.id <> ALL ($2)
  RETURNING n.id, n.channel_id, n.incident_id),
job AS (
  INSERT INTO jobs AS j (queue, subject, concurrency_key, order_key, available_at)
  SELECT 'notifications', r.id, r.channel_id, order_of(r.incident_id, r.channel_id), greatest(now(), c.paused_until)
  FROM renewed r JOIN channels c ON c.id = r.channel_id ORDER BY r.id
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL
    DO UPDATE SET payload = '{}', available_at = now() WHERE j.payload ? 'probe' AND j.reserved_until IS NULL
  RETURNING id),
announced AS (
  SELECT pg_notify('uptime_jobs', 'notifications') FROM job LIMIT 1)
SELECT id, true AS superseded, NULL::bigint AS announced FROM superseded
UNION ALL
SELECT id, false, (SELECT count(*) FROM announced) FROM renewed
