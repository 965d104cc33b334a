INSERT INTO check_results (monitor_id, slot_at, started_at, outcome, degraded, class, message, evidence, status_code, address,
                           total_us, dns_us, connect_us, tls_us, first_byte_us, transfer_us, late_us, location)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::boolean[], $6::text[], $7::text[],
                     $8::jsonb[], $9::smallint[], $10::text[], $11::bigint[], $12::integer[], $13::integer[], $14::integer[],
                     $15::integer[], $16::integer[], $17::bigint[], $18::text[])
