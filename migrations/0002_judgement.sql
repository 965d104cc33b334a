-- Judgement and delivery: severities, flapping, what was told of a monitor, people, maintenance, digests.
--
-- monitor_states stays narrow for a monitor that is well: what follows an outage alone is NULL or zero there, and no index
-- holds a column that a check changes.

ALTER TABLE monitor_states
  ADD COLUMN downs             integer NOT NULL DEFAULT 0,   -- failures in a row, while status is not yet down
  ADD COLUMN downs_since       timestamptz,
  ADD COLUMN recent            bigint NOT NULL DEFAULT 1,    -- a 1, then a bit for each of the last outcomes: 1 for down
  ADD COLUMN flapping          boolean NOT NULL DEFAULT false,
  ADD COLUMN window_recent     bigint NOT NULL DEFAULT 1,    -- as recent, since the last incident, where the policy has a window
  ADD COLUMN window_failed_at  timestamptz[],                -- when the failures in it began
  ADD COLUMN severity          text,                         -- of the open incident
  -- what was announced, so that what is held back is told later
  ADD COLUMN told              text,                         -- the severity that was told of the open incident
  ADD COLUMN owed              bigint[],                     -- incidents that ended, whose opening was told and whose end is held
  ADD COLUMN flapping_told     boolean NOT NULL DEFAULT false,
  ADD COLUMN reminders         integer NOT NULL DEFAULT 0;

ALTER TABLE monitors
  ADD COLUMN parent_id bigint REFERENCES monitors ON DELETE SET NULL,
  ADD COLUMN is_parent boolean NOT NULL DEFAULT false;  -- kept by `apply`: asked for with every check
CREATE INDEX monitors_parent ON monitors (parent_id) WHERE parent_id IS NOT NULL;

ALTER TABLE incidents
  ADD COLUMN down_at            timestamptz,  -- the first failure, where it began as degraded
  ADD COLUMN acknowledged_until timestamptz,  -- NULL: until it ends
  ADD COLUMN muted_at           timestamptz,
  ADD COLUMN muted_by           text,
  ADD COLUMN resolved_by        text,         -- who ended it; NULL: a check
  ADD COLUMN unwatched          boolean NOT NULL DEFAULT false,  -- it ended because its monitor is not watched any more
  -- It outlives its monitor, and then has what lists show of that.
  ADD COLUMN monitor_name       text,
  ADD COLUMN target             text,
  ALTER COLUMN monitor_id DROP NOT NULL,
  DROP CONSTRAINT incidents_monitor_id_fkey,
  ADD CONSTRAINT incidents_monitor_id_fkey FOREIGN KEY (monitor_id) REFERENCES monitors ON DELETE SET NULL;

-- What was told outlives its channel, and then has the channel's name.
ALTER TABLE notifications
  ADD COLUMN channel_name text,
  ALTER COLUMN channel_id DROP NOT NULL,
  DROP CONSTRAINT notifications_channel_id_fkey,
  ADD CONSTRAINT notifications_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channels ON DELETE SET NULL,
  -- Paused is a channel, and what waits for it is shown so.
  DROP CONSTRAINT notifications_state_check,
  ADD CONSTRAINT notifications_state_check CHECK (state IN ('queued', 'delivered', 'failed', 'muted', 'discarded'));

-- What happened to an incident, in order, for those who ask later. Notices and checks are in tables of their own.
CREATE TABLE incident_events (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id bigint NOT NULL REFERENCES incidents ON DELETE CASCADE,
  at          timestamptz NOT NULL DEFAULT now(),
  kind        text NOT NULL CHECK (kind IN ('opened', 'worsened', 'escalated', 'resolved', 'acknowledged', 'unacknowledged',
                                            'muted', 'unmuted', 'commented', 'held', 'unwatched')),
  who         text,                           -- NULL: the monitor itself
  note        text
);
CREATE INDEX ON incident_events (incident_id, id);

-- When no notice is wanted, and of what; the times are read by the program (zones, clock changes).
CREATE TABLE maintenance_windows (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text NOT NULL UNIQUE,
  spec       jsonb NOT NULL,
  source     text NOT NULL CHECK (source IN ('file', 'command-line')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- A certificate that nears its end is told once for each limit that it comes under.
CREATE TABLE certificate_notices (
  monitor_id  bigint NOT NULL REFERENCES monitors ON DELETE CASCADE,
  fingerprint text NOT NULL,                  -- SHA-256 of the certificate, in hexadecimal
  days        integer NOT NULL,               -- the limit
  told_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (monitor_id, fingerprint, days)
);

-- A channel's budget of single messages, and the notices that go together when it is used up.
ALTER TABLE channels
  ADD COLUMN flow      jsonb NOT NULL DEFAULT '{"digest_after": 10, "digest_within": 60000}',  -- single messages, and in which time
  ADD COLUMN tokens    double precision,             -- what was left of them at tokens_at; NULL: all
  ADD COLUMN tokens_at timestamptz,
  ADD COLUMN digest_at timestamptz;                  -- when the last digest was due
ALTER TABLE notifications
  ADD COLUMN is_digest boolean NOT NULL DEFAULT false,                         -- its message is made of its members
  ADD COLUMN digest_id bigint REFERENCES notifications ON DELETE CASCADE;      -- goes out with that one, without a job of its own
ALTER TABLE channels
  ADD COLUMN digest_id bigint REFERENCES notifications ON DELETE SET NULL;     -- the digest that still takes members
CREATE INDEX notifications_digest ON notifications (digest_id) WHERE digest_id IS NOT NULL;
CREATE INDEX notifications_incident ON notifications (incident_id) WHERE incident_id IS NOT NULL;

-- Whatever becomes of a digest, by whomever (a delivery, the failed list, an operator), becomes of the members that are in the
-- state that it was in. One that was muted or discarded by itself stays that.
CREATE FUNCTION follow_digest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE notifications m
  SET state = NEW.state, attempts = NEW.attempts, last_error = NEW.last_error, remote_id = NEW.remote_id, delivered_at = NEW.delivered_at
  WHERE m.digest_id = NEW.id AND m.state = OLD.state;
  RETURN NULL;
END $$;
CREATE TRIGGER follow_digest AFTER UPDATE OF state ON notifications
  FOR EACH ROW WHEN (NEW.is_digest AND NEW.state <> OLD.state) EXECUTE FUNCTION follow_digest();

-- What was open before was told.
UPDATE monitor_states SET severity = 'down', told = 'down' WHERE incident_id IS NOT NULL;

-- The monitors below one, at any distance, whose incident got worse than was told. From the open incidents upwards, and by
-- indexes alone: it is asked with every good check of a parent, and monitors are many where open incidents are few.
CREATE FUNCTION held_below(parent bigint) RETURNS SETOF bigint
LANGUAGE sql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
  WITH RECURSIVE above(monitor_id, ancestor_id, distance) AS (
    SELECT i.monitor_id, m.parent_id, 1
    FROM incidents i JOIN monitors m ON m.id = i.monitor_id JOIN monitor_states s ON s.monitor_id = i.monitor_id
    WHERE i.ended_at IS NULL AND m.parent_id IS NOT NULL AND s.active
      AND (s.told IS NULL OR (s.told = 'degraded' AND s.severity <> 'degraded'))
    UNION ALL
    SELECT a.monitor_id, m.parent_id, a.distance + 1
    FROM above a JOIN monitors m ON m.id = a.ancestor_id WHERE m.parent_id IS NOT NULL AND a.distance < 20)
  SELECT DISTINCT monitor_id FROM above WHERE ancestor_id = parent
$$;

-- How many of a queue's jobs that have an order are ready: the first of each order, where that is due. And for how many
-- milliseconds the first of these, or what is due behind it, waits. (A million orders: about 2 s.) By the index of the orders,
-- one after the other: statistics of a queue are always of another hour, and a planner that believes them puts all orders into
-- a table of its own on the disk.
CREATE FUNCTION ready_in_order(of_queue text, OUT ready bigint, OUT oldest_wait_ms bigint)
LANGUAGE sql STABLE SET enable_hashagg = off SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
  SELECT count(*), (extract(epoch FROM now() - min(due_at)) * 1000)::bigint FROM (
    SELECT min(available_at) FILTER (WHERE is_due) AS due_at
    FROM (SELECT subject, order_key, available_at, (reserved_until IS NULL OR reserved_until < now()) AND available_at <= now() AS is_due
          FROM jobs WHERE order_key IS NOT NULL AND queue = of_queue) j
    GROUP BY order_key HAVING min(subject) = min(subject) FILTER (WHERE is_due)) turns
$$;
