-- Puts failed jobs back with their attempts at zero and the id that they had. Whoever deletes the failed row puts the
-- job back, so two operators at once do each job once. A job whose subject waits already is not put back a second time.
WITH chosen AS (
  DELETE FROM failed_jobs
  WHERE ($1::bigint[] IS NULL OR id = ANY ($1)) AND ($2::text IS NULL OR queue = $2)
  RETURNING *),
put_back AS (
  INSERT INTO jobs (id, queue, subject, lane, order_key, payload, created_at)
  OVERRIDING SYSTEM VALUE
  SELECT id, queue, subject, lane, order_key, payload, created_at FROM chosen
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING id, queue, subject),
renewed AS (
  UPDATE notifications n SET state = 'queued'
  FROM put_back p WHERE p.queue = 'notifications' AND n.id = p.subject AND n.state = 'failed'),
announced AS (
  SELECT pg_notify('uptime_jobs', queue) FROM (SELECT DISTINCT queue FROM put_back) q)
SELECT c.id, p.id IS NOT NULL AS put_back, (SELECT count(*) FROM announced) AS announced
FROM chosen c LEFT JOIN put_back p ON p.id = c.id
ORDER BY c.id
