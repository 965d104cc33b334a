//! `uptime queue monitor`: the numbers, the limit, who is told, and looking again and again.

use super::{backlog, complaint, fail_jobs, two_channels};
use crate::installation::Installation;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use uptime_tests::{DEADLINE, WebhookSink, block_on};

#[test]
fn a_queue_at_its_limit_is_exit_1() {
    let installation = Installation::new();
    installation.database.query(
        "INSERT INTO jobs (queue) SELECT 'monitor-checks' FROM generate_series(1, 5);
         INSERT INTO workers (id, queue, host, pid, version, started_at, seen_at, running)
         VALUES (gen_random_uuid(), 'monitor-checks', 'h', 1, '0', now(), now() + interval '1 h', 0)",
    );
    installation.command(["queue", "monitor"]).assert().code(0);
    installation.command(["queue", "monitor", "--max", "5"]).assert().code(1);
    installation.command(["queue", "monitor", "notifications", "--max", "5"]).assert().code(0);
    installation.command(["queue", "monitor", "nonesuch"]).assert().code(2);
    installation.command(["queue", "monitor", "--max", "0"]).assert().code(2);
    let answer = installation.json(["queue", "monitor", "--max", "5"]);
    assert_eq!(
        answer.to_string(),
        r#"{"dead_rows":0,"oldest_snapshot_by":null,"oldest_snapshot_s":null,"queues":[{"delayed":0,"failed":0,"idle":false,"oldest_wait_ms":0,"over_max":true,"paused":false,"paused_workers":0,"per_second":0.0,"queue":"monitor-checks","ready":5,"reserved":0,"stale_monitors":0,"waits_too_long":false,"workers":1},{"delayed":0,"failed":0,"idle":false,"oldest_wait_ms":null,"over_max":false,"paused":false,"paused_workers":0,"per_second":0.0,"queue":"notifications","ready":0,"reserved":0,"stale_monitors":0,"waits_too_long":false,"workers":0}],"scheduler":"none","scheduler_seen_at":null,"schema_version":1}"#
            .replace(r#""oldest_wait_ms":0"#, &format!(r#""oldest_wait_ms":{}"#, answer["queues"][0]["oldest_wait_ms"])),
    );
}

#[test]
fn a_pipe_gets_a_line_for_each_queue() {
    let installation = Installation::new();
    installation.database.query(
        "INSERT INTO jobs (queue, available_at, reserved_until)
         SELECT 'monitor-checks', now() - interval '200 s', CASE WHEN n > 1200 THEN now() + interval '1 min' END
         FROM generate_series(1, 1203) n;
         INSERT INTO jobs (queue, available_at) VALUES ('notifications', now() + interval '1 h');
         INSERT INTO workers (id, queue, host, pid, version, started_at, seen_at, running)
         SELECT gen_random_uuid(), 'monitor-checks', 'h', n, '0', now(), now(), 0 FROM generate_series(1, 2) n",
    );
    fail_jobs(&installation, 4);
    installation.command(["queue", "pause", "notifications"]).assert().success();
    installation.command(["queue", "monitor"]).assert().code(1).stderr("").stdout(
        "monitor-checks\t1200\t0\t3\t0\t3 min\t0.0\t2\tover,waits\nnotifications\t0\t1\t0\t4\t–\t0.0\t0\tpaused\n",
    );
    let state = || {
        let output = installation.command(["queue", "monitor", "monitor-checks"]).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).rsplit('\t').next().map(str::to_owned)
    };
    installation.database.query("UPDATE workers SET seen_at = now() - interval '1 min'");
    assert_eq!(state().as_deref(), Some("over,idle\n"));
    installation.command(["queue", "pause", "monitor-checks"]).assert().success();
    assert_eq!(state().as_deref(), Some("over,waits,paused\n"));
    let output = installation.command(["queue", "monitor", "notifications", "--format", "ndjson"]).output();
    let line: Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("one line");
    assert_eq!(
        line,
        json!({
            "schema_version": 1, "queue": "notifications", "ready": 0, "delayed": 1, "reserved": 0, "failed": 4,
            "oldest_wait_ms": null, "per_second": 0.0, "over_max": false, "waits_too_long": false, "idle": false, "workers": 0, "paused_workers": 0, "paused": true,
            "stale_monitors": 0, "scheduler": "none", "scheduler_seen_at": null,
            "dead_rows": 0, "oldest_snapshot_s": null, "oldest_snapshot_by": null,
        })
    );
}

#[test]
fn a_slip_of_the_keys_is_told() {
    let installation = Installation::new();
    installation.database.query("INSERT INTO jobs (queue) VALUES ('mails')");
    let said = "error: there is no queue `notificatons`\n\
                hint: did you mean `notifications`? there are: mails, monitor-checks, notifications\n";
    assert_eq!(complaint(&installation, ["queue", "pause", "notificatons"], 2), said);
    assert_eq!(complaint(&installation, ["queue", "monitor", "mails", "notificatons"], 2), said);
    let said = "error: there is no queue `x`\nhint: there are: mails, monitor-checks, notifications\n";
    for args in [
        ["queue", "failed", "--queue", "x"],
        ["queue", "flush", "--queue", "x"],
        ["queue", "clear", "x", "--yes"],
        ["queue", "resume", "mails", "x"],
        ["queue", "restart", "mails", "x"],
    ] {
        assert_eq!(complaint(&installation, args, 2), said, "{args:?}");
    }
    assert_eq!(complaint(&installation, ["queue", "retry", "all", "--queue", "x"], 2), said);
    assert_eq!(installation.database.value("SELECT count(*) FROM queue_controls"), "0");
}

#[test]
fn a_busy_queue_is_told_before_its_backlog_to_those_who_want_to_hear_of_it() {
    let (ops, boss) = (WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&two_channels(&ops, &boss));
    backlog(&installation, 7);
    let looks: Vec<_> = (0..3).map(|_| installation.start(["queue", "monitor", "--max", "5"])).collect();
    for look in looks {
        assert_eq!(look.wait(), 1);
    }
    installation.command(["queue", "monitor", "--max", "5"]).assert().code(1);
    let drain = || {
        installation
            .command(["worker", "notifications", "--stop-when-empty", "--concurrency", "1"])
            .assert()
            .success();
    };
    drain();
    let received = block_on(ops.wait_for(8));
    assert_eq!((received.len(), boss.received().len()), (8, 0), "told once, and to ops alone");
    let first = received[0].json();
    assert_eq!(first["type"], "queue-busy", "{first}");
    assert_eq!(
        first["monitor"],
        json!({ "name": "notifications", "type": "queue", "target": "uptime queue monitor notifications", "group": null, "tags": {} })
    );
    assert_eq!(
        first["outcome"],
        json!({
            "class": "queue-busy", "expected": "fewer than 5 jobs", "got": "7 jobs",
            "message": "the oldest of 7 ready jobs has waited 1 h; no worker is alive",
        })
    );
    assert_eq!((&first["severity"], &first["incident"]), (&json!("degraded"), &Value::Null));
    assert_eq!(
        installation.database.value("SELECT concat_ws(' ', state, delivered_at IS NOT NULL) FROM notifications WHERE event = 'queue-busy'"),
        "delivered t"
    );

    // Still so an hour later: again. Below, and over again: again.
    installation.database.query("UPDATE queue_controls SET busy_told_at = busy_told_at - interval '61 min'");
    backlog(&installation, 6);
    installation.command(["queue", "monitor", "--max", "5"]).assert().code(1);
    drain();
    installation.command(["queue", "monitor", "--max", "5"]).assert().code(0);
    backlog(&installation, 5);
    installation.command(["queue", "monitor", "--max", "5"]).assert().code(1);
    drain();
    let types: Vec<Value> =
        block_on(ops.wait_for(21)).iter().map(|received| received.json()["type"].clone()).collect();
    let told: Vec<usize> =
        types.iter().enumerate().filter(|(_, kind)| **kind == "queue-busy").map(|(nth, _)| nth).collect();
    assert_eq!((types.len(), told), (21, vec![0, 8, 15]));
}

#[test]
fn a_look_without_an_event_changes_nothing() {
    let (ops, boss) = (WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&two_channels(&ops, &boss));
    backlog(&installation, 7);
    let look = || installation.command(["queue", "monitor", "--max", "5", "--no-event"]).assert().code(1);
    look();
    assert_eq!(installation.database.value("SELECT count(*) FROM queue_controls"), "0");
    assert_eq!(installation.database.value("SELECT count(*) FROM notifications"), "7");
    installation.command(["queue", "monitor", "--max", "5"]).assert().code(1);
    let before = installation.database.value("SELECT busy_told_at FROM queue_controls");
    // Nobody works: exit 1 for that alone.
    installation.command(["queue", "monitor", "--max", "5000", "--no-event"]).assert().code(1);
    look();
    assert_eq!(installation.database.value("SELECT busy_told_at FROM queue_controls"), before);
}

/// A process that looks again and again.
fn watching(installation: &Installation, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_uptime"))
        .args(["queue", "monitor", "--watch=100ms"])
        .args(args)
        .current_dir(installation.file().parent().expect("a folder"))
        .env("DATABASE_URL", installation.database.url())
        .env_remove("UPTIME_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts")
}

/// Watches until it has written `lines`, and is told to stop; its exit code, and the lines.
fn watch(
    installation: &Installation,
    args: &[&str],
    lines: usize,
    signal: Signal,
) -> (Option<i32>, Vec<String>) {
    let mut child = watching(installation, args);
    let mut reader = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let seen = reader.by_ref().take(lines).collect::<Result<Vec<_>, _>>().expect("text");
    kill_process(Pid::from_child(&child), signal).expect("it runs");
    assert!(reader.all(|line| line.is_ok()), "to the end");
    (child.wait().expect("it ends").code(), seen)
}

#[test]
fn who_watches_sees_one_look_after_the_other() {
    let installation = Installation::new();
    installation.database.query("INSERT INTO jobs (queue) VALUES ('mails')");
    let (exit, lines) = watch(&installation, &["--max", "1", "--format", "ndjson"], 9, Signal::TERM);
    assert_eq!(exit, Some(0), "whatever there is in the queues");
    let looks: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for look in looks.chunks(3) {
        let queues: Vec<_> = look.iter().map(|size| size["queue"].as_str().expect("a name")).collect();
        assert_eq!(queues, ["mails", "monitor-checks", "notifications"]);
        assert!(look.iter().all(|size| size["at"] == look[0]["at"] && size["schema_version"] == 1));
    }
    assert!(looks[0]["at"].as_str() < looks[3]["at"].as_str(), "{lines:?}");

    let (exit, lines) = watch(&installation, &["mails"], 2, Signal::INT);
    assert_eq!(exit, Some(0));
    for line in lines {
        let (at, rest) = line.split_once('\t').expect("an instant first");
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
        let wait = rest.split('\t').nth(5).expect("a wait");
        assert_eq!(rest, format!("mails\t1\t0\t0\t0\t{wait}\t0.0\t0\tidle"));
    }

    let (_, lines) = watch(&installation, &["--json"], 2, Signal::INT);
    for line in lines {
        let look: Value = serde_json::from_str(&line).expect("an object on each line");
        assert_eq!((look["queues"].as_array().map(Vec::len), look["at"].is_string()), (Some(3), true));
    }
}

#[test]
fn who_watches_for_nobody_ends() {
    let installation = Installation::new();
    let mut child = watching(&installation, &[]);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.next().is_some_and(|line| line.is_ok()));
    drop(lines);
    let began = Instant::now();
    let exit = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status.code();
        }
        if began.elapsed() > DEADLINE {
            child.kill().expect("it runs");
            panic!("it goes on, although nobody reads");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(exit, Some(0));
}
