-- The failed notices of the channels $1, at most $3, and the notices $2; and what was decided later about the same for the same
-- channel. `uptime_core::reconcile` decides by them.
WITH chosen AS MATERIALIZED (
  (SELECT id, channel_id, snapshot #>> '{monitor,name}' AS about FROM notifications
   WHERE state = 'failed' AND channel_id = ANY ($1) AND NOT is_digest ORDER BY id LIMIT $3)
  UNION
  SELECT id, channel_id, snapshot #>> '{monitor,name}' FROM notifications WHERE id = ANY ($2) AND NOT is_digest),
later AS (
  SELECT n.id
  FROM (SELECT channel_id, min(id) AS since FROM chosen GROUP BY channel_id) first
  JOIN notifications n ON n.channel_id = first.channel_id AND n.id > first.since AND n.state IN ('queued', 'delivered') AND NOT n.is_digest
  WHERE EXISTS (SELECT FROM chosen c WHERE c.channel_id = n.channel_id AND c.about = n.snapshot #>> '{monitor,name}' AND c.id < n.id))
SELECT n.id, n.channel_id, n.event, n.incident_id, n.state, n.setbacks, coalesce(n.digest_id, n.id) AS carrier, n.snapshot,
       coalesce(n.snapshot #>> '{monitor,name}', '') AS about,
       w.ended_at, w.severity, w.end_unseen, w.muted, w.acknowledged, w.opening_told, w.worst_told, w.recovery_due, w.overtaken,
       n.event = 'channel-broken' AND NOT EXISTS (
         SELECT FROM channels c WHERE c.name = n.snapshot #>> '{monitor,name}' AND c.broken_at IS NOT NULL) AS is_over
FROM notifications n JOIN notification_circumstances w ON w.id = n.id
WHERE n.id IN (SELECT id FROM chosen UNION SELECT id FROM later)
ORDER BY n.id
