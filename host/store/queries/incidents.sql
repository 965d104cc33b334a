-- Incidents, the newest first. While one is open, the state has its failures. Whoever's time to take care of it ran out before
-- it ended takes care of it no more. A monitor that was removed has left its name and target.
SELECT i.id, coalesce(m.name, i.monitor_name) AS name, coalesce(m.target, i.target) AS target, i.unwatched, i.severity,
       i.class, i.cause, i.expected, i.got, i.started_at, i.opened_at, i.ended_at, i.resolved_at, i.resolved_by,
       i.acknowledged_at, i.acknowledged_until, i.muted_at, i.muted_by,
       CASE WHEN i.ended_at IS NULL THEN greatest(i.failures, s.failures) ELSE i.failures END AS failures,
       CASE WHEN coalesce(i.acknowledged_until > coalesce(i.ended_at, now()), true) THEN i.acknowledged_by END AS acknowledged_by
FROM incidents i LEFT JOIN monitors m ON m.id = i.monitor_id LEFT JOIN monitor_states s ON s.monitor_id = i.monitor_id
WHERE (NOT $1 OR i.ended_at IS NULL) AND ($2::text IS NULL OR coalesce(m.name, i.monitor_name) = $2)
  AND ($3::bigint IS NULL OR i.id = $3)
ORDER BY i.started_at DESC, i.id DESC LIMIT $4
