-- An incident and its monitor, for somebody who is about to do something to it. The state's failures are the newer ones while
-- it is open.
SELECT i.severity, i.class, i.cause, i.expected, i.got, coalesce(i.down_at, i.started_at) AS started_at, i.ended_at, i.resolved_by,
       CASE WHEN i.ended_at IS NULL THEN greatest(i.failures, s.failures) ELSE i.failures END AS failures,
       i.acknowledged_by, i.acknowledged_at, i.acknowledged_until, i.muted_by, i.muted_at,
       m.name, m.check_spec->>'type' AS kind, m.target, m.group_name, m.tags, now() AS now
FROM incidents i JOIN monitors m ON m.id = i.monitor_id JOIN monitor_states s ON s.monitor_id = i.monitor_id
WHERE i.id = $1
FOR UPDATE OF i
