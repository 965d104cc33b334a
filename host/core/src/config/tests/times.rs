//! Maintenance windows, channels' hours, and the keys that decide when an outage is told.

use super::*;
use crate::event::Severity;
use crate::monitor::Window;

#[test]
fn a_window_recurs_or_is_once() {
    let config = valid(
        r#"
        [monitors.shop]
        type = "ping"
        host = "a.example"
        channels = []
        group = "web"
        [maintenance.a]
        monitors = ["shop"]
        hours = "fri-sun 22:00-02:30 Europe/Berlin"
        [maintenance.b]
        groups = ["web"]
        tags = { team = "a" }
        hours = "1,last 00:00-24:00"
        [maintenance.c]
        from = 2026-03-29T02:30:00
        until = "2026-03-29 04:00"
        timezone = "Europe/Berlin"
        [maintenance.d]
        from = "2026-12-01T22:00+01:00"
        until = 2026-12-01T23:00:00Z
        "#,
    );
    let found: Vec<_> =
        config.maintenance.iter().map(|(name, window)| serde_json::json!([name, window])).collect();
    let once = |from: &str, until: &str| serde_json::json!({"once": {"from": from, "until": until}});
    assert_eq!(
        serde_json::json!(found),
        serde_json::json!([
            ["a", {"monitors": ["shop"], "when": {"hours": "fri-sun 22:00-02:30 Europe/Berlin"}}],
            ["b", {"groups": ["web"], "tags": {"team": "a"}, "when": {"hours": "1,last 00:00-24:00 UTC"}}],
            ["c", {"when": once("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")}],
            ["d", {"when": once("2026-12-01T21:00:00Z", "2026-12-01T23:00:00Z")}],
        ])
    );
}

#[test]
fn the_policy_has_what_decides_an_incident_and_what_is_told() {
    let config = valid(
        r#"
        [monitors.router]
        type = "ping"
        host = "a.example"
        channels = []
        [monitors.shop]
        type = "ping"
        host = "b.example"
        channels = []
        parent = "router"
        window = "3 of 5"
        critical_failures = 0
        critical_after = "1h"
        remind = "30m"
        remind_most = 3
        flapping = false
        "#,
    );
    let [router, shop] = &config.monitors[..] else { panic!("{:?}", config.monitors) };
    assert_eq!((router.parent.as_deref(), &router.policy), (None, &Policy::default()));
    let expected = Policy {
        window: Some(Window { failures: 3, of: 5 }),
        critical_failures: None,
        critical_after: Some(Duration::from_hours(1)),
        remind: Some(Duration::from_mins(30)),
        remind_most: 3,
        flapping: false,
        ..Policy::default()
    };
    assert_eq!((shop.parent.as_deref(), &shop.policy), (Some("router"), &expected));
}

#[test]
fn a_channel_has_hours_and_severities() {
    let config = valid(
        r#"
        [channels.ops]
        notifier = "telegram"
        bot_token = { env = "T" }
        chat_id = "1"
        severities = ["down", "critical"]
        hours = "mon-fri 08:00-18:00 Europe/Berlin"
        "#,
    );
    let filter = &config.channels[0].filter;
    assert_eq!(filter.severities, Some(vec![Severity::Down, Severity::Critical]));
    let json = serde_json::to_value(filter).expect("a filter serializes");
    assert_eq!(json["hours"], "mon-fri 08:00-18:00 Europe/Berlin");
    assert_eq!(serde_json::from_value::<ChannelFilter>(json).expect("a filter"), *filter);
}

/// The first complaint about `text`, and its hint.
fn complaint(text: &str) -> (String, String) {
    let monitors = "[monitors.a]\ntype = \"ping\"\nhost = \"a.example\"\nchannels = []\n";
    let reading = read(&format!("{monitors}{text}"), &notifiers());
    let first = reading.diagnostics.first().unwrap_or_else(|| panic!("{text}"));
    (first.message.clone(), first.hint.clone().unwrap_or_default())
}

/// The keys of a window (` ; ` is a line's end in the file), what is said of them, and the way out, beside what
/// `tests/it/invalid` has.
const NO_TIME: &str = r#"
hours = "sun 02:00-04:00" ; timezone = "Europe/Berlin"
    `timezone` says nothing beside `hours`, which end with their own
    write it at the end of `hours`
from = "2026-12-01T22:00Z" ; until = "2026-12-01T23:00Z" ; timezone = "UTC"
    `timezone` says nothing here: `from` and `until` have offsets
    leave it out
from = 02:00:00 ; until = "2026-12-01T23:00"
    `from` takes a date and a time such as `2026-12-01T22:00`, not a date
    for a window that recurs, write `hours = "02:00-04:00"`
hours = "first 02:00-04:00"
    in `hours`, `first` is no day
    write `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`
"#;

#[test]
fn windows_that_say_no_time_are_refused() {
    for case in NO_TIME.trim().split('\n').collect::<Vec<_>>().chunks(3) {
        let [keys, message, hint] = case else { panic!("{case:?}") };
        let found = complaint(&format!("[maintenance.x]\n{}\n", keys.replace(" ; ", "\n")));
        assert_eq!(found, (message.trim().to_owned(), hint.trim().to_owned()), "{keys}");
    }
}

#[test]
fn each_circle_of_parents_is_reported_once() {
    let monitor = |name: &str, parent: &str| {
        format!(
            "[monitors.{name}]\ntype = \"ping\"\nhost = \"a.example\"\nchannels = []\nparent = \"{parent}\"\n"
        )
    };
    let text = [("z", "b"), ("b", "c"), ("c", "d"), ("d", "b"), ("e", "e"), ("f", "z")]
        .map(|(name, parent)| monitor(name, parent))
        .concat();
    let found = read(&text, &notifiers()).diagnostics.into_iter();
    let circle = "`b` is reached through itself: through `c`, through `d`, through `b`";
    assert_eq!(found.map(|found| found.message).collect::<Vec<_>>(), [circle, "`e` is its own parent"]);
}
