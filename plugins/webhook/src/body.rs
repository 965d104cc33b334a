//! A body of the channel's own: a template's places filled.
//!
//! A template's place is `{name}` with a name that there is; any other brace stands for itself, so that a template can be JSON.
//! What is filled in is escaped as the body's type needs it, and nothing is filled in for what the event does not have.

use uptime_plugin_sdk::json::{self, Scalar};
use uptime_plugin_sdk::{Event, text};

/// The message's parts.
const MESSAGE: [&str; 3] = ["headline", "cause", "message"];

/// Each other place: a way into the event's JSON.
const PLACES: [&str; 20] = [
    "type",
    "severity",
    "delivery_id",
    "at",
    "monitor.name",
    "monitor.type",
    "monitor.target",
    "monitor.group",
    "monitor.tags",
    "incident.id",
    "incident.started_at",
    "incident.ended_at",
    "incident.duration_s",
    "incident.failures",
    "incident.acknowledged_by",
    "incident.link",
    "outcome.class",
    "outcome.expected",
    "outcome.got",
    "outcome.message",
];

fn is_place(name: &str) -> bool {
    MESSAGE.contains(&name) || PLACES.contains(&name)
}

/// What is filled in.
fn value(event: &Event, place: &str) -> Option<String> {
    let path: Vec<&str> = place.split('.').collect();
    match place {
        "headline" => Some(event.message.headline.clone()),
        "cause" => event.message.cause.clone(),
        "message" => Some(event.message.plain()),
        "monitor.tags" => {
            let tags = json::pairs(event.json.as_bytes(), &path);
            Some(tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", "))
        }
        _ => json::at(event.json.as_bytes(), &path).map(Scalar::into_text),
    }
}

/// The names of all places, for a message.
pub(crate) fn places() -> String {
    MESSAGE.iter().chain(&PLACES).map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")
}

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    Place(&'a str),
}

/// The pieces of a template, in order. A place is lower-case letters, `_` and `.` between braces.
fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let place = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).filter(|(name, _)| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
        });
        if let Some((name, after)) = place {
            rest = after;
            return Some(Piece::Place(name));
        }
        let end = rest[1..].find('{').map_or(rest.len(), |at| at + 1);
        let (literal, after) = rest.split_at(if rest.starts_with('{') { 1 } else { end });
        rest = after;
        Some(Piece::Literal(literal))
    })
}

/// The places of a template that the event does not have.
pub(crate) fn unknown_places(template: &str) -> impl Iterator<Item = &str> {
    pieces(template).filter_map(|piece| match piece {
        Piece::Place(name) if !is_place(name) => Some(name),
        _ => None,
    })
}

/// How a text is written at the place where it is filled in.
#[derive(Clone, Copy)]
pub(crate) enum Escape {
    None,
    /// Inside a JSON string.
    Json,
    Percent,
}

impl Escape {
    fn apply(self, text: String) -> String {
        match self {
            Self::None => text,
            Self::Json => text::escape_json(&text),
            Self::Percent => text::escape_percent(&text),
        }
    }
}

/// A template with its places filled.
pub(crate) fn fill(template: &str, escape: Escape, event: &Event) -> String {
    pieces(template)
        .map(|piece| match piece {
            Piece::Literal(literal) => literal.to_owned(),
            Piece::Place(name) if is_place(name) => escape.apply(value(event, name).unwrap_or_default()),
            Piece::Place(name) => format!("{{{name}}}"),
        })
        .collect()
}
