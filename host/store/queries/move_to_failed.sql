-- Moves claimed jobs to the failed list, fenced by the claim. An attempt that does not count was a claim without a run.
WITH dead AS (
  DELETE FROM jobs j
  USING unnest($1::bigint[], $2::integer[], $3::text[], $4::boolean[]) f(id, claims, error, counts)
  WHERE j.id = ANY ($1) AND j.id = f.id AND j.claims = f.claims AND j.reserved_until IS NOT NULL
  RETURNING j.id, j.queue, j.subject, j.concurrency_key, j.order_key, j.payload, j.claims, j.errors, j.created_at, f.error,
            j.attempts - CASE WHEN f.counts THEN 0 ELSE 1 END AS runs)
INSERT INTO failed_jobs (id, queue, subject, concurrency_key, order_key, payload, attempts, claims, errors, created_at)
SELECT id, queue, subject, concurrency_key, order_key, payload, runs, claims,
       coalesce(errors, '[]') || jsonb_build_array(jsonb_build_object('attempt', runs, 'at', now(), 'error', error)),
       created_at
FROM dead
RETURNING id
