-- Somebody ends an incident now. Of its monitor nothing is known then, and nothing counts that was seen before, but for how
-- often it changed (flapping) and which slot was judged last: a fresh confirmation opens another incident.
WITH state AS (
  SELECT s.monitor_id, s.failures FROM monitor_states s JOIN incidents i ON i.monitor_id = s.monitor_id WHERE i.id = $1),
ended AS (
  UPDATE incidents i
  SET ended_at = now(), resolved_at = now(), resolved_by = $2, failures = greatest(i.failures, s.failures)
  FROM state s WHERE i.id = $1 AND i.ended_at IS NULL
  RETURNING i.id, i.monitor_id),
forgotten AS (
  UPDATE monitor_locations l SET memory = jsonb_build_object('last_slot_at', l.memory -> 'last_slot_at')
  FROM ended e WHERE l.monitor_id = e.monitor_id)
UPDATE monitor_states s
SET status = 'unknown', since = NULL, streak = 0, streak_since = NULL, downs = 0, downs_since = NULL, failures = 0,
    window_recent = 1, window_failed_at = NULL, incident_id = NULL, severity = NULL, announced_severity = NULL, reminders = 0
FROM ended e WHERE s.monitor_id = e.monitor_id
