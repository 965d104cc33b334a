-- Puts claimed jobs back to run again after a while, fenced by the claim. Each failure is kept with its attempt.
UPDATE jobs j
SET reserved_until = NULL,
    available_at = now() + make_interval(secs => f.delay),
    errors = coalesce(j.errors, '[]') || jsonb_build_array(jsonb_build_object('attempt', j.attempts, 'at', now(), 'error', f.error))
FROM unnest($1::bigint[], $2::integer[], $3::double precision[], $4::text[]) f(id, attempts, delay, error)
WHERE j.id = f.id AND j.attempts = f.attempts
RETURNING j.id
