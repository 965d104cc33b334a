-- The tries of the notifications $1, by time; of one that went out with a digest, the digest's, but not the one that left it out.
SELECT n.id, a.attempt, a.started_at, a.duration_ms / 1e3::float8 AS duration, a.outcome, a.status_code, a.message
FROM notifications n JOIN delivery_attempts a ON a.notification_id = coalesce(n.digest_id, n.id)
WHERE n.id = ANY ($1) AND (n.digest_id IS NULL OR n.state <> 'muted' OR a.outcome <> 'delivered')
ORDER BY a.started_at, n.id, a.attempt
