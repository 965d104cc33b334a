//! Promises 2 and 4: what is killed in the middle loses nothing, and what comes twice bears the same delivery id.

use crate::installation::{Installation, terminate_all};
use crate::notices::{self, Notice, WORKER, monitor, types};
use crate::pipeline::file;
use std::sync::Arc;
use uptime_tests::{HttpTarget, Reply, Rng, TestDatabase, TestServer, WebhookSink, block_on};

/// Leases that run out within a test's patience: what is killed is claimed again after 7 s.
const SHORT_LEASES: &str = "[queues.monitor-checks]\ntries = 2\ntimeout = \"2s\"\nretry_after = \"7s\"\n\
                            [queues.notifications]\ntimeout = \"2s\"\nretry_after = \"7s\"\nbackoff = \"100ms\"\n\n";

fn with_short_leases(installation: Installation) -> (HttpTarget, WebhookSink, Installation) {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    installation.apply(&format!("{SHORT_LEASES}{}", file(&target, &[("ops", &sink)])));
    (target, sink, installation)
}

#[test]
fn a_check_worker_killed_between_claim_and_commit_loses_nothing() {
    let (target, sink, installation) = with_short_leases(Installation::new());
    let [_scheduler, checks, _notifications] = installation.start_each();
    block_on(target.wait_for_requests(2));

    // The target holds the check, so the worker dies with the job claimed and nothing committed.
    target.hang();
    block_on(target.more_requests(1));
    checks.kill();
    installation.holds("SELECT attempts FROM jobs WHERE queue = 'monitor-checks'", "1");

    target.let_go();
    target.answer(Reply::status(503));
    let _checks = installation.start(["worker", "monitor-checks"]);
    block_on(sink.wait_for(1));
    target.up();
    assert_eq!(types(&block_on(sink.wait_for(2))), ["down", "up"]);
    installation.holds("SELECT count(*) FROM failed_jobs", "0");
}

#[test]
fn a_check_whose_tries_are_spent_is_in_the_failed_list_and_the_monitor_goes_on() {
    let target = HttpTarget::start();
    let installation = Installation::new();
    let one_try = SHORT_LEASES.replace("tries = 2", "tries = 1");
    installation.apply(&format!("{one_try}{}", file(&target, &[])));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let checks = installation.start(["worker", "monitor-checks"]);
    block_on(target.wait_for_requests(2));
    target.hang();
    block_on(target.more_requests(1));
    checks.kill();
    target.let_go();
    target.up();

    let _checks = installation.start(["worker", "monitor-checks"]);
    installation.wait_for("SELECT count(*) FROM failed_jobs", "1");
    let failed = &installation.json(["queue", "failed"])["jobs"][0];
    let error = "gave no sign of its end 1 times: its worker died, or lost the database";
    assert_eq!((&failed["subject"], &failed["error"]), (&"monitor shop_front".into(), &error.into()));
    block_on(target.more_requests(2));
}

#[test]
fn a_delivery_worker_killed_between_send_and_record_sends_again_under_the_same_id() {
    let (target, sink, installation) = with_short_leases(Installation::new());
    let [_scheduler, _checks, notifications] = installation.start_each();

    // The sink has the message, and the worker dies before it hears so.
    sink.answer_next([Reply::ok().held()]);
    target.answer(Reply::status(503));
    block_on(sink.wait_for(1));
    notifications.kill();
    installation.holds("SELECT state FROM notifications", "queued");

    let _notifications = installation.start(["worker", "notifications"]);
    block_on(sink.wait_for(2));
    target.up();
    let received = block_on(sink.wait_for(3));
    assert_eq!(types(&received), ["down", "down", "up"]);
    let told: Vec<_> = received.iter().map(uptime_tests::Received::json).collect();
    assert_eq!(told[0]["delivery_id"], told[1]["delivery_id"]);
    assert_ne!(told[1]["delivery_id"], told[2]["delivery_id"]);
    installation.wait_for("SELECT string_agg(state, ',') FROM notifications", "delivered,delivered");
}

#[test]
fn a_database_that_stops_and_starts_in_the_middle_loses_nothing() {
    let server = Arc::new(TestServer::start());
    let (target, sink, installation) =
        with_short_leases(Installation::on(block_on(TestDatabase::empty_on(&server))));
    let [scheduler, workers] = installation.start_all();
    block_on(target.wait_for_requests(2));

    server.stop();
    target.answer(Reply::status(503));
    server.start_again();
    block_on(sink.wait_for(1));

    server.kill();
    target.up();
    server.start_again();
    block_on(sink.wait_for(2));
    block_on(target.more_requests(2));
    assert_eq!(types(&sink.received()), ["down", "up"], "told once each");
    terminate_all([scheduler, workers]);
}

/// Runs a worker of `queue` again and again, which dies each time that a job has `arrived` for the nth time, while others
/// of the queue, put there by `enqueue`, are done. In the end the job is in the failed list, and has not run once more.
fn killed_by_a_job(
    installation: &Installation,
    queue: &str,
    enqueue: impl Fn(),
    others_are_done: &str,
    arrived: impl Fn(usize),
) {
    const TRIES: usize = 3;
    let start = || installation.start_as("worker", &["worker", queue], &[(WORKER, "one")]);
    for nth in 1..=TRIES {
        enqueue();
        let worker = start();
        arrived(nth);
        installation.wait_for(others_are_done, "t");
        worker.kill();
        installation.wait_for("SELECT string_agg(attempts::text, ',') FROM jobs", nth);
        // Its lease runs out.
        installation.database.query("UPDATE jobs SET reserved_until = now() - interval '1 second'");
    }
    enqueue();
    let worker = start();
    installation.wait_for("SELECT count(*) FROM failed_jobs", "1");
    installation.wait_for(others_are_done, "t");
    installation.wait_for("SELECT count(*) FROM jobs", "0");
    assert_eq!(worker.terminate(), 0);
    let job = &installation.json(["queue", "failed"])["jobs"][0];
    let error = format!("gave no sign of its end {TRIES} times: its worker died, or lost the database");
    assert_eq!((&job["error"], &job["attempts"]), (&error.into(), &TRIES.into()), "{job}");
}

#[test]
fn a_delivery_that_kills_its_worker_ends_in_the_failed_list_and_the_others_go_on() {
    let (killer, sink) = (WebhookSink::start(), WebhookSink::start());
    killer.answer(Reply::ok().held());
    let installation = Installation::new();
    let channels = [notices::channel("killer", &killer), notices::channel("ops", &sink)];
    installation.apply(&channels.concat());
    installation.database.query(&notices::enqueue(&[Notice::new(&mut Rng::new(), "killer")]));
    killed_by_a_job(
        &installation,
        "notifications",
        || {
            let others: Vec<_> = (0..3).map(|_| Notice::new(&mut Rng::new(), "ops")).collect();
            installation.database.query(&notices::enqueue(&others));
        },
        "SELECT count(*) = 1 FROM notifications WHERE state <> 'delivered'",
        |nth| drop(block_on(killer.wait_for(nth))),
    );
    assert_eq!(killer.received().len(), 3);
    assert_eq!(sink.received().len(), 4 * 3);
    let states = "SELECT string_agg(DISTINCT state, ',' ORDER BY state) FROM notifications";
    installation.holds(states, "delivered,failed");
}

#[test]
fn a_check_that_kills_its_worker_ends_in_the_failed_list_and_the_others_go_on() {
    let (killer, target) = (HttpTarget::start(), HttpTarget::start());
    killer.hang();
    let installation = Installation::new();
    let keys = "interval = \"1h\"\ntimeout = \"20s\"\n";
    let monitors = [monitor("killer", &killer.url(), keys), monitor("shop", &target.url(), keys)];
    installation.apply(&format!("[queues.monitor-checks]\ntries = 3\n\n{}", monitors.concat()));
    let enqueue = |name: &str| {
        installation.database.query(&format!(
            "INSERT INTO jobs (queue, subject) SELECT 'monitor-checks', id FROM monitors WHERE name = '{name}'"
        ));
    };
    enqueue("killer");
    killed_by_a_job(
        &installation,
        "monitor-checks",
        || enqueue("shop"),
        "SELECT count(*) = 0 FROM jobs j JOIN monitors m ON m.id = j.subject WHERE m.name = 'shop'",
        |nth| block_on(killer.wait_for_requests(nth)),
    );
    assert_eq!(killer.requests(), 3);
    // All of them the shop's.
    installation.holds("SELECT count(*) FROM check_results", "4");
    assert_eq!(installation.json(["queue", "failed"])["jobs"][0]["subject"], "monitor killer");
}

#[test]
fn what_cannot_be_read_fails_its_own_job_and_no_other_of_the_batch() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    let monitors = ["fine", "policy", "spec", "state", "well"]
        .map(|name| monitor(name, &target.url(), "interval = \"1h\"\n"));
    let channels = ["torn", "whole"].map(|name| notices::channel(name, &sink));
    installation.apply(&[channels.concat(), monitors.concat()].concat());
    let notices = ["torn", "whole", "whole", "whole"].map(|name| Notice::new(&mut Rng::new(), name));
    installation.database.query(&notices::enqueue(&notices));
    let broken = &notices[2].delivery_id;
    installation.database.query(&format!(
        "UPDATE monitors SET check_spec = '{{\"type\": \"http\"}}' WHERE name = 'spec';
         UPDATE monitors SET policy = '[]' WHERE name = 'policy';
         UPDATE monitor_states SET status = 'asleep' FROM monitors WHERE id = monitor_id AND name = 'state';
         UPDATE channels SET settings = '7' WHERE name = 'torn';
         UPDATE notifications SET snapshot = '{{}}' WHERE delivery_id = '{broken}';
         INSERT INTO jobs (queue, subject) SELECT 'monitor-checks', id FROM monitors ORDER BY name;
         INSERT INTO jobs (queue) VALUES ('monitor-checks'), ('notifications');
         INSERT INTO jobs (queue, subject) VALUES ('monitor-checks', 999), ('notifications', 999)"
    ));

    let worker = installation.start_as("worker", &["worker", "all", "--stop-when-empty"], &[(WORKER, "one")]);
    assert_eq!(worker.wait(), 0);
    let left = "SELECT string_agg(concat_ws(' ', queue, subject, payload, errors), '; ') FROM jobs";
    // A word that is unknown here is left to the newer release that wrote it.
    installation.holds(left, "monitor-checks 4 {}");
    let checked = "SELECT string_agg(m.name, ',' ORDER BY m.name) FROM check_results JOIN monitors m ON m.id = monitor_id";
    installation.holds(checked, "fine,well");
    assert_eq!(sink.received().len(), 2);
    let failed = installation.json(["queue", "failed"]);
    let jobs = failed["jobs"].as_array().expect("a list");
    let mut told: Vec<String> = jobs
        .iter()
        .map(|job| {
            let error = job["error"].as_str().expect("each says why");
            // What the decoder says is its own affair.
            let error = error.split(" can't be read").next().unwrap_or_default();
            format!("{} {}: {error}", job["queue"].as_str().unwrap_or_default(), job["attempts"])
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "monitor-checks 1: `check_spec` of monitor `spec`",
            "monitor-checks 1: `policy` of monitor `policy`",
            "monitor-checks 1: `subject` of job 10",
            "notifications 1: `settings` of channel `torn`",
            "notifications 1: `snapshot` of notification 3",
            "notifications 1: `subject` of job 11",
        ]
    );
}
