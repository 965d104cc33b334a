//! Slack's incoming webhooks and `chat.postMessage`.

use super::{announced, body, golden, golden_events, refusals, reply, reply_with, tell};
use crate::support::{settings, text};
use serde_json::{Value, json};
use uptime_core::ErrorClass::Permanent;
use uptime_core::event::EventType;
use uptime_notifier::ResolvedSettings;

const SENT: &str = r#"{"ok":true,"channel":"C1","ts":"1776133097.000200"}"#;

fn webhook() -> ResolvedSettings {
    settings([("webhook_url", text("https://hooks.slack.com/services/T/B/secret"))])
}

fn bot() -> ResolvedSettings {
    settings([("bot_token", text("xoxb-1")), ("channel", text("C1"))])
}

#[tokio::test]
async fn every_event() {
    golden_events("slack", &webhook(), reply(200, "ok")).await;
}

#[tokio::test]
async fn a_bot_answers_the_opening_in_its_thread() {
    let opening = Some("1776132845.000100");
    let announced = tell("slack", &bot(), &announced(EventType::Up), opening, &[reply(200, SENT)]).await;
    assert_eq!(announced.result.expect("accepted").remote_id.as_deref(), Some("1776133097.000200"));
    golden("slack/bot-recovery", &announced.sent[0]);
}

#[tokio::test]
async fn what_can_be_mended_is_mended_once() {
    let up = announced(EventType::Up);
    for (word, key, note) in [
        ("thread_not_found", "thread_ts", "the thread takes no answer: sent to the channel itself"),
        ("invalid_blocks", "blocks", "the blocks were not understood: sent as plain text"),
    ] {
        let refused = reply(200, json!({"ok": false, "error": word}).to_string());
        let mended = tell("slack", &bot(), &up, Some("1.2"), &[refused.clone(), reply(200, SENT)]).await;
        assert_eq!(mended.result.expect(word).detail.as_deref(), Some(note));
        let [first, second] = &mended.sent[..] else { panic!("two requests") };
        assert!(body(first).get(key).is_some() && body(second).get(key).is_none(), "{word}");

        let given_up = tell("slack", &bot(), &up, Some("1.2"), &[refused]).await;
        assert_eq!((given_up.result.expect_err(word).class(), given_up.sent.len()), (Permanent, 2));
    }
    let replies = [reply(400, "invalid_blocks"), reply(200, "ok")];
    let mended = tell("slack", &webhook(), &announced(EventType::Down), None, &replies).await;
    mended.result.expect("accepted");
    golden("slack/plain-text", &mended.sent[1]);
}

#[tokio::test]
async fn each_refusal_of_a_webhook() {
    let limited = |body: &str| reply_with(429, &[("retry-after", "30")], body);
    let rows = [
        (reply(400, "invalid_payload"), "can't deliver: status 400: invalid_payload", None),
        (reply(400, "no_text"), "can't deliver: status 400: no_text", None),
        (reply(400, "invalid_token"), "was refused: status 400: invalid_token", None),
        (reply(400, "user_not_found"), "did not find the destination: status 400: user_not_found", None),
        (reply(403, "action_prohibited"), "was refused: status 403: action_prohibited", None),
        (
            reply(404, "channel_not_found"),
            "did not find the destination: status 404: channel_not_found",
            None,
        ),
        (reply(404, "no_service"), "did not find the destination: status 404: no_service", None),
        (reply(404, "no_team"), "did not find the destination: status 404: no_team", None),
        (
            reply(410, "channel_is_archived"),
            "did not find the destination: status 410: channel_is_archived",
            None,
        ),
        (reply(500, "rollup_error"), "could not deliver for now: status 500: rollup_error", None),
        (limited("rate_limited"), "was told to slow down: status 429: rate_limited", Some(30_000)),
        (
            limited(r#"{"ok":false,"error":"rate_limited"}"#),
            "was told to slow down: status 429: rate_limited",
            Some(30_000),
        ),
        (reply(200, "no_service"), "did not find the destination: Slack said: no_service", None),
        (
            reply(200, "<html>welcome"),
            "could not deliver for now: status 200, but the answer is not Slack's: <html>welcome",
            None,
        ),
    ];
    refusals("slack", &webhook(), rows).await;
}

#[tokio::test]
async fn each_word_of_chat_post_message() {
    let said = |word: &str| reply(200, json!({"ok": false, "error": word}).to_string());
    let rows = [
        (said("internal_error"), "could not deliver for now: Slack said: internal_error", None),
        (said("fatal_error"), "could not deliver for now: Slack said: fatal_error", None),
        (said("service_unavailable"), "could not deliver for now: Slack said: service_unavailable", None),
        (said("request_timeout"), "could not deliver for now: Slack said: request_timeout", None),
        (said("ratelimited"), "was told to slow down: Slack said: ratelimited", None),
        (said("invalid_auth"), "was refused: Slack said: invalid_auth", None),
        (said("not_in_channel"), "was refused: Slack said: not_in_channel", None),
        (said("channel_not_found"), "did not find the destination: Slack said: channel_not_found", None),
        (said("msg_too_long"), "can't deliver: Slack said: msg_too_long", None),
        (reply(503, "down"), "could not deliver for now: status 503: down", None),
    ];
    refusals("slack", &bot(), rows).await;
}

#[tokio::test]
async fn the_limits_hold_whatever_comes_in() {
    let mut up = announced(EventType::Up);
    let endless = "&".repeat(10_000);
    up.monitor.name.clone_from(&endless);
    up.monitor.target.clone_from(&endless);
    up.monitor.group = Some("<!channel>".into());
    up.monitor.tags = [(endless.clone(), endless.clone())].into();
    up.outcome.as_mut().expect("an outcome").message = endless;
    let announced = tell("slack", &webhook(), &up, None, &[reply(200, "ok")]).await;
    let body = body(&announced.sent[0]);
    let length = |value: &Value| value.as_str().expect("a text").chars().count();
    assert!((700..=3_000).contains(&length(&body["blocks"][0]["text"]["text"])));
    let blocks = body["attachments"][0]["blocks"].as_array().expect("blocks");
    assert!(length(&blocks[0]["text"]["text"]) <= 3_000);
    let fields = blocks[1]["fields"].as_array().expect("fields");
    assert!(fields.len() <= 10 && fields.iter().all(|field| length(&field["text"]) <= 2_000));
    assert!(!body.to_string().contains("<!channel>"));
}
