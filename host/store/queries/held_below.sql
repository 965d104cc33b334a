-- The monitors below one, at any distance, whose incident was not told.
WITH RECURSIVE below(id, distance) AS (
  SELECT id, 1 FROM monitors WHERE parent_id = $1
  UNION ALL
  SELECT m.id, b.distance + 1 FROM below b JOIN monitors m ON m.parent_id = b.id WHERE b.distance < 20)
SELECT DISTINCT s.monitor_id FROM below b JOIN monitor_states s ON s.monitor_id = b.id
WHERE s.active AND s.incident_id IS NOT NULL AND s.told IS NULL
