-- The next check of monitors that were just checked ($1), each from where it was ($3; NULL: it has no locations): at once a
-- re-check where the judgement wants one before the next slot ($2: in so many seconds), else the next slot where a scheduler
-- allowed workers to go on by themselves (chain_until). With locations each goes on by itself from slot to slot, and the
-- scheduler's next slot is one that none of them has begun.
WITH judged AS (
  SELECT s.monitor_id, s.interval_ms, s.phase_ms, s.timeout_ms, u.location,
         CASE WHEN u.recheck_secs IS NOT NULL AND now() + make_interval(secs => u.recheck_secs) < slot.at
              THEN now() + make_interval(secs => u.recheck_secs) END AS recheck_at,
         slot.at AS slot_at,
         coalesce(slot.at <= s.chain_until, false) AS chained
  FROM unnest($1::bigint[], $2::double precision[], $3::text[]) u(monitor_id, recheck_secs, location)
  JOIN monitor_states s ON s.monitor_id = u.monitor_id,
       LATERAL (SELECT CASE WHEN u.location IS NULL THEN s.next_check_at
                            ELSE following_slot(s.interval_ms, s.phase_ms, now()) END AS at) slot
  WHERE s.active),
moved AS (
  UPDATE monitor_states s
  SET next_check_at = greatest(s.next_check_at, following_slot(j.interval_ms, j.phase_ms, greatest(j.slot_at, now())))
  FROM judged j WHERE s.monitor_id = j.monitor_id AND j.recheck_at IS NULL AND j.chained),
enqueued AS (
  INSERT INTO jobs (queue, subject, available_at, timeout_ms)
  SELECT coalesce('monitor-checks:' || location, 'monitor-checks'), monitor_id, coalesce(recheck_at, slot_at), timeout_ms
  FROM judged WHERE recheck_at IS NOT NULL OR chained
  ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING
  RETURNING queue)
SELECT pg_notify('uptime_jobs', queue) IS NULL AS announced FROM (SELECT DISTINCT queue FROM enqueued) q
