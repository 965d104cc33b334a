//! `uptime queue failed`, `retry`, `forget`, `flush` and `prune-failed`.

use super::{complaint, fail_jobs, failed_ids, two_channels};
use crate::installation::Installation;
use serde_json::json;
use uptime_tests::{HttpTarget, WebhookSink};

/// An installation with a failed check of `shop` (1), a failed notice of it (2), and others whose subjects are gone.
fn with_failures() -> Installation {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    let shop = format!("[monitors.shop]\ntype = \"http\"\nurl = \"{}\"\n", target.url());
    installation.apply(&(two_channels(&sink, &sink) + &shop));
    installation.database.query(
        r#"INSERT INTO incidents (monitor_id, severity, class, cause, started_at, failures)
           SELECT id, 'down', 'status', 'no', now(), 3 FROM monitors;
           INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state)
           SELECT '018cc251-f400-7000-8000-000000000000', c.id, i.id, 'down', 0, '{"monitor": {"name": "shop"}}', 'failed'
           FROM channels c, incidents i WHERE c.name = 'ops';
           INSERT INTO failed_jobs (id, queue, subject, concurrency_key, payload, attempts, errors, created_at, failed_at)
           SELECT 1, 'monitor-checks', id, NULL, '{}'::jsonb, 1,
             '[{"attempt": 1, "at": "2026-01-01T00:00:30Z", "error": "did not end within 30s"}]'::jsonb,
             timestamptz '2026-01-01T00:00:00Z', timestamptz '2026-01-01T00:00:30Z' FROM monitors
           UNION ALL SELECT 2, 'notifications', id, channel_id, '{}', 2,
             '[{"attempt": 1, "at": "2026-01-01T00:01:00Z", "error": "503 from the provider"},
               {"attempt": 2, "at": "2026-01-01T00:02:00Z", "error": "no connection"}]',
             '2026-01-01T00:00:59Z', '2026-01-01T00:02:00Z' FROM notifications
           UNION ALL SELECT 3, 'notifications', 77, 88, '{}', 3, '[]', '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z'"#,
    );
    installation
}

#[test]
fn the_failed_list_names_what_failed() {
    let installation = with_failures();
    installation
        .command(["queue", "failed"])
        .assert()
        .success()
        .stderr("1 announcement is outstanding: sent as soon as its channel works again\n")
        .stdout(
            "2\tnotifications\tchannel ops\t2\t2026-01-01T00:02:00.000Z\tno connection\n\
         1\tmonitor-checks\tmonitor shop\t1\t2026-01-01T00:00:30.000Z\tdid not end within 30s\n\
         3\tnotifications\tchannel 88 (removed)\t3\t2026-01-01T00:00:01.000Z\t\n",
        );
    let list = installation.json(["queue", "failed", "--queue", "notifications", "--limit", "1"]);
    assert_eq!(
        list,
        json!({ "schema_version": 1, "jobs": [{
            "id": 2, "queue": "notifications", "subject": "channel ops", "attempts": 2, "error": "no connection",
            "errors": [
                { "attempt": 1, "at": "2026-01-01T00:01:00.000Z", "error": "503 from the provider" },
                { "attempt": 2, "at": "2026-01-01T00:02:00.000Z", "error": "no connection" },
            ],
            "created_at": "2026-01-01T00:00:59.000Z", "failed_at": "2026-01-01T00:02:00.000Z",
            "event": "down", "monitor": "shop", "incident_id": 1, "delivery_id": "018cc251-f400-7000-8000-000000000000",
            "outstanding": 1,
        }] })
    );
    let channels = installation.json(["channel", "list"]);
    let outstanding = channels["channels"].as_array().expect("a list").iter();
    let outstanding: Vec<_> = outstanding.map(|row| (&row["name"], &row["outstanding"])).collect();
    assert_eq!(outstanding, [(&json!("boss"), &json!(0)), (&json!("ops"), &json!(1))]);
}

#[test]
fn the_story_of_a_failed_job_is_whole_and_tells_how_to_retry_it() {
    let installation = with_failures();
    installation.command(["queue", "failed", "2", "1"]).assert().success().stdout(
        "id\t2\nqueue\tnotifications\nsubject\tchannel ops\nmessage\tdown of shop, incident 1\n\
         delivery\t018cc251-f400-7000-8000-000000000000\nattempts\t2\n\
         enqueued\t2026-01-01T00:00:59.000Z\nfailed\t2026-01-01T00:02:00.000Z\n\
         error\t1\t2026-01-01T00:01:00.000Z\t503 from the provider\n\
         error\t2\t2026-01-01T00:02:00.000Z\tno connection\nretry\tuptime queue retry 2\n\n\
         id\t1\nqueue\tmonitor-checks\nsubject\tmonitor shop\nattempts\t1\n\
         enqueued\t2026-01-01T00:00:00.000Z\nfailed\t2026-01-01T00:00:30.000Z\n\
         error\t1\t2026-01-01T00:00:30.000Z\tdid not end within 30s\nretry\tuptime queue retry 1\n",
    );
    let said = complaint(&installation, ["queue", "failed", "3", "4", "5"], 1);
    assert!(said.starts_with("error: no failed job has the id 4, 5\nhint: "), "{said}");
    assert_eq!(installation.json(["queue", "failed", "3", "4"])["jobs"].as_array().map(Vec::len), Some(1));
    assert!(complaint(&installation, ["queue", "failed", "x"], 2).contains("ids are numbers"));
    complaint(&installation, ["queue", "failed", "3", "--limit", "5"], 2);
}

#[test]
fn two_operators_who_retry_all_do_each_job_once() {
    let installation = Installation::new();
    fail_jobs(&installation, 2_500);
    let operators: Vec<_> = (0..2).map(|_| installation.start(["queue", "retry", "all"])).collect();
    for operator in operators {
        assert_eq!(operator.wait(), 0);
    }
    assert_eq!(installation.database.value("SELECT count(*) FROM jobs"), "2500");
    assert_eq!(installation.database.value("SELECT count(*) FROM failed_jobs"), "0");
    assert_eq!(installation.database.value("SELECT max(attempts) FROM jobs"), "0");
}

#[test]
fn a_retry_takes_ids_ranges_and_queues_and_says_what_is_missing() {
    let installation = Installation::new();
    fail_jobs(&installation, 5);
    installation.command(["queue", "retry", "1001"]).assert().success().stdout("1001\tput back\n");
    installation.command(["queue", "retry", "--range", "1002-1003"]).assert().success();
    installation.command(["queue", "retry", "all", "--queue", "monitor-checks"]).assert().success();
    assert_eq!(failed_ids(&installation), "1004,1005");
    installation.command(["queue", "retry", "1001"]).assert().code(1);
    installation.command(["queue", "retry", "x"]).assert().code(2);
    installation.command(["queue", "retry", "--range", "3-1"]).assert().code(2);
    installation.database.query("INSERT INTO jobs (queue, subject) VALUES ('notifications', 4)");
    let output =
        installation.command(["queue", "retry", "1004", "1005", "7", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{\"already_waiting\":1,\"missing\":[7],\"retried\":1,\"schema_version\":1,\"superseded\":0}\n"
    );
}

#[test]
fn a_retry_goes_through_a_long_list_to_its_end() {
    let installation = Installation::new();
    fail_jobs(&installation, 2_345);
    installation.database.query("UPDATE failed_jobs SET queue = 'mails' WHERE id % 2 = 0");
    let output =
        installation.command(["queue", "retry", "all", "--queue", "mails"]).output().expect("it runs");
    let put_back: Vec<String> =
        (1_001..=3_345).filter(|id| id % 2 == 0).map(|id| format!("{id}\tput back")).collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().collect::<Vec<_>>(), put_back);
    installation.command(["queue", "retry", "--range", "1-3000", "--json"]).assert().success();
    assert_eq!(
        installation.database.value("SELECT concat(min(id), ' ', count(*)) FROM failed_jobs"),
        "3001 173"
    );
}

#[test]
fn a_retry_without_a_job_says_how_it_is_written() {
    let installation = Installation::new();
    // The harness sets UPTIME_DATA_DIR, whose flag has no business here.
    assert_eq!(
        complaint(&installation, ["queue", "retry"], 2),
        "error: the following required arguments were not provided:\n  <ID|all>...\n\n\
         Usage: uptime queue retry [OPTIONS] <ID>...\n       uptime queue retry [OPTIONS] all\n       \
         uptime queue retry [OPTIONS] --range <A-B>\n\nFor more information, try '--help'.\n"
    );
}

#[test]
fn what_is_forgotten_gets_no_other_chance() {
    let installation = Installation::new();
    fail_jobs(&installation, 3);
    installation.command(["queue", "forget", "1003", "1001", "--dry-run"]).assert().success();
    assert_eq!(failed_ids(&installation), "1001,1002,1003");
    installation
        .command(["queue", "forget", "1003", "1001"])
        .assert()
        .success()
        .stdout("1001\tdeleted\n1003\tdeleted\n");
    assert_eq!(failed_ids(&installation), "1002");
    let output =
        installation.command(["queue", "forget", "1002", "1001", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{\"deleted\":1,\"dry_run\":false,\"missing\":[1001],\"schema_version\":1}\n"
    );
    assert_eq!(installation.database.value("SELECT count(*) FROM jobs"), "0");
}

#[test]
fn a_flush_asks_and_takes_a_queue_and_an_age() {
    let installation = Installation::new();
    fail_jobs(&installation, 4);
    installation
        .database
        .query("UPDATE failed_jobs SET failed_at = now() - interval '5 h' WHERE id IN (1001, 1002)");
    installation.database.query("UPDATE failed_jobs SET queue = 'mails' WHERE id IN (1002, 1003)");
    assert_eq!(
        complaint(&installation, ["queue", "flush", "--queue", "mails", "--hours", "4"], 2),
        "error: this deletes 1 job from the failed list of `mails` that failed 4 h ago or earlier, and nobody is there to be asked\n\
         hint: add `--yes`\n"
    );
    installation.command(["queue", "flush", "--dry-run"]).assert().success().stdout("would be deleted\t4\n");
    installation.command(["queue", "flush", "--queue", "mails", "--hours", "4", "--yes"]).assert().success();
    assert_eq!(failed_ids(&installation), "1001,1003,1004");
    let answer = installation.json(["queue", "flush", "--hours", "6"]);
    assert_eq!(
        answer,
        json!({ "schema_version": 1, "deleted": 0, "dry_run": false }),
        "nothing to ask about"
    );
    installation.command(["queue", "flush", "--yes"]).assert().success().stdout("deleted\t3\n");
    assert_eq!(failed_ids(&installation), "");
}

#[test]
fn what_is_old_is_pruned_without_a_question_and_without_a_word_when_there_is_none() {
    let installation = Installation::new();
    fail_jobs(&installation, 3);
    installation.command(["queue", "prune-failed"]).assert().success().stdout("").stderr("");
    installation.database.query("UPDATE failed_jobs SET failed_at = now() - interval '25 h' WHERE id = 1001");
    installation.database.query("UPDATE failed_jobs SET failed_at = now() - interval '23 h' WHERE id = 1002");
    installation.command(["queue", "prune-failed"]).assert().success().stdout("deleted\t1\n");
    assert_eq!(failed_ids(&installation), "1002,1003");
    let answer = installation.json(["queue", "prune-failed", "--hours", "22", "--dry-run"]);
    assert_eq!(answer, json!({ "schema_version": 1, "deleted": 1, "dry_run": true }));
    installation.command(["queue", "prune-failed", "--hours", "22"]).assert().success();
    assert_eq!(failed_ids(&installation), "1003");
}
