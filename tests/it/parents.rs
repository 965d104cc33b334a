//! Five hundred monitors behind one parent: when it goes, people hear of the parent, and of none of the others.

use crate::installation::Installation;
use std::fmt::Write;
use std::time::{Duration, Instant};
use uptime_tests::{DEADLINE, HttpTarget, WebhookSink, block_on};

/// How many are reached through the parent.
const CHILDREN: usize = 500;

/// A target that is closed, and opened again, for all of them at once.
fn file(target: &HttpTarget, sink: &WebhookSink) -> String {
    let port = target.address().port();
    let policy = "interval = \"1s\"\nretry_interval = \"200ms\"\nconfirm = 2\ntimeout = \"2s\"\n";
    let mut file = format!(
        "[channels.hook]\nnotifier = \"webhook\"\nurl = \"{}\"\nallow = [\"{}\"]\n\
         [monitors.router]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\n{policy}",
        sink.url(),
        sink.origin()
    );
    for child in 0..CHILDREN {
        let _ = write!(
            file,
            "[monitors.shop-{child}]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = {port}\nparent = \"router\"\n{policy}"
        );
    }
    file
}

/// Waits until the database gives this number.
fn until(installation: &Installation, what: &str, sql: &str, wanted: usize) {
    let began = Instant::now();
    loop {
        let value: usize = installation.database.value(sql).parse().expect("a number");
        if value == wanted {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "{value} of {wanted}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn five_hundred_behind_one_parent_are_one_message() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&file(&target, &sink));
    let _scheduler = installation.start(["schedule", "--every", "500ms"]);
    let _workers = installation.start(["worker", "all"]);
    let all = CHILDREN + 1;
    until(&installation, "up", "SELECT count(*) FROM monitor_states WHERE status = 'up'", all);

    target.refuse();
    until(&installation, "incidents", "SELECT count(*) FROM incidents WHERE ended_at IS NULL", all);
    // Each is looked at again while the parent is down, and has another occasion to be told.
    let later = installation.database.value("SELECT now()");
    let again = format!(
        "SELECT count(*) FROM monitor_states WHERE last_check_at > '{later}'::timestamptz + interval '1 second'"
    );
    until(&installation, "looked at again", &again, all);
    let told: Vec<_> = block_on(sink.wait_for(1)).iter().map(uptime_tests::Received::json).collect();
    assert!(told.len() <= 3, "{} messages", told.len());
    assert_eq!(
        (told[0]["type"].as_str(), told[0]["monitor"]["name"].as_str()),
        (Some("down"), Some("router"))
    );
    let listed = installation.json(["incident", "list", "--open", "--limit", "1000"]);
    assert_eq!(listed["incidents"].as_array().map(Vec::len), Some(all), "all are in the list");

    target.up();
    until(&installation, "over", "SELECT count(*) FROM incidents WHERE ended_at IS NOT NULL", all);
    let later = installation.database.value("SELECT now()");
    let again = format!("SELECT count(*) FROM monitor_states WHERE last_check_at > '{later}'::timestamptz");
    until(&installation, "looked at again", &again, all);
    let waiting = "SELECT count(*) FROM notifications WHERE state = 'queued'";
    until(&installation, "told", waiting, 0);
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
