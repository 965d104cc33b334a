//! Slack's incoming webhooks and `chat.postMessage`.

use super::{Row, golden, golden_events, refusals, row, tell, told};
use crate::support::{Answer, Sink, settings, status, text};
use serde_json::{Value, json};
use uptime_core::ErrorClass::{Permanent, Transient};
use uptime_core::event::EventType;
use uptime_notifier::ResolvedSettings;

const SENT: &str = r#"{"ok":true,"channel":"C1","ts":"1776133097.000200"}"#;

fn webhook(sink: &Sink) -> ResolvedSettings {
    settings([("webhook_url", text(sink.url("/services/T/B/secret")))])
}

fn bot(sink: &Sink) -> ResolvedSettings {
    settings([("bot_token", text("xoxb-1")), ("channel", text("C1")), ("base_url", text(sink.url("/api/")))])
}

#[tokio::test]
async fn every_event() {
    golden_events("slack", webhook, "ok").await;
}

#[tokio::test]
async fn a_bot_answers_the_opening_in_its_thread() {
    let sink = Sink::start([status(200, SENT)]).await;
    let receipt = tell("slack", &bot(&sink), &sink, &told(EventType::Up), Some("1776132845.000100"))
        .await
        .expect("accepted");
    assert_eq!(receipt.remote_id.as_deref(), Some("1776133097.000200"));
    golden("slack/bot-recovery", &sink.arrived()[0]);
}

#[tokio::test]
async fn what_can_be_mended_is_mended_once() {
    for (word, key, note) in [
        ("thread_not_found", "thread_ts", "the thread takes no answer: sent to the channel itself"),
        ("invalid_blocks", "blocks", "the blocks were not understood: sent as plain text"),
    ] {
        let refused = status(200, &json!({"ok": false, "error": word}).to_string());
        let sink = Sink::start([refused.clone(), status(200, SENT)]).await;
        let receipt = tell("slack", &bot(&sink), &sink, &told(EventType::Up), Some("1.2")).await.expect(word);
        assert_eq!(receipt.detail.as_deref(), Some(note));
        let [first, second] = &sink.arrived()[..] else { panic!("two requests") };
        assert!(first.json().get(key).is_some() && second.json().get(key).is_none(), "{word}");

        let sink = Sink::start([refused.clone(), refused]).await;
        let error =
            tell("slack", &bot(&sink), &sink, &told(EventType::Up), Some("1.2")).await.expect_err(word);
        assert_eq!((error.class(), sink.arrived().len()), (Permanent, 2));
    }
    let sink = Sink::start([status(400, "invalid_blocks"), status(200, "ok")]).await;
    tell("slack", &webhook(&sink), &sink, &told(EventType::Down), None).await.expect("accepted");
    golden("slack/plain-text", &sink.arrived()[1]);
}

#[tokio::test]
async fn each_refusal_of_a_webhook() {
    let limited = |body: &str| Answer::Status(429, vec![("retry-after", "30".into())], body.into());
    refusals(
        "slack",
        webhook,
        vec![
            row(
                status(400, "invalid_payload"),
                "`slack` can't deliver: status 400: invalid_payload",
                Permanent,
            ),
            row(status(400, "no_text"), "`slack` can't deliver: status 400: no_text", Permanent),
            row(status(400, "invalid_token"), "`slack` was refused: status 400: invalid_token", Permanent)
                .broken(),
            row(
                status(400, "user_not_found"),
                "`slack` found nobody there: status 400: user_not_found",
                Permanent,
            )
            .broken(),
            row(
                status(403, "action_prohibited"),
                "`slack` was refused: status 403: action_prohibited",
                Permanent,
            )
            .broken(),
            row(
                status(404, "channel_not_found"),
                "`slack` found nobody there: status 404: channel_not_found",
                Permanent,
            )
            .broken(),
            row(status(404, "no_service"), "`slack` found nobody there: status 404: no_service", Permanent)
                .broken(),
            row(status(404, "no_team"), "`slack` found nobody there: status 404: no_team", Permanent)
                .broken(),
            row(
                status(410, "channel_is_archived"),
                "`slack` found nobody there: status 410: channel_is_archived",
                Permanent,
            )
            .broken(),
            row(status(500, "rollup_error"), "`slack` did not deliver: status 500: rollup_error", Transient),
            row(
                limited("rate_limited"),
                "`slack` was told to slow down: status 429: rate_limited",
                Transient,
            )
            .after_ms(30_000),
            row(
                limited(r#"{"ok":false,"error":"rate_limited"}"#),
                "`slack` was told to slow down: status 429: rate_limited",
                Transient,
            )
            .after_ms(30_000),
            row(status(200, "no_service"), "`slack` found nobody there: Slack said: no_service", Permanent)
                .broken(),
            row(
                status(200, "<html>welcome"),
                "`slack` did not deliver: status 200, but the answer is not Slack's: <html>welcome",
                Transient,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn each_word_of_chat_post_message() {
    let said = |word: &str| status(200, &json!({"ok": false, "error": word}).to_string());
    let transient: [Row; 4] = [
        ("internal_error", "`slack` did not deliver: Slack said: internal_error"),
        ("fatal_error", "`slack` did not deliver: Slack said: fatal_error"),
        ("service_unavailable", "`slack` did not deliver: Slack said: service_unavailable"),
        ("request_timeout", "`slack` did not deliver: Slack said: request_timeout"),
    ]
    .map(|(word, message)| row(said(word), message, Transient));
    let mut rows = Vec::from(transient);
    rows.extend([
        row(said("ratelimited"), "`slack` was told to slow down: Slack said: ratelimited", Transient),
        row(said("invalid_auth"), "`slack` was refused: Slack said: invalid_auth", Permanent).broken(),
        row(said("not_in_channel"), "`slack` was refused: Slack said: not_in_channel", Permanent).broken(),
        row(
            said("channel_not_found"),
            "`slack` found nobody there: Slack said: channel_not_found",
            Permanent,
        )
        .broken(),
        row(said("msg_too_long"), "`slack` can't deliver: Slack said: msg_too_long", Permanent),
        row(status(503, "down"), "`slack` did not deliver: status 503: down", Transient),
    ]);
    refusals("slack", bot, rows).await;
}

#[tokio::test]
async fn the_limits_hold_whatever_comes_in() {
    let mut up = told(EventType::Up);
    let endless = "&".repeat(10_000);
    up.monitor.name.clone_from(&endless);
    up.monitor.target.clone_from(&endless);
    up.monitor.group = Some("<!channel>".into());
    up.monitor.tags = [(endless.clone(), endless.clone())].into();
    up.outcome.as_mut().expect("an outcome").message = endless;
    let sink = Sink::start([status(200, "ok")]).await;
    tell("slack", &webhook(&sink), &sink, &up, None).await.expect("accepted");
    let body = sink.arrived()[0].json();
    let length = |value: &Value| value.as_str().expect("a text").chars().count();
    assert!((700..=3_000).contains(&length(&body["blocks"][0]["text"]["text"])));
    let blocks = body["attachments"][0]["blocks"].as_array().expect("blocks");
    assert!(length(&blocks[0]["text"]["text"]) <= 3_000);
    let fields = blocks[1]["fields"].as_array().expect("fields");
    assert!(fields.len() <= 10 && fields.iter().all(|field| length(&field["text"]) <= 2_000));
    assert!(!body.to_string().contains("<!channel>"));
}
