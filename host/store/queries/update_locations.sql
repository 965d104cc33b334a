-- What is known of monitors from where they were just checked.
UPDATE monitor_locations l
SET memory = u.memory, last_check_at = u.last_check_at, last_outcome = u.last_outcome, last_degraded = u.last_degraded,
    last_latency_us = u.last_latency_us, last_message = u.last_message
FROM unnest($1::bigint[], $2::text[], $3::jsonb[], $4::timestamptz[], $5::text[], $6::boolean[], $7::bigint[], $8::text[])
     u(monitor_id, location, memory, last_check_at, last_outcome, last_degraded, last_latency_us, last_message)
WHERE l.monitor_id = u.monitor_id AND l.location = u.location
