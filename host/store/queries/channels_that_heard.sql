-- The channels that have a notification of the incident $1 among the events $2, and how many of the event $3 each has.
SELECT c.id, c.name, c.enabled, c.filter,
       (SELECT count(*) FROM notifications n WHERE n.incident_id = $1 AND n.channel_id = c.id AND n.event = $3) AS sequence
FROM channels c
WHERE c.id IN (SELECT channel_id FROM notifications WHERE incident_id = $1 AND event = ANY ($2))
ORDER BY c.id
