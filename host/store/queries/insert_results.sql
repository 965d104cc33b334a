INSERT INTO check_results (monitor_id, slot_at, started_at, outcome, class, message, status_code, address,
                           total_us, dns_us, connect_us, tls_us, first_byte_us, transfer_us, late_us)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::smallint[],
                     $8::text[], $9::bigint[], $10::integer[], $11::integer[], $12::integer[], $13::integer[], $14::integer[],
                     $15::bigint[])
