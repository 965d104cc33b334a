-- Promise 1: a slot is enqueued at most once, in each location of its monitor, by any number of schedulers. Whoever locks the
-- state row enqueues the slot and moves it, in one statement; the unique subject keeps a backlog from growing. $1: seconds
-- ahead that are covered too.
--   A slot that is past moves on even when a check of the monitor waits or runs: that check stands for it.
--   A slot ahead whose monitor has a check in flight stays: `chain_until` lets the worker that ends the check enqueue it.
-- A slot that was missed by more than an interval becomes the newest one that is past, and so does one that lies further
-- ahead than it can: the clock was wrong when it was made.
WITH due AS MATERIALIZED (
  SELECT monitor_id, interval_ms, phase_ms, timeout_ms,
         next_check_at <= now() AS is_past,
         CASE WHEN next_check_at > now() + make_interval(secs => $1) THEN timestamptz 'epoch' ELSE next_check_at END AS slot_at,
         following_slot(interval_ms, phase_ms, now()) - interval_ms * interval '1 millisecond' AS newest_past
  FROM monitor_states
  WHERE active
    AND (next_check_at <= now()
         OR next_check_at <= now() + make_interval(secs => $1)
            -- what another run has covered a moment ago needs nothing
            AND (chain_until IS NULL OR chain_until < now() + make_interval(secs => $1 - least($1 / 2, 5)))
         OR next_check_at > now() + make_interval(secs => $1) + 2 * interval_ms * interval '1 millisecond')
  FOR UPDATE SKIP LOCKED),
enqueued AS (
  INSERT INTO jobs (queue, subject, available_at, timeout_ms)
  SELECT coalesce('monitor-checks:' || l.location, 'monitor-checks'), d.monitor_id, greatest(d.slot_at, d.newest_past), d.timeout_ms
  FROM due d LEFT JOIN monitor_locations l ON l.monitor_id = d.monitor_id
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING queue, subject),
moved AS (
  UPDATE monitor_states s
  SET next_check_at = CASE WHEN d.is_past OR e.subject IS NOT NULL
                           THEN following_slot(d.interval_ms, d.phase_ms, greatest(d.slot_at, now())) ELSE s.next_check_at END,
      chain_until = CASE WHEN $1 > 0 THEN now() + make_interval(secs => $1) END
  FROM due d LEFT JOIN (SELECT DISTINCT subject FROM enqueued) e ON e.subject = d.monitor_id
  WHERE s.monitor_id = d.monitor_id)
SELECT (SELECT count(*) FROM due) AS due, (SELECT count(DISTINCT subject) FROM enqueued) AS enqueued,
       (SELECT bool_or(pg_notify('uptime_jobs', queue) IS NULL) FROM (SELECT DISTINCT queue FROM enqueued) q) AS announced
