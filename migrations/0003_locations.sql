-- Monitors that are looked at from several locations: a queue for each (`monitor-checks:NAME`), whose workers were started with
-- that name. Each check is judged by what was seen from its own location, and the monitor by all of them together, in the one
-- transaction that records the check, under the lock of the monitor's state. So nobody has to be in charge.

CREATE TABLE monitor_locations (
  monitor_id bigint NOT NULL REFERENCES monitors ON DELETE CASCADE,
  location   text NOT NULL,
  awaited_since timestamptz NOT NULL DEFAULT now(),  -- its word is waited for: it was added, or all were silent
  memory     jsonb NOT NULL DEFAULT '{}',   -- what the judgement remembers, as monitor_states has it in columns
  -- what people look at first
  last_check_at   timestamptz,
  last_outcome    text,
  last_degraded   boolean NOT NULL DEFAULT false,
  last_latency_us bigint,
  last_message    text,
  PRIMARY KEY (monitor_id, location)
) WITH (fillfactor = 50);

-- The queues in which a monitor's checks are.
CREATE VIEW check_queues AS
SELECT s.monitor_id, l.location, coalesce('monitor-checks:' || l.location, 'monitor-checks') AS queue
FROM monitor_states s LEFT JOIN monitor_locations l ON l.monitor_id = s.monitor_id;

CREATE FUNCTION holds_checks(queue text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT split_part(queue, ':', 1) = 'monitor-checks'
$$;

ALTER TABLE check_results ADD COLUMN location text;  -- NULL: of a monitor that names none
