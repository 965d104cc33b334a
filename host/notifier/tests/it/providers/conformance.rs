//! The table of answers that every notifier must get right (`plugins/sdk/conformance.json`), through the real host.

use super::{tell, told};
use crate::support::{Answer, Sink, settings, text};
use base64::Engine as _;
use serde_json::Value;
use std::time::Duration;
use uptime_core::event::EventType;
use uptime_notifier::{NotifierError, Receipt, ResolvedSettings};

const TABLE: &str = include_str!("../../../../../plugins/sdk/conformance.json");

/// The answer of a row; `None` where there is none (the host's own tests make those failures).
fn answer(row: &Value) -> Option<Answer> {
    let answer = &row["answer"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let headers = answer["headers"].as_array().into_iter().flatten();
    let body = match (&answer["body_base64"], &answer["body_repeat"]) {
        (Value::String(encoded), _) => {
            base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64")
        }
        (_, Value::Array(repeat)) => {
            // One more than the host reads.
            let mut body = text(&repeat[0]).repeat(65_536).into_bytes();
            body.truncate(65_537);
            body
        }
        _ => answer["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    Some(Answer::Raw(
        u16::try_from(answer["status"].as_u64()?).expect("a status"),
        headers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        body,
    ))
}

/// What is wrong with this result, if anything is.
fn differs(row: &Value, result: &Result<Receipt, NotifierError>) -> Option<String> {
    let got = match result {
        Ok(_) => "accepted",
        Err(NotifierError::Transient { .. }) => "transient",
        Err(NotifierError::RateLimited { .. }) => "rate-limited",
        Err(NotifierError::Unauthorized { .. }) => "unauthorized",
        Err(NotifierError::Gone { .. }) => "gone",
        Err(NotifierError::Permanent { .. }) => "permanent",
        Err(error) => return Some(format!("that is no answer of a plugin: {error}")),
    };
    let fits = match row["expect"].as_str().expect("a word") {
        "any" => true,
        "refused" => matches!(got, "permanent" | "unauthorized" | "gone"),
        expected => got == expected,
    };
    if !fits {
        return Some(format!("expected {}, got {got}: {result:?}", row["expect"]));
    }
    let (expected, Err(error)) = (row.get("after_ms")?, result) else { return None };
    // An HTTP date means something else at each instant.
    if row["answer"]["headers"].to_string().contains("GMT") {
        return None;
    }
    let expected = expected.as_u64().map(|ms| Duration::from_millis(ms).min(Duration::from_hours(1)));
    (error.retry_after() != expected).then(|| format!("expected {expected:?}, got {:?}", error.retry_after()))
}

async fn conform(notifier: &str, settings: impl Fn(&Sink) -> ResolvedSettings) {
    let table: Vec<Value> = serde_json::from_str(TABLE).expect("the table is JSON");
    let mut differing = Vec::new();
    let mut held = 0;
    for row in &table {
        let Some(answer) = answer(row) else { continue };
        // A plugin may try to mend what was refused.
        let sink = Sink::start(vec![answer; 8]).await;
        let result = tell(notifier, &settings(&sink), &sink, &told(EventType::Down), None).await;
        differing.extend(differs(row, &result).map(|difference| format!("{}: {difference}", row["name"])));
        held += 1;
    }
    assert!(differing.is_empty(), "{notifier}:\n{}", differing.join("\n"));
    assert!(held > 100, "{held}");
}

#[tokio::test]
async fn telegram_conforms() {
    conform("telegram", |sink| {
        settings([("bot_token", text("1:x")), ("chat_id", text("-42")), ("base_url", text(sink.url("")))])
    })
    .await;
}

#[tokio::test]
async fn discord_conforms() {
    conform("discord", |sink| settings([("webhook_url", text(sink.url("/api/webhooks/1/x")))])).await;
}

#[tokio::test]
async fn slack_conforms_by_both_ways() {
    conform("slack", |sink| settings([("webhook_url", text(sink.url("/services/T/B/x")))])).await;
    conform("slack", |sink| {
        settings([("bot_token", text("xoxb-1")), ("channel", text("C1")), ("base_url", text(sink.url("")))])
    })
    .await;
}

#[tokio::test]
async fn webhook_conforms() {
    conform("webhook", |sink| settings([("url", text(sink.url("/hook")))])).await;
}

#[tokio::test]
async fn ntfy_conforms() {
    conform("ntfy", |sink| settings([("topic", text("t")), ("server", text(sink.url("")))])).await;
}

#[tokio::test]
async fn matrix_conforms() {
    conform("matrix", |sink| {
        settings([
            ("homeserver", text(sink.url(""))),
            ("access_token", text("x")),
            ("room", text("!a:example.com")),
        ])
    })
    .await;
}

#[tokio::test]
async fn pagerduty_conforms() {
    conform("pagerduty", |sink| settings([("routing_key", text("x")), ("base_url", text(sink.url("")))]))
        .await;
}
