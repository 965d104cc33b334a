//! The message as Discord wants it: headline and cause as content, which the phone shows, and an embed with the facts.
//!
//! Discord's limits: content 2000, 25 fields, a field's name 256 and value 1024 (neither empty), all embeds
//! together 6000, a post's name 100. The message's parts are so short that they fit even with every character escaped.

use uptime_plugin_sdk::json::{self, Json, Scalar, list, object};
use uptime_plugin_sdk::text::{escape_markdown, truncate};
use uptime_plugin_sdk::{Event, Value};

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

pub(crate) fn body(event: &Event, username: Option<&str>, place: Destination<'_>) -> Json {
    let message = &event.message;
    let facts = message.facts.iter().map(|fact| {
        let (value, inline) = match &fact.value {
            Value::Text(text) => (escape_markdown(text), text.chars().count() < 30),
            Value::Address(address) => (address.clone(), false),
            // Shown in the reader's own zone.
            Value::Instant(at) => (format!("<t:{}:F>", at.ms / 1_000), true),
        };
        field(&fact.label, if value.is_empty() { "–".into() } else { value }, inline)
    });
    // Links itself, unless it is escaped.
    let pages = message.links.iter().map(|link| field(&link.label, link.address.clone(), false));
    let fields: Vec<Json> = facts.chain(pages).collect();
    let embed = (!fields.is_empty()).then(|| {
        object(&[
            ("color", i64::from(message.colour).into()),
            ("fields", list(&fields)),
            ("timestamp", json::at(event.json.as_bytes(), &["at"]).and_then(Scalar::text).into()),
        ])
    });
    let mut content = format!("{} **{}**", message.symbol, escape_markdown(&message.headline));
    if let Some(cause) = &message.cause {
        content.push('\n');
        content.push_str(&escape_markdown(cause));
    }
    let post = match place {
        Destination::NewPost(name) => Some(name),
        _ => None,
    };
    object(&[
        ("content", content.into()),
        // Names and error texts may hold `@everyone`: nothing of a message is parsed for whom to ping.
        ("allowed_mentions", object(&[("parse", list(&[]))])),
        ("embeds", embed.map(|embed| list(&[embed])).into()),
        ("username", username.into()),
        ("thread_name", post.into()),
    ])
}

fn field(name: &str, value: String, inline: bool) -> Json {
    object(&[("name", name.into()), ("value", value.into()), ("inline", inline.into())])
}

/// The name of an incident's post.
pub(crate) fn post_name(template: &str, event: &Event) -> String {
    let name = template.replace("{monitor}", &event.subject);
    truncate(&name.replace("{headline}", &event.message.headline), 100)
}
