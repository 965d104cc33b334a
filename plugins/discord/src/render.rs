//! The message as Discord wants it: the headline as content, which the phone shows, and an embed with the rest.
//!
//! Discord's limits: content 2000, description 4096, a field's name 256 and value 1024 (neither empty), all embeds
//! together 6000. The message's parts are so short that they fit even with every character escaped.

use uptime_plugin_sdk::message::{Fact, Message, Value as FactValue};
use uptime_plugin_sdk::serde_json::{Value, json};
use uptime_plugin_sdk::text;

/// The request's body.
pub(crate) fn payload(message: &Message, at_ms: u64, username: Option<&str>) -> Value {
    let mut body = json!({
        "content": format!("{} **{}**", message.symbol, text::escape_markdown(&message.headline)),
        // Names and error texts may hold `@everyone`.
        "allowed_mentions": { "parse": [] },
    });
    if message.cause.is_some() || !message.facts.is_empty() {
        let mut embed = json!({
            "color": message.colour,
            "fields": message.facts.iter().map(embed_field).collect::<Vec<_>>(),
            "timestamp": text::rfc3339(at_ms),
        });
        if let Some(cause) = &message.cause {
            embed["description"] = json!(text::escape_markdown(cause));
        }
        body["embeds"] = json!([embed]);
    }
    if let Some(username) = username {
        body["username"] = json!(text::truncate(username, 80));
    }
    body
}

fn embed_field(fact: &Fact) -> Value {
    let (value, inline) = match &fact.value {
        FactValue::Text(text) => (text::escape_markdown(text), text.chars().count() < 30),
        // Links itself, unless it is escaped.
        FactValue::Address(address) if is_plain_link(address) => (address.clone(), false),
        FactValue::Address(address) => (text::escape_markdown(address), false),
        // Shown in the reader's own zone.
        FactValue::Instant(ms) => (format!("<t:{}:F>", ms / 1_000), true),
    };
    json!({ "name": fact.label, "value": if value.trim().is_empty() { "–".to_owned() } else { value }, "inline": inline })
}

/// Whether an address of the web can be shown as it is: no space or markup ends it early.
fn is_plain_link(address: &str) -> bool {
    (address.starts_with("https://") || address.starts_with("http://"))
        && address.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'+,;=%".contains(&byte))
}
