//! ntfy's topics.

use super::{golden_events, refusals, reply};
use crate::support::{settings, text};
use uptime_notifier::ResolvedSettings;

fn topic() -> ResolvedSettings {
    settings([
        ("topic", text("t0p\"ic")),
        ("token", text("tk_made_up")),
        ("server", text("https://ntfy.example/")),
    ])
}

#[tokio::test]
async fn every_event() {
    let sent = r#"{"id":"sPs71M8A2T","time":1776132866,"event":"message","topic":"t"}"#;
    golden_events("ntfy", &topic(), reply(200, sent)).await;
}

#[tokio::test]
async fn each_refusal() {
    let rows = [
        (
            reply(403, r#"{"code":40301,"http":403,"error":"forbidden"}"#),
            "was refused: status 403: forbidden",
            None,
        ),
        (
            reply(429, r#"{"code":42901,"http":429,"error":"limit reached: too many requests"}"#),
            "was told to slow down: status 429: limit reached: too many requests",
            None,
        ),
        (
            reply(200, "<html>welcome"),
            "could not deliver for now: status 200, but the answer is not ntfy's: <html>welcome",
            None,
        ),
    ];
    refusals("ntfy", &topic(), rows).await;
}
