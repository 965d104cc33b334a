//! Telegram's Bot API.

use super::{announced, body, golden, golden_events, refusals, reply, reply_with, tell};
use crate::support::{settings, text};
use serde_json::{Value, json};
use uptime_core::ErrorClass::Permanent;
use uptime_core::event::EventType;
use uptime_notifier::scripted::Reply;
use uptime_notifier::{ResolvedSetting, ResolvedSettings};

const SENT: &str = r#"{"ok":true,"result":{"message_id":815}}"#;

fn bot<const N: usize>(more: [(&str, ResolvedSetting); N]) -> ResolvedSettings {
    let mut given = settings([("bot_token", text("123:AB-c_d")), ("chat_id", text("-42"))]);
    given.extend(settings(more));
    given
}

fn refusal(code: u16, description: &str, parameters: &Value) -> Reply {
    let body = json!({"ok": false, "error_code": code, "description": description, "parameters": parameters});
    reply(code, body.to_string())
}

#[tokio::test]
async fn every_event() {
    golden_events("telegram", &bot([]), reply(200, SENT)).await;
}

#[tokio::test]
async fn every_setting_and_an_answer_to_the_opening() {
    let all = bot([
        ("chat_id", text("@ops_channel")),
        ("message_thread_id", ResolvedSetting::Integer(5)),
        ("silent", ResolvedSetting::Boolean(true)),
        ("protect_content", ResolvedSetting::Boolean(true)),
    ]);
    let announced = tell("telegram", &all, &announced(EventType::Up), Some("814"), &[reply(200, SENT)]).await;
    assert_eq!(announced.result.expect("accepted").remote_id.as_deref(), Some("815"));
    golden("telegram/every-setting", &announced.sent[0]);
}

#[tokio::test]
async fn a_chat_that_moved_is_followed_once_and_reported() {
    let moved = refusal(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        &json!({"migrate_to_chat_id": -1_001_234_567_890_i64}),
    );
    let replies = [moved.clone(), reply(200, SENT)];
    let followed = tell("telegram", &bot([]), &announced(EventType::Up), Some("814"), &replies).await;
    let receipt = followed.result.expect("accepted");
    assert_eq!(receipt.replaced, settings([("chat_id", text("-1001234567890"))]));
    assert_eq!(receipt.detail.as_deref(), Some("the chat has moved: set chat_id to \"-1001234567890\""));
    let again = body(&followed.sent[1]);
    assert_eq!((&again["chat_id"], again.get("reply_parameters")), (&json!(-1_001_234_567_890_i64), None));

    let given_up = tell("telegram", &bot([]), &announced(EventType::Up), None, &[moved]).await;
    assert_eq!((given_up.result.expect_err("moved on").class(), given_up.sent.len()), (Permanent, 2));
}

#[tokio::test]
async fn what_can_be_mended_is_mended_once() {
    let (topic, down) =
        (bot([("message_thread_id", ResolvedSetting::Integer(5))]), announced(EventType::Down));
    for (description, key, note) in [
        (
            "Bad Request: message thread not found",
            "message_thread_id",
            "the topic is gone: sent to the chat itself",
        ),
        ("Bad Request: TOPIC_CLOSED", "message_thread_id", "the topic is gone: sent to the chat itself"),
        (
            "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 7",
            "parse_mode",
            "the markup was not understood: sent as plain text",
        ),
    ] {
        let refused = refusal(400, description, &Value::Null);
        let mended = tell("telegram", &topic, &down, None, &[refused.clone(), reply(200, SENT)]).await;
        let receipt = mended.result.expect(description);
        assert_eq!(receipt.detail.as_deref(), Some(note));
        let is_topic = key == "message_thread_id";
        let without = settings([("message_thread_id", ResolvedSetting::Integer(0))]);
        assert_eq!(receipt.replaced, if is_topic { without } else { settings([]) });
        let [first, second] = &mended.sent[..] else { panic!("two requests") };
        assert!(body(first).get(key).is_some() && body(second).get(key).is_none(), "{description}");

        let given_up = tell("telegram", &topic, &down, None, &[refused]).await;
        let error = given_up.result.expect_err(description);
        // Nor is there a chat to send it to: the channel is broken until there is.
        assert_eq!((error.channel_broken(), given_up.sent.len()), (is_topic, 2), "{description}");
    }
}

#[tokio::test]
async fn each_refusal() {
    let refusal = |code, description: &str| refusal(code, description, &Value::Null);
    let rows = [
        (
            self::refusal(429, "Too Many Requests: retry after 7", &json!({"retry_after": 7})),
            "was told to slow down: status 429: Too Many Requests: retry after 7",
            Some(7_000),
        ),
        (
            reply_with(429, &[("retry-after", "9")], "<html>slow down"),
            "was told to slow down: status 429: <html>slow down",
            Some(9_000),
        ),
        (refusal(401, "Unauthorized"), "was refused: status 401: Unauthorized", None),
        (
            refusal(403, "Forbidden: bot was kicked from the supergroup chat"),
            "was refused: status 403: Forbidden: bot was kicked from the supergroup chat",
            None,
        ),
        (refusal(404, "Not Found"), "did not find the destination: status 404: Not Found", None),
        (
            refusal(400, "Bad Request: chat not found"),
            "did not find the destination: status 400: Bad Request: chat not found",
            None,
        ),
        (
            refusal(400, "Bad Request: not enough rights to send text messages to the chat"),
            "was refused: status 400: Bad Request: not enough rights to send text messages to the chat",
            None,
        ),
        (
            refusal(400, "Bad Request: message text is empty"),
            "can't deliver: status 400: Bad Request: message text is empty",
            None,
        ),
        (
            refusal(400, "Bad Request: message is too long"),
            "can't deliver: status 400: Bad Request: message is too long",
            None,
        ),
        (
            refusal(500, "Internal Server Error"),
            "could not deliver for now: status 500: Internal Server Error",
            None,
        ),
        (
            reply(200, "<html>welcome"),
            "could not deliver for now: status 200, but the answer is not Telegram's: <html>welcome",
            None,
        ),
        (
            reply(200, r#"{"ok":false}"#),
            "could not deliver for now: status 200, but the answer is not Telegram's: {\"ok\":false}",
            None,
        ),
    ];
    refusals("telegram", &bot([]), rows).await;
}

#[tokio::test]
async fn a_text_is_below_3900_units_whatever_comes_in() {
    let mut down = announced(EventType::Down);
    let endless = "👾".repeat(5_000);
    down.monitor.name.clone_from(&endless);
    down.monitor.target.clone_from(&endless);
    down.monitor.group = Some(endless.clone());
    down.monitor.tags = [(endless.clone(), endless.clone())].into();
    let outcome = down.outcome.as_mut().expect("an outcome");
    (outcome.expected, outcome.got) = (Some(endless.clone()), Some(endless.clone()));
    outcome.message = endless;
    let announced = tell("telegram", &bot([]), &down, None, &[reply(200, SENT)]).await;
    let units = body(&announced.sent[0])["text"].as_str().expect("a text").encode_utf16().count();
    assert!((2_000..3_900).contains(&units), "{units}");
}
