-- Monitors ($1) and those that each is reached through, the nearest first. A circle, which no file can make, ends at 20.
WITH RECURSIVE above(below, id, parent_id, distance) AS (
  SELECT id, id, parent_id, 1 FROM monitors WHERE id = ANY ($1)
  UNION ALL
  SELECT a.below, m.id, m.parent_id, a.distance + 1 FROM above a JOIN monitors m ON m.id = a.parent_id WHERE a.distance < 20)
SELECT a.below, m.id, m.policy, s.status, s.downs, s.downs_since, s.last_slot_at
FROM above a JOIN monitors m ON m.id = a.id JOIN monitor_states s ON s.monitor_id = a.id
WHERE m.enabled ORDER BY a.below, a.distance
