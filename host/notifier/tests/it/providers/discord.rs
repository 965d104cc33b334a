//! Discord's webhooks.

use super::{announced, body, golden, golden_events, path, refusals, reply, reply_with, tell};
use crate::support::{settings, text};
use std::time::Duration;
use uptime_core::event::EventType;
use uptime_notifier::{ResolvedSetting, ResolvedSettings};

const SENT: &str = r#"{"id":"99","channel_id":"77"}"#;
const NO_THREAD: &str = r#"{"message": "Unknown Channel", "code": 10003}"#;

fn with<const N: usize>(more: [(&str, ResolvedSetting); N]) -> ResolvedSettings {
    let mut given = settings(more);
    given.extend(settings([("webhook_url", text("https://discord.com/api/webhooks/1/token"))]));
    given
}

#[tokio::test]
async fn every_event() {
    golden_events("discord", &with([]), reply(200, SENT)).await;
}

#[tokio::test]
async fn a_thread_and_a_name() {
    let given = with([("thread_id", text("42")), ("username", text("watch"))]);
    let announced = tell("discord", &given, &announced(EventType::Up), Some("98"), &[reply(200, SENT)]).await;
    assert_eq!(announced.result.expect("accepted").remote_id.as_deref(), Some("99"));
    golden("discord/thread-and-name", &announced.sent[0]);
}

#[tokio::test]
async fn in_a_forum_each_incident_has_its_post() {
    let forum = with([("thread_name", text("{monitor}: incident"))]);
    let opening = tell("discord", &forum, &announced(EventType::Down), None, &[reply(200, SENT)]).await;
    assert_eq!(opening.result.expect("accepted").remote_id.as_deref(), Some("77"));
    golden("discord/forum-opening", &opening.sent[0]);

    let end = tell("discord", &forum, &announced(EventType::Up), Some("77"), &[reply(200, SENT)]).await;
    end.result.expect("accepted");
    assert_eq!(path(&end.sent[0]), "/api/webhooks/1/token?wait=true&thread_id=77");
    assert_eq!(body(&end.sent[0]).get("thread_name"), None);

    let replies = [reply(404, NO_THREAD), reply(200, SENT)];
    let end = tell("discord", &forum, &announced(EventType::Up), Some("77"), &replies).await;
    let detail = end.result.expect("accepted").detail;
    assert_eq!(detail.as_deref(), Some("the incident's post is gone: sent as another one"));
    assert_eq!(body(&end.sent[1])["thread_name"], "shop: incident");
}

#[tokio::test]
async fn a_thread_that_is_gone_is_left_out_once() {
    let (thread, down) = (with([("thread_id", text("42"))]), announced(EventType::Down));
    let announced = tell("discord", &thread, &down, None, &[reply(404, NO_THREAD), reply(200, SENT)]).await;
    let detail = announced.result.expect("accepted").detail;
    assert_eq!(detail.as_deref(), Some("the thread is gone: sent to the channel itself"));
    assert_eq!(path(&announced.sent[1]), "/api/webhooks/1/token?wait=true");
    let announced = tell("discord", &thread, &down, None, &[reply(404, NO_THREAD)]).await;
    assert_eq!((announced.result.expect_err("gone").channel_broken(), announced.sent.len()), (true, 2));
}

#[tokio::test]
async fn each_refusal() {
    let rows = [
        (
            reply(
                429,
                r#"{"message": "You are being rate limited.", "retry_after": 1.2345, "global": false}"#,
            ),
            "was told to slow down: status 429: You are being rate limited.",
            Some(1_235),
        ),
        (
            reply(429, r#"{"message": "Slow.", "retry_after": 64.0, "global": true}"#),
            "was told to slow down: status 429: Slow. (all of Discord)",
            Some(64_000),
        ),
        (
            reply_with(429, &[("retry-after", "600"), ("content-type", "text/html")], "<html>banned"),
            "was told to slow down: status 429: <html>banned",
            Some(600_000),
        ),
        (
            reply(404, r#"{"message": "Unknown Webhook", "code": 10015}"#),
            "did not find the destination: status 404: Unknown Webhook (code 10015)",
            None,
        ),
        (
            reply(403, r#"{"message": "Invalid Webhook Token", "code": 50027}"#),
            "was refused: status 403: Invalid Webhook Token (code 50027)",
            None,
        ),
        (
            reply(401, r#"{"message": "401: Unauthorized", "code": 0}"#),
            "was refused: status 401: 401: Unauthorized",
            None,
        ),
        (
            reply(400, r#"{"message": "Invalid Form Body", "code": 50035}"#),
            "can't deliver: status 400: Invalid Form Body (code 50035)",
            None,
        ),
        (reply(502, ""), "could not deliver for now: status 502", None),
        (reply(204, ""), "could not deliver for now: status 204, but the answer is not Discord's: ", None),
    ];
    refusals("discord", &with([]), rows).await;
}

#[tokio::test]
async fn the_last_free_message_asks_for_a_pause() {
    for (remaining, pause) in [("0", Some(Duration::from_millis(1_500))), ("3", None)] {
        let headers = [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset-after", "1.5")];
        let replies = [reply_with(200, &headers, SENT)];
        let announced = tell("discord", &with([]), &announced(EventType::Down), None, &replies).await;
        assert_eq!(announced.result.expect("accepted").pause, pause);
    }
}

#[tokio::test]
async fn the_limits_hold_whatever_comes_in() {
    let mut down = announced(EventType::Down);
    let endless = "*".repeat(10_000);
    down.monitor.name.clone_from(&endless);
    down.monitor.target = format!("https://{endless}");
    down.monitor.group = Some("@everyone".into());
    down.monitor.tags = [(endless.clone(), endless.clone())].into();
    down.outcome.as_mut().expect("an outcome").message = endless;
    let announced = tell("discord", &with([]), &down, None, &[reply(200, SENT)]).await;
    let body = body(&announced.sent[0]);
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
