-- Notifications, the newest first, at most $6: each condition that is there must hold. A digest's monitor is what its event
-- names, and it has members.
SELECT n.id, n.delivery_id, c.name AS channel, n.event, n.sequence, n.incident_id, n.state, n.attempts, n.last_error, n.remote_id,
       n.digest_id, n.created_at, n.delivered_at, n.snapshot #>> '{monitor,name}' AS monitor,
       n.snapshot #>> '{outcome,message}' AS message,
       (SELECT count(*)::integer FROM notifications m WHERE m.digest_id = n.id) AS members
FROM notifications n JOIN channels c ON c.id = n.channel_id
WHERE ($1::bigint[] IS NULL OR n.id = ANY ($1)) AND ($2::text IS NULL OR c.name = $2) AND ($3::text IS NULL OR n.state = $3)
  AND ($4::bigint IS NULL OR n.incident_id = $4) AND ($5::text IS NULL OR n.event = $5)
ORDER BY n.id DESC LIMIT $6
