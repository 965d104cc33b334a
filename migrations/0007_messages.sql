-- What a message is made of, beside its event: whose it is, what the channel was told before, and how far the last try came.

-- Keys at providers are this installation's, and nobody else's.
CREATE TABLE installation (
  id        uuid NOT NULL DEFAULT gen_random_uuid(),
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton)
);
INSERT INTO installation DEFAULT VALUES;

ALTER TABLE notifications ADD COLUMN progress bytea;   -- what the last try left to the next

-- As before (0005), and the worst that the channel was told.
CREATE OR REPLACE VIEW notification_circumstances AS
SELECT n.id, i.ended_at, i.severity, coalesce(i.unwatched OR i.resolved_by IS NOT NULL, false) AS end_unseen,
       coalesce(i.muted_at IS NOT NULL, false) AS muted,
       coalesce(i.acknowledged_at IS NOT NULL AND (i.acknowledged_until IS NULL OR i.acknowledged_until > now()), false) AS acknowledged,
       told.worst IS NOT NULL AS opening_told,
       EXISTS (SELECT FROM notifications o
               WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.event = 'up'
                 AND o.state IN ('queued', 'delivered')) AS recovery_due,
       EXISTS (SELECT FROM notifications o JOIN incidents other ON other.id = o.incident_id
               WHERE o.channel_id = n.channel_id AND o.id > n.id AND o.state = 'delivered'
                 AND other.monitor_id = i.monitor_id) AS overtaken,
       (ARRAY['info', 'degraded', 'down', 'critical'])[told.worst] AS worst_told
FROM notifications n LEFT JOIN incidents i ON i.id = n.incident_id,
     LATERAL (SELECT max(coalesce(array_position(ARRAY['info', 'degraded', 'down', 'critical'], o.snapshot ->> 'severity'), 1)) AS worst
              FROM notifications o
              WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.state = 'delivered'
                AND announces_incident(o.event)) told;
