//! `uptime notification`: every delivery, each try, and another try or none.

use crate::incident::{complaint, with_an_incident};
use crate::installation::Installation;
use serde_json::{Value, json};
use uptime_tests::{WebhookSink, block_on};

const DELIVERY: &str = "018cc251-f400-7000-8000-000000000002";

fn installed() -> (WebhookSink, WebhookSink, Installation) {
    let (ops, boss) = (WebhookSink::start(), WebhookSink::start());
    let installation = with_an_incident(&ops, &boss);
    (ops, boss, installation)
}

fn states(installation: &Installation) -> String {
    installation.database.value("SELECT string_agg(state, ' ' ORDER BY id) FROM notifications")
}

#[test]
fn the_list_has_every_delivery_and_what_became_of_it() {
    let (_ops, _boss, installation) = installed();
    installation.command(["notification", "list"]).assert().success().stderr("").stdout(
        "2\tfailed\tboss\tdown\tshop\t1\t2\t2026-01-01T00:00:21.000Z\tno connection\n\
         1\tdelivered\tops\tdown\tshop\t1\t1\t2026-01-01T00:00:21.000Z\t\n",
    );
    let list = installation.json(["notification", "list", "--state", "failed"]);
    assert_eq!(
        list,
        json!({ "schema_version": 1, "notifications": [{
            "id": 2, "delivery_id": DELIVERY, "channel": "boss", "event": "down", "monitor": "shop", "incident_id": 1, "digest_id": null,
            "state": "failed", "attempts": 2, "last_error": "no connection", "created_at": "2026-01-01T00:00:21.000Z", "delivered_at": null,
        }] })
    );
    let ids = |more: &[&str]| {
        let mut command = installation.command(["notification", "list", "--json"]);
        let output = command.args(more).output().expect("it runs");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let all = answer["notifications"].as_array().expect("a list").clone();
        all.iter().map(|one| one["id"].as_i64().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--channel", "ops"]), [1]);
    assert_eq!(ids(&["--incident", "1", "--limit", "1"]), [2]);
    assert_eq!(ids(&["--event", "up"]), Vec::<i64>::new());
    let lines =
        installation.command(["notification", "list", "--format", "ndjson"]).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&lines.stdout).lines().count(), 2);
}

#[test]
fn what_failed_is_tried_again_by_its_id_or_its_delivery_id() {
    let (_ops, boss, installation) = installed();
    installation
        .command(["notification", "retry", "2", "--dry-run"])
        .assert()
        .success()
        .stdout("2\twould be put back\n");
    assert_eq!(states(&installation), "delivered failed");
    installation.command(["notification", "retry", DELIVERY, "2"]).assert().success().stdout("2\tput back\n");
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    let received = block_on(boss.wait_for(1));
    assert_eq!(received[0].json()["delivery_id"], DELIVERY, "the same");
    assert_eq!(states(&installation), "delivered delivered");
    let output =
        installation.command(["notification", "retry", "2", "1", "77", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let left = |id: i64| json!({ "id": id, "why": "left: it is delivered, and only what failed or was muted can be tried again" });
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON"),
        json!({ "schema_version": 1, "retried": 0, "left": [left(2), left(1)], "missing": [77], "dropped": 0, "dry_run": false })
    );
}

#[test]
fn a_dry_run_says_what_would_be() {
    let (_ops, _boss, installation) = installed();
    // Of a third and a fourth one the incident's end was told since.
    installation.database.query(
        "INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state)
         SELECT gen_random_uuid(), channel_id, 1, e.event, 0, snapshot, e.state
         FROM notifications, (VALUES ('critical', 'muted'), ('reminder', 'muted'), ('up', 'delivered')) e(event, state)
         WHERE channel_id = (SELECT id FROM channels WHERE name = 'ops')",
    );
    let dropped = "dropped: a later notification of its incident was delivered or waits";
    for (more, would) in [(Some("--dry-run"), "would be "), (None, "")] {
        let mut command = installation.command(["notification", "retry", "3", "2"]);
        command.args(more).assert().success().stdout(format!("3\t{would}{dropped}\n2\t{would}put back\n"));
        let all =
            installation.command(["notification", "retry", "all", "--state", "muted"]).args(more).output();
        let all = String::from_utf8_lossy(&all.expect("it runs").stdout).into_owned();
        let left = if more.is_some() { 2 } else { 1 };
        assert_eq!(all, format!("{would}put back\t0\tdropped\t{left}\n"));
        let expected = if more.is_some() {
            "delivered failed muted muted delivered"
        } else {
            "delivered queued discarded discarded delivered"
        };
        assert_eq!(states(&installation), expected);
    }
    let shown = installation.json(["notification", "show", "3"]);
    let why = "a newer notice of the same monitor was told";
    assert_eq!(shown["notification"]["last_error"], why);
}

#[test]
fn all_that_failed_or_was_muted_is_tried_again_once() {
    let (_ops, boss, installation) = installed();
    installation.database.query("UPDATE notifications SET state = 'muted' WHERE id = 1");
    let retry = ["notification", "retry", "all"];
    let answer = installation.json(["notification", "retry", "all", "--channel", "ops"]);
    assert_eq!(answer["retried"], 0, "muted ones only where they are asked for");
    let operators: Vec<_> = (0..2).map(|_| installation.start(retry)).collect();
    for operator in operators {
        assert_eq!(operator.wait(), 0);
    }
    assert_eq!(states(&installation), "muted queued");
    assert_eq!(installation.database.value("SELECT count(*) FROM jobs WHERE queue = 'notifications'"), "1");
    installation
        .command(["notification", "retry", "all", "--state", "muted"])
        .assert()
        .success()
        .stdout("put back\t1\tdropped\t0\n");
    assert_eq!(states(&installation), "queued queued");
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    assert_eq!(block_on(boss.wait_for(1)).len(), 1);
}

#[test]
fn what_is_discarded_is_told_to_nobody() {
    let (ops, boss, installation) = installed();
    installation
        .command(["notification", "discard", "2", "--dry-run"])
        .assert()
        .success()
        .stdout("2\twould be discarded\n");
    assert_eq!(
        complaint(&installation, ["notification", "discard", "2", "--by", "anna"], 2),
        "error: this discards 1 notification, which nobody will be told, and nobody is there to be asked\nhint: add `--yes`\n"
    );
    assert_eq!(states(&installation), "delivered failed");
    installation
        .command(["notification", "discard", "2", "--by", "anna", "--yes"])
        .assert()
        .success()
        .stdout("2\tdiscarded\n");
    assert_eq!(states(&installation), "delivered discarded");
    let shown = installation.json(["notification", "list", "--state", "discarded"]);
    assert_eq!(shown["notifications"][0]["last_error"], "discarded by anna; no connection");
    let shown = installation.command(["notification", "show", "2"]).output().expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("\nreason\tdiscarded by anna; no connection\n"), "{shown}");
    assert_eq!(installation.json(["queue", "failed"])["jobs"], json!([]));
    let said = complaint(&installation, ["notification", "discard", "2", "1", "--by", "anna"], 1);
    assert_eq!(
        said,
        "error: 2 notifications left as they are\nhint: `uptime notification show 2` prints all details\n"
    );
    installation.command(["incident", "ack", "1", "--by", "anna"]).assert().success();
    let all = ["notification", "discard", "all", "--channel", "ops", "--by", "anna"];
    assert_eq!(
        complaint(&installation, all, 2),
        "error: this discards 1 notification of `ops`, which nobody will be told, and nobody is there to be asked\n\
         hint: add `--yes`\n"
    );
    installation
        .command(all)
        .arg("--dry-run")
        .assert()
        .success()
        .stdout("would be discarded\t1\tbeing delivered\t0\n");
    let answer =
        installation.json(["notification", "discard", "all", "--channel", "ops", "--by", "anna", "--yes"]);
    assert_eq!(
        answer,
        json!({ "schema_version": 1, "discarded": 1, "running": 0, "left": [], "missing": [], "dry_run": false })
    );
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    assert!(ops.received().is_empty(), "nothing");
    assert_eq!(block_on(boss.wait_for(1))[0].json()["type"], "acknowledged", "the other one's is its own");

    // The opening never reached boss, and its end is told all the same.
    installation.command(["incident", "resolve", "1", "--by", "anna"]).assert().success();
    installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
    assert_eq!(block_on(boss.wait_for(2))[1].json()["type"], "up");
}

#[test]
fn what_can_not_be_meant_is_said_so() {
    let (_ops, _boss, installation) = installed();
    let none = "hint: `uptime notification list` lists them\n";
    let other = "018cc251-f400-7000-8000-000000000077";
    for verb in ["show", "retry", "discard"] {
        for name in ["77", other] {
            let said = complaint(&installation, ["notification", verb, name], 1);
            assert_eq!(said, format!("error: no notification has the id {name}\n{none}"), "{verb}");
        }
        let said = complaint(&installation, ["notification", verb, "x"], 2);
        assert!(said.contains("a number or a delivery id"), "{said}");
    }
    assert_eq!(
        complaint(&installation, ["notification", "list", "--channel", "bos"], 2),
        "error: there is no channel `bos`\nhint: did you mean `boss`? there are: boss, ops\n"
    );
    assert!(
        complaint(&installation, ["notification", "list", "--event", "dwn"], 2)
            .contains("there is no event type `dwn`; there are down, up")
    );
    assert!(
        complaint(&installation, ["notification", "list", "--state", "x"], 2).contains("possible values")
    );
    assert!(
        complaint(&installation, ["notification", "discard", "all", "--yes"], 2).contains("--channel NAME")
    );
    complaint(&installation, ["notification", "discard", "1", "--channel", "ops"], 2);
    complaint(&installation, ["notification", "retry", "2", "--channel", "boss"], 2);
    complaint(&installation, ["notification", "retry", "all", "--channel", "x"], 2);
    assert_eq!(states(&installation), "delivered failed", "nothing was changed");
}
