//! The body: the event as JSON, or a template's places filled.
//!
//! The JSON is a contract (additive changes only). A template's place is `{name}` with a name that the event has; any
//! other brace stands for itself, so that a template can be JSON. What is filled in is escaped as the body's type needs
//! it, and nothing is filled in for what the event does not have.

use uptime_plugin_sdk::serde::{Serialize, Serializer};
use uptime_plugin_sdk::{Delivery, Event, EventType, Severity, message, serde_json, text};

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Body<'a> {
    r#type: &'static str,
    delivery_id: &'a str,
    at: String,
    monitor: BodyMonitor,
    incident: Option<BodyIncident>,
    outcome: Option<BodyOutcome>,
    severity: &'static str,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct BodyMonitor {
    name: String,
    r#type: String,
    target: String,
    group: Option<String>,
    #[serde(serialize_with = "as_map")]
    tags: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct BodyIncident {
    id: i64,
    started_at: String,
    ended_at: Option<String>,
    duration_s: Option<u64>,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct BodyOutcome {
    class: String,
    expected: Option<String>,
    got: Option<String>,
    message: String,
}

fn as_map<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

/// The specification asks for less.
const BODY_MAX: usize = 20_000;

/// The event as JSON: whole, unless that is more than a receiver has to take; then its long texts are cut, and tags left
/// out.
pub(crate) fn event_json(event: &Event, delivery: &Delivery) -> String {
    let whole = cut_json(event, delivery, usize::MAX, usize::MAX);
    if whole.len() <= BODY_MAX {
        return whole;
    }
    // Even with each character six bytes long, as a control character is in JSON, the last is short enough.
    let cut = cut_json(event, delivery, 1_000, 20);
    if cut.len() <= BODY_MAX { cut } else { cut_json(event, delivery, 60, 20) }
}

/// The event with no text longer than `max` characters, and at most `tags` tags.
fn cut_json(event: &Event, delivery: &Delivery, max: usize, tags: usize) -> String {
    let cut = |text: &str| text::truncate(text, max);
    let cut_some = |text: &Option<String>| text.as_deref().map(cut);
    let monitor = &event.monitor;
    let body = Body {
        r#type: type_word(event.kind),
        delivery_id: &delivery.id,
        at: text::rfc3339(event.at_ms),
        monitor: BodyMonitor {
            name: cut(&monitor.name),
            r#type: cut(&monitor.kind),
            target: cut(&monitor.target),
            group: cut_some(&monitor.group),
            tags: monitor.tags.iter().take(tags).map(|(key, value)| (cut(key), cut(value))).collect(),
        },
        incident: event.incident.as_ref().map(|incident| BodyIncident {
            id: incident.id,
            started_at: text::rfc3339(incident.started_at_ms),
            ended_at: incident.ended_at_ms.map(text::rfc3339),
            duration_s: incident.duration_s,
            failures: incident.failures,
            acknowledged_by: cut_some(&incident.acknowledged_by),
            link: cut_some(&incident.link),
        }),
        outcome: event.outcome.as_ref().map(|outcome| BodyOutcome {
            class: cut(&outcome.class),
            expected: cut_some(&outcome.expected),
            got: cut_some(&outcome.got),
            message: cut(&outcome.message),
        }),
        severity: severity_word(event.severity),
    };
    serde_json::to_string(&body).expect("because texts and numbers always serialize")
}

/// Each place and what is filled in.
type Place = (&'static str, fn(&Event, &Delivery) -> Option<String>);

const PLACES: [Place; 23] = [
    ("headline", |event, delivery| Some(message::compose(event, delivery).headline)),
    ("cause", |event, delivery| message::compose(event, delivery).cause),
    ("message", |event, delivery| Some(message::compose(event, delivery).plain())),
    ("type", |event, _| Some(type_word(event.kind).into())),
    ("severity", |event, _| Some(severity_word(event.severity).into())),
    ("delivery_id", |_, delivery| Some(delivery.id.clone())),
    ("at", |event, _| Some(text::rfc3339(event.at_ms))),
    ("monitor.name", |event, _| Some(event.monitor.name.clone())),
    ("monitor.type", |event, _| Some(event.monitor.kind.clone())),
    ("monitor.target", |event, _| Some(event.monitor.target.clone())),
    ("monitor.group", |event, _| event.monitor.group.clone()),
    ("monitor.tags", |event, _| {
        Some(
            event
                .monitor
                .tags
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect::<Vec<_>>()
                .join(", "),
        )
    }),
    ("incident.id", |event, _| Some(event.incident.as_ref()?.id.to_string())),
    ("incident.started_at", |event, _| Some(text::rfc3339(event.incident.as_ref()?.started_at_ms))),
    ("incident.ended_at", |event, _| event.incident.as_ref()?.ended_at_ms.map(text::rfc3339)),
    ("incident.duration_s", |event, _| Some(event.incident.as_ref()?.duration_s?.to_string())),
    ("incident.failures", |event, _| Some(event.incident.as_ref()?.failures.to_string())),
    ("incident.acknowledged_by", |event, _| event.incident.as_ref()?.acknowledged_by.clone()),
    ("incident.link", |event, _| event.incident.as_ref()?.link.clone()),
    ("outcome.class", |event, _| Some(event.outcome.as_ref()?.class.clone())),
    ("outcome.expected", |event, _| event.outcome.as_ref()?.expected.clone()),
    ("outcome.got", |event, _| event.outcome.as_ref()?.got.clone()),
    ("outcome.message", |event, _| Some(event.outcome.as_ref()?.message.clone())),
];

/// The names of all places, for a message.
pub(crate) fn places() -> String {
    PLACES.iter().map(|(name, _)| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")
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
        Piece::Place(name) if !PLACES.iter().any(|(known, _)| *known == name) => Some(name),
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
pub(crate) fn fill(template: &str, escape: Escape, event: &Event, delivery: &Delivery) -> String {
    pieces(template)
        .map(|piece| match piece {
            Piece::Literal(literal) => literal.to_owned(),
            Piece::Place(name) => match PLACES.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => escape.apply(value(event, delivery).unwrap_or_default()),
                None => format!("{{{name}}}"),
            },
        })
        .collect()
}

fn type_word(kind: EventType) -> &'static str {
    match kind {
        EventType::Down => "down",
        EventType::Up => "up",
        EventType::Degraded => "degraded",
        EventType::Critical => "critical",
        EventType::Reminder => "reminder",
        EventType::FlappingStart => "flapping-start",
        EventType::FlappingEnd => "flapping-end",
        EventType::Certificate => "certificate",
        EventType::Acknowledged => "acknowledged",
        EventType::Blind => "blind",
        EventType::Seeing => "seeing",
        EventType::Stalled => "stalled",
        EventType::Running => "running",
        EventType::QueueBusy => "queue-busy",
        EventType::ChannelBroken => "channel-broken",
        EventType::Test => "test",
    }
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Degraded => "degraded",
        Severity::Down => "down",
        Severity::Critical => "critical",
    }
}
