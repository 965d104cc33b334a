-- The incidents of the monitors $1 that a batch of checks opens, in this order.
INSERT INTO incidents (monitor_id, severity, class, cause, expected, got, started_at, down_at, ended_at, failures, resolved_at)
SELECT u.*, CASE WHEN u.ended_at IS NOT NULL THEN now() END
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
            $9::timestamptz[], $10::integer[])
     u(monitor_id, severity, class, cause, expected, got, started_at, down_at, ended_at, failures)
RETURNING id
