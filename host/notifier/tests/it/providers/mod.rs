//! The built-in plugins, each against a scripted server on loopback: what it sends for every event, held against
//! golden files, and what it makes of each answer that its provider is known to give.

mod conformance;
mod discord;
mod matrix;
mod ntfy;
mod pagerduty;
mod slack;
mod telegram;
mod webhook;

use crate::support::{self, Answer, Arrived, Sink};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use uptime_core::ErrorClass;
use uptime_core::event::{Event, EventType};
use uptime_core::rehearsal;
use uptime_notifier::{Before, Delivery, Limits, NotifierError, NotifierHost, Receipt, ResolvedSettings};

/// A host with the plugins that are part of the program.
fn host() -> NotifierHost {
    support::host(Limits::default(), [])
}

/// What is told.
fn told(kind: EventType) -> Event {
    rehearsal::event(kind)
}

async fn tell(
    notifier: &str,
    settings: &ResolvedSettings,
    sink: &Sink,
    event: &Event,
    opening: Option<&str>,
) -> Result<Receipt, NotifierError> {
    let allow = sink.grant();
    let before = Before { first_remote_id: opening, last_remote_id: opening, ..Before::default() };
    host().notify(Delivery { before, ..support::delivery(notifier, settings, &allow, event) }).await
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

/// Tells every event that is rehearsed, and holds the requests against one golden file.
async fn golden_events(notifier: &str, settings: impl Fn(&Sink) -> ResolvedSettings, accepted: &str) {
    let mut requests = serde_json::Map::new();
    for it in rehearsal::all() {
        let sink = Sink::start(vec![support::status(200, accepted); 8]).await;
        let (given, allow) = (settings(&sink), sink.grant());
        let delivery = Delivery {
            digest: it.digest.as_ref(),
            before: Before { worst: it.told, ..Before::default() },
            attempt: it.attempt,
            ..support::delivery(notifier, &given, &allow, &it.event)
        };
        host().notify(delivery).await.expect("accepted");
        let arrived: Vec<Value> = sink.arrived().iter().map(readable).collect();
        let shown = if arrived.len() == 1 { arrived[0].clone() } else { Value::Array(arrived) };
        requests.insert(it.name.to_owned(), shown);
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
