-- Functions, views and triggers, each in its present form. Run as a whole after the migrations, in their transaction and under their
-- lock, whenever the schema's version rises; so a change here comes with a migration, be it an empty one.
--
-- Workers of the release before go on while the schema rises, and call what is here:
--   A function whose result or parameters change gets another name, and the old one stays for one release; so does a function
--   that nothing calls any more. A migration of the release after drops it.
--   A view gets further columns at its end; any other change gives it another name, and any change does so to a trigger.
--   A body may change as long as those workers can do with what it gives them.

-- ── slots ───────────────────────────────────────────────────────────────────────────────────────────────

-- The first instant of a monitor's grid after `instant`: k * interval + phase since the epoch.
CREATE OR REPLACE FUNCTION following_slot(interval_ms bigint, phase_ms bigint, instant timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT timestamptz 'epoch' + ((floor((extract(epoch FROM instant) * 1000 - phase_ms) / interval_ms) + 1) * interval_ms + phase_ms)
                               * interval '1 millisecond'
$$;

-- The queues in which a monitor's checks are.
CREATE OR REPLACE VIEW check_queues AS
SELECT s.monitor_id, l.location, coalesce('monitor-checks:' || l.location, 'monitor-checks') AS queue
FROM monitor_states s LEFT JOIN monitor_locations l ON l.monitor_id = s.monitor_id;

CREATE OR REPLACE FUNCTION holds_checks(queue text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT split_part(queue, ':', 1) = 'monitor-checks'
$$;

-- ── jobs ────────────────────────────────────────────────────────────────────────────────────────────────

-- Jobs are reached in two steps: rows are found by an index, then changed by their place (ctid). Statistics of a queue are
-- always of another hour, and a planner that believes it empty would read a backlog whole instead (measured: 0.5 s for each
-- claim of 500 out of 200,000). So the first step is forbidden everything but index scans, and the second everything but
-- scans by place. A place stays true between them: what was found is locked, or compared with its claim once more.

-- Ends jobs, fenced by their claims, and gives the ids of those that were still theirs.
CREATE OR REPLACE FUNCTION complete_jobs(ids bigint[], claim_numbers integer[]) RETURNS SETOF bigint
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  IF cardinality(ids) > 0 THEN
    RETURN QUERY SELECT delete_jobs_at(
      -- A subquery for each, never a join.
      ARRAY(SELECT (SELECT j.ctid FROM jobs j WHERE j.id = c.id) FROM unnest(ids) c(id)), ids, claim_numbers);
  END IF;
END $$;

-- The fence is in the join: a row that another worker claims at this very moment is looked at again when that is over.
CREATE OR REPLACE FUNCTION delete_jobs_at(places tid[], ids bigint[], claim_numbers integer[]) RETURNS SETOF bigint
LANGUAGE sql SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
             SET enable_mergejoin = off SET jit = off AS $$
  DELETE FROM jobs j USING unnest(places, ids, claim_numbers) c(place, id, claims)
  WHERE j.ctid = c.place AND j.id = c.id AND j.claims = c.claims AND j.reserved_until IS NOT NULL
  RETURNING j.id
$$;

CREATE OR REPLACE FUNCTION queue_is_paused(of_queue text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM queue_controls c WHERE c.queue = of_queue AND c.paused_at IS NOT NULL)
$$;

-- A worker's turn is `claim_jobs(find_jobs(…), …)`: one statement, one commit. It ends the jobs that are done, and finds and
-- locks up to `most` ready ones of its queue, oldest first, none that was due before `not_before`. A paused queue gives none.
CREATE OR REPLACE FUNCTION find_jobs(of_queue text, most bigint, not_before timestamptz, done_ids bigint[], done_claims integer[])
RETURNS tid[]
LANGUAGE plpgsql SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off SET jit = off AS $$
BEGIN
  PERFORM complete_jobs(done_ids, done_claims);
  IF queue_is_paused(of_queue) THEN
    RETURN '{}';
  END IF;
  RETURN ARRAY(SELECT j.ctid FROM jobs j
               WHERE j.queue = of_queue AND j.available_at <= now() AND j.available_at >= not_before
                 AND (j.reserved_until IS NULL OR j.reserved_until < now())
               ORDER BY j.available_at, j.id
               LIMIT most
               FOR UPDATE SKIP LOCKED);
END $$;

-- As find_jobs, for a queue whose jobs share concurrency keys and have an order:
--   of a key no more than `per_key` run in this process, busy_keys and busy_running being what is in flight now;
--   a job waits while an older one with its order_key is there, so a recovery never overtakes the opening; and of one order
--   nothing runs beside another, for what is sent again may be older than what is under way;
--   a probe (a payload) that waits holds nobody up.
-- Only the first `ranked_most` ready jobs of keys with room are ranked, so that a long backlog costs no more than a short one.
CREATE OR REPLACE FUNCTION find_jobs_by_key(of_queue text, most bigint, per_key bigint, busy_keys bigint[], busy_running bigint[],
                                              ranked_most bigint, done_ids bigint[], done_claims integer[])
RETURNS tid[]
LANGUAGE plpgsql SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off SET jit = off AS $$
DECLARE
  chosen bigint[];
  -- Few, however many are busy: each ready job is held against each of them.
  full_keys bigint[] := ARRAY(SELECT busy.concurrency_key FROM unnest(busy_keys, busy_running) busy(concurrency_key, running) WHERE busy.running >= per_key);
BEGIN
  PERFORM complete_jobs(done_ids, done_claims);
  IF queue_is_paused(of_queue) THEN
    RETURN '{}';
  END IF;
  WITH ready AS MATERIALIZED (
    SELECT j.id, j.concurrency_key, j.available_at FROM jobs j
    WHERE j.queue = of_queue AND j.available_at <= now()
      AND (j.reserved_until IS NULL OR j.reserved_until < now())
      AND (j.concurrency_key IS NULL OR j.concurrency_key <> ALL (full_keys))
      AND (j.order_key IS NULL OR NOT EXISTS (
        SELECT FROM jobs other WHERE other.order_key = j.order_key AND other.id <> j.id
          AND (other.reserved_until >= now()
               OR other.payload = '{}' AND CASE WHEN j.payload = '{}' THEN other.subject < j.subject ELSE other.available_at <= now() END)))
    ORDER BY j.available_at, j.id
    LIMIT ranked_most),
  ranked AS (
    SELECT r.id, r.concurrency_key, r.available_at,
           coalesce(busy.running, 0) + row_number() OVER (PARTITION BY r.concurrency_key ORDER BY r.available_at, r.id) AS place
    FROM ready r LEFT JOIN unnest(busy_keys, busy_running) busy(concurrency_key, running) ON busy.concurrency_key = r.concurrency_key)
  SELECT array_agg(r.id ORDER BY r.available_at, r.id) INTO chosen
  FROM ranked r WHERE r.place <= per_key OR r.concurrency_key IS NULL;
  RETURN ARRAY(SELECT found.place FROM unnest(chosen) c(id),
                 -- Looked at again once the row is locked: it may have been claimed, or its channel paused, since.
                 LATERAL (SELECT j.ctid AS place FROM jobs j
                          WHERE j.id = c.id AND j.available_at <= now() AND (j.reserved_until IS NULL OR j.reserved_until < now())
                          OFFSET 0 FOR UPDATE SKIP LOCKED) found
               LIMIT most);
END $$;

-- As `find_jobs_by_key`, but a channel that is paused or fails has one job in flight, in all processes together, until one
-- gets through: its row is locked while one is chosen, and a channel whose row somebody else holds is left to them.
CREATE OR REPLACE FUNCTION find_jobs_of_channels(of_queue text, most bigint, per_key bigint, busy_keys bigint[], busy_running bigint[],
                                      ranked_most bigint, done_ids bigint[], done_claims integer[])
RETURNS tid[]
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
  in_trouble bigint[] := ARRAY(SELECT c.id FROM channels c WHERE c.paused_until IS NOT NULL OR c.failing_since IS NOT NULL);
  on_trial bigint[];
  found tid[];
BEGIN
  IF in_trouble = '{}' THEN
    RETURN find_jobs_by_key(of_queue, most, per_key, busy_keys, busy_running, ranked_most, done_ids, done_claims);
  END IF;
  PERFORM complete_jobs(done_ids, done_claims);
  on_trial := ARRAY(SELECT c.id FROM channels c WHERE c.id = ANY (in_trouble) FOR NO KEY UPDATE SKIP LOCKED);
  -- In a statement of its own: what others have claimed until the lock was had is seen.
  on_trial := ARRAY(SELECT c.id FROM channels c WHERE c.id = ANY (on_trial)
                      AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = c.trial_job AND j.reserved_until >= now()));
  -- One on trial counts as busy but for one place, and the others as busy.
  SELECT array_agg(busy.concurrency_key), array_agg(busy.running) INTO busy_keys, busy_running
  FROM (SELECT b.concurrency_key, max(b.running) AS running
        FROM (SELECT * FROM unnest(busy_keys, busy_running) UNION ALL
              SELECT t.id, per_key - (t.id = ANY (on_trial))::integer FROM unnest(in_trouble) t(id)) b(concurrency_key, running)
        GROUP BY b.concurrency_key) busy;
  found := find_jobs_by_key(of_queue, most, per_key, busy_keys, busy_running, ranked_most, '{}', '{}');
  UPDATE channels c SET trial_job = j.id FROM jobs j WHERE j.ctid = ANY (found) AND c.id = j.concurrency_key AND c.id = ANY (on_trial);
  RETURN found;
END $$;

-- Claims what was found, for the worker of this number: for `lease_s` seconds, or for a job's own time and `margin_s` where that
-- is less.
CREATE OR REPLACE FUNCTION claim_jobs(places tid[], of_worker integer, lease_s double precision, margin_s double precision)
RETURNS TABLE (id bigint, subject bigint, concurrency_key bigint, payload jsonb, attempts integer, claims integer, available_at timestamptz,
               claimed_at timestamptz, lease_ms double precision)
LANGUAGE sql SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off SET jit = off AS $$
  UPDATE jobs j
  SET reserved_until = now() + least(lease_s, j.timeout_ms / 1000.0 + margin_s) * interval '1 second',
      attempts = j.attempts + 1, claims = j.claims + 1, worker = of_worker
  WHERE j.ctid = ANY (places)
  RETURNING j.id, j.subject, j.concurrency_key, j.payload, j.attempts, j.claims, j.available_at, now(),
            1000 * least(lease_s, j.timeout_ms / 1000.0 + margin_s)
$$;

-- How long until the next job of a queue that nobody claimed is due, in seconds.
CREATE OR REPLACE FUNCTION next_job_in(of_queue text) RETURNS double precision
LANGUAGE sql STABLE SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off SET jit = off AS $$
  SELECT extract(epoch FROM available_at - now())::double precision FROM jobs
  WHERE queue = of_queue AND available_at > now() AND reserved_until IS NULL ORDER BY available_at, id LIMIT 1
$$;

-- How many of a queue's jobs that have an order are ready: the first of each order, where that is due. And for how many
-- milliseconds the first of these, or what is due behind it, waits. (A million orders: about 2 s.) Probes are not among them:
-- they are ready when they are due. By the index of the orders, one after the other: statistics of a queue are always of another
-- hour, and a planner that believes them puts all orders into a table of its own on the disk.
CREATE OR REPLACE FUNCTION ready_in_order(of_queue text, OUT ready bigint, OUT oldest_wait_ms bigint)
LANGUAGE sql STABLE SET enable_hashagg = off SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
  SELECT count(*), (extract(epoch FROM now() - min(due_at)) * 1000)::bigint FROM (
    SELECT min(available_at) FILTER (WHERE is_due) AS due_at
    FROM (SELECT subject, order_key, available_at, (reserved_until IS NULL OR reserved_until < now()) AND available_at <= now() AS is_due
          FROM jobs WHERE order_key IS NOT NULL AND queue = of_queue AND payload = '{}') j
    GROUP BY order_key HAVING min(subject) = min(subject) FILTER (WHERE is_due)) turns
$$;

-- Workers that are dead: those of `known` (somebody saw that their process is gone), and those that gave no heartbeat for
-- `missed_s`, if the worker `judge` has been heard steadily for as long itself. Their rows go, and their jobs are free. Gives how many
-- workers there were, and how many jobs.
CREATE OR REPLACE FUNCTION remove_workers(judge uuid, known uuid[], missed_s double precision, OUT dead bigint, OUT freed bigint)
LANGUAGE plpgsql SET jit = off AS $$
DECLARE
  numbers integer[];
BEGIN
  WITH removed AS (
    DELETE FROM workers w
    WHERE w.id = ANY (known)
       OR (w.seen_at < now() - make_interval(secs => missed_s)
           AND EXISTS (SELECT FROM workers j WHERE j.id = judge AND j.steady_since <= now() - make_interval(secs => missed_s)))
    RETURNING w.number)
  SELECT array_agg(b.number), count(*) INTO numbers, dead FROM removed b;
  freed := 0;
  IF numbers IS NULL THEN
    RETURN;
  END IF;
  -- What somebody holds at this moment is being ended or claimed: it needs no help.
  WITH theirs AS MATERIALIZED (
    SELECT j.id FROM jobs j WHERE j.worker = ANY (numbers) AND j.reserved_until > now() FOR UPDATE SKIP LOCKED),
  released AS (
    UPDATE jobs j SET reserved_until = now() - interval '1 microsecond', worker = NULL FROM theirs t WHERE j.id = t.id RETURNING j.queue),
  announced AS (
    SELECT pg_notify('uptime_jobs', queue) FROM (SELECT DISTINCT queue FROM released) q)
  SELECT count(*) + 0 * (SELECT count(*) FROM announced) INTO freed FROM released;
END $$;

-- ── results and judgement ───────────────────────────────────────────────────────────────────────────────

-- Makes the partitions of the days from today to today + ahead (UTC). Safe to call from anywhere at any time: a table that
-- somebody reads for long (a backup) is left for a later call instead of holding up every insert behind this one, and rows
-- that the net has caught meanwhile move into the new partition.
CREATE OR REPLACE FUNCTION make_result_partitions(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  day date;
  partition text;
  since text;
  until text;
  made integer := 0;
BEGIN
  FOR day IN SELECT generate_series((now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + ahead, '1 day')::date LOOP
    partition := 'check_results_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass(partition) IS NOT NULL;
    -- Somebody else makes them.
    EXIT WHEN NOT pg_try_advisory_xact_lock(hashtext('uptime.make_result_partitions'));
    CONTINUE WHEN to_regclass(partition) IS NOT NULL;
    since := to_char(day, 'YYYY-MM-DD') || 'T00:00:00Z';
    until := to_char(day + 1, 'YYYY-MM-DD') || 'T00:00:00Z';
    BEGIN
      PERFORM set_config('lock_timeout', '200ms', true);
      EXECUTE format('CREATE TABLE %I (LIKE check_results)', partition);
      EXECUTE format('WITH caught AS (DELETE FROM check_results_default WHERE started_at >= %L AND started_at < %L RETURNING *)
                      INSERT INTO %I SELECT * FROM caught', since, until, partition);
      EXECUTE format('ALTER TABLE check_results ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, since, until);
      made := made + 1;
    EXCEPTION WHEN lock_not_available OR check_violation OR duplicate_table OR deadlock_detected THEN
      -- In use just now, a row came in between, or somebody was quicker: the next call has another try.
      NULL;
    END;
  END LOOP;
  RETURN made;
END $$;

-- The monitors below one, at any distance, whose incident got worse than was announced. From the open incidents upwards, and by
-- indexes alone: it is asked with every good check of a parent, and monitors are many where open incidents are few.
CREATE OR REPLACE FUNCTION held_below(parent bigint) RETURNS SETOF bigint
LANGUAGE sql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
  WITH RECURSIVE above(monitor_id, ancestor_id, distance) AS (
    SELECT i.monitor_id, m.parent_id, 1
    FROM incidents i JOIN monitors m ON m.id = i.monitor_id JOIN monitor_states s ON s.monitor_id = i.monitor_id
    WHERE i.ended_at IS NULL AND m.parent_id IS NOT NULL AND s.active
      AND (s.announced_severity IS NULL OR (s.announced_severity = 'degraded' AND s.severity <> 'degraded'))
    UNION ALL
    SELECT a.monitor_id, m.parent_id, a.distance + 1
    FROM above a JOIN monitors m ON m.id = a.ancestor_id WHERE m.parent_id IS NOT NULL AND a.distance < 20)
  SELECT DISTINCT monitor_id FROM above WHERE ancestor_id = parent
$$;

-- ── notifications ───────────────────────────────────────────────────────────────────────────────────────

-- The order in which a channel is told of an incident: that of its monitor, over all incidents; of a removed monitor, the
-- incident's own. NULL without an incident.
CREATE OR REPLACE FUNCTION order_of(incident bigint, channel bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(i.monitor_id::text, 'incident-' || i.id) || ':' || channel FROM incidents i WHERE i.id = incident
$$;

-- The events by which a channel hears of an incident (`EventType::HEARD_BY`).
CREATE OR REPLACE FUNCTION announces_incident(event text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT event IN ('down', 'degraded', 'critical', 'reminder', 'flapping-end')
$$;

-- What is true by now of a notification's incident, and of what its channel was told of it and of its monitor.
CREATE OR REPLACE VIEW notification_circumstances AS
SELECT n.id, i.ended_at, i.severity, coalesce(i.unwatched OR i.resolved_by IS NOT NULL, false) AS end_unseen,
       coalesce(i.muted_at IS NOT NULL, false) AS muted,
       coalesce(i.acknowledged_at IS NOT NULL AND (i.acknowledged_until IS NULL OR i.acknowledged_until > now()), false) AS acknowledged,
       announced.worst IS NOT NULL AS opening_told,
       EXISTS (SELECT FROM notifications o
               WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.event = 'up'
                 AND o.state IN ('queued', 'delivered')) AS recovery_due,
       EXISTS (SELECT FROM notifications o JOIN incidents other ON other.id = o.incident_id
               WHERE o.channel_id = n.channel_id AND o.id > n.id AND o.state = 'delivered'
                 AND other.monitor_id = i.monitor_id) AS overtaken,
       (ARRAY['info', 'degraded', 'down', 'critical'])[announced.worst] AS worst_told
FROM notifications n LEFT JOIN incidents i ON i.id = n.incident_id,
     LATERAL (SELECT max(coalesce(array_position(ARRAY['info', 'degraded', 'down', 'critical'], o.snapshot ->> 'severity'), 1)) AS worst
              FROM notifications o
              WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.state = 'delivered'
                AND announces_incident(o.event)) announced;

-- Whatever becomes of a digest, by whomever (a delivery, the failed list, an operator), becomes of the members that are in the
-- state that it was in. One that was muted or discarded by itself stays that.
CREATE OR REPLACE FUNCTION follow_digest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE notifications m
  SET state = NEW.state, attempts = NEW.attempts, last_error = NEW.last_error, remote_id = NEW.remote_id, delivered_at = NEW.delivered_at
  WHERE m.digest_id = NEW.id AND m.state = OLD.state;
  RETURN NULL;
END $$;
DO $$ BEGIN
  CREATE TRIGGER follow_digest AFTER UPDATE OF state ON notifications
    FOR EACH ROW WHEN (NEW.is_digest AND NEW.state <> OLD.state) EXECUTE FUNCTION follow_digest();
EXCEPTION WHEN duplicate_object THEN
  NULL;
END $$;
