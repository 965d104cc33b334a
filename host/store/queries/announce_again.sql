-- Failed notifications $1, which are locked, are queued again, by themselves or in the digest beside them ($2). Of their failed
-- jobs the ids are kept, and are given out in the order of the notifications: so they come before what was decided later. Their
-- claims are counted on from the highest, so that no old claim fits. Each keeps the order that its failed job had. One whose job is being run is left to that.
WITH chosen AS (
  SELECT c.id, c.digest_id, row_number() OVER (ORDER BY c.id) AS nth FROM unnest($1::bigint[], $2::bigint[]) c(id, digest_id)),
gone AS (
  DELETE FROM failed_jobs f USING chosen c WHERE f.queue = 'notifications' AND f.subject = c.id RETURNING f.id, f.subject, f.claims, f.order_key),
renewed AS (
  UPDATE notifications n SET state = 'queued', digest_id = c.digest_id, setbacks = n.setbacks + $3
  FROM chosen c WHERE n.id = c.id
  RETURNING n.id, n.channel_id, n.incident_id, n.digest_id),
singles AS MATERIALIZED (
  SELECT r.id, r.channel_id, row_number() OVER (ORDER BY r.id) AS nth,
         coalesce((SELECT g.order_key FROM gone g WHERE g.subject = r.id),
                  (SELECT coalesce(i.monitor_id::text, 'incident-' || i.id) || ':' || r.channel_id FROM incidents i WHERE i.id = r.incident_id))
           AS order_key
  FROM renewed r WHERE r.digest_id IS NULL),
ids AS MATERIALIZED (
  SELECT coalesce(g.id, nextval(pg_get_serial_sequence('jobs', 'id'))) AS id FROM singles s LEFT JOIN gone g ON g.subject = s.id),
places AS (
  SELECT id, row_number() OVER (ORDER BY id) AS nth FROM ids),
job AS (
  INSERT INTO jobs (id, queue, subject, lane, order_key, claims, available_at)
  OVERRIDING SYSTEM VALUE
  SELECT p.id, 'notifications', s.id, s.channel_id, s.order_key, coalesce((SELECT max(claims) FROM gone), 0),
         greatest(now(), c.paused_until)
  FROM singles s JOIN places p ON p.nth = s.nth JOIN channels c ON c.id = s.channel_id ORDER BY s.id
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING id)
SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', 'notifications') IS NULL END AS announced FROM job
