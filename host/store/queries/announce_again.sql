-- Failed notifications $1, which are locked, are queued again, by themselves or in the digest beside them ($2). Each gets a new job,
-- in the order that its failed job had, so that no old claim fits. One whose job is being run is left to that.
WITH chosen AS (
  SELECT * FROM unnest($1::bigint[], $2::bigint[]) c(id, digest_id)),
gone AS (
  DELETE FROM failed_jobs f USING chosen c WHERE f.queue = 'notifications' AND f.subject = c.id RETURNING f.subject, f.order_key),
renewed AS (
  UPDATE notifications n SET state = 'queued', digest_id = c.digest_id, setbacks = n.setbacks + $3
  FROM chosen c WHERE n.id = c.id
  RETURNING n.id, n.channel_id, n.incident_id, n.digest_id),
job AS (
  INSERT INTO jobs (queue, subject, concurrency_key, order_key, available_at)
  SELECT 'notifications', r.id, r.channel_id, coalesce(g.order_key, order_of(r.incident_id, r.channel_id)),
         greatest(now(), c.paused_until)
  FROM renewed r JOIN channels c ON c.id = r.channel_id LEFT JOIN gone g ON g.subject = r.id
  WHERE r.digest_id IS NULL ORDER BY r.id
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING id)
SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', 'notifications') IS NULL END AS announced FROM job
