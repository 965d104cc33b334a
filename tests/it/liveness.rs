//! What stands still does not look well: a scheduler that was killed, a worker that is paused, and a worker that was killed,
//! whose jobs are done by others. Real processes; time passes by moving what the database has noted.

use crate::installation::{Installation, Process};
use crate::listen::{address, get};
use crate::notices::types;
use crate::pipeline::{file, shop};
use rustix::process::Signal;
use std::time::Duration;
use uptime_tests::{HttpTarget, Reply, WebhookSink, block_on};

/// A minute passes for what was noted of the checks, once none is in hand.
fn a_minute_passes(installation: &Installation) {
    installation.wait_for("SELECT count(*) FROM jobs WHERE queue = 'monitor-checks'", "0");
    installation.database.query(
        "UPDATE monitor_states SET last_check_at = last_check_at - interval '60 s', awaited_since = awaited_since - interval '60 s'",
    );
}

#[test]
fn a_scheduler_that_was_killed_is_told_and_shown() {
    let (target, sink, installation) = shop();
    let scheduler = installation.start(["schedule", "--every", "200ms"]);
    let checks = installation.start(["worker", "monitor-checks", "--listen", "0"]);
    let _notifications = installation.start(["worker", "notifications"]);
    block_on(target.wait_for_requests(2));
    installation.command(["queue", "monitor"]).assert().code(0);
    assert_eq!(installation.json(["queue", "monitor"])["scheduler"], "running");
    assert_eq!(get(&address(&checks), "/healthz").0, "200");

    scheduler.kill();
    installation.database.query("UPDATE schedulers SET seen_at = now() - interval '15 s'");
    // Before any monitor is stale.
    installation.command(["queue", "monitor"]).assert().code(1);
    assert_eq!(installation.json(["queue", "monitor"])["scheduler"], "dead");
    installation.command(["queue", "monitor", "notifications"]).assert().code(0);
    a_minute_passes(&installation);
    let monitors = installation.json(["monitor", "list"]);
    assert_eq!(
        (&monitors["monitors"][0]["state"], &monitors["monitors"][0]["last_known_state"]),
        (&"stale".into(), &"up".into())
    );
    let queues = installation.json(["queue", "monitor"]);
    assert_eq!(queues["queues"][0]["stale_monitors"], 1, "{queues}");
    // Nobody has looked for a minute yet: checks get that time to come in.
    installation.wait_for("SELECT count(*) FROM check_stalls WHERE overdue_since IS NOT NULL", "1");
    installation.database.query("UPDATE check_stalls SET overdue_since = overdue_since - interval '60 s'");
    let received = block_on(sink.wait_for(1));
    let stalled = received[0].json();
    assert_eq!(stalled["type"], "stalled", "{stalled}");
    let message = stalled["outcome"]["message"].as_str().expect("a text");
    let why = "1 of 1 monitor has had no result for 3 intervals: shop_front; the scheduler on ";
    assert!(message.starts_with(why), "{message}");
    let began = std::time::Instant::now();
    while get(&address(&checks), "/healthz").0 != "503" {
        assert!(began.elapsed() < uptime_tests::DEADLINE, "a stall that was told is not well");
        std::thread::sleep(Duration::from_millis(50));
    }

    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    assert_eq!(types(&block_on(sink.wait_for(2))), ["stalled", "running"]);
    installation.command(["queue", "monitor"]).assert().code(0);
    assert_eq!(installation.json(["monitor", "list"])["monitors"][0]["state"], "up");
    assert_eq!(checks.terminate(), 0);
    assert_eq!(sink.received().len(), 2, "told once each");
}

#[test]
fn a_scheduler_that_is_stopped_in_order_is_not_dead() {
    let target = HttpTarget::start();
    let installation = Installation::new();
    installation.apply(&file(&target, &[]));
    let scheduler = installation.start(["schedule", "--every", "200ms"]);
    let _worker = installation.start(["worker", "monitor-checks"]);
    block_on(target.wait_for_requests(1));
    assert_eq!(scheduler.terminate(), 0);
    assert_eq!(installation.json(["queue", "monitor"])["scheduler"], "none");
    installation.command(["queue", "monitor"]).assert().code(0);
    a_minute_passes(&installation);
    // Whoever schedules: there are no results.
    installation.command(["queue", "monitor"]).assert().code(1);
    installation.command(["schedule"]).assert().success();
    installation.holds("SELECT is_loop FROM schedulers", "f");
}

#[test]
fn a_worker_that_a_signal_has_paused_is_not_ok() {
    let target = HttpTarget::start();
    let installation = Installation::new();
    installation.apply(&file(&target, &[]));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let worker = installation.start(["worker", "monitor-checks"]);
    block_on(target.wait_for_requests(1));
    worker.signal(Signal::USR2);
    installation.wait_for("SELECT paused FROM workers", "t");
    installation
        .wait_for("SELECT count(*) FROM jobs WHERE reserved_until IS NULL AND available_at < now()", "1");
    let look = installation.json(["queue", "monitor", "monitor-checks"]);
    assert_eq!((&look["queues"][0]["idle"], &look["queues"][0]["paused_workers"]), (&true.into(), &1.into()));
    installation.command(["queue", "monitor"]).assert().code(1);
    worker.signal(Signal::CONT);
    installation.wait_for("SELECT paused FROM workers", "f");
    block_on(target.more_requests(1));
    installation.command(["queue", "monitor"]).assert().code(0);
}

const ATTEMPTS: &str = "SELECT attempts FROM jobs WHERE queue = 'monitor-checks'";

/// Two workers of the queue, of which the first has a check in hand, which the target holds.
fn with_a_check_in_hand(installation: &Installation, target: &HttpTarget) -> (Process, Process) {
    let file = file(target, &[]).replace("timeout = \"500ms\"", "timeout = \"20s\"");
    installation.apply(&format!("[queues.monitor-checks]\ntries = 2\n\n{file}"));
    let first = installation.start_as("first", &["worker", "monitor-checks"], &[]);
    installation.wait_for("SELECT count(*) FROM workers", "1");
    target.hang();
    let _ = installation.command(["schedule"]).assert().success();
    block_on(target.wait_for_requests(1));
    let second = installation.start_as("second", &["worker", "monitor-checks"], &[]);
    installation.wait_for("SELECT count(*) FROM workers", "2");
    (first, second)
}

#[test]
fn a_worker_on_the_same_host_takes_over_as_soon_as_another_was_killed() {
    let target = HttpTarget::start();
    let installation = Installation::new();
    let (first, _second) = with_a_check_in_hand(&installation, &target);
    first.kill();
    // At the next heartbeat, long before three are missed.
    installation.wait_for_within(Duration::from_secs(8), ATTEMPTS, "2");
    installation.holds("SELECT count(*) FROM workers", "1");
}

#[test]
fn elsewhere_a_worker_that_was_killed_is_dead_after_three_missed_heartbeats() {
    let target = HttpTarget::start();
    let installation = Installation::new();
    let (first, _second) = with_a_check_in_hand(&installation, &target);
    // As if they were on two hosts; and the timeout is no help.
    installation.database.query("UPDATE workers SET process_space = id::text");
    installation.database.query("UPDATE jobs SET reserved_until = now() + interval '90 s'");
    first.kill();
    installation.wait_for_within(Duration::from_secs(25), ATTEMPTS, "2");
}

#[test]
fn the_heartbeat_outside_comes_while_all_is_well() {
    let (target, outside, sink) = (HttpTarget::start(), WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    let url = format!("{}/ping/5ecret", outside.origin());
    installation.apply(&format!("[heartbeat]\nurl = \"{url}\"\n\n{}", file(&target, &[("ops", &sink)])));
    installation.command(["schedule"]).assert().success().stderr("");
    let received = block_on(outside.wait_for(1));
    assert_eq!((received[0].method.as_str(), received[0].path.as_str()), ("GET", "/ping/5ecret"));

    // Nobody delivers: silence, and the log says why, without the URL.
    let database = &installation.database;
    database
        .query("INSERT INTO jobs (queue, available_at) VALUES ('notifications', now() - interval '3 min')");
    installation.says(0, "schedule --log warn", &["nobody works on `notifications`"]);
    database.query("DELETE FROM jobs WHERE queue = 'notifications'");

    // Who does not take it holds nothing up, and the token is not shown.
    outside.answer(Reply::status(404));
    let log = installation.complaint(0, "schedule --log warn");
    assert!(log.contains("the request failed: status") && !log.contains("5ecret"), "{log}");

    // Checks without results: silence.
    database.query("UPDATE monitor_states SET awaited_since = now() - interval '60 s', last_check_at = NULL");
    let before = outside.received().len();
    installation.says(0, "schedule --log warn", &["has had no result for 3 intervals"]);
    assert_eq!(outside.received().len(), before);
}
