//! The built-in plugins, each against a script that speaks for its provider: what it sends for every event, held against
//! golden files, and what it makes of the answers that its provider is known to give. Nothing is sent: `delivery` does that.

mod conformance;
mod discord;
mod matrix;
mod ntfy;
mod pagerduty;
mod slack;
mod telegram;
mod webhook;

use crate::support;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use uptime_core::ErrorClass::{Permanent, Transient};
use uptime_core::event::{Event, EventType};
use uptime_core::samples;
use uptime_notifier::scripted::{Reply, Sample, SentRequest};
use uptime_notifier::{Delivery, Earlier, Limits, NotifierHost, ResolvedSettings};

/// The plugins that are part of the program.
static HOST: LazyLock<NotifierHost> = LazyLock::new(|| support::host(Limits::default(), []));

/// What is told.
fn announced(kind: EventType) -> Event {
    samples::event(kind)
}

fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    reply_with(status, &[], body)
}

fn reply_with(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Reply::Response { status, headers, body: body.into(), truncated: false }
}

/// Tells an event as an answer to `opening`, and is answered with `replies`.
async fn tell(
    notifier: &str,
    settings: &ResolvedSettings,
    event: &Event,
    opening: Option<&str>,
    replies: &[Reply],
) -> Sample {
    let before = Earlier { first_remote_id: opening, last_remote_id: opening, ..Earlier::default() };
    let delivery = Delivery { before, ..support::delivery(notifier, settings, &[], event) };
    HOST.run_scripted(delivery, replies).await
}

fn body(sent: &SentRequest) -> Value {
    serde_json::from_slice(&sent.body).expect("JSON")
}

/// The address without its origin.
fn path(sent: &SentRequest) -> &str {
    let (_, rest) = sent.url.split_once("://").expect("an address");
    &rest[rest.find('/').expect("a path")..]
}

/// Holds a request against `tests/golden/PATH.json`. With the environment variable `UPDATE_GOLDEN` the file is written
/// instead.
fn golden(path: &str, sent: &SentRequest) {
    golden_value(path, &readable(sent));
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
fn readable(sent: &SentRequest) -> Value {
    let headers = sent.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let mut headers: BTreeMap<&str, String> = headers.collect();
    for name in ["webhook-timestamp", "webhook-signature"] {
        headers.remove(name);
    }
    if let Some(agent) = headers.get_mut("user-agent") {
        *agent = agent.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    }
    let body =
        serde_json::from_slice(&sent.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&sent.body)));
    json!({ "method": sent.method, "path": path(sent), "headers": headers, "body": body })
}

/// Tells every sample event, and holds the requests against one golden file.
async fn golden_events(notifier: &str, settings: &ResolvedSettings, accepted: Reply) {
    let mut requests = serde_json::Map::new();
    for it in samples::all() {
        let delivery = Delivery {
            digest: it.digest.as_ref(),
            before: Earlier { worst: it.announced, ..Earlier::default() },
            attempt: it.attempt,
            ..support::delivery(notifier, settings, &[], &it.event)
        };
        let samples = HOST.run_scripted(delivery, std::slice::from_ref(&accepted)).await;
        samples.result.expect("accepted");
        let mut sent: Vec<Value> = samples.sent.iter().map(readable).collect();
        let shown = if sent.len() == 1 { sent.remove(0) } else { Value::Array(sent) };
        requests.insert(it.name.to_owned(), shown);
    }
    golden_value(&format!("{notifier}/events"), &Value::Object(requests));
}

/// An answer, the words of the error that it becomes, and when the next try is wanted, in milliseconds.
type Row = (Reply, &'static str, Option<u64>);

/// Tells an event for each row, and each is one request.
async fn refusals(notifier: &str, settings: &ResolvedSettings, rows: impl IntoIterator<Item = Row>) {
    for (reply, words, after_ms) in rows {
        let samples = tell(notifier, settings, &announced(EventType::Down), None, &[reply]).await;
        let error = samples.result.expect_err(words);
        assert_eq!(error.to_string(), format!("`{notifier}` {words}"));
        let (class, broken) = match words.split(": ").next() {
            Some("was refused" | "did not find the destination") => (Permanent, true),
            Some("was told to slow down" | "could not deliver for now") => (Transient, false),
            _ => (Permanent, false),
        };
        assert_eq!(
            (error.class(), error.retry_after(), error.channel_broken(), samples.sent.len()),
            (class, after_ms.map(Duration::from_millis), broken, 1),
            "{words}"
        );
    }
}
