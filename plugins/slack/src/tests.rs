use super::*;
use uptime_plugin_sdk::serde_json::json;
use uptime_plugin_sdk::testing::{self, FakeHost, answer, delivery, event};
use uptime_plugin_sdk::{Response, Retry, Value};

fn settings(pairs: &[(&str, &str)]) -> Settings {
    testing::settings(pairs.iter().map(|(key, value)| (*key, (*value).into())))
}

const WEBHOOK: &[(&str, &str)] = &[("webhook_url", "ref")];
const BOT: &[(&str, &str)] = &[("bot_token", "ref"), ("channel", "C123")];

fn notify(
    pairs: &[(&str, &str)],
    event: &Event,
    response: Response,
) -> (Result<Receipt, NotifyError>, FakeHost) {
    let mut host = FakeHost::answering([response]);
    let delivery = Delivery { first_remote_id: Some("1776132845.000100".into()), ..delivery(event) };
    let result = Slack::notify(&settings(pairs), event, &delivery, &mut host);
    (result, host)
}

#[test]
fn the_message_for_an_opening() {
    let (result, host) = notify(WEBHOOK, &event("down"), answer(200, "ok"));
    assert_eq!(result, Ok(Receipt::new()));
    assert_eq!(host.sent[0].url, "ref");
    let field = |text: &str| json!({"type": "mrkdwn", "text": text, "verbatim": true});
    assert_eq!(
        host.json(0),
        json!({
            "text": "🔴 shop is DOWN: https:\u{2060}//shop.example.com/health answered 503 Service Unavailable (expected 2xx, got 503)",
            "blocks": [{"type": "section", "text": field("*🔴 shop is DOWN*")}],
            "attachments": [{
                "color": "#da3633",
                "fallback": "https:\u{2060}//shop.example.com/health answered 503 Service Unavailable (expected 2xx, got 503)",
                "blocks": [
                    {"type": "section", "text": {"type": "plain_text", "text": "https:\u{2060}//shop.example.com/health answered 503 Service Unavailable (expected 2xx, got 503)", "emoji": false}},
                    {"type": "section", "fields": [
                        field("*Target*\n<https://shop.example.com/health>"),
                        field("*Down since*\n<!date^1776132845^{date_short_pretty} {time_secs}|2026-04-14 02:14:05 UTC>"),
                        field("*Failed checks*\n3"),
                        field("*Group*\nweb"),
                        field("*Tags*\nteam=a"),
                        field("*Incident*\n#7"),
                    ]},
                ],
            }],
            "unfurl_links": false,
            "unfurl_media": false,
            "parse": "none",
            "link_names": false,
        })
    );
}

#[test]
fn a_bot_answers_the_opening_in_its_thread() {
    let (result, host) =
        notify(BOT, &event("up"), answer(200, r#"{"ok":true,"channel":"C123","ts":"1776133097.000200"}"#));
    assert_eq!(result, Ok(Receipt { remote_id: Some("1776133097.000200".into()), ..Receipt::new() }));
    assert_eq!(host.sent[0].url, "https://slack.com/api/chat.postMessage");
    assert!(host.sent[0].headers.contains(&("authorization".into(), "Bearer ref".into())));
    let body = host.json(0);
    assert_eq!(
        (&body["channel"], &body["thread_ts"], &body["reply_broadcast"]),
        (&json!("C123"), &json!("1776132845.000100"), &json!(true))
    );
}

#[test]
fn markup_is_only_text_and_nobody_is_pinged() {
    let mut down = event("down");
    down.message.headline = "<!channel> *a* & b is DOWN".into();
    down.message.facts[3].value = Value::Text("<@\u{2060}U1> `x`".into());
    let (_, host) = notify(WEBHOOK, &down, answer(200, "ok"));
    let body = host.json(0);
    let text = body["text"].as_str().expect("a text");
    assert!(text.starts_with("🔴 &lt;!channel&gt; *a* &amp; b is DOWN: https:"), "{text}");
    assert_eq!(body["blocks"][0]["text"]["text"], "*🔴 &lt;!channel&gt; ∗a∗ &amp; b is DOWN*");
    assert_eq!(body["attachments"][0]["blocks"][1]["fields"][3]["text"], "*Group*\n&lt;@\u{2060}U1&gt; ˋxˋ");
}

#[test]
fn only_the_word_ok_is_success() {
    let refused = |pairs, response| notify(pairs, &event("down"), response).0.expect_err("refused");
    assert_eq!(
        refused(WEBHOOK, answer(200, "<html>welcome")),
        NotifyError::Transient(Retry::new("status 200, but the answer is not Slack's: <html>welcome", None))
    );
    assert_eq!(
        refused(WEBHOOK, answer(200, "no_service")),
        NotifyError::Gone("Slack said: no_service".into())
    );
    assert_eq!(
        refused(WEBHOOK, answer(404, "no_service")),
        NotifyError::Gone("status 404: no_service".into())
    );
    assert!(matches!(refused(WEBHOOK, answer(403, "action_prohibited")), NotifyError::Unauthorized(_)));
    assert!(matches!(refused(WEBHOOK, answer(410, "channel_is_archived")), NotifyError::Gone(_)));
    assert!(matches!(refused(WEBHOOK, answer(400, "invalid_payload")), NotifyError::Permanent(_)));
    assert!(matches!(refused(WEBHOOK, answer(500, "rollup_error")), NotifyError::Transient(_)));
    let mut limited = answer(429, "rate_limited");
    limited.headers.push(("retry-after".into(), "30".into()));
    assert_eq!(
        refused(WEBHOOK, limited),
        NotifyError::RateLimited(Retry::new("status 429: rate_limited", Some(30_000)))
    );

    let said = |word: &str| answer(200, &json!({"ok": false, "error": word}).to_string());
    for word in ["internal_error", "fatal_error", "service_unavailable", "request_timeout"] {
        assert!(matches!(refused(BOT, said(word)), NotifyError::Transient(_)), "{word}");
    }
    assert!(matches!(refused(BOT, said("ratelimited")), NotifyError::RateLimited(_)));
    assert!(matches!(refused(BOT, said("invalid_auth")), NotifyError::Unauthorized(_)));
    assert!(matches!(refused(BOT, said("channel_not_found")), NotifyError::Gone(_)));
    assert!(matches!(refused(BOT, said("msg_too_long")), NotifyError::Permanent(_)));
    assert!(matches!(refused(BOT, answer(200, "<ok>")), NotifyError::Transient(_)));
}

#[test]
fn every_answer_has_its_class() {
    testing::conformance::<Slack>(&settings(WEBHOOK), &answer(200, "ok"));
    testing::conformance::<Slack>(&settings(BOT), &answer(200, r#"{"ok":true,"ts":"1.2"}"#));
}

#[test]
fn one_way_has_to_be_there_and_whole() {
    let keys = |pairs: &[(&str, &str)]| -> Vec<Option<String>> {
        Slack::validate(&settings(pairs)).into_iter().map(|problem| problem.key).collect()
    };
    assert!(keys(WEBHOOK).is_empty() && keys(BOT).is_empty());
    assert_eq!(keys(&[]), [Some("webhook_url".into())]);
    assert_eq!(keys(&[("bot_token", "ref")]), [Some("channel".into())]);
    assert_eq!(keys(&[("webhook_url", "ref"), ("bot_token", "ref")]), [Some("bot_token".into())]);
    assert_eq!(keys(&[("webhook_url", "ref"), ("channel", "C1")]), [Some("channel".into())]);
}
