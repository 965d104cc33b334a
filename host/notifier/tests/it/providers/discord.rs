//! Discord's webhooks.

use super::{golden, golden_events, refusals, row, tell, told};
use crate::support::{Answer, Sink, settings, status, text};
use std::time::Duration;
use uptime_core::ErrorClass::{Permanent, Transient};
use uptime_core::event::EventType;
use uptime_notifier::{ResolvedSetting, ResolvedSettings};

const SENT: &str = r#"{"id":"99","channel_id":"77"}"#;
const NO_THREAD: &str = r#"{"message": "Unknown Channel", "code": 10003}"#;

fn with<const N: usize>(sink: &Sink, more: [(&str, ResolvedSetting); N]) -> ResolvedSettings {
    let mut given = settings(more);
    given.extend(settings([("webhook_url", text(sink.url("/api/webhooks/1/token")))]));
    given
}

#[tokio::test]
async fn every_event() {
    golden_events("discord", |sink| with(sink, []), SENT).await;
}

#[tokio::test]
async fn a_thread_and_a_name() {
    let sink = Sink::start([status(200, SENT)]).await;
    let given = with(&sink, [("thread_id", text("42")), ("username", text("watch"))]);
    let receipt = tell("discord", &given, &sink, &told(EventType::Up), Some("98")).await.expect("accepted");
    assert_eq!(receipt.remote_id.as_deref(), Some("99"));
    golden("discord/thread-and-name", &sink.arrived()[0]);
}

#[tokio::test]
async fn in_a_forum_each_incident_has_its_post() {
    let forum = |sink: &Sink| with(sink, [("thread_name", text("{monitor}: incident"))]);
    let sink = Sink::start([status(200, SENT)]).await;
    let opening =
        tell("discord", &forum(&sink), &sink, &told(EventType::Down), None).await.expect("accepted");
    assert_eq!(opening.remote_id.as_deref(), Some("77"));
    golden("discord/forum-opening", &sink.arrived()[0]);

    let sink = Sink::start([status(200, SENT)]).await;
    tell("discord", &forum(&sink), &sink, &told(EventType::Up), Some("77")).await.expect("accepted");
    let arrived = sink.arrived();
    assert_eq!(arrived[0].path, "/api/webhooks/1/token?wait=true&thread_id=77");
    assert_eq!(arrived[0].json().get("thread_name"), None);

    let sink = Sink::start([status(404, NO_THREAD), status(200, SENT)]).await;
    let receipt = tell("discord", &forum(&sink), &sink, &told(EventType::Up), Some("77")).await;
    assert_eq!(
        receipt.expect("accepted").detail.as_deref(),
        Some("the incident's post is gone: sent as another one")
    );
    assert_eq!(sink.arrived()[1].json()["thread_name"], "shop: incident");
}

#[tokio::test]
async fn a_thread_that_is_gone_is_left_out_once() {
    let sink = Sink::start([status(404, NO_THREAD), status(200, SENT)]).await;
    let thread = |sink: &Sink| with(sink, [("thread_id", text("42"))]);
    let receipt =
        tell("discord", &thread(&sink), &sink, &told(EventType::Down), None).await.expect("accepted");
    assert_eq!(receipt.detail.as_deref(), Some("the thread is gone: sent to the channel itself"));
    assert_eq!(sink.arrived()[1].path, "/api/webhooks/1/token?wait=true");
    let sink = Sink::start([status(404, NO_THREAD), status(404, NO_THREAD)]).await;
    let error = tell("discord", &thread(&sink), &sink, &told(EventType::Down), None).await.expect_err("gone");
    assert_eq!((error.channel_broken(), sink.arrived().len()), (true, 2));
}

#[tokio::test]
async fn each_refusal() {
    refusals(
        "discord",
        |sink| with(sink, []),
        vec![
            row(
                status(
                    429,
                    r#"{"message": "You are being rate limited.", "retry_after": 1.2345, "global": false}"#,
                ),
                "`discord` was told to slow down: status 429: You are being rate limited.",
                Transient,
            )
            .after_ms(1_235),
            row(
                status(429, r#"{"message": "Slow.", "retry_after": 64.0, "global": true}"#),
                "`discord` was told to slow down: status 429: Slow. (all of Discord)",
                Transient,
            )
            .after_ms(64_000),
            row(
                Answer::Status(
                    429,
                    vec![("retry-after", "600".into()), ("content-type", "text/html".into())],
                    "<html>banned".into(),
                ),
                "`discord` was told to slow down: status 429: <html>banned",
                Transient,
            )
            .after_ms(600_000),
            row(
                status(404, r#"{"message": "Unknown Webhook", "code": 10015}"#),
                "`discord` found nobody there: status 404: Unknown Webhook (code 10015)",
                Permanent,
            )
            .broken(),
            row(
                status(403, r#"{"message": "Invalid Webhook Token", "code": 50027}"#),
                "`discord` was refused: status 403: Invalid Webhook Token (code 50027)",
                Permanent,
            )
            .broken(),
            row(
                status(401, r#"{"message": "401: Unauthorized", "code": 0}"#),
                "`discord` was refused: status 401: 401: Unauthorized",
                Permanent,
            )
            .broken(),
            row(
                status(400, r#"{"message": "Invalid Form Body", "code": 50035}"#),
                "`discord` can't deliver: status 400: Invalid Form Body (code 50035)",
                Permanent,
            ),
            row(status(502, ""), "`discord` did not deliver: status 502", Transient),
            row(
                status(204, ""),
                "`discord` did not deliver: status 204, but the answer is not Discord's: ",
                Transient,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_last_free_message_asks_for_a_pause() {
    for (remaining, pause) in [("0", Some(Duration::from_millis(1_500))), ("3", None)] {
        let headers = vec![
            ("x-ratelimit-remaining", remaining.to_owned()),
            ("x-ratelimit-reset-after", "1.5".to_owned()),
        ];
        let sink = Sink::start([Answer::Status(200, headers, SENT.into())]).await;
        let receipt =
            tell("discord", &with(&sink, []), &sink, &told(EventType::Down), None).await.expect("accepted");
        assert_eq!(receipt.pause, pause);
    }
}

#[tokio::test]
async fn the_limits_hold_whatever_comes_in() {
    let mut down = told(EventType::Down);
    let endless = "*".repeat(10_000);
    down.monitor.name.clone_from(&endless);
    down.monitor.target = format!("https://{endless}");
    down.monitor.group = Some("@everyone".into());
    down.monitor.tags = [(endless.clone(), endless.clone())].into();
    down.outcome.as_mut().expect("an outcome").message = endless;
    let sink = Sink::start([status(200, SENT)]).await;
    tell("discord", &with(&sink, []), &sink, &down, None).await.expect("accepted");
    let body = sink.arrived()[0].json();
    let length = |value: &serde_json::Value| value.as_str().expect("a text").encode_utf16().count();
    assert!((1_000..=2_000).contains(&length(&body["content"])));
    assert_eq!(body["allowed_mentions"], serde_json::json!({"parse": []}));
    let embed = &body["embeds"][0];
    let mut sum = 0;
    let fields = embed["fields"].as_array().expect("fields");
    assert!(fields.len() <= 25);
    for field in fields {
        let (name, value) = (length(&field["name"]), length(&field["value"]));
        assert!((1..=256).contains(&name) && (1..=1_024).contains(&value), "{field}");
        sum += name + value;
    }
    assert!((500..=6_000).contains(&sum), "{sum}");
}
