-- Results of the queue of checks $1 are overdue. It has stalled when that has been so for $2 seconds: whoever has only just begun
-- gives checks the time to come in. Locks its row, so that of two workers one tells.
INSERT INTO check_stalls AS s (queue, overdue_since, stalled_at) VALUES ($1, now(), CASE WHEN $2 <= 0 THEN now() END)
ON CONFLICT (queue) DO UPDATE
  SET overdue_since = coalesce(s.overdue_since, now()),
      stalled_at = coalesce(s.stalled_at,
                            CASE WHEN coalesce(s.overdue_since, now()) <= now() - make_interval(secs => $2) THEN now() END)
RETURNING coalesce(stalled_at = now(), false) AS news, now() AS now
