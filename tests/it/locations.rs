//! A monitor that is looked at from three places, by workers of their own, and is down when two of them say so.

use crate::installation::{Installation, Process};
use crate::notices::webhook;
use serde_json::Value;
use uptime_tests::{HttpTarget, Received, WebhookSink, block_on};

/// A monitor whose target is told where each request comes from.
fn file(target: &HttpTarget, sink: &WebhookSink, more: &str) -> String {
    let (channel, url) = (webhook("hook", sink, ""), target.url());
    format!(
        "{channel}[monitors.site]\ntype = \"http\"\nurl = \"{url}\"\nheaders = {{ x-from = {{ env = \"FROM\" }} }}\n\
         interval = \"1s\"\nretry_interval = \"200ms\"\nconfirm = 2\n{more}"
    )
}

const THREE: &str = "locations = [\"fra\", \"nyc\", \"sgp\"]\n";

/// With such a monitor, a scheduler, and somebody who delivers.
fn watched(more: &str) -> (HttpTarget, WebhookSink, Installation, [Process; 2]) {
    let (target, sink, installation) = (HttpTarget::start(), WebhookSink::start(), Installation::new());
    installation.apply(&file(&target, &sink, more));
    let running = [
        installation.start(["schedule", "--every", "200ms"]),
        installation.start(["worker", "notifications"]),
    ];
    (target, sink, installation, running)
}

/// The end of the message that says what each location has seen.
fn ends_with(event: &Value, words: &str) -> bool {
    event["outcome"]["message"].as_str().is_some_and(|message| message.ends_with(words))
}

fn worker(installation: &Installation, location: &str) -> Process {
    let args = ["worker", "monitor-checks", "--location", location];
    installation.start_as(location, &args, &[("FROM", location)])
}

fn heard(sink: &WebhookSink, count: usize) -> Vec<Value> {
    block_on(sink.wait_for(count)).iter().map(Received::json).collect()
}

/// Waits until so many of the locations say this of it.
fn wait_for_locations(installation: &Installation, status: &str, count: usize) {
    let sql = format!("SELECT count(*) FROM monitor_locations WHERE memory ->> 'status' = '{status}'");
    installation.wait_for(&sql, count);
}

/// Waits until the locations of such a name have looked again.
fn wait_for_another_look(installation: &Installation, like: &str) {
    let now = installation.database.value("SELECT now()");
    let sql = format!(
        "SELECT bool_and(last_check_at > '{now}') FROM monitor_locations WHERE location LIKE '{like}'"
    );
    installation.wait_for(&sql, "t");
}

#[test]
fn two_of_three_locations_make_an_outage_and_one_does_not() {
    let (target, sink, installation, _running) = watched(THREE);
    let [_fra, _nyc, sgp] = ["fra", "nyc", "sgp"].map(|location| worker(&installation, location));
    wait_for_locations(&installation, "up", 3);

    target.down_from(&["nyc"]);
    wait_for_locations(&installation, "down", 1);
    wait_for_another_look(&installation, "%");
    // One of three is down.
    installation.holds("SELECT count(*) FROM incidents", "0");
    let listed = installation.json(["monitor", "list"]);
    assert_eq!(listed["monitors"][0]["state"], "up");
    let states: Vec<_> =
        listed["monitors"][0]["locations"].as_array().expect("three").iter().map(|l| &l["state"]).collect();
    assert_eq!(states, ["up", "down", "up"]);

    target.down_from(&["fra", "nyc"]);
    let down = heard(&sink, 1).remove(0);
    assert_eq!((down["type"].as_str(), down["monitor"]["name"].as_str()), (Some("down"), Some("site")));
    assert!(ends_with(&down, "(down in fra, nyc; up in sgp)"), "{down}");
    let outage = "SELECT started_at >= (SELECT min(started_at) FROM check_results WHERE location = 'fra' AND outcome = 'down')
                     AND started_at <= opened_at FROM incidents";
    // It begins where the second location fails.
    installation.holds(outage, "t");

    target.down_from(&["nyc"]);
    let up = heard(&sink, 2).remove(1);
    let ends = "(down in fra, nyc; up in sgp); now down in nyc; up in fra, sgp";
    assert!(up["type"] == "up" && ends_with(&up, ends), "{up}");
    wait_for_another_look(&installation, "%");
    assert_eq!(sink.received().len(), 2, "and nothing else is told");

    let text = installation.run(0, "incident show 1").0;
    assert!(text.contains("fra") && text.contains("sgp"), "{text}");
    let others =
        "SELECT count(*) FROM check_results WHERE location IS NULL OR location NOT IN ('fra', 'nyc', 'sgp')";
    installation.holds(others, "0");
    assert_eq!(sgp.terminate(), 0);
}

#[test]
fn who_is_silent_does_not_count() {
    let (target, sink, installation, _running) = watched(THREE);
    let _fra = worker(&installation, "fra");
    let [nyc, sgp] = ["nyc", "sgp"].map(|location| worker(&installation, location));
    wait_for_locations(&installation, "up", 3);
    nyc.kill();
    sgp.kill();
    target.down_from(&["fra"]);
    wait_for_locations(&installation, "down", 1);
    // Both were up a moment ago; five intervals later their word is too old.
    let down = heard(&sink, 1).remove(0);
    assert!(ends_with(&down, "(down in fra; nothing from nyc, sgp)"), "{down}");
    let since = "SELECT opened_at - greatest(n.last_check_at, s.last_check_at) > interval '4 seconds'
                 FROM incidents, monitor_locations n, monitor_locations s WHERE n.location = 'nyc' AND s.location = 'sgp'";
    installation.holds(since, "t");

    // One that comes back is heard.
    let _nyc = worker(&installation, "nyc");
    let _sgp = worker(&installation, "sgp");
    assert_eq!(heard(&sink, 2)[1]["type"], "up");
}

#[test]
fn a_monitor_changes_its_locations() {
    let (target, sink, installation, _running) = watched("");
    let _home = installation.start_as("home", &["worker", "monitor-checks"], &[("FROM", "home")]);
    installation.wait_for("SELECT status FROM monitor_states", "up");

    // From now on nobody at home looks at it.
    installation.apply(&file(&target, &sink, "locations = [\"fra\", \"nyc\"]\ndown_in = 1\n"));
    target.down_from(&["home", "nyc"]);
    let _fra = worker(&installation, "fra");
    wait_for_locations(&installation, "up", 1);
    wait_for_another_look(&installation, "fra");
    installation.holds("SELECT status FROM monitor_states", "up");
    let idle = installation.run(1, "queue monitor").0;
    assert!(idle.contains("monitor-checks:nyc"), "its checks wait: {idle}");

    let _nyc = worker(&installation, "nyc");
    let down = heard(&sink, 1).remove(0);
    assert!(ends_with(&down, "(down in nyc; up in fra)"), "{down}");

    // Somebody ends it: a fresh confirmation from there opens another.
    installation.command(["incident", "resolve", "1", "--by", "ann"]).assert().success();
    installation.wait_for("SELECT count(*) FROM incidents WHERE ended_at IS NULL", "1");
    // A check that was under way at that moment counts as one of the two.
    let confirmed = "SELECT concat_ws(' ', count(*) >= 2, count(*), i.id, i.started_at, i.opened_at, min(r.started_at), max(r.started_at))
                     FROM incidents i LEFT JOIN check_results r
                       ON r.location = 'nyc' AND r.outcome = 'down'
                      AND r.started_at BETWEEN i.started_at - interval '50 ms' AND i.opened_at
                     WHERE i.ended_at IS NULL GROUP BY i.id";
    let confirmed = installation.database.value(confirmed);
    assert!(confirmed.starts_with("t "), "{confirmed}");

    // And back, where it is down as well; the incident stays one.
    installation.apply(&file(&target, &sink, ""));
    let now = installation.database.value("SELECT now()");
    installation.wait_for(
        &format!("SELECT count(*) >= 2 FROM check_results WHERE location IS NULL AND started_at > '{now}'"),
        "t",
    );
    installation.holds("SELECT count(*) FROM incidents WHERE ended_at IS NULL", "1");
    installation.holds("SELECT count(*) FROM jobs WHERE queue LIKE 'monitor-checks:%'", "0");
    target.down_from(&[]);
    installation.wait_for("SELECT count(*) FROM incidents WHERE ended_at IS NULL", "0");
}
