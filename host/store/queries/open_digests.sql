-- A digest that takes members for each of these channels, and its job, due at the instant beside it.
WITH wanted AS (
  SELECT * FROM unnest($1::bigint[], $2::jsonb[], $3::timestamptz[]) w(channel_id, snapshot, due_at)),
made AS (
  INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state, is_digest)
  SELECT (w.snapshot ->> 'delivery_id')::uuid, w.channel_id, w.snapshot ->> 'type', 0, w.snapshot, 'queued', true FROM wanted w
  RETURNING id, channel_id),
job AS (
  -- One digest of a channel goes out after the other.
  INSERT INTO jobs (queue, subject, concurrency_key, order_key, available_at)
  SELECT 'notifications', m.id, m.channel_id, 'digest:' || m.channel_id::text, greatest(c.paused_until, w.due_at)
  FROM made m JOIN wanted w ON w.channel_id = m.channel_id JOIN channels c ON c.id = m.channel_id),
opened AS (
  UPDATE channels c SET digest_id = m.id, digest_at = w.due_at
  FROM made m JOIN wanted w ON w.channel_id = m.channel_id WHERE c.id = m.channel_id)
SELECT id, channel_id FROM made
