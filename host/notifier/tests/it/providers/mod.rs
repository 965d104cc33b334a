//! The four built-in plugins, each against a scripted server on loopback: what it sends for every event, held against
//! golden files, and what it makes of each answer that its provider is known to give.

mod conformance;
mod discord;
mod slack;
mod telegram;
mod webhook;

use crate::support::{self, Answer, Arrived, Sink};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use uptime_core::ErrorClass;
use uptime_core::event::{Event, EventOutcome, EventType, Severity};
use uptime_notifier::{Delivery, Limits, NotifierError, NotifierHost, Receipt, ResolvedSettings};

/// A host with the plugins that are part of the program.
fn host() -> NotifierHost {
    support::host(Limits::default(), [])
}

/// What is told. Far in the future, so that no message is late.
fn told(kind: EventType) -> Event {
    let mut event = support::event(kind);
    event.at = "2100-04-14T02:18:17.25Z".parse().expect("an instant");
    event.monitor.group = Some("web".into());
    event.severity = match kind {
        EventType::Down | EventType::Reminder | EventType::Acknowledged | EventType::ChannelBroken => {
            Severity::Down
        }
        EventType::Critical => Severity::Critical,
        EventType::Degraded
        | EventType::FlappingStart
        | EventType::Certificate
        | EventType::Blind
        | EventType::QueueBusy => Severity::Degraded,
        EventType::Stalled => Severity::Down,
        EventType::Up | EventType::FlappingEnd | EventType::Seeing | EventType::Running | EventType::Test => {
            Severity::Info
        }
    };
    if let Some(incident) = &mut event.incident {
        incident.started_at = "2100-04-14T02:14:05Z".parse().expect("an instant");
        incident.ended_at = incident.ended_at.map(|_| "2100-04-14T02:18:17Z".parse().expect("an instant"));
    }
    // As the program makes them: these are about the monitor itself.
    let (name, message) = match kind {
        EventType::Certificate => (None, Some("the certificate of shop.example.com ends in 13 days")),
        EventType::Blind => (Some("uptime"), Some("no target and no reference address can be reached")),
        EventType::Seeing | EventType::Test => (Some("uptime"), None),
        EventType::Stalled => {
            (Some("uptime"), Some("2 of 3 monitors have had no result for 3 intervals: shop, api"))
        }
        EventType::Running => (Some("uptime"), Some("all 3 monitors have results again")),
        EventType::QueueBusy => (Some("notifications"), Some("1,204 jobs are ready, and the limit is 1,000")),
        EventType::ChannelBroken => (Some("ops"), Some("`slack` found nobody there: status 404: no_service")),
        EventType::FlappingEnd => (None, None),
        _ => return event,
    };
    event.incident = None;
    if let Some(name) = name {
        event.monitor.name = name.into();
    }
    match (message, &mut event.outcome) {
        (Some(message), Some(outcome)) => {
            (outcome.message, outcome.expected, outcome.got) = (message.into(), None, None);
        }
        _ => event.outcome = None,
    }
    event
}

async fn tell(
    notifier: &str,
    settings: &ResolvedSettings,
    sink: &Sink,
    event: &Event,
    opening: Option<&str>,
) -> Result<Receipt, NotifierError> {
    let allow = sink.grant();
    let delivery =
        Delivery { opening_remote_id: opening, ..support::delivery(notifier, settings, &allow, event) };
    host().notify(delivery).await
}

/// Holds a request against `tests/golden/PATH.json`. With the environment variable `UPDATE_GOLDEN` the file is written
/// instead.
fn golden(path: &str, arrived: &Arrived) {
    golden_value(path, &readable(arrived));
}

fn golden_value(path: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{path}.json"));
    let shown = format!("{}\n", serde_json::to_string_pretty(value).expect("because values serialize"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let folder = path.parent().expect("a folder");
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, shown)).expect("written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == shown,
        "not what `{}` holds; where it is meant, run with UPDATE_GOLDEN=1\n--- kept\n{kept}\n--- sent\n{shown}",
        path.display()
    );
}

/// A request without what differs from run to run.
fn readable(arrived: &Arrived) -> Value {
    let mut headers = arrived.headers.clone();
    for name in ["host", "content-length", "connection", "webhook-timestamp", "webhook-signature"] {
        headers.remove(name);
    }
    if let Some(agent) = headers.get_mut("user-agent") {
        *agent = agent.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    }
    let body = serde_json::from_slice(&arrived.body)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&arrived.body)));
    json!({ "method": arrived.method, "path": arrived.path, "headers": headers, "body": body })
}

/// What the type of an event alone does not say: that it was degraded, that a person ended it, that it is down in the end,
/// that it is over when it is told, and that it is about many at once.
fn forms() -> Vec<(&'static str, Event)> {
    let degraded = |kind| Event { severity: Severity::Degraded, ..told(kind) };
    let said = |event: Event, class: &str, message: &str, got: Option<&str>| {
        let (class, message) = (class.to_owned(), message.to_owned());
        Event {
            outcome: Some(EventOutcome { class, message, expected: None, got: got.map(str::to_owned) }),
            ..event
        }
    };
    let digest = |kind, severity, got, message| {
        let mut event = said(Event { severity, incident: None, ..told(kind) }, "digest", message, got);
        (event.monitor.name, event.monitor.kind) = ("5 monitors".into(), "digest".into());
        event.monitor.target = String::new();
        event
    };
    let by_hand = "resolved by anna, and no check has seen it up; it was: the status is 503";
    vec![
        ("reminder-degraded", degraded(EventType::Reminder)),
        ("acknowledged-degraded", degraded(EventType::Acknowledged)),
        ("up-degraded", degraded(EventType::Up)),
        ("up-by-hand", said(told(EventType::Up), uptime_core::incident::BY_HAND, by_hand, None)),
        (
            "flapping-end-down",
            said(
                Event {
                    severity: Severity::Down,
                    incident: told(EventType::Down).incident,
                    ..told(EventType::FlappingEnd)
                },
                "flapping",
                "steady again: down: the status is 503",
                None,
            ),
        ),
        ("down-over", Event { incident: told(EventType::Up).incident, ..told(EventType::Down) }),
        ("digest-down", digest(EventType::Down, Severity::Down, None, "5 down. Down: a (503), b, c, d, e")),
        (
            "digest-mixed",
            digest(
                EventType::Down,
                Severity::Down,
                Some("1 down, 4 up again"),
                "1 down, 4 up again. Down: a (503); up again: b, c, d, e",
            ),
        ),
    ]
}

/// Tells every type of event, in all forms, and holds the requests against one golden file.
async fn golden_events(notifier: &str, settings: impl Fn(&Sink) -> ResolvedSettings, accepted: &str) {
    let mut requests = serde_json::Map::new();
    let types = EventType::ALL.iter().map(|kind| (kind.as_str(), told(*kind)));
    for (form, event) in types.chain(forms()) {
        let sink = Sink::start([support::status(200, accepted)]).await;
        tell(notifier, &settings(&sink), &sink, &event, None).await.expect("accepted");
        requests.insert(form.to_owned(), readable(&sink.arrived()[0]));
    }
    golden_value(&format!("{notifier}/events"), &Value::Object(requests));
}

/// An answer and what it must be told as.
struct Row {
    answer: Answer,
    message: &'static str,
    class: ErrorClass,
    retry_after: Option<Duration>,
    broken: bool,
}

fn row(answer: Answer, message: &'static str, class: ErrorClass) -> Row {
    Row { answer, message, class, retry_after: None, broken: false }
}

impl Row {
    fn after_ms(mut self, ms: u64) -> Self {
        self.retry_after = Some(Duration::from_millis(ms));
        self
    }

    fn broken(mut self) -> Self {
        self.broken = true;
        self
    }
}

/// Tells an event for each row, and each is one request.
async fn refusals(notifier: &str, settings: impl Fn(&Sink) -> ResolvedSettings, rows: Vec<Row>) {
    for row in rows {
        let sink = Sink::start([row.answer]).await;
        let error = tell(notifier, &settings(&sink), &sink, &told(EventType::Down), None)
            .await
            .expect_err(row.message);
        assert_eq!(error.to_string(), row.message);
        assert_eq!(
            (error.class(), error.retry_after(), error.channel_broken(), sink.arrived().len()),
            (row.class, row.retry_after, row.broken, 1),
            "{}",
            row.message
        );
    }
}
