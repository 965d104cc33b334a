-- Moves claimed jobs to the failed list, fenced by the claim.
WITH dead AS (
  DELETE FROM jobs j
  USING unnest($1::bigint[], $2::integer[], $3::text[]) f(id, attempts, error)
  WHERE j.id = ANY ($1) AND j.id = f.id AND j.attempts = f.attempts
  RETURNING j.*, f.error)
INSERT INTO failed_jobs (id, queue, subject, lane, order_key, payload, attempts, errors, created_at)
SELECT id, queue, subject, lane, order_key, payload, attempts,
       coalesce(errors, '[]') || jsonb_build_array(jsonb_build_object('attempt', attempts, 'at', now(), 'error', error)),
       created_at
FROM dead
RETURNING id
