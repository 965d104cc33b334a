//! Five hundred monitors behind one parent: when it goes, people hear of the parent, and of none of the others.

use crate::installation::Installation;
use crate::notices::webhook;
use uptime_tests::{HttpTarget, WebhookSink, block_on};

/// How many are reached through the parent.
const CHILDREN: usize = 500;

/// A target that is closed, and opened again, for all of them at once.
fn file(target: &HttpTarget, sink: &WebhookSink) -> String {
    let port = target.address().port();
    let policy = "interval = \"1s\"\nretry_interval = \"200ms\"\nconfirm = 2\ntimeout = \"2s\"\n";
    let monitor = |name: &str, more: &str| {
        format!("[monitors.{name}]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\n{more}{policy}")
    };
    let children = (0..CHILDREN).map(|child| monitor(&format!("shop-{child}"), "parent = \"router\"\n"));
    webhook("hook", sink, "") + &monitor("router", "") + &children.collect::<String>()
}

#[test]
fn five_hundred_behind_one_parent_are_one_message() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&file(&target, &sink));
    let _scheduler = installation.start(["schedule", "--every", "500ms"]);
    let _workers = installation.start(["worker", "all"]);
    let all = &(CHILDREN + 1).to_string();
    installation.wait_for("SELECT count(*) FROM monitor_states WHERE status = 'up'", all);

    target.refuse();
    installation.wait_for("SELECT count(*) FROM incidents WHERE ended_at IS NULL", all);
    // Each is looked at again while the parent is down, and has another occasion to be told.
    let later = installation.database.value("SELECT now()");
    let again = format!(
        "SELECT count(*) FROM monitor_states WHERE last_check_at > '{later}'::timestamptz + interval '1 second'"
    );
    installation.wait_for(&again, all);
    let told: Vec<_> = block_on(sink.wait_for(1)).iter().map(uptime_tests::Received::json).collect();
    assert!(told.len() <= 3, "{} messages", told.len());
    assert_eq!(
        (told[0]["type"].as_str(), told[0]["monitor"]["name"].as_str()),
        (Some("down"), Some("router"))
    );
    let listed = installation.json(["incident", "list", "--open", "--limit", "1000"]);
    assert_eq!(listed["incidents"].as_array().map(Vec::len), Some(CHILDREN + 1), "all are in the list");

    target.up();
    installation.wait_for("SELECT count(*) FROM incidents WHERE ended_at IS NOT NULL", all);
    let later = installation.database.value("SELECT now()");
    let again = format!("SELECT count(*) FROM monitor_states WHERE last_check_at > '{later}'::timestamptz");
    installation.wait_for(&again, all);
    let waiting = "SELECT count(*) FROM notifications WHERE state = 'queued'";
    installation.wait_for(waiting, "0");
    let told: Vec<_> = sink.received().iter().map(uptime_tests::Received::json).collect();
    let ups: Vec<_> = told.iter().filter(|told| told["type"] == "up").collect();
    assert!(
        told.len() <= 6 && !ups.is_empty() && ups.len() <= 3,
        "{} messages, {} of them up",
        told.len(),
        ups.len()
    );
    assert!(ups.iter().any(|up| up["monitor"]["name"] == "router"), "{ups:?}");
}
