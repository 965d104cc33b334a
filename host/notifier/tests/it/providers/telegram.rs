//! Telegram's Bot API.

use super::{golden, golden_events, refusals, row, tell, told};
use crate::support::{Answer, Sink, settings, status, text};
use serde_json::{Value, json};
use uptime_core::ErrorClass::{Permanent, Transient};
use uptime_core::event::EventType;
use uptime_notifier::{ResolvedSetting, ResolvedSettings};

const SENT: &str = r#"{"ok":true,"result":{"message_id":815}}"#;

fn bot(sink: &Sink) -> ResolvedSettings {
    settings([("bot_token", text("123:AB-c_d")), ("chat_id", text("-42")), ("base_url", text(sink.url("")))])
}

fn with(mut given: ResolvedSettings, more: &[(&str, ResolvedSetting)]) -> ResolvedSettings {
    given.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    given
}

fn refusal(code: u16, description: &str, parameters: &Value) -> Answer {
    let body = json!({"ok": false, "error_code": code, "description": description, "parameters": parameters});
    status(code, &body.to_string())
}

#[tokio::test]
async fn every_event() {
    golden_events("telegram", bot, SENT).await;
}

#[tokio::test]
async fn every_setting_and_an_answer_to_the_opening() {
    let sink = Sink::start([status(200, SENT)]).await;
    let all = with(
        bot(&sink),
        &[
            ("chat_id", text("@ops_channel")),
            ("message_thread_id", ResolvedSetting::Integer(5)),
            ("silent", ResolvedSetting::Boolean(true)),
            ("protect_content", ResolvedSetting::Boolean(true)),
        ],
    );
    let receipt = tell("telegram", &all, &sink, &told(EventType::Up), Some("814")).await.expect("accepted");
    assert_eq!(receipt.remote_id.as_deref(), Some("815"));
    golden("telegram/every-setting", &sink.arrived()[0]);
}

#[tokio::test]
async fn a_chat_that_moved_is_followed_once_and_reported() {
    let moved = refusal(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        &json!({"migrate_to_chat_id": -1_001_234_567_890_i64}),
    );
    let sink = Sink::start([moved.clone(), status(200, SENT)]).await;
    let receipt =
        tell("telegram", &bot(&sink), &sink, &told(EventType::Up), Some("814")).await.expect("accepted");
    assert_eq!(receipt.replaced, settings([("chat_id", text("-1001234567890"))]));
    assert_eq!(receipt.detail.as_deref(), Some("the chat has moved: set chat_id to \"-1001234567890\""));
    let again = sink.arrived()[1].json();
    assert_eq!((&again["chat_id"], again.get("reply_parameters")), (&json!(-1_001_234_567_890_i64), None));

    let sink = Sink::start([moved.clone(), moved]).await;
    let error = tell("telegram", &bot(&sink), &sink, &told(EventType::Up), None).await.expect_err("moved on");
    assert_eq!((error.class(), sink.arrived().len()), (Permanent, 2));
}

#[tokio::test]
async fn what_can_be_mended_is_mended_once() {
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
        let sink = Sink::start([refused.clone(), status(200, SENT)]).await;
        let topic = with(bot(&sink), &[("message_thread_id", ResolvedSetting::Integer(5))]);
        let receipt = tell("telegram", &topic, &sink, &told(EventType::Down), None).await.expect(description);
        assert_eq!(receipt.detail.as_deref(), Some(note));
        let is_topic = key == "message_thread_id";
        let without = settings([("message_thread_id", ResolvedSetting::Integer(0))]);
        assert_eq!(receipt.replaced, if is_topic { without } else { settings([]) });
        let [first, second] = &sink.arrived()[..] else { panic!("two requests") };
        assert!(first.json().get(key).is_some() && second.json().get(key).is_none(), "{description}");

        let sink = Sink::start([refused.clone(), refused]).await;
        let topic = with(bot(&sink), &[("message_thread_id", ResolvedSetting::Integer(5))]);
        let error =
            tell("telegram", &topic, &sink, &told(EventType::Down), None).await.expect_err(description);
        // Nor is there a chat to send it to: the channel is broken until there is.
        assert_eq!((error.channel_broken(), sink.arrived().len()), (is_topic, 2), "{description}");
    }
}

#[tokio::test]
async fn each_refusal() {
    let none = &Value::Null;
    refusals(
        "telegram",
        bot,
        vec![
            row(
                refusal(429, "Too Many Requests: retry after 7", &json!({"retry_after": 7})),
                "`telegram` was told to slow down: status 429: Too Many Requests: retry after 7",
                Transient,
            )
            .after_ms(7_000),
            row(
                Answer::Status(429, vec![("retry-after", "9".into())], "<html>slow down".into()),
                "`telegram` was told to slow down: status 429: <html>slow down",
                Transient,
            )
            .after_ms(9_000),
            row(
                refusal(401, "Unauthorized", none),
                "`telegram` was refused: status 401: Unauthorized",
                Permanent,
            )
            .broken(),
            row(
                refusal(403, "Forbidden: bot was kicked from the supergroup chat", none),
                "`telegram` was refused: status 403: Forbidden: bot was kicked from the supergroup chat",
                Permanent,
            )
            .broken(),
            row(
                refusal(404, "Not Found", none),
                "`telegram` found nobody there: status 404: Not Found",
                Permanent,
            )
            .broken(),
            row(
                refusal(400, "Bad Request: chat not found", none),
                "`telegram` found nobody there: status 400: Bad Request: chat not found",
                Permanent,
            )
            .broken(),
            row(
                refusal(400, "Bad Request: not enough rights to send text messages to the chat", none),
                "`telegram` was refused: status 400: Bad Request: not enough rights to send text messages to the chat",
                Permanent,
            )
            .broken(),
            row(
                refusal(400, "Bad Request: message text is empty", none),
                "`telegram` can't deliver: status 400: Bad Request: message text is empty",
                Permanent,
            ),
            row(
                refusal(400, "Bad Request: message is too long", none),
                "`telegram` can't deliver: status 400: Bad Request: message is too long",
                Permanent,
            ),
            row(
                refusal(500, "Internal Server Error", none),
                "`telegram` did not deliver: status 500: Internal Server Error",
                Transient,
            ),
            row(
                status(200, "<html>welcome"),
                "`telegram` did not deliver: status 200, but the answer is not Telegram's: <html>welcome",
                Transient,
            ),
            row(
                status(200, r#"{"ok":false}"#),
                "`telegram` did not deliver: status 200, but the answer is not Telegram's: {\"ok\":false}",
                Transient,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_text_is_below_3900_units_whatever_comes_in() {
    let mut down = told(EventType::Down);
    let endless = "👾".repeat(5_000);
    down.monitor.name.clone_from(&endless);
    down.monitor.target.clone_from(&endless);
    down.monitor.group = Some(endless.clone());
    down.monitor.tags = [(endless.clone(), endless.clone())].into();
    let outcome = down.outcome.as_mut().expect("an outcome");
    (outcome.expected, outcome.got) = (Some(endless.clone()), Some(endless.clone()));
    outcome.message = endless;
    let sink = Sink::start([status(200, SENT)]).await;
    tell("telegram", &bot(&sink), &sink, &down, None).await.expect("accepted");
    let text = sink.arrived()[0].json()["text"].as_str().expect("a text").to_owned();
    let units = text.encode_utf16().count();
    assert!((2_000..3_900).contains(&units), "{units}");
}
