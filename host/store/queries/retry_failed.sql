-- Puts failed jobs back with their attempts at zero, the id that they had, and the count of their claims, so that no old claim
-- fits. Whoever deletes the failed row puts the job back, so two operators at once do each job once. Not put back, and told
-- apart: a job whose subject waits already, and notifications that must not be sent again ($2, `uptime_core::reconcile`; $3: why). A probe
-- that waits for the subject becomes the job.
WITH chosen AS (
  DELETE FROM failed_jobs WHERE id = ANY ($1) RETURNING *),
superseded AS (
  UPDATE notifications n SET state = 'discarded', last_error = s.reason
  FROM chosen c JOIN unnest($2::bigint[], $3::text[]) s(id, reason) ON s.id = c.subject
  WHERE c.queue = 'notifications' AND n.id = c.subject
  RETURNING n.id),
put_back AS (
  INSERT INTO jobs AS j (id, queue, subject, concurrency_key, order_key, payload, claims, created_at)
  OVERRIDING SYSTEM VALUE
  SELECT id, queue, subject, concurrency_key, order_key, payload, claims, created_at FROM chosen
  WHERE queue <> 'notifications' OR subject IS NULL OR subject NOT IN (SELECT id FROM superseded)
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL
    DO UPDATE SET payload = '{}', available_at = now() WHERE j.payload ? 'probe' AND j.reserved_until IS NULL
  RETURNING j.queue, j.subject, j.id),
renewed AS (
  UPDATE notifications n SET state = 'queued'
  FROM put_back p WHERE p.queue = 'notifications' AND n.id = p.subject AND n.state = 'failed'),
announced AS (
  SELECT pg_notify('uptime_jobs', queue) FROM (SELECT DISTINCT queue FROM put_back) q)
SELECT c.id,
       CASE WHEN p.id IS NOT NULL THEN 'put-back'
            WHEN c.queue = 'notifications' AND c.subject IN (SELECT id FROM superseded) THEN 'superseded'
            ELSE 'waits-already' END AS outcome,
       (SELECT count(*) FROM announced) AS announced
FROM chosen c LEFT JOIN put_back p ON p.id = c.id OR p.queue = c.queue AND p.subject = c.subject
