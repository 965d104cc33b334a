//! The message as Slack wants it: `text` for the phone, blocks for the screen.
//!
//! Slack's limits: a section's text 3000, ten fields of 2000 in one section. The message's parts are so short that they
//! fit even with every character escaped (five for one).

use uptime_plugin_sdk::message::{Fact, Message, Value as FactValue};
use uptime_plugin_sdk::serde_json::{Value, json};
use uptime_plugin_sdk::text;

/// The request's body, but for where it goes.
pub(crate) fn payload(message: &Message) -> Value {
    let headline = format!("{} {}", message.symbol, text::escape_slack(&message.headline));
    let mut blocks = vec![section(&format!("*{}*", bold(&headline)))];
    blocks.extend(message.cause.as_ref().map(|cause| plain_section(&text::truncate(cause, 3_000))));
    if !message.facts.is_empty() {
        let fields: Vec<Value> = message.facts.iter().take(10).map(|fact| mrkdwn(&field(fact))).collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    json!({ "text": headline, "blocks": blocks, "unfurl_links": false, "unfurl_media": false })
}

/// The body for `chat.postMessage`.
pub(crate) fn to_channel(mut body: Value, channel: &str, answers: Option<&str>) -> Value {
    body["channel"] = json!(channel);
    if let Some(ts) = answers {
        body["thread_ts"] = json!(ts);
        body["reply_broadcast"] = json!(true);
    }
    body
}

/// A `*` inside would end the bold type.
fn bold(escaped: &str) -> String {
    escaped.replace('*', "∗")
}

fn field(fact: &Fact) -> String {
    let value = match &fact.value {
        FactValue::Text(text) => inert(&text::escape_slack(text)),
        FactValue::Address(address) => text::escape_slack(address),
        // Shown in the reader's own zone.
        FactValue::Instant(ms) => {
            format!("<!date^{}^{{date_short_pretty}} {{time_secs}}|{}>", ms / 1_000, text::utc(*ms))
        }
    };
    format!("*{}*\n{value}", fact.label)
}

/// Characters that would begin markup, replaced by their likes: Slack knows no escape for them.
fn inert(escaped: &str) -> String {
    escaped.replace('*', "∗").replace('_', "\u{2060}_\u{2060}").replace('~', "∼").replace('`', "ˋ")
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": mrkdwn(text) })
}

fn plain_section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "plain_text", "text": text, "emoji": false } })
}

fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}
