-- Of monitors that are disabled, and of $1, nothing is known any more: whoever enables one again begins with a confirmation. The
-- last slot stays, behind which nothing is judged, and what was seen last, which says when that was.
WITH forgotten AS (
  UPDATE monitor_locations l SET memory = jsonb_build_object('last_slot_at', l.memory -> 'last_slot_at')
  FROM monitors m WHERE m.id = l.monitor_id AND (NOT m.enabled OR m.id = ANY ($1)) AND l.memory ? 'status')
UPDATE monitor_states s
SET status = 'unknown', since = NULL, streak = 0, streak_since = NULL, downs = 0, downs_since = NULL, failures = 0, recent = 1,
    flapping = false, window_recent = 1, window_failed_at = NULL, incident_id = NULL, severity = NULL, announced_severity = NULL, unannounced_ends = NULL,
    flapping_announced = false, reminders = 0
FROM monitors m
WHERE m.id = s.monitor_id AND (NOT m.enabled OR m.id = ANY ($1))
  AND (s.status <> 'unknown' OR s.streak > 0 OR s.downs > 0 OR s.recent <> 1 OR s.window_recent <> 1 OR s.flapping
       OR s.flapping_announced OR s.incident_id IS NOT NULL OR s.unannounced_ends IS NOT NULL)
