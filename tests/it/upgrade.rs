//! A newer release under running workers: its migrations change tables and indexes while statements are prepared, and it
//! writes what an older worker does not know. That one goes on with what it knows, and leaves the rest to the newer.

use crate::installation::{Installation, terminate_all};
use crate::notices::types;
use crate::pipeline::{file, shop};
use uptime_tests::{HttpTarget, Reply, WebhookSink, block_on};

const TABLES: &str = "SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> '_sqlx_migrations'";

#[test]
fn tables_that_change_under_running_workers_cost_no_notice() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    let text = file(&target, &[("ops", &sink)]) + "flapping = false\n";
    installation.apply(&text.replacen("\nallow", "\ndigest_after = 0\nallow", 1));
    let [scheduler, worker] = installation.start_all();
    let database = &installation.database;
    let mut told = 0;
    let mut flip = |status: u16| {
        target.answer(Reply::status(status));
        told += 1;
        block_on(sink.wait_for(told));
    };
    // Everything is prepared by now: each statement was run some times.
    [500, 200, 500, 200, 500, 200].into_iter().for_each(&mut flip);
    for table in database.value(TABLES).split_whitespace() {
        database.query(&format!("ALTER TABLE {table} ADD COLUMN added_later text NOT NULL DEFAULT 'x'"));
    }
    [500, 200].into_iter().for_each(&mut flip);
    database.query("ALTER TABLE jobs ALTER COLUMN claims TYPE bigint");
    database.query("ALTER TABLE jobs ALTER COLUMN claims TYPE integer");
    database.query("CREATE INDEX added_later ON monitor_states (last_slot_at)");
    [500, 200].into_iter().for_each(&mut flip);
    database.query("DROP INDEX added_later; DROP INDEX notifications_created_at_idx");
    database.query("ALTER TABLE monitor_states ALTER COLUMN last_message TYPE varchar(2000)");
    database.query("ALTER TABLE channels ALTER COLUMN name TYPE varchar(200)");
    [500, 200].into_iter().for_each(&mut flip);
    database.query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', true, '', 0)",
    );
    [500, 200].into_iter().for_each(&mut flip);

    let kinds = types(&sink.received());
    assert!(kinds.chunks(2).all(|pair| pair == ["down", "up"]), "{kinds:?}");
    assert_eq!(database.value("SELECT count(*) FROM failed_jobs"), "0");
    // Those that begin now are refused.
    installation.command(["schedule"]).assert().code(78);
    let log = worker.log();
    assert!(log.contains("statements are prepared anew") && !log.contains("away"), "{log}");
    terminate_all([scheduler, worker]);
}

#[test]
fn what_a_newer_release_wrote_is_left_to_it() {
    let (target, sink, installation) = shop();
    let database = &installation.database;
    // A channel that wants an event of the newer release, a queue of its own, and a check of another type.
    database.query("UPDATE channels SET filter = '{\"events\": [\"down\", \"up\", \"of-a-newer\"]}'");
    database.query("INSERT INTO jobs (queue, payload) VALUES ('of-a-newer', '{}')");
    database.query(
        "WITH made AS (
           INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
           SELECT gen_random_uuid(), id, 'of-a-newer', 0, jsonb_build_object(
             'type', 'of-a-newer', 'delivery_id', gen_random_uuid(), 'at', now(), 'severity', 'info',
             'monitor', '{\"name\": \"x\", \"type\": \"tcp\", \"target\": \"x:1\", \"group\": null, \"tags\": {}}'::jsonb), 'queued'
           FROM channels RETURNING id, channel_id)
         INSERT INTO jobs (queue, subject, concurrency_key) SELECT 'notifications', id, channel_id FROM made",
    );
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let worker = installation.start(["worker", "all"]);
    block_on(target.wait_for_requests(2));
    target.answer(Reply::status(500));
    let received = block_on(sink.wait_for(1));
    assert_eq!(received[0].json()["type"], "down", "the channel hears what it wants of what is known");
    let of_notice = "SELECT concat_ws(' ', state, n.attempts, j.attempts, j.claims > 0, j.errors, n.last_error IS NOT NULL)
                     FROM notifications n JOIN jobs j ON j.subject = n.id WHERE n.event = 'of-a-newer' AND j.reserved_until IS NULL";
    installation.wait_for(of_notice, "queued 0 0 t t");

    database.query("UPDATE monitors SET check_spec = jsonb_set(check_spec, '{type}', '\"of-a-newer\"')");
    let of_check = "SELECT count(*) > 0 FROM jobs WHERE queue = 'monitor-checks' AND attempts = 0 AND claims > 0 AND available_at > now() AND reserved_until IS NULL";
    installation.wait_for(of_check, "t");
    worker.wait_for_log("check left to a newer worker");
    assert_eq!(database.value("SELECT count(*) FROM failed_jobs"), "0");
    installation.command(["queue", "monitor", "monitor-checks", "notifications"]).assert().success();

    // The newer worker comes.
    target.up();
    database.query("UPDATE monitors SET check_spec = jsonb_set(check_spec, '{type}', '\"http\"')");
    database.query("UPDATE notifications SET snapshot = jsonb_set(snapshot, '{type}', '\"test\"') WHERE event = 'of-a-newer'");
    database.query("UPDATE jobs SET available_at = now() WHERE reserved_until IS NULL");
    let received = block_on(sink.wait_for(3));
    let mut kinds = types(&received[1..]);
    kinds.sort();
    assert_eq!(kinds, ["test", "up"]);
    assert_eq!(database.value("SELECT count(*) FROM failed_jobs"), "0");
}
