//! Matrix's client-server API.

use super::{announced, golden, golden_events, refusals, reply, tell};
use crate::support::{settings, text};
use uptime_core::event::EventType;
use uptime_notifier::{ResolvedSetting, ResolvedSettings};

const SENT: &str = r#"{"event_id":"$made-up"}"#;

fn room() -> ResolvedSettings {
    settings([
        ("homeserver", text("https://m.example")),
        ("access_token", text("syt_made_up")),
        ("room", text("!a:example.com")),
    ])
}

#[tokio::test]
async fn every_event() {
    golden_events("matrix", &room(), reply(200, SENT)).await;
}

#[tokio::test]
async fn a_quiet_answer_to_the_opening() {
    let mut quiet = room();
    quiet.extend(settings([("quiet", ResolvedSetting::Boolean(true))]));
    let announced =
        tell("matrix", &quiet, &announced(EventType::Up), Some("$first"), &[reply(200, SENT)]).await;
    assert_eq!(announced.result.expect("accepted").remote_id.as_deref(), Some("$made-up"));
    golden("matrix/quiet-answer", &announced.sent[0]);
}

#[tokio::test]
async fn each_refusal() {
    let rows = [
        (
            reply(401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token"}"#),
            "was refused: status 401: Invalid access token",
            None,
        ),
        (
            reply(429, r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":2500}"#),
            "was told to slow down: status 429: Too Many Requests",
            Some(2_500),
        ),
        (
            reply(404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#),
            "did not find the destination: status 404: Unrecognized request",
            None,
        ),
    ];
    refusals("matrix", &room(), rows).await;
}
