-- As claim.sql, for a queue whose jobs share lanes and have an order:
--   of a lane no more than $4 run in this process, $5/$6 being what is in flight of each now;
--   a job waits while an older one with its order_key is there, so a recovery never overtakes the opening.
-- Only the first $7 ready jobs of lanes with room are ranked, so that a long backlog costs no more than a short one.
WITH ready AS MATERIALIZED (
  SELECT j.id, j.lane, j.available_at FROM jobs j
  WHERE j.queue = $1 AND j.available_at <= now()
    AND (j.reserved_until IS NULL OR j.reserved_until < now())
    AND NOT EXISTS (SELECT FROM unnest($5::bigint[], $6::bigint[]) busy(lane, running)
                    WHERE busy.lane = j.lane AND busy.running >= $4)
    AND (j.order_key IS NULL OR NOT EXISTS (
      SELECT FROM jobs older WHERE older.order_key = j.order_key AND older.id < j.id))
  ORDER BY j.available_at, j.id
  LIMIT $7),
ranked AS (
  SELECT r.id,
         coalesce(busy.running, 0) + row_number() OVER (PARTITION BY r.lane ORDER BY r.available_at, r.id) AS place
  FROM ready r LEFT JOIN unnest($5::bigint[], $6::bigint[]) busy(lane, running) ON busy.lane = r.lane),
candidate AS MATERIALIZED (
  SELECT j.id FROM jobs j JOIN ranked r ON r.id = j.id
  -- Looked at again once the row is locked: it may have been claimed, or its channel paused, since.
  WHERE (r.place <= $4 OR j.lane IS NULL) AND j.available_at <= now() AND (j.reserved_until IS NULL OR j.reserved_until < now())
  ORDER BY j.available_at, j.id
  LIMIT $2
  FOR UPDATE OF j SKIP LOCKED)
UPDATE jobs j
SET reserved_until = now() + make_interval(secs => $3), attempts = j.attempts + 1
FROM candidate c
WHERE j.id = c.id
RETURNING j.id, j.subject, j.lane, j.payload, j.attempts, j.available_at, now() AS claimed_at
