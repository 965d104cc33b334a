-- A monitor and those that it is reached through, the nearest first. A circle, which no file can make, ends at 20.
WITH RECURSIVE above(id, parent_id, distance) AS (
  SELECT id, parent_id, 1 FROM monitors WHERE id = $1
  UNION ALL
  SELECT m.id, m.parent_id, a.distance + 1 FROM above a JOIN monitors m ON m.id = a.parent_id WHERE a.distance < 20)
SELECT m.id, m.policy, s.status, s.downs, s.downs_since, s.last_slot_at
FROM above a JOIN monitors m ON m.id = a.id JOIN monitor_states s ON s.monitor_id = a.id
WHERE m.enabled ORDER BY a.distance
