-- The ground of the whole data flow. Forward-only: a change is a new file.
--
-- What changes with every check (monitor_states, jobs, check_results) is narrow, keeps room on its pages
-- (fillfactor) and has no index on a column that changes, so that each such change is a HOT update. What is
-- configured (monitors, channels) is wide and rarely written.
-- Instants are the database's own (now()): hosts need not agree on the time.

-- ── configured ──────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE channels (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL UNIQUE,
  notifier     text NOT NULL,
  enabled      boolean NOT NULL,
  settings     jsonb NOT NULL,          -- secrets by reference: {"env": …}, {"file": …}
  learned      jsonb NOT NULL DEFAULT '{}',  -- settings that the provider replaced (a chat that moved)
  filter       jsonb NOT NULL,
  allow        text[] NOT NULL,
  limits       jsonb NOT NULL DEFAULT '{}',  -- of a call for it, over its notifier's
  source       text NOT NULL CHECK (source IN ('file', 'command-line')),
  paused_until timestamptz,             -- the provider said "not before" (429)
  broken_at    timestamptz,             -- the provider said that the channel is gone or the credentials are wrong
  broken_reason text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE monitors (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text NOT NULL UNIQUE,
  enabled    boolean NOT NULL,
  check_spec jsonb NOT NULL,
  policy     jsonb NOT NULL,
  target     text NOT NULL,             -- for people, without credentials
  group_name text,
  tags       jsonb NOT NULL,
  source     text NOT NULL CHECK (source IN ('file', 'command-line')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE monitor_channels (
  monitor_id bigint NOT NULL REFERENCES monitors ON DELETE CASCADE,
  channel_id bigint NOT NULL REFERENCES channels ON DELETE CASCADE,
  PRIMARY KEY (monitor_id, channel_id)
);
CREATE INDEX ON monitor_channels (channel_id);

-- ── what changes with every check ───────────────────────────────────────────────────────────────────────

-- One row per monitor. Deliberately without an index on next_check_at: scanning a million of these rows costs
-- 0.1 s once a tick, an index would cost every single check its HOT update.
CREATE TABLE monitor_states (
  monitor_id    bigint PRIMARY KEY REFERENCES monitors ON DELETE CASCADE,
  active        boolean NOT NULL,
  interval_ms   bigint NOT NULL CHECK (interval_ms > 0),
  phase_ms      bigint NOT NULL,
  next_check_at timestamptz NOT NULL,   -- the next slot that nobody enqueued yet
  chain_until   timestamptz,            -- workers may enqueue the following slots up to here (schedule --horizon)
  -- what the judgement remembers
  status        text NOT NULL DEFAULT 'unknown',
  since         timestamptz,
  streak        integer NOT NULL DEFAULT 0,
  streak_since  timestamptz,
  failures      integer NOT NULL DEFAULT 0,
  last_slot_at  timestamptz,
  incident_id   bigint,                 -- the open incident
  -- what people look at first
  last_check_at   timestamptz,
  last_outcome    text,
  last_degraded   boolean NOT NULL DEFAULT false,  -- up, and not as well as it should be
  last_latency_us bigint,
  last_message    text
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- The first instant of a monitor's grid after `instant`: k * interval + phase since the epoch.
CREATE FUNCTION following_slot(interval_ms bigint, phase_ms bigint, instant timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT timestamptz 'epoch' + ((floor((extract(epoch FROM instant) * 1000 - phase_ms) / interval_ms) + 1) * interval_ms + phase_ms)
                               * interval '1 millisecond'
$$;

CREATE TABLE jobs (
  id             bigint GENERATED ALWAYS AS IDENTITY,
  queue          text NOT NULL,
  subject        bigint,                -- what it is about (a monitor, a notification); unique while it waits or runs
  lane           bigint,                -- shares a bound with others of its lane (a channel)
  order_key      text,                  -- jobs of one key run one after the other, by subject (what a channel is told of a monitor)
  payload        jsonb NOT NULL DEFAULT '{}',
  attempts       integer NOT NULL DEFAULT 0,  -- runs that count; a retry begins at 0 again
  claims         integer NOT NULL DEFAULT 0,  -- never taken back: (id, claims) is one worker's claim and no other's, ever
  reserved_until timestamptz,           -- the lease; NULL: waiting. In no index, so that a claim is a HOT update
  available_at   timestamptz NOT NULL DEFAULT now(),
  created_at     timestamptz NOT NULL DEFAULT now(),
  errors         jsonb,                 -- [{"attempt", "at", "error"}], one for each failed attempt
  CHECK (order_key IS NULL OR subject IS NOT NULL)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
CREATE INDEX jobs_ready ON jobs (queue, available_at, id);
CREATE UNIQUE INDEX jobs_subject ON jobs (queue, subject) WHERE subject IS NOT NULL;
CREATE INDEX jobs_order ON jobs (order_key, subject) WHERE order_key IS NOT NULL;
-- The last one: of two indexes that cost the same, as all do in a table that is believed empty, the planner takes the
-- younger, and a job is to be found by its id in no other.
ALTER TABLE jobs ADD PRIMARY KEY (id);

-- What operators say of a queue; no row: nothing.
CREATE TABLE queue_controls (
  queue            text PRIMARY KEY,
  paused_at        timestamptz,         -- nothing is claimed while it is set
  restart_asked_at timestamptz,         -- workers that began before it finish what runs and end
  busy_since       timestamptz,         -- over its limit, as `queue monitor` saw it
  busy_told_at     timestamptz,         -- the last `queue-busy` that was sent about it
  busy_limit       bigint               -- and the limit that it was about
);

-- Jobs are reached in two steps: rows are found by an index, then changed by their place (ctid). Statistics of a queue are
-- always of another hour, and a planner that believes it empty would read a backlog whole instead (measured: 0.5 s for each
-- claim of 500 out of 200,000). So the first step is forbidden everything but index scans, and the second everything but
-- scans by place. A place stays true between them: what was found is locked, or compared with its claim once more.

-- Ends jobs, fenced by their claims, and gives the ids of those that were still theirs.
CREATE FUNCTION complete_jobs(ids bigint[], claim_numbers integer[]) RETURNS SETOF bigint
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  IF cardinality(ids) > 0 THEN
    RETURN QUERY SELECT delete_jobs_at(
      -- A subquery for each, never a join.
      ARRAY(SELECT (SELECT j.ctid FROM jobs j WHERE j.id = c.id) FROM unnest(ids) c(id)), ids, claim_numbers);
  END IF;
END $$;

-- The fence is in the join: a row that another worker claims at this very moment is looked at again when that is over.
CREATE FUNCTION delete_jobs_at(places tid[], ids bigint[], claim_numbers integer[]) RETURNS SETOF bigint
LANGUAGE sql SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
             SET enable_mergejoin = off SET jit = off AS $$
  DELETE FROM jobs j USING unnest(places, ids, claim_numbers) c(place, id, claims)
  WHERE j.ctid = c.place AND j.id = c.id AND j.claims = c.claims AND j.reserved_until IS NOT NULL
  RETURNING j.id
$$;

CREATE FUNCTION queue_is_paused(of_queue text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM queue_controls c WHERE c.queue = of_queue AND c.paused_at IS NOT NULL)
$$;

-- A worker's turn is `lease_jobs(find_jobs(…), …)`: one statement, one commit. It ends the jobs that are done, and finds and
-- locks up to `most` ready ones of its queue, oldest first, none that was due before `not_before`. A paused queue gives none.
CREATE FUNCTION find_jobs(of_queue text, most bigint, not_before timestamptz, done_ids bigint[], done_claims integer[])
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

-- As find_jobs, for a queue whose jobs share lanes and have an order:
--   of a lane no more than `per_lane` run in this process, busy_lanes and busy_running being what is in flight now;
--   a job waits while an older one with its order_key is there, so a recovery never overtakes the opening.
-- Only the first `ranked_most` ready jobs of lanes with room are ranked, so that a long backlog costs no more than a short one.
CREATE FUNCTION find_jobs_in_lanes(of_queue text, most bigint, per_lane bigint, busy_lanes bigint[], busy_running bigint[],
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
        SELECT FROM jobs older WHERE older.order_key = j.order_key AND older.subject < j.subject))
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

-- Claims what was found, for `lease_s` seconds.
CREATE FUNCTION lease_jobs(places tid[], lease_s double precision)
RETURNS TABLE (id bigint, subject bigint, lane bigint, payload jsonb, attempts integer, claims integer, available_at timestamptz, claimed_at timestamptz)
LANGUAGE sql SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off SET jit = off AS $$
  UPDATE jobs j SET reserved_until = now() + make_interval(secs => lease_s), attempts = j.attempts + 1, claims = j.claims + 1
  WHERE j.ctid = ANY (places)
  RETURNING j.id, j.subject, j.lane, j.payload, j.attempts, j.claims, j.available_at, now()
$$;

-- How long until the next job of a queue that nobody claimed is due, in seconds.
CREATE FUNCTION next_job_in(of_queue text) RETURNS double precision
LANGUAGE sql STABLE SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off SET jit = off AS $$
  SELECT extract(epoch FROM available_at - now())::double precision FROM jobs
  WHERE queue = of_queue AND available_at > now() AND reserved_until IS NULL ORDER BY available_at, id LIMIT 1
$$;

CREATE TABLE failed_jobs (
  id         bigint PRIMARY KEY,        -- the id that it had as a job
  queue      text NOT NULL,
  subject    bigint,
  lane       bigint,
  order_key  text,
  payload    jsonb NOT NULL,
  attempts   integer NOT NULL,
  claims     integer NOT NULL DEFAULT 0, -- goes on from here when it is retried
  errors     jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  failed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON failed_jobs (queue, failed_at);

-- The workers' signs of life, written every few seconds: one row for each queue that a process works on.
CREATE TABLE workers (
  id         uuid PRIMARY KEY,
  queue      text NOT NULL,
  host       text NOT NULL,
  pid        integer NOT NULL,
  version    text NOT NULL,
  started_at timestamptz NOT NULL,
  seen_at    timestamptz NOT NULL,
  running    integer NOT NULL           -- jobs in hand
) WITH (fillfactor = 50);

-- Which hosts see and which are blind, as the witnesses have it that `[checks]` names; no row: none ever was.
CREATE TABLE host_sight (
  host        text PRIMARY KEY,
  blind_since timestamptz,              -- NULL: it sees
  told        bigint[] NOT NULL DEFAULT '{}',  -- the channels that were told so, and are owed the end
  seen_at     timestamptz               -- when it saw again for the last time
);

-- What each worker finished in each minute, written with its sign of life.
CREATE TABLE queue_throughput (
  queue     text NOT NULL,
  worker    uuid NOT NULL,
  minute_at timestamptz NOT NULL,
  finished  bigint NOT NULL,
  PRIMARY KEY (queue, minute_at, worker)
);

-- Partitioned by day, so that retention drops a table instead of deleting rows. The default partition is a net
-- for a day whose partition nobody made in time; it is empty in a healthy system. Roll-ups are derived from it.
CREATE TABLE check_results (
  monitor_id    bigint NOT NULL,
  slot_at       timestamptz NOT NULL,
  started_at    timestamptz NOT NULL,
  outcome       text NOT NULL,
  degraded      boolean NOT NULL,       -- up, and not as well as it should be: class and message say why
  class         text,
  message       text,
  evidence      jsonb,                  -- where there is a class: expected, got, hops, certificates, echoes
  status_code   smallint,
  address       text,
  total_us      bigint NOT NULL,
  dns_us        integer,
  connect_us    integer,
  tls_us        integer,
  first_byte_us integer,
  transfer_us   integer,
  late_us       bigint NOT NULL         -- from the slot to the start: the monitor's own lag, never the target's latency
) PARTITION BY RANGE (started_at);
CREATE INDEX ON check_results (monitor_id, started_at);
CREATE TABLE check_results_default PARTITION OF check_results DEFAULT;

-- Makes the partitions of the days from today to today + ahead (UTC). Safe to call from anywhere at any time: a table that
-- somebody reads for long (a backup) is left for a later call instead of holding up every insert behind this one, and rows
-- that the net has caught meanwhile move into the new partition.
CREATE FUNCTION make_result_partitions(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
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

-- ── what follows from it ────────────────────────────────────────────────────────────────────────────────

CREATE TABLE incidents (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  monitor_id      bigint NOT NULL REFERENCES monitors ON DELETE CASCADE,
  severity        text NOT NULL,
  class           text NOT NULL,
  cause           text NOT NULL,
  expected        text,
  got             text,
  started_at      timestamptz NOT NULL, -- the first failure
  opened_at       timestamptz NOT NULL DEFAULT now(),
  ended_at        timestamptz,          -- the first success
  resolved_at     timestamptz,
  failures        integer NOT NULL,
  acknowledged_at timestamptz,
  acknowledged_by text
);
CREATE UNIQUE INDEX incidents_open ON incidents (monitor_id) WHERE ended_at IS NULL;
CREATE INDEX ON incidents (started_at);

-- One message for one channel. The event is a snapshot; the channel's configuration is read at delivery.
CREATE TABLE notifications (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  delivery_id  uuid NOT NULL UNIQUE,
  channel_id   bigint NOT NULL REFERENCES channels ON DELETE CASCADE,
  incident_id  bigint REFERENCES incidents ON DELETE CASCADE,
  event        text NOT NULL,
  sequence     bigint NOT NULL,         -- tells the events of one type within an incident apart
  snapshot     jsonb NOT NULL,
  state        text NOT NULL CHECK (state IN ('queued', 'paused', 'delivered', 'failed', 'muted', 'discarded')),
  attempts     integer NOT NULL DEFAULT 0,
  last_error   text,
  remote_id    text,                    -- the provider's name for the message, so that a recovery can answer it
  created_at   timestamptz NOT NULL DEFAULT now(),
  delivered_at timestamptz,
  UNIQUE (incident_id, channel_id, event, sequence)
);
CREATE INDEX ON notifications (created_at);
CREATE INDEX ON notifications (channel_id);

-- Each try of a notification's delivery, and the provider's words.
CREATE TABLE delivery_attempts (
  notification_id bigint NOT NULL REFERENCES notifications ON DELETE CASCADE,
  attempt         integer NOT NULL,
  started_at      timestamptz NOT NULL,
  duration_ms     bigint NOT NULL,
  outcome         text NOT NULL,        -- delivered | transient | permanent | config | bug
  status_code     smallint,
  message         text,
  PRIMARY KEY (notification_id, attempt, started_at)
);
