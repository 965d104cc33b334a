use super::*;
use uptime_plugin_sdk::serde_json::{Value, json};
use uptime_plugin_sdk::testing::{self, FakeHost, answer, delivery, event};
use uptime_plugin_sdk::{Response, Setting, SettingValue};

fn settings(more: Vec<(&str, SettingValue)>) -> Settings {
    testing::settings(more.into_iter().chain([("bot_token", "ref".into()), ("chat_id", "-42".into())]))
}

const SENT: &str = r#"{"ok":true,"result":{"message_id":815}}"#;

fn refusal(code: u16, description: &str, parameters: &Value) -> Response {
    let body = json!({"ok": false, "error_code": code, "description": description, "parameters": parameters});
    answer(code, &body.to_string())
}

fn notify(
    settings: &Settings,
    event: &Event,
    answers: Vec<Response>,
) -> (Result<Receipt, NotifyError>, FakeHost) {
    let mut host = FakeHost::answering(answers);
    let delivery = Delivery { first_remote_id: Some("814".into()), ..delivery(event) };
    let result = Telegram::notify(settings, event, &delivery, &mut host);
    (result, host)
}

#[test]
fn the_message_for_a_recovery() {
    let (result, host) = notify(&settings(vec![]), &event("up"), vec![answer(200, SENT)]);
    assert_eq!(result, Ok(Receipt { remote_id: Some("815".into()), ..Receipt::new() }));
    assert_eq!(host.sent[0].url, "https://api.telegram.org/botref/sendMessage");
    assert_eq!(
        host.json(0),
        json!({
            "chat_id": -42,
            "text": "✅ <b>shop is UP again after 4 min 12 s</b>\n\
                     <code>It was: https:\u{2060}//shop.example.com/health answered 503 Service Unavailable (expected 2xx, got 503)</code>\n\n\
                     Target: https://shop.example.com/health\n\
                     From: 2026-04-14 02:14:05 UTC\nUntil: 2026-04-14 02:18:17 UTC\nFailed checks: 3\n\
                     Group: web\nTags: team=a\nIncident: #7",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
            "reply_parameters": {"message_id": 814, "allow_sending_without_reply": true},
        })
    );
}

#[test]
fn settings_reach_the_request() {
    let more = vec![
        ("message_thread_id", 5.into()),
        ("silent", true.into()),
        ("base_url", "https://bots.example/api/".into()),
    ];
    let (_, host) = notify(&settings(more), &event("test"), vec![answer(200, SENT)]);
    assert_eq!(host.sent[0].url, "https://bots.example/api/botref/sendMessage");
    let body = host.json(0);
    assert_eq!((&body["message_thread_id"], &body["disable_notification"]), (&json!(5), &json!(true)));
}

#[test]
fn names_with_markup_are_only_text() {
    let mut down = event("down");
    down.message.headline = "a_b*[c](d) <e> & f is DOWN".into();
    let (_, host) = notify(&settings(vec![]), &down, vec![answer(200, SENT)]);
    let text = host.json(0)["text"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("🔴 <b>a_b*[c](d) &lt;e&gt; &amp; f is DOWN</b>\n"), "{text}");
}

#[test]
fn a_chat_that_moved_is_followed_and_reported() {
    let moved = refusal(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        &json!({"migrate_to_chat_id": -1_001_234_567_890_i64}),
    );
    let (result, host) = notify(&settings(vec![]), &event("up"), vec![moved.clone(), answer(200, SENT)]);
    let receipt = result.expect("accepted");
    assert_eq!(receipt.replaced, [Setting { key: "chat_id".into(), value: "-1001234567890".into() }]);
    assert_eq!(receipt.detail.as_deref(), Some("the chat has moved: set chat_id to \"-1001234567890\""));
    assert_eq!(host.json(1)["chat_id"], json!(-1_001_234_567_890_i64));
    assert_eq!(host.json(1).get("reply_parameters"), None);

    let (result, host) = notify(&settings(vec![]), &event("up"), vec![moved.clone(), moved]);
    assert!(matches!(result, Err(NotifyError::Permanent(_))), "{result:?}");
    assert_eq!(host.sent.len(), 2);
}

#[test]
fn a_topic_that_is_gone_is_left_out_once() {
    let gone = refusal(400, "Bad Request: message thread not found", &json!({}));
    let topic = settings(vec![("message_thread_id", 5.into())]);
    let (result, host) = notify(&topic, &event("down"), vec![gone.clone(), answer(200, SENT)]);
    let receipt = result.expect("accepted");
    assert_eq!(receipt.detail.as_deref(), Some("the topic is gone: sent to the chat itself"));
    assert_eq!(receipt.replaced, [Setting { key: "message_thread_id".into(), value: 0.into() }]);
    assert_eq!(host.json(1).get("message_thread_id"), None);
    // Nor is there a chat to send it to: the channel is broken until there is.
    let (result, _) = notify(&topic, &event("down"), vec![gone.clone(), gone]);
    assert!(matches!(result, Err(NotifyError::Gone(_))), "{result:?}");
}

#[test]
fn markup_that_is_not_understood_goes_as_plain_text_once() {
    let refused = refusal(400, "Bad Request: can't parse entities: unsupported start tag", &Value::Null);
    let mut down = event("down");
    down.message.headline = "a & b is DOWN".into();
    let (result, host) = notify(&settings(vec![]), &down, vec![refused.clone(), answer(200, SENT)]);
    assert!(result.is_ok());
    assert_eq!(host.json(1).get("parse_mode"), None);
    assert!(host.json(1)["text"].as_str().expect("a text").starts_with("🔴 a & b is DOWN\n"));
    let (result, host) = notify(&settings(vec![]), &down, vec![refused.clone(), refused]);
    assert!(matches!(result, Err(NotifyError::Permanent(_))), "{result:?}");
    assert_eq!(host.sent.len(), 2);
}

#[test]
fn each_refusal_has_its_class() {
    let refused =
        |response| notify(&settings(vec![]), &event("down"), vec![response]).0.expect_err("refused");
    let retry = |message: &str, after_ms| uptime_plugin_sdk::Retry::new(message, after_ms);
    assert_eq!(
        refused(refusal(429, "Too Many Requests: retry after 7", &json!({"retry_after": 7}))),
        NotifyError::RateLimited(retry("status 429: Too Many Requests: retry after 7", Some(7_000)))
    );
    assert_eq!(
        refused(refusal(401, "Unauthorized", &Value::Null)),
        NotifyError::Unauthorized("status 401: Unauthorized".into())
    );
    assert!(matches!(
        refused(refusal(403, "Forbidden: bot was kicked", &Value::Null)),
        NotifyError::Unauthorized(_)
    ));
    assert!(matches!(refused(refusal(404, "Not Found", &Value::Null)), NotifyError::Gone(_)));
    assert!(matches!(
        refused(refusal(400, "Bad Request: chat not found", &Value::Null)),
        NotifyError::Gone(_)
    ));
    assert!(matches!(
        refused(refusal(400, "Bad Request: message text is empty", &Value::Null)),
        NotifyError::Permanent(_)
    ));
    assert_eq!(
        refused(answer(502, "<html>bad gateway")),
        NotifyError::Transient(retry("status 502: <html>bad gateway", None))
    );
    assert_eq!(
        refused(answer(200, "<html>welcome")),
        NotifyError::Transient(retry("status 200, but the answer is not Telegram's: <html>welcome", None))
    );
}

#[test]
fn every_answer_has_its_class() {
    testing::conformance::<Telegram>(&settings(vec![]), &answer(200, SENT));
}

#[test]
fn chats_are_validated() {
    for (chat_id, fine) in [
        ("-1001234567890", true),
        ("42", true),
        ("@ops_channel", true),
        ("@x", false),
        ("ops", false),
        ("0", false),
        ("", false),
        ("9007199254740993", false),
    ] {
        assert_eq!(render::is_chat_id(chat_id), fine, "{chat_id}");
    }
    let problems = Telegram::validate(&settings(vec![("chat_id", "ops".into())]));
    assert_eq!(problems[0].message, "`ops` is neither a chat's number nor an `@name`");
}
