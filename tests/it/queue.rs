//! `uptime queue`: what operators see and do.

mod failed;
mod monitor;

use crate::installation::Installation;
use serde_json::json;
use uptime_tests::{WebhookSink, block_on};

/// Puts jobs into the failed list as a worker does.
fn fail_jobs(installation: &Installation, count: usize) {
    installation.database.query(&format!(
        "INSERT INTO failed_jobs (id, queue, subject, payload, attempts, errors, created_at)
         SELECT 1000 + n, 'notifications', n, '{{}}', 3, '[{{\"attempt\": 3, \"at\": \"2026-01-01T00:00:00Z\", \"error\": \"no\"}}]', now()
         FROM generate_series(1, {count}) n"
    ));
}

fn failed_ids(installation: &Installation) -> String {
    installation.database.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM failed_jobs")
}

/// What `uptime` says on stderr.
fn complaint<const N: usize>(installation: &Installation, args: [&str; N], exit: i32) -> String {
    let output = installation.command(args).output().expect("the binary runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(exit), "{args:?}: {said}");
    said
}

/// A file with channels for `ops`, who wants to hear of all, and `boss`, who wants to hear of monitors.
fn two_channels(ops: &WebhookSink, boss: &WebhookSink) -> String {
    let channel = |name: &str, sink: &WebhookSink, more: &str| {
        let (url, origin) = (sink.url(), sink.origin());
        format!(
            "[channels.{name}]\nnotifier = \"webhook\"\nurl = \"{url}\"\nallow = [\"{origin}\"]\n{more}\n"
        )
    };
    channel("ops", ops, "") + &channel("boss", boss, "events = [\"down\", \"up\"]\n")
}

/// Notifications of an hour ago that wait for `ops`.
fn backlog(installation: &Installation, count: usize) {
    installation.database.query(&format!(
        "WITH n AS (
           INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
           SELECT id, channel_id, 'down', 0, jsonb_build_object('type', 'down', 'delivery_id', id, 'at', '2026-01-01T00:00:00Z',
                    'monitor', jsonb_build_object('name', 'shop', 'type', 'http', 'target', 'https://example.com/', 'group', NULL, 'tags', '{{}}'::jsonb),
                    'incident', NULL, 'outcome', NULL, 'severity', 'down'), 'queued'
           FROM (SELECT gen_random_uuid() AS id, c.id AS channel_id FROM channels c, generate_series(1, {count}) WHERE name = 'ops') x
           RETURNING id, channel_id)
         INSERT INTO jobs (queue, subject, concurrency_key, available_at)
         SELECT 'notifications', id, channel_id, now() - interval '1 h' FROM n"
    ));
}

#[test]
fn a_queue_is_cleared_of_what_waits_and_not_of_what_runs() {
    let (ops, boss) = (WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&two_channels(&ops, &boss));
    backlog(&installation, 1_100);
    installation.database.query("UPDATE jobs SET reserved_until = now() + interval '1 min' WHERE id IN (SELECT id FROM jobs ORDER BY id LIMIT 4)");
    installation.database.query("UPDATE jobs SET available_at = now() + interval '1 h' WHERE id IN (SELECT id FROM jobs ORDER BY id DESC LIMIT 5)");
    installation.database.query("INSERT INTO jobs (queue) VALUES ('monitor-checks')");
    assert_eq!(
        complaint(&installation, ["queue", "clear", "notifications"], 2),
        "error: this deletes 1,096 jobs waiting in `notifications`, which nobody will be told, and nobody is there to be asked\n\
         hint: add `--yes`\n"
    );
    let answer = installation.json(["queue", "clear", "notifications", "--dry-run"]);
    let expected = json!({
        "schema_version": 1, "queue": "notifications", "deleted": 1_096, "ready": 1_091, "delayed": 5, "reserved": 4, "dry_run": true,
    });
    assert_eq!(answer, expected);
    let operators: Vec<_> =
        (0..2).map(|_| installation.start(["queue", "clear", "notifications", "--yes"])).collect();
    for operator in operators {
        assert_eq!(operator.wait(), 0);
    }
    let states = "SELECT string_agg(concat(state, ' ', n), ',' ORDER BY state) FROM (SELECT state, count(*) AS n FROM notifications GROUP BY 1) s";
    assert_eq!(installation.database.value(states), "discarded 1096,queued 4");
    installation
        .command(["queue", "clear", "notifications"])
        .assert()
        .success()
        .stdout("notifications\tdeleted\t0\tstill run\t4\n");
    assert_eq!(installation.database.value("SELECT count(*) FROM jobs WHERE queue = 'monitor-checks'"), "1");
}

#[test]
fn a_paused_queue_rests_until_it_is_resumed() {
    let (ops, boss) = (WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&two_channels(&ops, &boss));
    let pause = ["queue", "pause", "notifications", "monitor-checks"];
    installation.command(pause).assert().success().stdout("notifications\tpaused\nmonitor-checks\tpaused\n");
    installation
        .command(["queue", "resume", "monitor-checks"])
        .assert()
        .success()
        .stdout("monitor-checks\tresumed\n");
    installation
        .command(pause)
        .assert()
        .success()
        .stdout("notifications\tpaused already\nmonitor-checks\tpaused\n");
    backlog(&installation, 3);
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    assert!(ops.received().is_empty(), "nothing is claimed");
    assert_eq!(installation.json(["queue", "monitor"])["queues"][1]["paused"], true);

    // A worker that would not look again by itself for an hour is woken.
    let _worker = installation.start(["worker", "notifications", "--sleep", "1h"]);
    installation.wait_for("SELECT count(*) FROM workers WHERE queue = 'notifications'", "1");
    let answer = installation.json(["queue", "resume", "notifications"]);
    assert_eq!(
        answer,
        json!({ "schema_version": 1, "queues": [{ "queue": "notifications", "paused": false, "changed": true }] })
    );
    block_on(ops.wait_for(3));
    installation
        .command(["queue", "resume", "notifications"])
        .assert()
        .success()
        .stdout("notifications\tnot paused\n");
}

#[test]
fn a_restart_lets_the_workers_of_a_queue_end() {
    let installation = Installation::new();
    installation
        .command(["queue", "restart"])
        .assert()
        .success()
        .stdout("monitor-checks\tworkers asked\t0\nnotifications\tworkers asked\t0\n");
    let asked = ["worker", "notifications", "--sleep", "1h"];
    let (one, other) = (installation.start(asked), installation.start(asked));
    let checks = installation.start(["worker", "monitor-checks"]);
    installation.wait_for(
        "SELECT string_agg(queue, ',' ORDER BY queue) FROM workers",
        "monitor-checks,notifications,notifications",
    );
    let answer = installation.json(["queue", "restart", "notifications"]);
    assert_eq!(
        answer,
        json!({ "schema_version": 1, "queues": [{ "queue": "notifications", "workers": 2 }] })
    );
    assert_eq!((one.wait(), other.wait()), (0, 0));
    assert_eq!(
        installation.database.value("SELECT string_agg(queue, ',') FROM workers"),
        "monitor-checks",
        "the others go on"
    );
    assert_eq!(checks.terminate(), 0);
}
