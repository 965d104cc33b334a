-- The next check of monitors that were just checked: at once a re-check where the judgement wants one before the next
-- slot, else the next slot where a scheduler allowed workers to go on by themselves (chain_until).
WITH judged AS (
  SELECT s.monitor_id, s.interval_ms, s.phase_ms, s.next_check_at,
         CASE WHEN u.recheck_secs IS NOT NULL AND now() + make_interval(secs => u.recheck_secs) < s.next_check_at
              THEN now() + make_interval(secs => u.recheck_secs) END AS recheck_at,
         coalesce(s.next_check_at <= s.chain_until, false) AS chained
  FROM unnest($1::bigint[], $2::double precision[]) u(monitor_id, recheck_secs)
  JOIN monitor_states s ON s.monitor_id = u.monitor_id
  WHERE s.active),
moved AS (
  UPDATE monitor_states s SET next_check_at = following_slot(j.interval_ms, j.phase_ms, greatest(j.next_check_at, now()))
  FROM judged j WHERE s.monitor_id = j.monitor_id AND j.recheck_at IS NULL AND j.chained),
enqueued AS (
  INSERT INTO jobs (queue, subject, available_at)
  SELECT 'monitor-checks', monitor_id, coalesce(recheck_at, next_check_at) FROM judged WHERE recheck_at IS NOT NULL OR chained
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING id)
SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', 'monitor-checks') IS NULL END AS announced FROM enqueued
