//! Many at once go together: one message for what is more than a channel is to get one by one, and a crash between sending it
//! and recording it loses none of them.

use crate::installation::{Installation, Process};
use crate::notices::{EAGER, monitor};
use std::collections::BTreeSet;
use uptime_tests::{HttpTarget, Received, Reply, WebhookSink, block_on};

const MONITORS: usize = 16;

/// What goes one by one before the rest goes together.
const SINGLES: usize = 3;

const WAITING: usize = MONITORS - SINGLES;

/// With a channel that has these keys, and so many messages one by one.
fn file(target: &HttpTarget, sink: &WebhookSink, keys: &str, singles: usize) -> String {
    let origin = sink.origin();
    let channel = format!(
        "[queues.notifications]\ntries = 5\ntimeout = \"1s\"\nretry_after = \"6s\"\nbackoff = \"50ms\"\nsleep = \"200ms\"\n\n\
         [channels.ops]\n{keys}\nallow = [\"{origin}\"]\n\
         digest_after = {singles}\ndigest_within = \"1h\"\n\n"
    );
    let monitors = (0..MONITORS).map(|n| monitor(&format!("m{n:02}"), &target.url(), EAGER));
    channel + &monitors.collect::<String>()
}

/// The digest is not waited for: it is due now.
fn let_digests_go(installation: &Installation) {
    installation.database.query(
        "UPDATE jobs SET available_at = now() WHERE order_key LIKE 'digest:%' AND reserved_until IS NULL;
         SELECT pg_notify('uptime_jobs', 'notifications')",
    );
}

fn id(received: &Received) -> String {
    received.header("webhook-id").expect("each delivery has its id").to_owned()
}

/// In which state the openings are that go together.
fn wait_for_members(installation: &Installation, state: &str) {
    let sql = "SELECT string_agg(DISTINCT state, ',') || ' ' || count(*) FROM notifications
               WHERE digest_id IS NOT NULL AND event = 'down'";
    installation.wait_for(sql, format!("{state} {WAITING}"));
}

/// All monitors have gone down: the first ones were told of, and the digest of the rest is waiting.
fn all_down() -> (HttpTarget, WebhookSink, Installation, [Process; 3]) {
    let (target, sink, installation) = (HttpTarget::start(), WebhookSink::start(), Installation::new());
    let keys = format!("notifier = \"webhook\"\nurl = \"{}\"", sink.url());
    installation.apply(&file(&target, &sink, &keys, SINGLES));
    let running = installation.start_each();
    block_on(target.wait_for_requests(MONITORS));
    target.down();
    wait_for_members(&installation, "queued");
    installation.wait_for("SELECT count(*) FROM notifications WHERE state = 'delivered'", SINGLES);
    (target, sink, installation, running)
}

#[test]
fn what_is_too_much_goes_together_and_a_crash_while_it_is_sent_loses_none() {
    let (target, sink, installation, [_scheduler, _checks, worker]) = all_down();

    // The worker dies when its message has arrived and before it knows.
    sink.answer(Reply::ok().held());
    let_digests_go(&installation);
    let first = block_on(sink.wait_for(SINGLES + 1)).remove(SINGLES);
    worker.kill();
    sink.answer(Reply::ok());
    let _worker = installation.start(["worker", "notifications"]);
    let again = block_on(sink.wait_for(SINGLES + 2)).remove(SINGLES + 1);
    assert_eq!(id(&first), id(&again), "a repetition bears the same delivery id");
    for digest in [&first, &again] {
        let event = digest.json();
        assert_eq!(event["type"], "down");
        assert_eq!(event["monitor"]["name"], format!("{WAITING} monitors"));
        assert_eq!(event["monitor"]["type"], "digest");
        let words = event["outcome"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(words.starts_with(&format!("{WAITING} down. Down: m")), "{words}");
    }
    let downs = "SELECT count(*) FROM notifications WHERE state = 'delivered' AND event = 'down'";
    installation.wait_for(downs, MONITORS + 1);

    // The recoveries: none of them is missing, and none comes twice.
    target.up();
    installation
        .wait_for("SELECT count(*) FROM notifications WHERE event = 'up' AND NOT is_digest", MONITORS);
    let_digests_go(&installation);
    installation.wait_for("SELECT count(*) FROM notifications WHERE state <> 'delivered'", "0");
    let digest = sink.received().pop().expect("the last").json();
    assert_eq!(digest["type"], "up");
    assert_eq!(digest["monitor"]["name"], format!("{MONITORS} monitors"));
    let ids: BTreeSet<String> = sink.received().iter().map(id).collect();
    assert_eq!(ids.len(), SINGLES + 2, "three openings, a digest of openings, a digest of recoveries");
    assert_eq!(sink.received().len(), SINGLES + 3, "and one of them twice");
}

#[test]
fn a_digest_that_failed_is_one_line_of_the_failed_list_and_takes_its_members_along() {
    let (target, sink, installation, _running) = all_down();
    sink.answer(Reply::status(400));
    let_digests_go(&installation);
    wait_for_members(&installation, "failed");
    let failed = installation.json(["queue", "failed"]);
    let jobs = failed["jobs"].as_array().expect("a list");
    assert_eq!(jobs.len(), 1, "{failed}");
    assert_eq!(jobs[0]["subject"], "channel ops");

    // It is over before anybody heard of it: one message tells all of it.
    target.up();
    installation.wait_for("SELECT count(*) FROM incidents WHERE ended_at IS NULL", "0");
    sink.answer(Reply::ok());
    installation.command(["queue", "retry", "all"]).assert().success();
    wait_for_members(&installation, "muted");
    let_digests_go(&installation);
    installation
        .wait_for("SELECT count(*) FROM notifications WHERE state NOT IN ('delivered', 'muted')", "0");
    let event = sink.received().pop().expect("the last").json();
    let words = event["outcome"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(words.starts_with(&format!("{WAITING} were down, {SINGLES} up again. Were down: m")), "{words}");
}

/// `PagerDuty` as strict as it can be: what is not open is neither acknowledged nor resolved.
#[derive(Default)]
struct Pager {
    open: BTreeSet<String>,
    opened: usize,
    seen: usize,
}

impl Pager {
    fn take(&mut self, received: &[Received]) {
        for body in received[self.seen..].iter().map(Received::json) {
            let key = body["dedup_key"].as_str().expect("a key").to_owned();
            match body["event_action"].as_str() {
                Some("trigger") => self.opened += usize::from(self.open.insert(key)),
                Some("acknowledge") => assert!(self.open.contains(&key), "{body}"),
                Some("resolve") => assert!(self.open.remove(&key), "{body}"),
                _ => panic!("{body}"),
            }
        }
        self.seen = received.len();
    }
}

/// Of a digest a pager gets each alert by itself, by as many tries as that takes; none of them is used up.
#[test]
fn a_pager_opens_and_closes_each_alert_of_its_digests() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    sink.answer(Reply::ok().body(r#"{"status":"success","message":"Event processed"}"#));
    let keys =
        format!("notifier = \"pagerduty\"\nrouting_key = \"r0uting-key\"\nbase_url = \"{}\"", sink.origin());
    // Eight requests in a call take their time on a busy machine.
    let text = file(&target, &sink, &keys, 1)
        .replace("\"1s\"\nretry_after = \"6s\"", "\"20s\"\nretry_after = \"60s\"");
    installation.apply(&text.replace("confirm = 1", "confirm = 1\ncritical_failures = 8"));
    let _running = installation.start_all();
    block_on(target.wait_for_requests(MONITORS));
    let mut pager = Pager::default();
    let mut all_is_told_of = |query: &str| {
        installation.wait_for(query, MONITORS);
        let_digests_go(&installation);
        installation
            .wait_for("SELECT count(*) FROM notifications WHERE state NOT IN ('delivered', 'muted')", "0");
        pager.take(&sink.received());
        pager.open.len()
    };
    let of_event =
        |event| format!("SELECT count(*) FROM notifications WHERE event = '{event}' AND NOT is_digest");
    target.answer(Reply::status(503));
    assert_eq!(all_is_told_of(&of_event("down")), MONITORS);
    let one = installation.database.value("SELECT min(id) FROM incidents");
    installation.command(["incident", "ack", &one, "--by", "ada"]).assert().success();
    assert_eq!(all_is_told_of("SELECT count(*) FROM incidents WHERE severity = 'critical'"), MONITORS);
    target.up();
    assert_eq!(all_is_told_of(&of_event("up")), 0);
    assert_eq!(pager.opened, MONITORS, "nothing is opened twice");
    let acknowledged = sink.received().iter().filter(|it| it.json()["event_action"] == "acknowledge").count();
    assert_eq!(acknowledged, 1);
    // A digest of more than eight takes several calls.
    let tries = "SELECT max(attempt) FROM delivery_attempts WHERE outcome <> 'delivered'";
    installation.holds(tries, "1");
    installation.holds("SELECT count(*) FROM failed_jobs", "0");
}
