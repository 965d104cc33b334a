-- The next $5 jobs of a queue that wait, in the order in which they would be claimed: after ($2, $3), and only what was there
-- when the operator looked ($4). What somebody holds at this moment is being claimed or ended, and is left to them.
SELECT id, available_at FROM jobs
WHERE queue = $1 AND (available_at, id) > ($2, $3) AND created_at <= $4
  AND (reserved_until IS NULL OR reserved_until < now())
ORDER BY available_at, id LIMIT $5
FOR UPDATE SKIP LOCKED
