use super::*;
use uptime_plugin_sdk::serde_json::json;
use uptime_plugin_sdk::testing::{self, FakeHost, answer, delivery, event};
use uptime_plugin_sdk::{Response, Retry};

fn settings(more: &[(&str, &str)]) -> Settings {
    let all = more.iter().chain(&[("webhook_url", "ref")]);
    testing::settings(all.map(|(key, value)| (*key, (*value).into())))
}

const SENT: &str = r#"{"id":"1234567890123456789","content":"…"}"#;

fn notify(
    settings: &Settings,
    event: &Event,
    response: Response,
) -> (Result<Receipt, NotifyError>, FakeHost) {
    let mut host = FakeHost::answering([response]);
    let result = Discord::notify(settings, event, &delivery(event), &mut host);
    (result, host)
}

#[test]
fn the_message_for_an_opening() {
    let (result, host) = notify(&settings(&[]), &event("down"), answer(200, SENT));
    assert_eq!(result, Ok(Receipt { remote_id: Some("1234567890123456789".into()), ..Receipt::new() }));
    assert_eq!(host.sent[0].url, "ref");
    assert_eq!(host.sent[0].query, [("wait".to_owned(), "true".to_owned())]);
    assert_eq!(
        host.json(0),
        json!({
            "content": "🔴 **shop is DOWN**\nhttps:\u{2060}//shop.example.com/health answered 503 Service Unavailable (expected 2xx, got 503)",
            "allowed_mentions": {"parse": []},
            "embeds": [{
                "color": 0x00da_3633,
                "fields": [
                    {"name": "Target", "value": "https://shop.example.com/health", "inline": false},
                    {"name": "Down since", "value": "<t:1776132845:F>", "inline": true},
                    {"name": "Failed checks", "value": "3", "inline": true},
                    {"name": "Group", "value": "web", "inline": true},
                    {"name": "Tags", "value": "team=a", "inline": true},
                    {"name": "Incident", "value": "\\#7", "inline": true},
                ],
                "timestamp": "2026-04-14T02:14:25Z",
            }],
        })
    );
}

#[test]
fn settings_reach_the_request() {
    let (_, host) =
        notify(&settings(&[("thread_id", "42"), ("username", "watch")]), &event("test"), answer(200, SENT));
    assert!(host.sent[0].query.contains(&("thread_id".into(), "42".into())));
    assert_eq!(host.json(0)["username"], "watch");
}

#[test]
fn nothing_pings_and_markup_is_only_text() {
    let mut down = event("down");
    down.message.headline = "@\u{2060}everyone *a_b* is DOWN".into();
    let (_, host) = notify(&settings(&[]), &down, answer(200, SENT));
    let content = host.json(0)["content"].as_str().expect("a text").to_owned();
    assert!(content.starts_with("🔴 **@\u{2060}everyone \\*a\\_b\\* is DOWN**\n"), "{content}");
    assert_eq!(host.json(0)["allowed_mentions"], json!({"parse": []}));
}

#[test]
fn each_refusal_has_its_class() {
    let refused = |response| notify(&settings(&[]), &event("down"), response).0.expect_err("refused");
    let limited = answer(
        429,
        r#"{"message": "You are being rate limited.", "code": 0, "retry_after": 1.25, "global": false}"#,
    );
    assert_eq!(
        refused(limited),
        NotifyError::RateLimited(Retry::new("status 429: You are being rate limited.", Some(1_250)))
    );
    let mut edge = answer(429, "<html>banned");
    edge.headers.push(("retry-after".into(), "600".into()));
    assert_eq!(
        refused(edge),
        NotifyError::RateLimited(Retry::new("status 429: <html>banned", Some(600_000)))
    );
    assert_eq!(
        refused(answer(404, r#"{"message": "Unknown Webhook", "code": 10015}"#)),
        NotifyError::Gone("status 404: Unknown Webhook (code 10015)".into())
    );
    assert!(matches!(
        refused(answer(403, r#"{"message": "Invalid Webhook Token", "code": 50027}"#)),
        NotifyError::Unauthorized(_)
    ));
    assert!(matches!(
        refused(answer(400, r#"{"message": "Invalid Form Body", "code": 50035}"#)),
        NotifyError::Permanent(_)
    ));
    assert!(matches!(refused(answer(502, "")), NotifyError::Transient(_)));
    assert!(matches!(refused(answer(200, "<html>welcome")), NotifyError::Transient(_)));
}

#[test]
fn every_answer_has_its_class() {
    testing::conformance::<Discord>(&settings(&[]), &answer(200, SENT));
}

#[test]
fn the_last_free_message_asks_for_a_pause() {
    for (remaining, expected) in [("0", Some(1_500)), ("3", None)] {
        let mut response = answer(200, SENT);
        response.headers = vec![
            ("x-ratelimit-remaining".into(), remaining.into()),
            ("x-ratelimit-reset-after".into(), "1.5".into()),
        ];
        let (result, _) = notify(&settings(&[]), &event("down"), response);
        assert_eq!(result.expect("accepted").pause_ms, expected);
    }
}

#[test]
fn what_discord_would_refuse_is_validated() {
    let messages = |more: &[(&str, &str)]| -> Vec<String> {
        Discord::validate(&settings(more)).into_iter().map(|problem| problem.message).collect()
    };
    assert_eq!(messages(&[("thread_id", "general")]), ["`general` is no thread's number"]);
    assert_eq!(messages(&[("username", "My Discord")]), ["may not contain `discord`"]);
    assert_eq!(messages(&[("username", &"x".repeat(81))]), ["has 1 to 80 characters"]);
    assert!(messages(&[("thread_id", "1234567890123456789"), ("username", "watch")]).is_empty());
}
