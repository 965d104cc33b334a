//! The message as Discord wants it: headline and cause as content, which the phone shows, and an embed with the facts.
//!
//! Discord's limits: content 2000, 25 fields, a field's name 256 and value 1024 (neither empty), all embeds
//! together 6000, a post's name 100. The message's parts are so short that they fit even with every character escaped.

use uptime_plugin_sdk::json::{self, Scalar};
use uptime_plugin_sdk::serde::Serialize;
use uptime_plugin_sdk::text::{escape_markdown, truncate};
use uptime_plugin_sdk::{Event, Fact, Link, Value};

/// Where in the webhook's channel the message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    Channel,
    Thread(&'a str),
    /// A forum's post with this name, which the message opens.
    NewPost(&'a str),
}

impl<'a> Destination<'a> {
    pub(crate) fn of(thread: Option<&'a str>, post: Option<&'a str>) -> Self {
        thread.map(Self::Thread).or(post.map(Self::NewPost)).unwrap_or(Self::Channel)
    }
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
pub(crate) struct Body<'a> {
    content: String,
    allowed_mentions: Mentions,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeds: Option<[Embed<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_name: Option<&'a str>,
}

/// Names and error texts may hold `@everyone`: nothing of a message is parsed for whom to ping.
#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Mentions {
    parse: [&'static str; 0],
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Embed<'a> {
    color: u32,
    fields: Vec<EmbedField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct EmbedField<'a> {
    name: &'a str,
    value: String,
    inline: bool,
}

pub(crate) fn body<'a>(event: &'a Event, username: Option<&'a str>, place: &Destination<'a>) -> Body<'a> {
    let message = &event.message;
    // Links itself, unless it is escaped.
    let page = |link: &'a Link| EmbedField { name: &link.label, value: link.address.clone(), inline: false };
    let embed = Embed {
        color: message.colour,
        fields: message.facts.iter().map(embed_field).chain(message.links.iter().map(page)).collect(),
        timestamp: json::at(event.json.as_bytes(), &["at"]).and_then(Scalar::text),
    };
    let mut content = format!("{} **{}**", message.symbol, escape_markdown(&message.headline));
    if let Some(cause) = &message.cause {
        content.push('\n');
        content.push_str(&escape_markdown(cause));
    }
    Body {
        content,
        allowed_mentions: Mentions { parse: [] },
        embeds: (!embed.fields.is_empty()).then_some([embed]),
        username,
        thread_name: match *place {
            Destination::NewPost(name) => Some(name),
            _ => None,
        },
    }
}

/// The name of an incident's post.
pub(crate) fn post_name(template: &str, event: &Event) -> String {
    let name = template.replace("{monitor}", &event.subject);
    truncate(&name.replace("{headline}", &event.message.headline), 100)
}

fn embed_field(fact: &Fact) -> EmbedField<'_> {
    let (value, inline) = match &fact.value {
        Value::Text(text) => (escape_markdown(text), text.chars().count() < 30),
        Value::Address(address) => (address.clone(), false),
        // Shown in the reader's own zone.
        Value::Instant(ms) => (format!("<t:{}:F>", ms / 1_000), true),
    };
    EmbedField { name: &fact.label, value: if value.is_empty() { "–".into() } else { value }, inline }
}
