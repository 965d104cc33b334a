-- Claims up to $2 ready jobs of queue $1 for $3 seconds, oldest first. Every index stays untouched (HOT).
-- MATERIALIZED, because a planner may run a LIMIT subquery more than once.
WITH candidate AS MATERIALIZED (
  SELECT id FROM jobs
  WHERE queue = $1 AND available_at <= now() AND available_at >= $4
    AND (reserved_until IS NULL OR reserved_until < now())
  ORDER BY available_at, id
  LIMIT $2
  FOR UPDATE SKIP LOCKED)
UPDATE jobs j
SET reserved_until = now() + make_interval(secs => $3), attempts = j.attempts + 1
FROM candidate c
WHERE j.id = c.id
RETURNING j.id, j.subject, j.lane, j.payload, j.attempts, j.available_at, now() AS claimed_at
