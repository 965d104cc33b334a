-- The tables. Forward-only: a change is a new file. Functions, views and triggers are in `functions.sql`.
--
-- What changes with every check (monitor_states, jobs, check_results) is narrow, keeps room on its pages
-- (fillfactor) and has no index on a column that changes, so that each such change is a HOT update. What is
-- configured (monitors, channels) is wide and rarely written.
-- Instants are the database's own (now()): hosts need not agree on the time.

-- ── configured ──────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE channels (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name          text NOT NULL UNIQUE,
  notifier      text NOT NULL,
  enabled       boolean NOT NULL,
  settings      jsonb NOT NULL,         -- secrets by reference: {"env": …}, {"file": …}
  learned       jsonb NOT NULL DEFAULT '{}',  -- settings that the provider replaced (a chat that moved)
  filter        jsonb NOT NULL,
  allow         text[] NOT NULL,
  limits        jsonb NOT NULL DEFAULT '{}',  -- of a call for it, over its notifier's
  source        text NOT NULL CHECK (source IN ('file', 'command-line')),
  paused_until  timestamptz,            -- the provider said "not before" (429)
  broken_at     timestamptz,            -- the provider said that the channel is gone or the credentials are wrong
  broken_reason text,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  -- its budget of single messages, and the digest of those that are over it
  digest_policy jsonb NOT NULL DEFAULT '{"digest_after": 10, "digest_within": 60000}',
  tokens        double precision,       -- what was left of the budget at tokens_at; NULL: all
  tokens_at     timestamptz,
  digest_at     timestamptz,            -- when the last digest was due
  digest_id     bigint,                 -- the digest that still takes members
  -- what it is still to be told after deliveries failed: `uptime_core::reconcile` decides
  failing_since timestamptz,            -- a notice failed for all its tries, and none has got through since
  probes        integer NOT NULL DEFAULT 0,   -- how often the channel was tried again since then
  probe_id      bigint,                 -- whose job (payload: {"probe": true}) tries it next
  trial_job     bigint,                 -- the job that goes first to a channel that is paused or fails
  proxy         jsonb NOT NULL DEFAULT 'null',  -- null, the text, {"env": …} or {"file": …}
  learned_at    timestamptz,            -- when the provider last replaced a setting
  delivered_at  timestamptz             -- the first delivery since the last change of its settings; NULL: unproven
);
CREATE INDEX channels_in_trouble ON channels (id) WHERE paused_until IS NOT NULL OR failing_since IS NOT NULL;

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
  updated_at timestamptz NOT NULL DEFAULT now(),
  parent_id  bigint REFERENCES monitors ON DELETE SET NULL,
  is_parent  boolean NOT NULL DEFAULT false   -- kept by `apply`: asked for with every check
);
CREATE INDEX monitors_parent ON monitors (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE monitor_channels (
  monitor_id bigint NOT NULL REFERENCES monitors ON DELETE CASCADE,
  channel_id bigint NOT NULL REFERENCES channels ON DELETE CASCADE,
  PRIMARY KEY (monitor_id, channel_id)
);
CREATE INDEX ON monitor_channels (channel_id);

-- When no notice is wanted, and of what; the times are read by the program (zones, clock changes).
CREATE TABLE maintenance_windows (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text NOT NULL UNIQUE,
  spec       jsonb NOT NULL,
  source     text NOT NULL CHECK (source IN ('file', 'command-line')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- ── what changes with every check ───────────────────────────────────────────────────────────────────────

-- One row per monitor. Deliberately without an index on next_check_at: scanning a million of these rows costs
-- 0.1 s once a tick, an index would cost every single check its HOT update. Narrow for a monitor that is well: what
-- follows an outage alone is NULL or zero there.
CREATE TABLE monitor_states (
  monitor_id       bigint PRIMARY KEY REFERENCES monitors ON DELETE CASCADE,
  active           boolean NOT NULL,
  interval_ms      bigint NOT NULL CHECK (interval_ms > 0),
  phase_ms         bigint NOT NULL,
  next_check_at    timestamptz NOT NULL,      -- the next slot that nobody enqueued yet
  chain_until      timestamptz,               -- workers may enqueue the following slots up to here (schedule --horizon)
  -- what the judgement remembers
  status           text NOT NULL DEFAULT 'unknown',
  since            timestamptz,
  streak           integer NOT NULL DEFAULT 0,
  streak_since     timestamptz,
  failures         integer NOT NULL DEFAULT 0,
  last_slot_at     timestamptz,
  incident_id      bigint,                    -- the open incident
  -- what people look at first
  last_check_at    timestamptz,
  last_outcome     text,
  last_degraded    boolean NOT NULL DEFAULT false,  -- up, and not as well as it should be
  last_latency_us  bigint,
  last_message     text,
  -- what the judgement remembers of trouble
  downs            integer NOT NULL DEFAULT 0,      -- failures in a row, while status is not yet down
  downs_since      timestamptz,
  recent           bigint NOT NULL DEFAULT 1,       -- a 1, then a bit for each of the last outcomes: 1 for down
  flapping         boolean NOT NULL DEFAULT false,
  window_recent    bigint NOT NULL DEFAULT 1,       -- as recent, since the last incident, where the policy has a window
  window_failed_at timestamptz[],                   -- when the failures in it began
  severity         text,                            -- of the open incident
  -- what was announced, so that what is held back is told later
  announced_severity text,                          -- the severity that was told of the open incident
  unannounced_ends bigint[],                        -- incidents that ended, whose opening was told and whose end is held
  flapping_announced boolean NOT NULL DEFAULT false,
  reminders        integer NOT NULL DEFAULT 0,
  timeout_ms       integer,                         -- of its check, for its jobs
  awaited_since    timestamptz NOT NULL DEFAULT now()  -- a result is: it was added, enabled or changed
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- Monitors that are checked from several locations: a queue for each (`monitor-checks:NAME`), whose workers were started with
-- that name. Each check is judged by what was seen from its own location, and the monitor by all of them together, in the one
-- transaction that records the check, under the lock of the monitor's state. So nobody has to be in charge.
CREATE TABLE monitor_locations (
  monitor_id      bigint NOT NULL REFERENCES monitors ON DELETE CASCADE,
  location        text NOT NULL,
  awaited_since   timestamptz NOT NULL DEFAULT now(),  -- its word is waited for: it was added, or all were silent
  memory          jsonb NOT NULL DEFAULT '{}',   -- what the judgement remembers, as monitor_states has it in columns
  -- what people look at first
  last_check_at   timestamptz,
  last_outcome    text,
  last_degraded   boolean NOT NULL DEFAULT false,
  last_latency_us bigint,
  last_message    text,
  PRIMARY KEY (monitor_id, location)
) WITH (fillfactor = 50);

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
  late_us       bigint NOT NULL,        -- from the slot to the start: the monitor's own lag, never the target's latency
  location      text                    -- NULL: of a monitor that names none
) PARTITION BY RANGE (started_at);
CREATE INDEX ON check_results (monitor_id, started_at);
CREATE TABLE check_results_default PARTITION OF check_results DEFAULT;

-- ── the queues ──────────────────────────────────────────────────────────────────────────────────────────

-- A worker's heartbeats come every 5 s. What it has claimed is free at once when three are missed. For that a job has to say
-- whose it is. Two ways were open: short leases that each heartbeat renews, or the worker's number in the row, set by the
-- claim. The number costs 4 bytes in a tuple that the claim writes anyway (HOT: no index holds it), and nothing after that: at
-- 10,000 checks/s no second write. It is read by a scan when a worker has died, and never otherwise. Renewal would write each
-- job that runs for longer than 5 s again and again; and when the database was away for as long as a short lease, every job in
-- hand would be free at the instant it is back, and run twice. With numbers, whoever declares a worker dead has to have been
-- heard steadily itself, so after an outage everybody has the time to say that they live.
-- The fence (id, claims) stays what protects: a worker that was declared dead and is not ends nothing.
CREATE TABLE jobs (
  id             bigint GENERATED ALWAYS AS IDENTITY,
  queue          text NOT NULL,
  subject        bigint,                -- what it is about (a monitor, a notification); unique while it waits or runs
  concurrency_key bigint,               -- shares a bound with others of its key (a channel)
  order_key      text,                  -- jobs of one key run one after the other, by subject (what a channel is told of a monitor)
  payload        jsonb NOT NULL DEFAULT '{}',
  attempts       integer NOT NULL DEFAULT 0,  -- runs that count; a retry begins at 0 again
  claims         integer NOT NULL DEFAULT 0,  -- never taken back: (id, claims) is one worker's claim and no other's, ever
  reserved_until timestamptz,           -- the lease; NULL: waiting. In no index, so that a claim is a HOT update
  available_at   timestamptz NOT NULL DEFAULT now(),
  created_at     timestamptz NOT NULL DEFAULT now(),
  errors         jsonb,                 -- [{"attempt", "at", "error"}], one for each failed attempt
  worker         integer,               -- workers.number of the last claim; NULL: unknown. In no index
  timeout_ms     integer,               -- how long it runs at the most; NULL: as its queue says
  CHECK (order_key IS NULL OR subject IS NOT NULL)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
CREATE INDEX jobs_ready ON jobs (queue, available_at, id);
CREATE UNIQUE INDEX jobs_subject ON jobs (queue, subject) WHERE subject IS NOT NULL;
CREATE INDEX jobs_order ON jobs (order_key, subject) WHERE order_key IS NOT NULL;
-- The last one: of two indexes that cost the same, as all do in a table that is believed empty, the planner takes the
-- younger, and a job is to be found by its id in no other.
ALTER TABLE jobs ADD PRIMARY KEY (id);

CREATE TABLE failed_jobs (
  id         bigint PRIMARY KEY,        -- the id that it had as a job
  queue      text NOT NULL,
  subject    bigint,
  concurrency_key bigint,
  order_key  text,
  payload    jsonb NOT NULL,
  attempts   integer NOT NULL,
  claims     integer NOT NULL DEFAULT 0, -- goes on from here when it is retried
  errors     jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  failed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON failed_jobs (queue, failed_at);
CREATE INDEX failed_jobs_subject ON failed_jobs (queue, subject) WHERE subject IS NOT NULL;

-- What operators say of a queue; no row: nothing.
CREATE TABLE queue_controls (
  queue            text PRIMARY KEY,
  paused_at        timestamptz,         -- nothing is claimed while it is set
  restart_asked_at timestamptz,         -- workers that began before it finish what runs and end
  busy_since       timestamptz,         -- over its limit, as `queue monitor` saw it
  busy_told_at     timestamptz,         -- the last `queue-busy` that was sent about it
  busy_limit       bigint,              -- and the limit that it was about
  resumed_at       timestamptz          -- it went on after a pause: its checks have been awaited since then, not since before it
);

-- What each worker finished in each minute, written with its heartbeat.
CREATE TABLE queue_throughput (
  queue     text NOT NULL,
  worker    uuid NOT NULL,
  minute_at timestamptz NOT NULL,
  finished  bigint NOT NULL,
  PRIMARY KEY (queue, minute_at, worker)
);

-- ── who lives, who sees ─────────────────────────────────────────────────────────────────────────────────

-- The workers' heartbeats, written every few seconds: one row for each queue that a process works on.
CREATE TABLE workers (
  id            uuid PRIMARY KEY,
  queue         text NOT NULL,
  host          text NOT NULL,
  pid           integer NOT NULL,
  version       text NOT NULL,
  started_at    timestamptz NOT NULL,
  seen_at       timestamptz NOT NULL,
  running       integer NOT NULL,       -- jobs in flight
  number        integer GENERATED ALWAYS AS IDENTITY UNIQUE,
  process_space text,                   -- processes of one space see each other by pid; NULL: unknown
  paused        boolean NOT NULL DEFAULT false,  -- by a signal: it claims nothing
  steady_since  timestamptz             -- since when no heartbeat was late
) WITH (fillfactor = 50);

-- Who enqueues what is due: a loop, heard every few seconds, or a host's cron, heard once a minute. Silence for three periods is
-- death.
CREATE TABLE schedulers (
  id         uuid PRIMARY KEY,
  host       text NOT NULL,
  pid        integer NOT NULL,
  version    text NOT NULL,
  is_loop    boolean NOT NULL,
  period_s   double precision NOT NULL, -- from one heartbeat to the next
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Which queues of checks have stalled, as a worker saw and told it; no row: none ever did.
CREATE TABLE check_stalls (
  queue         text PRIMARY KEY,
  overdue_since timestamptz,            -- the first look that found monitors stale
  stalled_at    timestamptz,            -- NULL: its checks have results, or nobody was told yet
  channels_told bigint[] NOT NULL DEFAULT '{}'  -- the channels that were told so, and are owed the end
);

-- One worker of all looks for stalls every few seconds.
CREATE TABLE stall_looks (
  one          boolean PRIMARY KEY DEFAULT true CHECK (one),
  looked_at    timestamptz NOT NULL DEFAULT '-infinity',
  steady_since timestamptz NOT NULL DEFAULT now()   -- since when no look was late
) WITH (fillfactor = 50);
INSERT INTO stall_looks DEFAULT VALUES;

-- Which hosts see and which are blind, as the witnesses have it that `[checks]` names; no row: none ever was.
CREATE TABLE host_network (
  host        text PRIMARY KEY,
  blind_since timestamptz,              -- NULL: it sees
  channels_told bigint[] NOT NULL DEFAULT '{}',  -- the channels that were told so, and are owed the end
  seen_at     timestamptz               -- when it saw again for the last time
);

-- ── incidents and what is told of them ──────────────────────────────────────────────────────────────────

-- One outlives its monitor, and then has what lists show of that (monitor_name, target).
CREATE TABLE incidents (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  monitor_id         bigint REFERENCES monitors ON DELETE SET NULL,
  severity           text NOT NULL,
  class              text NOT NULL,
  cause              text NOT NULL,
  expected           text,
  got                text,
  started_at         timestamptz NOT NULL,    -- the first failure
  opened_at          timestamptz NOT NULL DEFAULT now(),
  ended_at           timestamptz,             -- the first success
  resolved_at        timestamptz,
  failures           integer NOT NULL,
  acknowledged_at    timestamptz,
  acknowledged_by    text,
  down_at            timestamptz,             -- the first failure, where it began as degraded
  acknowledged_until timestamptz,             -- NULL: until it ends
  muted_at           timestamptz,
  muted_by           text,
  resolved_by        text,                    -- who ended it; NULL: a check
  unwatched          boolean NOT NULL DEFAULT false,  -- it ended because its monitor is not watched any more
  monitor_name       text,
  target             text
);
CREATE UNIQUE INDEX incidents_open ON incidents (monitor_id) WHERE ended_at IS NULL;
CREATE INDEX ON incidents (started_at);
CREATE INDEX incidents_of_monitor ON incidents (monitor_id, id);

-- What happened to an incident, in order, for those who ask later. Notices and checks are in tables of their own.
CREATE TABLE incident_events (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id bigint NOT NULL REFERENCES incidents ON DELETE CASCADE,
  at          timestamptz NOT NULL DEFAULT now(),
  kind        text NOT NULL CHECK (kind IN ('opened', 'worsened', 'escalated', 'resolved', 'acknowledged', 'unacknowledged',
                                            'muted', 'unmuted', 'commented', 'held', 'unwatched')),
  who         text,                     -- NULL: the monitor itself
  note        text
);
CREATE INDEX ON incident_events (incident_id, id);

-- A certificate that nears its end is told once for each limit that it comes under.
CREATE TABLE certificate_notices (
  monitor_id  bigint NOT NULL REFERENCES monitors ON DELETE CASCADE,
  fingerprint text NOT NULL,            -- SHA-256 of the certificate, in hexadecimal
  days        integer NOT NULL,         -- the limit
  told_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (monitor_id, fingerprint, days)
);

-- One message for one channel. The event is a snapshot; the channel's configuration is read at delivery. What was told outlives
-- its channel, and then has the channel's name.
CREATE TABLE notifications (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  delivery_id  uuid NOT NULL UNIQUE,
  channel_id   bigint REFERENCES channels ON DELETE SET NULL,
  incident_id  bigint REFERENCES incidents ON DELETE CASCADE,
  event        text NOT NULL,
  sequence     bigint NOT NULL,         -- tells the events of one type within an incident apart
  snapshot     jsonb NOT NULL,
  -- Paused is a channel, and what waits for it is shown so.
  state        text NOT NULL CHECK (state IN ('queued', 'delivered', 'failed', 'muted', 'discarded')),
  attempts     integer NOT NULL DEFAULT 0,
  last_error   text,
  remote_id    text,                    -- the provider's name for the message, so that a recovery can answer it
  created_at   timestamptz NOT NULL DEFAULT now(),
  delivered_at timestamptz,
  channel_name text,
  is_digest    boolean NOT NULL DEFAULT false,   -- its message is made of its members
  digest_id    bigint REFERENCES notifications ON DELETE CASCADE,  -- goes out with that one, without a job of its own
  setbacks     integer NOT NULL DEFAULT 0,  -- it was refused, or sent again because its channel worked: so often in vain
  progress     bytea,                   -- what the last try left to the next
  UNIQUE (incident_id, channel_id, event, sequence)
);
CREATE INDEX ON notifications (created_at);
CREATE INDEX notifications_digest ON notifications (digest_id) WHERE digest_id IS NOT NULL;
CREATE INDEX notifications_incident ON notifications (incident_id) WHERE incident_id IS NOT NULL;
-- What a channel was told since a notice, and what of it has failed.
CREATE INDEX notifications_channel ON notifications (channel_id, id);
CREATE INDEX notifications_failed ON notifications (channel_id, id) WHERE state = 'failed';
CREATE INDEX notifications_delivered ON notifications (channel_id, id) WHERE state = 'delivered';
ALTER TABLE channels
  ADD FOREIGN KEY (digest_id) REFERENCES notifications ON DELETE SET NULL,
  ADD FOREIGN KEY (probe_id) REFERENCES notifications ON DELETE SET NULL;

-- Each try of a notification's delivery, and the provider's words.
CREATE TABLE delivery_attempts (
  notification_id bigint NOT NULL REFERENCES notifications ON DELETE CASCADE,
  attempt         integer NOT NULL,
  started_at      timestamptz NOT NULL,
  duration_ms     bigint NOT NULL,
  outcome         text NOT NULL,        -- delivered | muted | waits, or the class of the error
  status_code     smallint,
  message         text,
  PRIMARY KEY (notification_id, attempt, started_at)
);

-- Keys at providers are this installation's, and nobody else's.
CREATE TABLE installation (
  id        uuid NOT NULL DEFAULT gen_random_uuid(),
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton)
);
INSERT INTO installation DEFAULT VALUES;
