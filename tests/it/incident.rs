//! `uptime incident`: what people do with incidents, what channels hear of it, and the whole story.

use crate::installation::Installation;
use serde_json::{Value, json};
use uptime_tests::{HttpTarget, Reply, WebhookSink, block_on};

/// A monitor `shop` that is down since the beginning of 2026, told to `ops`, who has it, and to `boss`, for whom it failed.
pub fn with_an_incident(ops: &WebhookSink, boss: &WebhookSink) -> Installation {
    let installation = Installation::new();
    let channel = |name: &str, sink: &WebhookSink| {
        let (url, origin) = (sink.url(), sink.origin());
        format!("[channels.{name}]\nnotifier = \"webhook\"\nurl = \"{url}\"\nallow = [\"{origin}\"]\n")
    };
    let shop = "[monitors.shop]\ntype = \"http\"\nurl = \"https://shop.example.com/\"\ninterval = \"1h\"\n";
    installation.apply(&(channel("ops", ops) + &channel("boss", boss) + shop));
    installation.database.query(
        r#"INSERT INTO incidents (monitor_id, severity, class, cause, expected, got, started_at, opened_at, failures)
           SELECT id, 'down', 'status', 'the status is 503', '2xx', '503', '2026-01-01T00:00:00Z', '2026-01-01T00:00:21Z', 3 FROM monitors;
           UPDATE monitor_states SET status = 'down', since = '2026-01-01T00:00:00Z', failures = 5, incident_id = 1, severity = 'down', announced_severity = 'down',
             next_check_at = now() + interval '1 h';
           INSERT INTO incident_events (incident_id, at, kind) VALUES (1, '2026-01-01T00:00:21Z', 'opened');
           INSERT INTO check_results (monitor_id, slot_at, started_at, outcome, degraded, class, message, total_us, late_us)
           SELECT id, at, at, 'down', false, 'status', 'the status is 503', 1, 1
           FROM monitors, unnest('{2026-01-01T00:00:00Z,2026-01-01T00:00:10Z,2026-01-01T00:00:20Z,2026-01-01T00:01:00Z,2026-01-01T00:02:00Z}'::timestamptz[]) at;
           INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state, attempts, last_error, created_at, delivered_at)
           SELECT CASE c.name WHEN 'ops' THEN '018cc251-f400-7000-8000-000000000001'::uuid ELSE '018cc251-f400-7000-8000-000000000002' END,
             c.id, 1, 'down', 0, jsonb_build_object('type', 'down',
               'delivery_id', CASE c.name WHEN 'ops' THEN '018cc251-f400-7000-8000-000000000001' ELSE '018cc251-f400-7000-8000-000000000002' END,
               'at', '2026-01-01T00:00:21Z', 'monitor',
               '{"name": "shop", "type": "http", "target": "https://shop.example.com/", "group": null, "tags": {}}'::jsonb,
               'incident', '{"id": 1, "started_at": "2026-01-01T00:00:00Z", "ended_at": null, "duration_s": null}'::jsonb,
               'outcome', '{"class": "status", "expected": "2xx", "got": "503", "message": "the status is 503"}'::jsonb, 'severity', 'down'),
             CASE c.name WHEN 'ops' THEN 'delivered' ELSE 'failed' END, CASE c.name WHEN 'ops' THEN 1 ELSE 2 END,
             CASE c.name WHEN 'ops' THEN NULL ELSE 'no connection' END, '2026-01-01T00:00:21Z',
             CASE c.name WHEN 'ops' THEN timestamptz '2026-01-01T00:00:22Z' END
           FROM channels c ORDER BY c.name DESC;
           INSERT INTO delivery_attempts (notification_id, attempt, started_at, duration_ms, outcome, status_code, message) VALUES
             (1, 1, '2026-01-01T00:00:22Z', 12, 'delivered', 200, 'ok'),
             (2, 1, '2026-01-01T00:00:22Z', 5, 'transient', 500, 'out of order'),
             (2, 2, '2026-01-01T00:00:27Z', 6, 'transient', NULL, 'no connection');
           INSERT INTO failed_jobs (id, queue, subject, concurrency_key, order_key, payload, attempts, claims, errors, created_at)
           SELECT 1000, 'notifications', 2, channel_id, '1:' || channel_id, '{}', 2, 2, '[]', created_at FROM notifications WHERE id = 2"#,
    );
    installation
}

/// What `uptime` says on stderr.
pub fn complaint<const N: usize>(installation: &Installation, args: [&str; N], exit: i32) -> String {
    let output = installation.command(args).output().expect("the binary runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(exit), "{args:?}: {said}");
    said
}

fn sinks() -> (WebhookSink, WebhookSink) {
    (WebhookSink::start(), WebhookSink::start())
}

/// What `incident list` says of the first incident.
fn first(installation: &Installation) -> Value {
    installation.json(["incident", "list"])["incidents"][0].clone()
}

#[test]
fn an_incident_is_acknowledged_and_everybody_who_knows_of_it_hears_who_takes_care() {
    let (ops, boss) = sinks();
    let installation = with_an_incident(&ops, &boss);
    installation
        .command(["incident", "ack", "1", "--by", "anna", "--note", "the disk is full", "--log", "info"])
        .assert()
        .success()
        .stdout("1\tacknowledged\tshop\tboss,ops\n");
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    let event = block_on(ops.wait_for(1))[0].json();
    assert_eq!(event["type"], "acknowledged");
    assert_eq!(event["incident"]["acknowledged_by"], "anna");
    assert_eq!(event["monitor"]["name"], "shop");
    assert_eq!(event["outcome"]["message"], "the status is 503; anna says: the disk is full");
    assert_eq!(
        block_on(boss.wait_for(1))[0].json()["type"],
        "acknowledged",
        "also whom the opening did not reach"
    );

    let listed = first(&installation);
    assert_eq!(
        (listed["acknowledged_by"].as_str(), listed["severity"].as_str()),
        (Some("anna"), Some("down"))
    );
    assert!(listed["acknowledged_at"].is_string() && listed["acknowledged_until"].is_null(), "{listed}");
    assert_eq!(
        complaint(&installation, ["incident", "ack", "1", "--by", "bob"], 1),
        "error: incident 1 of `shop` is acknowledged already: anna takes care of it\n\
         hint: `uptime incident unack 1` first, if somebody else does now\n"
    );
    installation
        .command(["incident", "unack", "1", "--by", "bob"])
        .assert()
        .success()
        .stdout("1\tunacknowledged\tshop\tboss,ops\n");
    let answer = installation.json(["incident", "ack", "1", "1", "--by", "bob", "--for", "2h"]);
    let expected = json!({ "schema_version": 1, "incidents": [{
        "id": 1, "monitor": "shop", "action": "acknowledged", "by": "bob", "note": null, "done": true, "told": ["boss", "ops"],
    }] });
    assert_eq!(answer, expected);
    assert!(first(&installation)["acknowledged_until"].is_string());
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    assert_eq!(block_on(ops.wait_for(2))[1].json()["incident"]["acknowledged_by"], "bob", "told anew");
    installation.command(["incident", "unack", "1", "--by", "eve"]).assert().success();
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    let open = block_on(ops.wait_for(3))[2].json();
    assert_eq!((&open["type"], &open["severity"]), (&json!("reminder"), &json!("down")));
    assert_eq!(open["outcome"]["message"], "the status is 503; bob takes care of it no more");
    assert!(open["incident"]["acknowledged_by"].is_null(), "{open}");
}

#[test]
fn an_incident_that_somebody_ends_is_told_as_up_and_a_fresh_confirmation_opens_another() {
    let (target, ops) = (HttpTarget::start(), WebhookSink::start());
    target.answer(Reply::status(503));
    let installation = Installation::new();
    installation.apply(&crate::pipeline::file(&target, &[("ops", &ops)]));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let _workers = installation.start(["worker", "all"]);
    block_on(ops.wait_for(1));
    installation.command(["incident", "resolve", "1", "--by", "anna"]).assert().success();
    let received = block_on(ops.wait_for(3));
    let types: Vec<Value> = received.iter().take(3).map(|received| received.json()["type"].clone()).collect();
    assert_eq!(types, ["down", "up", "down"]);
    let (up, again) = (received[1].json(), received[2].json());
    assert_eq!((&up["incident"]["id"], &again["incident"]["id"]), (&json!(1), &json!(2)));
    assert!(up["incident"]["ended_at"].is_string(), "{up}");
    assert_eq!(up["outcome"]["class"], "resolved", "{up}");
    let words = up["outcome"]["message"].as_str().unwrap_or_default();
    assert!(words.starts_with("resolved by anna, and no check has seen it up; it was: "), "{words}");
    assert_eq!(
        complaint(&installation, ["incident", "resolve", "1", "--by", "bob"], 1),
        "error: incident 1 of `shop_front` has ended: anna resolved it\n\
         hint: `uptime incident show 1` prints all details\n"
    );
    let list = installation.json(["incident", "list", "--open"]);
    assert_eq!(list["incidents"].as_array().map(Vec::len), Some(1));
}

#[test]
fn of_a_muted_incident_nothing_more_is_said() {
    let (ops, boss) = sinks();
    let installation = with_an_incident(&ops, &boss);
    installation
        .command(["incident", "mute", "1", "--by", "anna"])
        .assert()
        .success()
        .stdout("1\tmuted\tshop\t\n");
    assert_eq!(first(&installation)["muted_by"], "anna");
    installation
        .command(["incident", "list"])
        .assert()
        .success()
        .stdout("1\topen\tdown\tshop\t2026-01-01T00:00:00.000Z\t–\tmuted\tthe status is 503\n");
    assert!(
        complaint(&installation, ["incident", "mute", "1", "--by", "bob"], 1)
            .contains("is muted already, by anna")
    );
    installation
        .command(["incident", "unmute", "1", "--by", "bob"])
        .assert()
        .success()
        .stdout("1\tunmuted\tshop\t\n");
    assert!(complaint(&installation, ["incident", "unmute", "1", "--by", "bob"], 1).contains("is not muted"));
}

#[test]
fn who_it_was_is_asked_of_the_environment_and_has_to_be_known() {
    let (ops, boss) = sinks();
    let installation = with_an_incident(&ops, &boss);
    let who = |variables: &[(&str, &str)]| {
        let mut command = installation.command(["incident", "comment", "1", "hm", "--json"]);
        for name in ["SUDO_USER", "USER", "LOGNAME"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied()).output().expect("it runs")
    };
    let by = |variables: &[(&str, &str)]| {
        let answer: Value = serde_json::from_slice(&who(variables).stdout).expect("JSON");
        answer["incidents"][0]["by"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(by(&[("SUDO_USER", "anna"), ("USER", "root"), ("LOGNAME", "root")]), "anna");
    assert_eq!(by(&[("SUDO_USER", ""), ("USER", "bob"), ("LOGNAME", "eve")]), "bob");
    assert_eq!(by(&[("LOGNAME", "eve")]), "eve");
    let nobody = who(&[]);
    assert_eq!(nobody.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&nobody.stderr),
        "error: none of SUDO_USER, USER, LOGNAME says who does this\nhint: add `--by NAME`\n"
    );
}

#[test]
fn what_was_done_is_logged_with_who_did_it() {
    let (ops, boss) = sinks();
    let installation = with_an_incident(&ops, &boss);
    let said = complaint(
        &installation,
        ["incident", "ack", "1", "--by", "anna", "--log", "info", "--log-format", "json"],
        0,
    );
    let mut lines = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let line = lines.next_back().expect("a line");
    assert_eq!(
        (line["message"].as_str(), line["incident"].as_i64(), line["who"].as_str(), line["monitor"].as_str()),
        (Some("incident acknowledged"), Some(1), Some("anna"), Some("shop"))
    );
    assert_eq!(line["told"], "boss,ops");
}

/// It was "try 0: muted in 0 ms", without a reason.
#[test]
fn what_is_not_told_is_no_try_and_says_why() {
    let (ops, boss) = sinks();
    let installation = with_an_incident(&ops, &boss);
    installation.command(["incident", "mute", "1", "--by", "anna"]).assert().success();
    installation.command(["incident", "resolve", "1", "--by", "anna"]).assert().success();
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    assert!(ops.received().is_empty());
    let story = installation.json(["incident", "show", "1"]);
    let timeline = story["timeline"].as_array().expect("a timeline");
    let of = |kind: &str| -> Vec<&Value> { timeline.iter().filter(|entry| entry["kind"] == kind).collect() };
    assert_eq!(of("try").len(), 3, "{timeline:?}");
    let not_told = of("not-told");
    assert!(!not_told.is_empty(), "{timeline:?}");
    for entry in not_told {
        assert_eq!(
            (&entry["event"], &entry["outcome"], &entry["message"]),
            (&json!("up"), &json!("muted"), &json!("the incident is muted"))
        );
    }
    let output = installation.command(["incident", "show", "1"]).output().expect("it runs").stdout;
    let text = String::from_utf8(output).expect("text");
    assert!(text.contains("\tops\tup\tmuted\tthe incident is muted\n"), "{text}");
    let output = installation.command(["notification", "show", "3"]).output().expect("it runs").stdout;
    let text = String::from_utf8(output).expect("text");
    assert!(!text.contains("\ntry\t") && text.contains("\tmuted\tthe incident is muted\n"), "{text}");
}

#[test]
fn what_can_not_be_meant_is_said_so() {
    let (ops, boss) = sinks();
    let installation = with_an_incident(&ops, &boss);
    let unknown = "hint: `uptime incident list` lists them\n";
    let said = complaint(&installation, ["incident", "show", "77"], 1);
    assert_eq!(said, format!("error: there is no incident 77\n{unknown}"));
    for verb in ["ack", "unack", "mute", "unmute", "resolve"] {
        let said = complaint(&installation, ["incident", verb, "77", "--by", "anna"], 1);
        assert_eq!(said, format!("error: there is no incident 77\n{unknown}"), "{verb}");
        assert!(complaint(&installation, ["incident", verb, "x"], 2).contains("ids are numbers"));
        assert!(complaint(&installation, ["incident", verb], 2).contains("ID"));
    }
    assert!(
        complaint(&installation, ["incident", "comment", "1", " "], 2).contains("there is nothing in it")
    );
    let long = "x".repeat(1_001);
    assert!(
        complaint(&installation, ["incident", "comment", "1", &long], 2).contains("at most 1000 characters")
    );
    assert!(complaint(&installation, ["incident", "ack", "1", "--for", "0s"], 2).contains("at most `365d`"));
    complaint(&installation, ["incident", "ack", "1", "--for", "1h", "--until-recovery"], 2);
    assert_eq!(
        complaint(&installation, ["incident", "list", "--monitor", "shpo"], 2),
        "error: there is no monitor `shpo`\nhint: did you mean `shop`? there are: shop\n"
    );
    let listed = installation.json(["incident", "list", "--monitor", "shop"]);
    assert_eq!(listed["incidents"].as_array().map(Vec::len), Some(1));

    // Each by itself: one is done, one is not, and both are told.
    let output =
        installation.command(["incident", "ack", "77", "1", "--by", "anna"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\tacknowledged\tshop\tboss,ops\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("error: there is no incident 77\n{unknown}"));
    let output = installation
        .command(["incident", "ack", "1", "77", "--by", "bob", "--json"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let done: Vec<_> =
        answer["incidents"].as_array().expect("a list").iter().map(|one| one["done"].clone()).collect();
    assert_eq!(done, [json!(false), json!(false)]);
    assert_eq!(answer["incidents"][1]["error"], "there is no incident 77");
}
