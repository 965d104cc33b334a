-- Promise 1: a slot is enqueued at most once, by any number of schedulers. Whoever locks the state row moves the slot
-- and enqueues it, in one statement; the unique subject keeps a backlog from growing. A slot that was missed by more
-- than an interval becomes the newest slot that is past. $1: seconds ahead that are enqueued too.
WITH due AS MATERIALIZED (
  SELECT monitor_id, interval_ms, phase_ms, next_check_at FROM monitor_states
  WHERE active AND next_check_at <= now() + make_interval(secs => $1)
  FOR UPDATE SKIP LOCKED),
moved AS (
  UPDATE monitor_states s
  SET next_check_at = following_slot(d.interval_ms, d.phase_ms, greatest(d.next_check_at, now())),
      chain_until = CASE WHEN $1 > 0 THEN now() + make_interval(secs => $1) END
  FROM due d WHERE s.monitor_id = d.monitor_id),
enqueued AS (
  INSERT INTO jobs (queue, subject, available_at)
  SELECT 'monitor-checks', monitor_id,
         greatest(next_check_at, following_slot(interval_ms, phase_ms, now()) - interval_ms * interval '1 millisecond')
  FROM due
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING id)
SELECT (SELECT count(*) FROM due) AS due, count(*) AS enqueued,
       CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', 'monitor-checks') IS NULL END AS announced
FROM enqueued
