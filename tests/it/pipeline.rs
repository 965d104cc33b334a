//! The whole way, with separate processes as in production: a target goes down and comes back, and each channel is
//! told exactly once of each.

use crate::installation::{Installation, terminate_all};
use crate::notices::{Notice, enqueue, types, webhook};
use serde_json::{Value, json};
use uptime_tests::{HttpTarget, Reply, Rng, WebhookSink, block_on};

/// A file with one monitor that is checked every second, and two webhooks.
pub fn file(target: &HttpTarget, sinks: &[(&str, &WebhookSink)]) -> String {
    let channels = sinks.iter().map(|(name, sink)| webhook(name, sink, ""));
    let url = target.url();
    let monitor = format!(
        "[monitors.shop_front]\ntype = \"http\"\nurl = \"{url}\"\ninterval = \"1s\"\ntimeout = \"500ms\"\nconfirm = 2\n\
         retry_interval = \"200ms\"\ngroup = \"web\"\ntags = {{ team = \"a\" }}\n"
    );
    channels.chain([monitor]).collect::<Vec<_>>().concat()
}

/// An installation with that file, of which the channel `ops` is told.
pub fn shop() -> (HttpTarget, WebhookSink, Installation) {
    let (target, sink, installation) = (HttpTarget::start(), WebhookSink::start(), Installation::new());
    installation.apply(&file(&target, &[("ops", &sink)]));
    (target, sink, installation)
}

#[test]
fn down_and_up_reach_each_channel_once_and_in_order() {
    let (target, ops, boss) = (HttpTarget::start(), WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&file(&target, &[("ops", &ops), ("boss", &boss)]));
    let [scheduler, checks, notifications] = installation.start_each();

    block_on(target.wait_for_requests(2));
    assert!(ops.received().is_empty(), "nothing has happened yet");
    target.answer(Reply::status(503));
    let _ = [&ops, &boss].map(|sink| block_on(sink.wait_for(1)));
    // Some more failures, so that a second notice would have the time to come.
    block_on(target.more_requests(3));
    target.up();
    let [received, _] = [&ops, &boss].map(|sink| block_on(sink.wait_for(2)));
    block_on(target.more_requests(2));

    for sink in [&ops, &boss] {
        assert_eq!(types(&sink.received()), ["down", "up"]);
    }
    let (down, up) = (received[0].json(), received[1].json());
    let (url, tags) = (target.url(), json!({ "team": "a" }));
    let monitor =
        json!({ "name": "shop_front", "type": "http", "target": url, "group": "web", "tags": tags });
    for event in [&down, &up] {
        assert_eq!(event["monitor"], monitor);
        let outcome = ["class", "expected", "got"].map(|key| event["outcome"][key].as_str());
        assert_eq!(outcome, [Some("status"), Some("2xx"), Some("503")]);
    }
    assert_eq!(down["severity"], "down");
    assert!(down["incident"]["ended_at"].is_null());
    assert_eq!(down["incident"]["started_at"], up["incident"]["started_at"]);
    assert_eq!(down["incident"]["id"], up["incident"]["id"]);
    assert!(up["incident"]["ended_at"].is_string());
    assert!(up["incident"]["duration_s"].is_i64());
    assert_eq!(received[0].header("webhook-id"), down["delivery_id"].as_str());
    assert_ne!(down["delivery_id"], up["delivery_id"]);

    // What an operator sees of it.
    let incidents = installation.json(["incident", "list"]);
    let incident = &incidents["incidents"][0];
    assert_eq!((&incident["monitor"], &incident["state"]), (&"shop_front".into(), &"recovered".into()));
    let monitors = installation.json(["monitor", "list"]);
    assert_eq!(monitors["monitors"][0]["state"], "up");
    let queues = installation.json(["queue", "monitor"]);
    assert_eq!(queues["queues"].as_array().map(Vec::len), Some(2));
    assert_eq!(queues["queues"][1]["failed"], 0);

    terminate_all([scheduler, checks, notifications]);
    installation.holds("SELECT count(*) FROM jobs WHERE reserved_until IS NOT NULL", "0");
}

#[test]
fn a_channel_that_hangs_harms_that_channel_alone() {
    let (target, hanging, good) = (HttpTarget::start(), WebhookSink::start(), WebhookSink::start());
    hanging.answer(Reply::ok().held());
    let installation = Installation::new();
    installation.apply(&file(&target, &[("aaa_hanging", &hanging), ("good", &good)]));
    let _running = installation.start_all();

    target.answer(Reply::status(500));
    block_on(good.wait_for(1));
    target.up();
    let received = block_on(good.wait_for(2));
    assert_eq!(types(&received), ["down", "up"]);
    // The hanging one is still busy with the opening, so it has not been told of the recovery.
    assert_eq!(types(&hanging.received()), ["down"]);
    hanging.answer(Reply::ok());
    hanging.let_go();
    assert_eq!(types(&block_on(hanging.wait_for(2))), ["down", "up"]);
}

#[test]
fn what_is_critical_when_it_is_told_is_one_message() {
    let (target, ops, calm) = (HttpTarget::start(), WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    let text = file(&target, &[("calm", &calm), ("ops", &ops)]) + "critical_failures = 2\n";
    // One of them does not hear of what is critical, and needs the other word.
    installation.apply(&text.replacen("\nallow", "\nevents = [\"down\", \"up\"]\nallow", 1));
    installation.command(["maintenance", "add", "move", "--all", "--for", "2h"]).assert().success();
    let _running = installation.start_all();
    target.answer(Reply::status(500));
    installation.wait_for("SELECT string_agg(severity, ',') FROM incidents", "critical");
    // Nothing is told yet.
    installation.holds("SELECT count(*) FROM notifications", "0");
    installation.command(["maintenance", "remove", "move"]).assert().success();
    block_on(ops.wait_for(1));
    target.up();
    assert_eq!(types(&block_on(ops.wait_for(2))), ["critical", "up"]);
    assert_eq!(types(&block_on(calm.wait_for(2))), ["down", "up"]);
}

#[test]
fn a_delivery_that_fails_is_tried_again_then_kept_and_can_be_retried() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    sink.answer(Reply::status(500));
    let installation = Installation::new();
    let text = file(&target, &[("ops", &sink)]);
    installation.apply(&format!("[queues.notifications]\ntries = 2\nbackoff = \"100ms\"\n\n{text}"));
    let _running = installation.start_all();

    target.answer(Reply::status(500));
    let received = block_on(sink.wait_for(2));
    let ids: Vec<Value> = received.iter().map(|received| received.json()["delivery_id"].clone()).collect();
    assert_eq!(ids[0], ids[1], "each try bears the same delivery id");
    installation.wait_for("SELECT count(*) FROM failed_jobs", "1");

    let failed = installation.json(["queue", "failed"]);
    let job = &failed["jobs"][0];
    assert_eq!(job["subject"], "channel ops");
    assert_eq!(job["attempts"], 2);
    assert_eq!(job["errors"].as_array().map(Vec::len), Some(2));
    assert!(job["error"].as_str().is_some_and(|error| error.contains("500")), "{job}");

    sink.answer(Reply::ok());
    let id = job["id"].to_string();
    installation.command(["queue", "retry", &id]).assert().success();
    let received = block_on(sink.wait_for(3));
    assert_eq!(received[2].json()["delivery_id"], ids[0]);
    assert_eq!(received[2].json()["type"], "down");
    installation.wait_for("SELECT string_agg(state, ',') FROM notifications", "delivered");
}

#[test]
fn a_file_without_channels_watches_all_the_same() {
    let target = HttpTarget::start();
    let installation = Installation::new();
    installation.apply(&file(&target, &[]));
    let _running = installation.start_all();
    target.answer(Reply::status(500));
    installation.wait_for("SELECT count(*) FROM incidents", "1");
    target.up();
    installation.wait_for("SELECT count(*) FROM incidents WHERE ended_at IS NOT NULL", "1");
}

#[test]
fn a_worker_reads_its_file_again_on_hangup_and_keeps_what_it_has_when_that_is_broken() {
    let target = HttpTarget::start();
    let installation = Installation::new();
    let text = file(&target, &[]);
    installation.apply(&text);
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let worker = installation.start(["worker", "monitor-checks"]);
    block_on(target.wait_for_requests(1));
    installation.write("[queues.monitor-checks]\nconcurency = 5\n");
    worker.hang_up();
    worker.wait_for_log("did you mean `concurrency`?");
    installation.write(&format!("[queues.monitor-checks]\nconcurrency = 5\n\n{text}"));
    worker.hang_up();
    worker.wait_for_log("configuration read again");
    block_on(target.more_requests(2));
    assert_eq!(worker.terminate(), 0);
}

#[test]
fn a_target_that_hangs_is_down_even_when_its_job_may_not_wait_for_it() {
    let target = HttpTarget::start();
    target.hang();
    let installation = Installation::new();
    installation.apply(&file(&target, &[]).replace("timeout = \"500ms\"", "timeout = \"10s\""));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let _worker = installation.start(["worker", "monitor-checks", "--timeout", "1s"]);
    installation.wait_for("SELECT count(*) FROM incidents WHERE class = 'first_byte_timeout'", "1");
    installation.holds("SELECT count(*) FROM failed_jobs", "0");
}

/// A receiver refuses a signature that is too old, or of the future.
#[test]
fn a_notice_is_signed_by_the_clock_of_the_database() {
    let (_target, sink, installation) = shop();
    // Sessions with this path are a day ahead of their host.
    installation.database.query(
        "CREATE SCHEMA tomorrow;
         CREATE FUNCTION tomorrow.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT pg_catalog.now() + interval '1 day' $$",
    );
    installation.database.query(&enqueue(&[Notice::new(&mut Rng::with_seed(1), "ops")]));
    let path = "options=-c%20search_path%3Dtomorrow%2Cpg_catalog%2Cpublic";
    installation
        .command(["worker", "notifications", "--stop-when-empty"])
        .env("DATABASE_URL", format!("{}&{path}", installation.database.url()))
        .assert()
        .success();
    let received = block_on(sink.wait_for(1));
    let signed_at: i64 =
        received[0].header("webhook-timestamp").and_then(|text| text.parse().ok()).expect("seconds");
    let ahead = signed_at - jiff::Timestamp::now().as_second();
    assert!((86_000..=86_400).contains(&ahead), "{ahead} s");
}
