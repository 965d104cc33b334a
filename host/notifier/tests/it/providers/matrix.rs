//! Matrix's client-server API.

use super::{golden, golden_events, refusals, row, tell, told};
use crate::support::{Sink, settings, status, text};
use uptime_core::ErrorClass::{Permanent, Transient};
use uptime_core::event::EventType;
use uptime_notifier::{ResolvedSetting, ResolvedSettings};

const SENT: &str = r#"{"event_id":"$made-up"}"#;

fn room(sink: &Sink) -> ResolvedSettings {
    settings([
        ("homeserver", text(sink.url(""))),
        ("access_token", text("syt_made_up")),
        ("room", text("!a:example.com")),
    ])
}

#[tokio::test]
async fn every_event() {
    golden_events("matrix", room, SENT).await;
}

#[tokio::test]
async fn a_quiet_answer_to_the_opening() {
    let sink = Sink::start([status(200, SENT)]).await;
    let mut quiet = room(&sink);
    quiet.extend(settings([("quiet", ResolvedSetting::Boolean(true))]));
    let receipt =
        tell("matrix", &quiet, &sink, &told(EventType::Up), Some("$first")).await.expect("accepted");
    assert_eq!(receipt.remote_id.as_deref(), Some("$made-up"));
    golden("matrix/quiet-answer", &sink.arrived()[0]);
}

#[tokio::test]
async fn each_refusal() {
    refusals(
        "matrix",
        room,
        vec![
            row(
                status(401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token"}"#),
                "`matrix` was refused: status 401: Invalid access token",
                Permanent,
            )
            .broken(),
            row(
                status(
                    429,
                    r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":2500}"#,
                ),
                "`matrix` was told to slow down: status 429: Too Many Requests",
                Transient,
            )
            .after_ms(2_500),
            row(
                status(404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#),
                "`matrix` found nobody there: status 404: Unrecognized request",
                Permanent,
            )
            .broken(),
        ],
    )
    .await;
}
