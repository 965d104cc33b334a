-- What a channel is still to be told after deliveries to it failed: which notices, `uptime_core::reconcile` decides.

ALTER TABLE channels
  ADD COLUMN failing_since timestamptz,   -- a notice failed for all its tries, and none has got through since
  ADD COLUMN probes    integer NOT NULL DEFAULT 0,  -- how often the channel was tried again since then
  ADD COLUMN probe_id  bigint REFERENCES notifications ON DELETE SET NULL,  -- whose job (payload: {"probe": true}) tries it next
  ADD COLUMN trial_job bigint;            -- the job that goes first to a channel that is paused or fails

ALTER TABLE notifications
  ADD COLUMN setbacks integer NOT NULL DEFAULT 0;   -- it was refused, or sent again because its channel worked: so often in vain

-- What a channel was told since a notice, and what of it has failed.
DROP INDEX notifications_channel_id_idx;
CREATE INDEX notifications_channel ON notifications (channel_id, id);
CREATE INDEX notifications_failed ON notifications (channel_id, id) WHERE state = 'failed';
CREATE INDEX notifications_delivered ON notifications (channel_id, id) WHERE state = 'delivered';
CREATE INDEX incidents_of_monitor ON incidents (monitor_id, id);
CREATE INDEX failed_jobs_subject ON failed_jobs (queue, subject) WHERE subject IS NOT NULL;
CREATE INDEX channels_in_trouble ON channels (id) WHERE paused_until IS NOT NULL OR failing_since IS NOT NULL;

-- What failed before this version is not brought up again, unless its incident is open.
UPDATE notifications n SET state = 'discarded', last_error = concat_ws('; ', 'it was over when notices began to be reconciled', n.last_error)
WHERE n.state = 'failed' AND NOT n.is_digest
  AND NOT EXISTS (SELECT FROM incidents i WHERE i.id = n.incident_id AND i.ended_at IS NULL);
UPDATE channels c SET failing_since = now()
WHERE c.enabled AND EXISTS (SELECT FROM notifications n WHERE n.channel_id = c.id AND n.state = 'failed' AND NOT n.is_digest);

-- The events by which a channel hears of an incident (`EventType::HEARD_BY`).
CREATE FUNCTION announces_incident(event text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT event IN ('down', 'degraded', 'critical', 'reminder', 'flapping-end')
$$;

-- What is true by now of a notification's incident, and of what its channel was told of it and of its monitor.
CREATE VIEW notification_circumstances AS
SELECT n.id, i.ended_at, i.severity, coalesce(i.unwatched OR i.resolved_by IS NOT NULL, false) AS end_unseen,
       coalesce(i.muted_at IS NOT NULL, false) AS muted,
       coalesce(i.acknowledged_at IS NOT NULL AND (i.acknowledged_until IS NULL OR i.acknowledged_until > now()), false) AS acknowledged,
       EXISTS (SELECT FROM notifications o
               WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.state = 'delivered'
                 AND announces_incident(o.event)) AS opening_told,
       EXISTS (SELECT FROM notifications o
               WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.event = 'up'
                 AND o.state IN ('queued', 'delivered')) AS recovery_due,
       EXISTS (SELECT FROM notifications o JOIN incidents other ON other.id = o.incident_id
               WHERE o.channel_id = n.channel_id AND o.id > n.id AND o.state = 'delivered'
                 AND other.monitor_id = i.monitor_id) AS overtaken
FROM notifications n LEFT JOIN incidents i ON i.id = n.incident_id;

-- As before (0001), but of one order nothing runs beside another: what is sent again may be older than what is under way. A probe
-- (a payload) that waits holds nobody up.
CREATE OR REPLACE FUNCTION find_jobs_in_lanes(of_queue text, most bigint, per_lane bigint, busy_lanes bigint[], busy_running bigint[],
                                              ranked_most bigint, done_ids bigint[], done_claims integer[])
RETURNS tid[]
LANGUAGE plpgsql SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off SET jit = off AS $$
DECLARE
  chosen bigint[];
  -- Few, however many are busy: each ready job is held against each of them.
  full_lanes bigint[] := ARRAY(SELECT busy.lane FROM unnest(busy_lanes, busy_running) busy(lane, running) WHERE busy.running >= per_lane);
BEGIN
  PERFORM complete_jobs(done_ids, done_claims);
  IF queue_is_paused(of_queue) THEN
    RETURN '{}';
  END IF;
  WITH ready AS MATERIALIZED (
    SELECT j.id, j.lane, j.available_at FROM jobs j
    WHERE j.queue = of_queue AND j.available_at <= now()
      AND (j.reserved_until IS NULL OR j.reserved_until < now())
      AND (j.lane IS NULL OR j.lane <> ALL (full_lanes))
      AND (j.order_key IS NULL OR NOT EXISTS (
        SELECT FROM jobs other WHERE other.order_key = j.order_key AND other.id <> j.id
          AND (other.reserved_until >= now()
               OR other.payload = '{}' AND CASE WHEN j.payload = '{}' THEN other.subject < j.subject ELSE other.available_at <= now() END)))
    ORDER BY j.available_at, j.id
    LIMIT ranked_most),
  ranked AS (
    SELECT r.id, r.lane, r.available_at,
           coalesce(busy.running, 0) + row_number() OVER (PARTITION BY r.lane ORDER BY r.available_at, r.id) AS place
    FROM ready r LEFT JOIN unnest(busy_lanes, busy_running) busy(lane, running) ON busy.lane = r.lane)
  SELECT array_agg(r.id ORDER BY r.available_at, r.id) INTO chosen
  FROM ranked r WHERE r.place <= per_lane OR r.lane IS NULL;
  RETURN ARRAY(SELECT found.place FROM unnest(chosen) c(id),
                 -- Looked at again once the row is locked: it may have been claimed, or its channel paused, since.
                 LATERAL (SELECT j.ctid AS place FROM jobs j
                          WHERE j.id = c.id AND j.available_at <= now() AND (j.reserved_until IS NULL OR j.reserved_until < now())
                          OFFSET 0 FOR UPDATE SKIP LOCKED) found
               LIMIT most);
END $$;

-- As `find_jobs_in_lanes`, but a channel that is paused or fails has one job in hand, in all processes together, until one
-- gets through: its row is locked while one is chosen, and a channel whose row somebody else holds is left to them.
CREATE FUNCTION find_jobs_of_channels(of_queue text, most bigint, per_lane bigint, busy_lanes bigint[], busy_running bigint[],
                                      ranked_most bigint, done_ids bigint[], done_claims integer[])
RETURNS tid[]
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
  in_trouble bigint[] := ARRAY(SELECT c.id FROM channels c WHERE c.paused_until IS NOT NULL OR c.failing_since IS NOT NULL);
  on_trial bigint[];
  found tid[];
BEGIN
  IF in_trouble = '{}' THEN
    RETURN find_jobs_in_lanes(of_queue, most, per_lane, busy_lanes, busy_running, ranked_most, done_ids, done_claims);
  END IF;
  PERFORM complete_jobs(done_ids, done_claims);
  on_trial := ARRAY(SELECT c.id FROM channels c WHERE c.id = ANY (in_trouble) FOR NO KEY UPDATE SKIP LOCKED);
  -- In a statement of its own: what others have claimed until the lock was had is seen.
  on_trial := ARRAY(SELECT c.id FROM channels c WHERE c.id = ANY (on_trial)
                      AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = c.trial_job AND j.reserved_until >= now()));
  -- One on trial counts as busy but for one place, and the others as busy.
  SELECT array_agg(busy.lane), array_agg(busy.running) INTO busy_lanes, busy_running
  FROM (SELECT b.lane, max(b.running) AS running
        FROM (SELECT * FROM unnest(busy_lanes, busy_running) UNION ALL
              SELECT t.id, per_lane - (t.id = ANY (on_trial))::integer FROM unnest(in_trouble) t(id)) b(lane, running)
        GROUP BY b.lane) busy;
  found := find_jobs_in_lanes(of_queue, most, per_lane, busy_lanes, busy_running, ranked_most, '{}', '{}');
  UPDATE channels c SET trial_job = j.id FROM jobs j WHERE j.ctid = ANY (found) AND c.id = j.lane AND c.id = ANY (on_trial);
  RETURN found;
END $$;

-- As before (0002), without probes: they are ready when they are due.
CREATE OR REPLACE FUNCTION ready_in_order(of_queue text, OUT ready bigint, OUT oldest_wait_ms bigint)
LANGUAGE sql STABLE SET enable_hashagg = off SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
  SELECT count(*), (extract(epoch FROM now() - min(due_at)) * 1000)::bigint FROM (
    SELECT min(available_at) FILTER (WHERE is_due) AS due_at
    FROM (SELECT subject, order_key, available_at, (reserved_until IS NULL OR reserved_until < now()) AND available_at <= now() AS is_due
          FROM jobs WHERE order_key IS NOT NULL AND queue = of_queue AND payload = '{}') j
    GROUP BY order_key HAVING min(subject) = min(subject) FILTER (WHERE is_due)) turns
$$;
