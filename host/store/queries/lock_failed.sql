-- The next $6 failed jobs of a selection, by id, locked. Somebody else's are waited for and are gone then, so that two
-- operators do each job once, and one who breaks off leaves nothing behind that the other took for done.
SELECT id FROM failed_jobs
WHERE id > $1
  AND ($2::bigint[] IS NULL OR id = ANY ($2))
  AND ($3::bigint IS NULL OR id BETWEEN $3 AND $4)
  AND ($5::text IS NULL OR queue = $5)
  AND ($7::timestamptz IS NULL OR failed_at <= $7)
ORDER BY id LIMIT $6
FOR UPDATE
