-- Incidents and their monitors, for somebody who is about to do something to them; which ones, the caller says behind it, and
-- locks them. The state's failures are the newer ones while one is open. A monitor that was removed has left its name and target.
SELECT i.id, i.severity, i.class, i.cause, i.expected, i.got, coalesce(i.down_at, i.started_at) AS started_at, i.ended_at, i.resolved_by,
       CASE WHEN i.ended_at IS NULL THEN greatest(i.failures, s.failures) ELSE i.failures END AS failures,
       i.acknowledged_by, i.acknowledged_at, i.acknowledged_until, i.muted_by, i.muted_at,
       coalesce(m.name, i.monitor_name, '') AS name, coalesce(m.check_spec->>'type', '') AS kind,
       coalesce(m.target, i.target, '') AS target, m.group_name, coalesce(m.tags, '{}') AS tags, now() AS now
FROM incidents i LEFT JOIN monitors m ON m.id = i.monitor_id LEFT JOIN monitor_states s ON s.monitor_id = i.monitor_id
