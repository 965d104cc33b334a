-- The incidents $1, which are locked, end now: nobody looks any more, those of the monitors $2 because these are removed.
WITH ended AS (
  UPDATE incidents i
  SET ended_at = now(), resolved_at = now(), unwatched = true,
      failures = greatest(i.failures, (SELECT s.failures FROM monitor_states s WHERE s.monitor_id = i.monitor_id))
  WHERE i.id = ANY ($1) RETURNING i.id, i.monitor_id)
INSERT INTO incident_events (incident_id, kind, note)
SELECT e.id, 'unwatched', CASE WHEN e.monitor_id = ANY ($2) THEN 'the monitor was removed' ELSE 'the monitor was disabled' END
FROM ended e ORDER BY e.id
