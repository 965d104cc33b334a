//! Five channels of one monitor, of which four are in trouble, each in its own way: none of it reaches the good one, and
//! each trouble ends as its own rule says.

use crate::installation::Installation;
use crate::notices::{EAGER, monitor, webhook};
use crate::pipeline::file;
use std::time::Duration;
use uptime_tests::{HttpTarget, Received, Reply, WebhookSink, block_on};

/// How long the good channel may be behind the others' trouble.
const SOON: Duration = Duration::from_secs(1);

fn heard(received: &Received) -> String {
    let event = received.json();
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", word(&event["type"]), word(&event["monitor"]["name"]))
}

#[test]
fn four_in_trouble_and_the_good_one_hears_of_everything() {
    let target = HttpTarget::start();
    let [hanging, failing, limited, gone, good] = [(); 5].map(|()| WebhookSink::start());
    hanging.answer(Reply::ok().held());
    failing.answer(Reply::status(500));
    limited.answer(Reply::status(429).retry_after(30));
    gone.answer(Reply::status(404));
    let installation = Installation::new();
    let openings = "events = [\"down\", \"up\"]\n";
    let channels = [("hanging", &hanging), ("failing", &failing), ("limited", &limited), ("gone", &gone)];
    let channels: String = channels.iter().map(|(name, sink)| webhook(name, sink, openings)).collect();
    installation.apply(&(channels + &webhook("good", &good, "") + &monitor("shop", &target.url(), EAGER)));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let _checks = installation.start(["worker", "monitor-checks"]);
    let worker = "worker notifications --tries 2 --timeout 1s --backoff 100ms --sleep 100ms";
    let worker: Vec<&str> = worker.split(' ').collect();
    let _notifications = installation.start_as("notifications", &worker, &[]);
    block_on(target.wait_for_requests(1));
    target.answer(Reply::status(503));

    // The opening, and a notice of each channel that turned out to be broken.
    let received = block_on(good.wait_for(4));
    let troubled = [&hanging, &failing, &limited, &gone].map(|sink| block_on(sink.wait_for(1)).remove(0).at);
    let first = troubled.iter().min().expect("four");
    // Each is a matter of its own, and has no order among them.
    let mut received: Vec<(String, &Received)> = received.iter().map(|one| (heard(one), one)).collect();
    received.sort_by(|one, other| one.0.cmp(&other.0));
    for (received, (what, kind, why)) in received.iter().zip([
        ("channel-broken failing", "channel", "500"),
        ("channel-broken gone", "channel", "404"),
        ("channel-broken hanging", "channel", "1s"),
        ("down shop", "http", "503"),
    ]) {
        let event = received.1.json();
        assert_eq!((received.0.as_str(), event["monitor"]["type"].as_str()), (what, Some(kind)));
        assert!(event["outcome"]["message"].as_str().is_some_and(|message| message.contains(why)), "{event}");
    }
    let behind = received[3].1.at.saturating_duration_since(*first);
    assert!(behind <= SOON, "the good one was told {behind:?} after the first of the others");

    // Each as its rule says.
    let ends = installation.database.query(
        "SELECT concat_ws(' ', c.name, n.state, c.broken_at IS NOT NULL,
                          c.paused_until BETWEEN now() + interval '15 s' AND now() + interval '30 s',
                          (SELECT attempts FROM jobs WHERE subject = n.id AND NOT payload ? 'probe'), (SELECT attempts FROM failed_jobs WHERE subject = n.id))
         FROM notifications n JOIN channels c ON c.id = n.channel_id WHERE n.event = 'down' ORDER BY c.name",
    );
    let ends: Vec<&str> = ends.iter().filter_map(|row| row[0].as_deref()).collect();
    assert_eq!(
        ends,
        [
            // name, state, broken, paused for as long as it asked, tries that count
            "failing failed t 2",
            "gone failed t 1",
            "good delivered f",
            "hanging failed t 2",
            // Patience uses up no try.
            "limited queued f t 0",
        ]
    );
    assert_eq!(failing.received().len(), 2);
    assert_eq!(gone.received().len(), 1);
    assert_eq!(limited.received().len(), 1);
    let failed = installation.json(["queue", "failed"]);
    let mut failed: Vec<&str> =
        failed["jobs"].as_array().expect("a list").iter().filter_map(|job| job["subject"].as_str()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["channel failing", "channel gone", "channel hanging"]);

    // A test by hand finds out that one works again: what is outstanding follows before its probe is due.
    failing.answer(Reply::ok());
    installation.command(["channel", "test", "failing"]).assert().success();
    let received = block_on(failing.wait_for(4));
    assert_eq!(received[2..].iter().map(heard).collect::<Vec<_>>(), ["test test", "down shop"]);

    // One that works again is no longer flagged, and is told what nobody could tell it: when it was.
    gone.answer(Reply::ok());
    target.up();
    let up = block_on(gone.wait_for(2)).remove(1);
    assert_eq!(heard(&up), "up shop");
    let words = up.json()["outcome"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(words.starts_with("down from ") && words.contains(" (told only now): "), "{words}");
    installation.wait_for("SELECT count(*) FROM channels WHERE name = 'gone' AND broken_at IS NULL", "1");
    let up = block_on(good.wait_for(5)).remove(4);
    assert_eq!(heard(&up), "up shop");
    assert!(!up.json()["outcome"]["message"].as_str().unwrap_or_default().contains("told only now"));
}

/// Each probe that hung counted against its notice, which was given up after twenty.
#[test]
fn a_channel_that_hangs_at_each_probe_is_to_blame_and_not_its_notice() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    target.down();
    sink.answer(Reply::ok().held());
    let installation = Installation::new();
    let section = "[queues.notifications]\ntries = 1\ntimeout = \"1s\"\nprobe = [\"100ms\"]\n\n";
    installation.apply(&format!("{section}{}", file(&target, &[("ops", &sink)])));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let _worker = installation.start(["worker", "all", "--sleep", "100ms"]);
    installation.wait_for("SELECT probes >= 3 FROM channels", "t");
    installation.holds("SELECT max(setbacks) FROM notifications", "0");
    sink.answer(Reply::ok());
    installation.wait_for("SELECT count(*) FROM notifications WHERE state = 'delivered'", "1");
}
