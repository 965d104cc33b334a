//! ntfy's topics.

use super::{golden_events, refusals, row, tell, told};
use crate::support::{Sink, settings, status, text};
use uptime_core::ErrorClass::{Permanent, Transient};
use uptime_core::event::EventType;
use uptime_notifier::ResolvedSettings;

const SENT: &str = r#"{"id":"sPs71M8A2T","time":1776132866,"event":"message","topic":"t"}"#;

fn topic(sink: &Sink) -> ResolvedSettings {
    settings([("topic", text("t0p\"ic")), ("token", text("tk_made_up")), ("server", text(sink.url("/")))])
}

#[tokio::test]
async fn every_event() {
    golden_events("ntfy", topic, SENT).await;
}

#[tokio::test]
async fn topic_and_token_are_in_place() {
    let sink = Sink::start([status(200, SENT)]).await;
    let receipt = tell("ntfy", &topic(&sink), &sink, &told(EventType::Down), None).await.expect("accepted");
    assert_eq!(receipt.remote_id.as_deref(), Some("sPs71M8A2T"));
    let arrived = &sink.arrived()[0];
    assert_eq!(arrived.json()["topic"], "t0p\"ic");
    assert_eq!(arrived.headers["authorization"], "Bearer tk_made_up");
}

#[tokio::test]
async fn each_refusal() {
    refusals(
        "ntfy",
        topic,
        vec![
            row(
                status(403, r#"{"code":40301,"http":403,"error":"forbidden"}"#),
                "`ntfy` was refused: status 403: forbidden",
                Permanent,
            )
            .broken(),
            row(
                status(429, r#"{"code":42901,"http":429,"error":"limit reached: too many requests"}"#),
                "`ntfy` was told to slow down: status 429: limit reached: too many requests",
                Transient,
            ),
            row(
                status(200, "<html>welcome"),
                "`ntfy` did not deliver: status 200, but the answer is not ntfy's: <html>welcome",
                Transient,
            ),
        ],
    )
    .await;
}
