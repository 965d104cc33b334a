-- Notifications, their channels, and what is true of their incidents now; which ones, the caller says behind it.
SELECT n.id AS notification_id, n.digest_id AS of_digest, n.is_digest, n.snapshot, n.state = 'failed' AS has_failed, n.attempts, n.progress, now() AS now,
       (SELECT id FROM installation) AS installation,
       c.id, c.name, c.notifier, c.enabled, c.settings, c.learned, coalesce(c.learned_at > now() - interval '10 minutes', false) AS learned_lately,
       c.filter, c.allow, c.limits, c.proxy, c.broken_at, c.broken_reason, c.paused_until, c.delivered_at, c.failing_since,
       got.first_remote_id, got.last_remote_id,
       w.ended_at, w.severity, w.end_unseen, w.muted, w.acknowledged, w.opening_told, w.worst_told, w.recovery_due, w.overtaken
FROM notifications n JOIN channels c ON c.id = n.channel_id JOIN notification_circumstances w ON w.id = n.id
  CROSS JOIN LATERAL (
    SELECT (array_agg(o.remote_id ORDER BY o.delivered_at, o.id))[1] AS first_remote_id,
           (array_agg(o.remote_id ORDER BY o.delivered_at DESC, o.id DESC))[1] AS last_remote_id
    FROM notifications o
    WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.id <> n.id
      AND o.state = 'delivered' AND o.remote_id IS NOT NULL) got

