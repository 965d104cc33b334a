//! Promises 2 and 4: what is killed in the middle loses nothing, and what comes twice bears the same delivery id.

use crate::installation::Installation;
use crate::pipeline::file;
use std::sync::Arc;
use uptime_tests::{HttpTarget, Reply, TestDatabase, TestServer, WebhookSink, block_on};

/// Leases that run out within a test's patience: what is killed is claimed again after 7 s.
const SHORT_LEASES: &str = "[queues.monitor-checks]\ntries = 2\ntimeout = \"2s\"\nretry_after = \"7s\"\n\
                            [queues.notifications]\ntimeout = \"2s\"\nretry_after = \"7s\"\nbackoff = \"100ms\"\n\n";

#[test]
fn a_check_worker_killed_between_claim_and_commit_loses_nothing() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&format!("{SHORT_LEASES}{}", file(&target, &[("ops", &sink)])));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let checks = installation.start(["worker", "monitor-checks"]);
    let _notifications = installation.start(["worker", "notifications"]);
    block_on(target.wait_for_requests(2));

    // The target holds the check, so the worker dies with the job claimed and nothing committed.
    target.hang();
    block_on(target.more_requests(1));
    checks.kill();
    assert_eq!(installation.database.value("SELECT attempts FROM jobs WHERE queue = 'monitor-checks'"), "1");

    target.let_go();
    target.answer(Reply::status(503));
    let _checks = installation.start(["worker", "monitor-checks"]);
    let received = block_on(sink.wait_for(1));
    assert_eq!(received[0].json()["type"], "down");
    target.up();
    let received = block_on(sink.wait_for(2));
    assert_eq!(received[1].json()["type"], "up");
    assert_eq!(installation.database.value("SELECT count(*) FROM failed_jobs"), "0");
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
    let failed = installation.json(["queue", "failed"]);
    assert_eq!(failed["jobs"][0]["subject"], "monitor shop_front");
    assert_eq!(
        failed["jobs"][0]["error"],
        "gave no sign of its end 1 times: its worker died, or lost the database"
    );
    block_on(target.more_requests(2));
}

#[test]
fn a_delivery_worker_killed_between_send_and_record_sends_again_under_the_same_id() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&format!("{SHORT_LEASES}{}", file(&target, &[("ops", &sink)])));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let _checks = installation.start(["worker", "monitor-checks"]);
    let notifications = installation.start(["worker", "notifications"]);

    // The sink has the message, and the worker dies before it hears so.
    sink.answer_next([Reply::ok().held()]);
    target.answer(Reply::status(503));
    block_on(sink.wait_for(1));
    notifications.kill();
    assert_eq!(installation.database.value("SELECT state FROM notifications"), "queued");
    target.up();
    installation.wait_for("SELECT count(*) FROM notifications", "2");

    let _notifications = installation.start(["worker", "notifications"]);
    let received = block_on(sink.wait_for(3));
    let told: Vec<_> = received.iter().map(uptime_tests::Received::json).collect();
    assert_eq!(
        told.iter().map(|event| event["type"].as_str()).collect::<Vec<_>>(),
        [Some("down"), Some("down"), Some("up")]
    );
    assert_eq!(told[0]["delivery_id"], told[1]["delivery_id"]);
    assert_ne!(told[1]["delivery_id"], told[2]["delivery_id"]);
    installation.wait_for("SELECT string_agg(state, ',') FROM notifications", "delivered,delivered");
}

#[test]
fn a_database_that_stops_and_starts_in_the_middle_loses_nothing() {
    let server = Arc::new(TestServer::start());
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::on(block_on(TestDatabase::empty_on(&server)));
    installation.apply(&format!("{SHORT_LEASES}{}", file(&target, &[("ops", &sink)])));
    let scheduler = installation.start(["schedule", "--every", "200ms"]);
    let workers = installation.start(["worker", "all"]);
    block_on(target.wait_for_requests(2));

    server.stop();
    target.answer(Reply::status(503));
    server.start_again();
    let received = block_on(sink.wait_for(1));
    assert_eq!(received[0].json()["type"], "down");

    server.kill();
    target.up();
    server.start_again();
    let received = block_on(sink.wait_for(2));
    assert_eq!(received[1].json()["type"], "up");
    block_on(target.more_requests(2));
    assert_eq!(sink.received().len(), 2, "told once each");
    for process in [scheduler, workers] {
        assert_eq!(process.terminate(), 0);
    }
}
