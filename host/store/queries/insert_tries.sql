-- Moves notifications on and writes each try down.
WITH tried AS (
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[], $8::text[],
                       $9::smallint[], $10::text[], $11::bytea[])
    t(id, state, counts, error, remote_id, started_at, duration_ms, outcome, status_code, message, progress)),
moved AS (
  UPDATE notifications n
  SET state = t.state, attempts = n.attempts + CASE WHEN t.counts THEN 1 ELSE 0 END,
      last_error = CASE WHEN t.state <> 'delivered' THEN coalesce(t.error, n.last_error) END,
      remote_id = coalesce(t.remote_id, n.remote_id),
      progress = CASE WHEN t.state <> 'delivered' THEN coalesce(t.progress, n.progress) END,
      delivered_at = CASE WHEN t.state = 'delivered' THEN now() END
  FROM tried t WHERE n.id = ANY ($1) AND n.id = t.id
  RETURNING n.id, n.attempts)
INSERT INTO delivery_attempts (notification_id, attempt, started_at, duration_ms, outcome, status_code, message)
SELECT m.id, m.attempts, t.started_at, t.duration_ms, t.outcome, t.status_code, t.message
FROM moved m JOIN tried t ON t.id = m.id
