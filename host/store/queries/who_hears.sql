-- The enabled channels of the monitors $1, and those to which the incidents $2 are due or were told.
SELECT c.id, c.name, c.filter, mc.monitor_id, NULL::bigint AS incident_id
FROM monitor_channels mc JOIN channels c ON c.id = mc.channel_id
WHERE mc.monitor_id = ANY ($1) AND c.enabled
UNION ALL
SELECT c.id, c.name, c.filter, NULL, n.incident_id
FROM (SELECT DISTINCT incident_id, channel_id FROM notifications WHERE incident_id = ANY ($2) AND announces_incident(event)) n
     JOIN channels c ON c.id = n.channel_id
ORDER BY id
