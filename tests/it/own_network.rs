//! Witnesses: a network of ours that is away is told once and opens nothing, whatever seems to be down meanwhile.

use crate::installation::{Installation, terminate_all};
use crate::notices::{heard, types, webhook};
use serde_json::Value;
use uptime_tests::{DeafTarget, Received, TcpTarget, WebhookSink, block_on};

/// A file with one target that is checked every second, these witnesses, and a webhook.
fn file(target: &DeafTarget, witnesses: &[String], sink: &WebhookSink) -> String {
    let (port, ops) = (target.address().port(), webhook("ops", sink, ""));
    let boss = webhook("boss", sink, "events = [\"down\"]");
    format!(
        "[checks]\nwitnesses = {witnesses:?}\n\n{ops}{boss}\
         [monitors.shop]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\ninterval = \"1s\"\ntimeout = \"500ms\"\n\
         confirm = 1\nchannels = [\"ops\"]\n"
    )
}

/// Waits until it is told that the network is back, and that the shop is down: two matters without an order between them.
fn sees_again(sink: &WebhookSink) -> Value {
    let received = block_on(sink.wait_for(3));
    let told = heard(&received);
    assert_eq!((told["uptime"].join(" "), told["shop"].join(" ")), ("blind seeing".into(), "down".into()));
    received.iter().map(Received::json).find(|event| event["type"] == "seeing").expect("it was told")
}

#[test]
fn while_no_witness_answers_nothing_opens_and_that_is_told_once() {
    let (target, mut witness, other, sink) =
        (DeafTarget::start(), DeafTarget::start(), DeafTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&file(&target, &[witness.url(), other.url()], &sink));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    // Two of them, as on a real host: it is told once all the same.
    let checks =
        [1, 2].map(|n| installation.start_as(&format!("checks-{n}"), &["worker", "monitor-checks"], &[]));
    let _notifications = installation.start(["worker", "notifications"]);

    let received = block_on(sink.wait_for(1));
    let blind = received[0].json();
    assert_eq!(blind["type"], "blind", "{blind}");
    assert_eq!((&blind["monitor"]["name"], &blind["incident"]), (&"uptime".into(), &Value::Null));
    assert_eq!(
        blind["outcome"]["message"],
        format!(
            "none of its witnesses answered: {}, {}; no incident opens until one of them does",
            witness.url(),
            other.url()
        )
    );
    let ours = "SELECT count(*) >= 4 FROM check_results WHERE outcome = 'inconclusive' AND class = 'network'";
    installation.wait_for(ours, "t");
    let message =
        installation.database.value("SELECT message FROM check_results ORDER BY started_at DESC LIMIT 1");
    let (ours, found) = message.split_once("; the check had found: ").expect("both are said");
    assert!(ours.contains(&witness.url()) && ours.contains(&other.url()), "{message}");
    assert!(found.contains("no answer within 500ms"), "{message}");
    installation.holds("SELECT count(*) FROM incidents", "0");
    installation.holds("SELECT count(*) FROM check_results WHERE outcome <> 'inconclusive'", "0");
    assert_eq!(types(&sink.received()), ["blind"]);

    // It refuses, and that is an answer. What is down all the same is told now.
    witness.refuse();
    let seeing = sees_again(&sink);
    let message = seeing["outcome"]["message"].as_str().expect("a text");
    assert!(message.starts_with(&format!("{} answers again after ", witness.url())), "{message}");
    installation.holds("SELECT string_agg(class, ',') FROM incidents", "connect_timeout");
    terminate_all(checks);
    // The order of what is down is its own.
    let told = "SELECT string_agg(event, ',' ORDER BY event = 'down', id) FROM notifications";
    installation.holds(told, "blind,seeing,down");
}

#[test]
fn a_witness_that_refuses_proves_the_network() {
    let (target, deaf, refusing, sink) =
        (DeafTarget::start(), DeafTarget::start(), TcpTarget::start(), WebhookSink::start());
    refusing.close();
    let installation = Installation::new();
    installation.apply(&file(&target, &[deaf.url(), refusing.url()], &sink));
    let _running = installation.start_all();
    let received = block_on(sink.wait_for(1));
    assert_eq!(types(&received), ["down"]);
    assert_eq!(received[0].json()["outcome"]["class"], "connect_timeout");
    installation.holds("SELECT count(*) FROM check_results WHERE outcome <> 'down'", "0");
}

#[test]
fn a_notice_that_does_not_get_out_of_a_blind_host_keeps_its_tries() {
    let (target, mut witness, sink) = (DeafTarget::start(), DeafTarget::start(), WebhookSink::start());
    sink.close();
    let installation = Installation::new();
    let queue = "[queues.notifications]\ntries = 1\nbackoff = \"200ms\"\n\n";
    installation.apply(&format!("{queue}{}", file(&target, &[witness.url()], &sink)));
    let _workers = installation.start(["worker", "all"]);
    installation.wait_for("SELECT count(*) >= 3 FROM delivery_attempts WHERE outcome = 'transient'", "t");
    installation.holds("SELECT count(*) FROM failed_jobs", "0");
    sink.open();
    assert_eq!(types(&block_on(sink.wait_for(1))), ["blind"]);
    witness.refuse();
    assert_eq!(types(&block_on(sink.wait_for(2))), ["blind", "seeing"]);
}

#[test]
fn what_one_worker_leaves_blind_the_next_one_sees() {
    let (target, mut witness, sink) = (DeafTarget::start(), DeafTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&file(&target, &[witness.url()], &sink));
    let _notifications = installation.start(["worker", "notifications"]);
    // Nothing is due, and nothing fails: they ask when they begin.
    let worker = installation.start(["worker", "monitor-checks"]);
    assert_eq!(types(&block_on(sink.wait_for(1))), ["blind"]);
    assert_eq!(worker.terminate(), 0);
    let is_blind = "SELECT count(*) FROM host_network WHERE blind_since IS NOT NULL";
    installation.holds(is_blind, "1");
    let worker = installation.start(["worker", "monitor-checks"]);
    worker.wait_for_log("as was told before");
    witness.refuse();
    assert_eq!(types(&block_on(sink.wait_for(2))), ["blind", "seeing"]);
    installation.holds(is_blind, "0");
}

#[test]
fn everything_in_one_process_has_witnesses_too() {
    let (target, mut witness, sink) = (DeafTarget::start(), DeafTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.write(&file(&target, &[witness.url()], &sink));
    let up = installation.start(["up"]);
    assert_eq!(types(&block_on(sink.wait_for(1))), ["blind"]);
    witness.refuse();
    sees_again(&sink);
    assert_eq!(up.terminate(), 0);
}
