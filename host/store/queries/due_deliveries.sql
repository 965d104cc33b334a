-- Notifications, their channels, and what is true of their incidents now; which ones, the caller says behind it.
SELECT n.id AS notification_id, n.digest_id AS of_digest, n.is_digest, n.delivery_id, n.snapshot, n.attempts, now() AS now,
       c.id, c.name, c.notifier, c.enabled, c.settings, c.learned, c.filter, c.allow, c.limits, c.proxy, c.broken_at, c.broken_reason, c.paused_until, c.delivered_at,
       (SELECT o.remote_id FROM notifications o
        WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.event IN ('down', 'degraded', 'critical') AND o.id < n.id
          AND o.remote_id IS NOT NULL ORDER BY o.id LIMIT 1) AS opening_remote_id,
       i.ended_at, i.severity, coalesce(i.unwatched OR i.resolved_by IS NOT NULL, false) AS end_unseen,
       coalesce(i.muted_at IS NOT NULL, false) AS muted,
       coalesce(i.acknowledged_at IS NOT NULL AND (i.acknowledged_until IS NULL OR i.acknowledged_until > now()), false) AS acknowledged,
       EXISTS (SELECT FROM notifications o
               WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.state = 'delivered'
                 AND o.event IN ('down', 'degraded', 'critical', 'reminder', 'flapping-end')) AS opening_told,
       EXISTS (SELECT FROM notifications o
               WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.event = 'up'
                 AND o.state IN ('queued', 'delivered')) AS recovery_due
FROM notifications n JOIN channels c ON c.id = n.channel_id LEFT JOIN incidents i ON i.id = n.incident_id
