-- Liveness: whose a claim is, how long it is good for, who schedules, and which checks have stalled.
--
-- A worker's heartbeats come every 5 s. What it has claimed is free at once when three are missed. For that a job has to say
-- whose it is. Two ways were open: short leases that each heartbeat renews, or the worker's number in the row, set by the
-- claim. The number costs 4 bytes in a tuple that the claim writes anyway (HOT: no index holds it), and nothing after that: at
-- 10,000 checks/s no second write. It is read by a scan when a worker has died, and never otherwise. Renewal would write each
-- job that runs for longer than 5 s again and again; and when the database was away for as long as a short lease, every job in
-- hand would be free at the instant it is back, and run twice. With numbers, whoever declares a worker dead has to have been
-- heard steadily itself, so after an outage everybody has the time to say that they live.
-- The fence (id, claims) stays what protects: a worker that was declared dead and is not ends nothing.

ALTER TABLE jobs
  ADD COLUMN worker     integer,           -- workers.number of the last claim; NULL: unknown. In no index
  ADD COLUMN timeout_ms integer;           -- how long it runs at the most; NULL: as its queue says

ALTER TABLE monitor_states
  ADD COLUMN timeout_ms    integer,                              -- of its check, for its jobs
  ADD COLUMN awaited_since timestamptz NOT NULL DEFAULT now();   -- a result is: it was added, enabled or changed
UPDATE monitor_states s SET timeout_ms = (m.policy->>'timeout')::integer FROM monitors m WHERE m.id = s.monitor_id;

ALTER TABLE workers
  ADD COLUMN number       integer GENERATED ALWAYS AS IDENTITY UNIQUE,
  ADD COLUMN process_space text,                        -- processes of one space see each other by pid; NULL: unknown
  ADD COLUMN paused       boolean NOT NULL DEFAULT false, -- by a signal: it claims nothing
  ADD COLUMN steady_since timestamptz;                  -- since when no heartbeat was late

-- A claim by a worker of before has no number: never that of the claim before it.
CREATE OR REPLACE FUNCTION lease_jobs(places tid[], lease_s double precision)
RETURNS TABLE (id bigint, subject bigint, lane bigint, payload jsonb, attempts integer, claims integer, available_at timestamptz, claimed_at timestamptz)
LANGUAGE sql SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off SET jit = off AS $$
  UPDATE jobs j SET reserved_until = now() + make_interval(secs => lease_s), attempts = j.attempts + 1, claims = j.claims + 1, worker = NULL
  WHERE j.ctid = ANY (places)
  RETURNING j.id, j.subject, j.lane, j.payload, j.attempts, j.claims, j.available_at, now()
$$;

-- Claims what was found, for the worker of this number: for `lease_s` seconds, or for a job's own time and `margin_s` where that
-- is less.
CREATE FUNCTION claim_jobs(places tid[], of_worker integer, lease_s double precision, margin_s double precision)
RETURNS TABLE (id bigint, subject bigint, lane bigint, payload jsonb, attempts integer, claims integer, available_at timestamptz,
               claimed_at timestamptz, lease_ms double precision)
LANGUAGE sql SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off SET jit = off AS $$
  UPDATE jobs j
  SET reserved_until = now() + least(lease_s, j.timeout_ms / 1000.0 + margin_s) * interval '1 second',
      attempts = j.attempts + 1, claims = j.claims + 1, worker = of_worker
  WHERE j.ctid = ANY (places)
  RETURNING j.id, j.subject, j.lane, j.payload, j.attempts, j.claims, j.available_at, now(),
            1000 * least(lease_s, j.timeout_ms / 1000.0 + margin_s)
$$;

-- Workers that are dead: those of `known` (somebody saw that their process is gone), and those that gave no heartbeat for
-- `missed_s`, if the worker `judge` has been heard steadily for as long itself. Their rows go, and their jobs are free. Gives how many
-- workers there were, and how many jobs.
CREATE FUNCTION bury_workers(judge uuid, known uuid[], missed_s double precision, OUT dead bigint, OUT freed bigint)
LANGUAGE plpgsql SET jit = off AS $$
DECLARE
  numbers integer[];
BEGIN
  WITH buried AS (
    DELETE FROM workers w
    WHERE w.id = ANY (known)
       OR (w.seen_at < now() - make_interval(secs => missed_s)
           AND EXISTS (SELECT FROM workers j WHERE j.id = judge AND j.steady_since <= now() - make_interval(secs => missed_s)))
    RETURNING w.number)
  SELECT array_agg(b.number), count(*) INTO numbers, dead FROM buried b;
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

-- Who enqueues what is due: a loop, heard every few seconds, or a host's cron, heard once a minute. Silence for three periods is
-- death.
CREATE TABLE schedulers (
  id         uuid PRIMARY KEY,
  host       text NOT NULL,
  pid        integer NOT NULL,
  version    text NOT NULL,
  is_loop    boolean NOT NULL,
  period_s   double precision NOT NULL,   -- from one heartbeat to the next
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- When a queue went on after a pause: its checks have been awaited since then, not since before it.
ALTER TABLE queue_controls ADD COLUMN resumed_at timestamptz;

-- Which queues of checks have stalled, as a worker saw and told it; no row: none ever did.
CREATE TABLE check_stalls (
  queue      text PRIMARY KEY,
  overdue_since timestamptz,               -- the first look that found monitors stale
  stalled_at timestamptz,                  -- NULL: its checks have results, or nobody was told yet
  told       bigint[] NOT NULL DEFAULT '{}'  -- the channels that were told so, and are owed the end
);

-- One worker of all looks for stalls every few seconds.
CREATE TABLE stall_looks (
  one       boolean PRIMARY KEY DEFAULT true CHECK (one),
  looked_at timestamptz NOT NULL DEFAULT '-infinity',
  steady_since timestamptz NOT NULL DEFAULT now()   -- since when no look was late
) WITH (fillfactor = 50);
INSERT INTO stall_looks DEFAULT VALUES;
