//! The body: the event as JSON, or a template's places filled.
//!
//! The JSON is a contract (additive changes only). A template's place is `{name}` with a name that the event has; any
//! other brace stands for itself, so that a template can be JSON. What is filled in is escaped for the inside of a
//! JSON string, and nothing is filled in for what the event does not have.

use std::collections::BTreeMap;
use uptime_plugin_sdk::serde::Serialize;
use uptime_plugin_sdk::{Delivery, Event, EventType, Severity, message, serde_json, text};

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Body<'a> {
    r#type: &'static str,
    delivery_id: &'a str,
    at: String,
    monitor: BodyMonitor<'a>,
    incident: Option<BodyIncident>,
    outcome: Option<BodyOutcome<'a>>,
    severity: &'static str,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct BodyMonitor<'a> {
    name: &'a str,
    r#type: &'a str,
    target: &'a str,
    group: Option<&'a str>,
    tags: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct BodyIncident {
    id: i64,
    started_at: String,
    ended_at: Option<String>,
    duration_s: Option<u64>,
    failures: u32,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct BodyOutcome<'a> {
    class: &'a str,
    expected: Option<&'a str>,
    got: Option<&'a str>,
    message: &'a str,
}

/// The event as JSON.
pub(crate) fn event_json(event: &Event, delivery: &Delivery) -> String {
    let body = Body {
        r#type: type_word(event.kind),
        delivery_id: &delivery.id,
        at: text::rfc3339(event.at_ms),
        monitor: BodyMonitor {
            name: &event.monitor.name,
            r#type: &event.monitor.kind,
            target: &event.monitor.target,
            group: event.monitor.group.as_deref(),
            tags: event.monitor.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        },
        incident: event.incident.as_ref().map(|incident| BodyIncident {
            id: incident.id,
            started_at: text::rfc3339(incident.started_at_ms),
            ended_at: incident.ended_at_ms.map(text::rfc3339),
            duration_s: incident.duration_s,
            failures: incident.failures,
        }),
        outcome: event.outcome.as_ref().map(|outcome| BodyOutcome {
            class: &outcome.class,
            expected: outcome.expected.as_deref(),
            got: outcome.got.as_deref(),
            message: &outcome.message,
        }),
        severity: severity_word(event.severity),
    };
    serde_json::to_string(&body).expect("because texts and numbers always serialize")
}

/// Each place and what is filled in.
type Place = (&'static str, fn(&Event, &Delivery) -> Option<String>);

const PLACES: [Place; 21] = [
    ("headline", |event, delivery| Some(message::compose(event, delivery).headline)),
    ("cause", |event, delivery| message::compose(event, delivery).cause),
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

/// A template with its places filled.
pub(crate) fn fill(template: &str, event: &Event, delivery: &Delivery) -> String {
    pieces(template)
        .map(|piece| match piece {
            Piece::Literal(literal) => literal.to_owned(),
            Piece::Place(name) => match PLACES.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => text::escape_json(&value(event, delivery).unwrap_or_default()),
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
