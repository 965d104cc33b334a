SELECT count(*) FROM failed_jobs
WHERE ($1::bigint[] IS NULL OR id = ANY ($1))
  AND ($2::bigint IS NULL OR id BETWEEN $2 AND $3)
  AND ($4::text IS NULL OR queue = $4)
  AND ($5::timestamptz IS NULL OR failed_at <= $5)
