-- A look found the queue $1 over its limit. Locks its row, so that of two looks at once one tells.
INSERT INTO queue_controls AS c (queue, busy_since) VALUES ($1, now())
ON CONFLICT (queue) DO UPDATE SET busy_since = coalesce(c.busy_since, now())
RETURNING busy_since, now() AS now, coalesce(busy_told_at > now() - make_interval(secs => $2), false) AS was_told
