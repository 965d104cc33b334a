-- The states after a batch of checks. No index holds a column that this changes (HOT).
UPDATE monitor_states s
SET status = u.status, since = u.since, streak = u.streak, streak_since = u.streak_since, downs = u.downs,
    downs_since = u.downs_since, recent = u.recent, flapping = u.flapping, window_recent = u.window_recent,
    window_failed_at = u.window_failed_at::timestamptz[], failures = u.failures, severity = u.severity, announced_severity = u.announced_severity,
    unannounced_ends = u.unannounced_ends::bigint[], flapping_announced = u.flapping_announced, reminders = u.reminders,
    last_slot_at = u.last_slot_at, incident_id = u.incident_id,
    last_check_at = u.last_check_at, last_outcome = u.last_outcome, last_degraded = u.last_degraded,
    last_latency_us = u.last_latency_us, last_message = u.last_message
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::integer[], $5::timestamptz[], $6::integer[], $7::timestamptz[],
            $8::bigint[], $9::boolean[], $10::bigint[], $11::text[], $12::integer[], $13::text[], $14::text[], $15::text[],
            $16::boolean[], $17::integer[], $18::timestamptz[], $19::bigint[], $20::timestamptz[], $21::text[],
            $22::boolean[], $23::bigint[], $24::text[])
     u(monitor_id, status, since, streak, streak_since, downs, downs_since, recent, flapping, window_recent, window_failed_at,
       failures, severity, announced_severity, unannounced_ends, flapping_announced, reminders, last_slot_at, incident_id,
       last_check_at, last_outcome, last_degraded, last_latency_us, last_message)
WHERE s.monitor_id = u.monitor_id
