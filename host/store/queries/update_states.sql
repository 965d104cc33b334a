-- The states after a batch of checks. No index holds a column that this changes (HOT).
UPDATE monitor_states s
SET status = u.status, since = u.since, streak = u.streak, streak_since = u.streak_since, failures = u.failures,
    last_slot_at = u.last_slot_at, incident_id = u.incident_id,
    last_check_at = u.last_check_at, last_outcome = u.last_outcome, last_degraded = u.last_degraded,
    last_latency_us = u.last_latency_us, last_message = u.last_message
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::integer[], $5::timestamptz[], $6::integer[], $7::timestamptz[],
            $8::bigint[], $9::timestamptz[], $10::text[], $11::boolean[], $12::bigint[], $13::text[])
     u(monitor_id, status, since, streak, streak_since, failures, last_slot_at, incident_id,
       last_check_at, last_outcome, last_degraded, last_latency_us, last_message)
WHERE s.monitor_id = u.monitor_id
