-- Who keeps the longest from removing dead rows of this database, if anybody does: a session's snapshot or transaction, a
-- prepared transaction, a replication slot. The one that is the most transactions behind; of equals the one that began first,
-- for a snapshot that was taken beside an old transaction is held back by it. A slot does not say since when.
-- Vacuums are not waited for by others. What the role may not see of other roles' sessions is null, and is not among them.
SELECT kind, name, pid, state, age_s, behind FROM (
  SELECT 'session' AS kind, application_name AS name, pid, coalesce(state, backend_type) AS state,
         extract(epoch FROM clock_timestamp() - xact_start)::double precision AS age_s,
         greatest(age(backend_xmin), age(backend_xid)) AS behind
  FROM pg_stat_activity
  WHERE (datname = current_database() OR backend_type = 'walsender' AND datname IS NULL)
    AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
    AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
    AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
  UNION ALL
  SELECT 'prepared', gid, NULL, NULL, extract(epoch FROM clock_timestamp() - prepared)::double precision, age(transaction)
  FROM pg_prepared_xacts WHERE database = current_database()
  UNION ALL
  SELECT 'slot', slot_name, active_pid, CASE WHEN active THEN 'active' ELSE 'inactive' END, NULL, age(xmin)
  FROM pg_replication_slots WHERE xmin IS NOT NULL) holders
ORDER BY behind DESC, age_s DESC NULLS LAST
LIMIT 1
