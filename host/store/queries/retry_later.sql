-- Puts claimed jobs back to run again after a while, fenced by the claim. Each failure is kept with its attempt; one that
-- does not count (the provider asked to wait) takes its attempt back.
UPDATE jobs j
SET reserved_until = NULL,
    attempts = j.attempts - CASE WHEN f.counts THEN 0 ELSE 1 END,
    available_at = now() + make_interval(secs => f.delay),
    errors = CASE WHEN f.counts
                  THEN coalesce(j.errors, '[]') || jsonb_build_array(jsonb_build_object('attempt', j.attempts, 'at', now(), 'error', f.error))
                  ELSE j.errors END
FROM unnest($1::bigint[], $2::integer[], $3::double precision[], $4::text[], $5::boolean[]) f(id, claims, delay, error, counts)
WHERE j.id = ANY ($1) AND j.id = f.id AND j.claims = f.claims AND j.reserved_until IS NOT NULL
RETURNING j.id
