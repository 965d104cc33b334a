-- Notifications, the newest first, at most $6: each condition that is there must hold. A digest's monitor is what its event
-- names, and it has members. A channel that was removed has left its name. What waits for a channel that its provider told to
-- wait is shown as paused; nothing is stored as that.
SELECT n.id, n.delivery_id, coalesce(c.name, n.channel_name) AS channel, n.event, n.sequence, n.incident_id, shown.state,
       n.attempts, n.last_error, n.remote_id,
       n.digest_id, n.created_at, n.delivered_at, n.snapshot #>> '{monitor,name}' AS monitor,
       n.snapshot #>> '{outcome,message}' AS message,
       (SELECT count(*)::integer FROM notifications m WHERE m.digest_id = n.id) AS members
FROM notifications n LEFT JOIN channels c ON c.id = n.channel_id,
     LATERAL (SELECT CASE WHEN n.state = 'queued' AND c.paused_until > now() THEN 'paused' ELSE n.state END AS state) shown
WHERE ($1::bigint[] IS NULL OR n.id = ANY ($1)) AND ($2::text IS NULL OR coalesce(c.name, n.channel_name) = $2)
  AND ($3::text IS NULL OR shown.state = $3) AND ($4::bigint IS NULL OR n.incident_id = $4) AND ($5::text IS NULL OR n.event = $5)
ORDER BY n.id DESC LIMIT $6
