-- What a batch of checks changes in incidents that there are. One that has ended stays as it is.
UPDATE incidents i
SET severity = u.severity, class = u.class, cause = u.cause, expected = u.expected, got = u.got, down_at = u.down_at,
    ended_at = u.ended_at, resolved_at = CASE WHEN u.ended_at IS NOT NULL THEN now() END, failures = u.failures
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
            $9::timestamptz[], $10::integer[])
     u(id, severity, class, cause, expected, got, started_at, down_at, ended_at, failures)
WHERE i.id = u.id AND i.ended_at IS NULL RETURNING i.id
