//! The event as JSON, as programs get it: a contract, to which keys are added and from which none is taken.

use crate::event::{Event, EventIncident, EventMonitor, EventOutcome};
use crate::text::cut;
use jiff::Timestamp;

/// The most bytes of it: the specification of Standard Webhooks asks for less than this.
pub const JSON_MAX: usize = 20_000;

/// The event as JSON: whole, unless that is too much; then its long texts are cut, and tags left out.
pub fn json(event: &Event) -> String {
    let whole = written(event, usize::MAX, usize::MAX);
    if whole.len() <= JSON_MAX {
        return whole;
    }
    // Even with each character six bytes long, as a control character is in JSON, the last is short enough.
    let shorter = written(event, 1_000, 20);
    if shorter.len() <= JSON_MAX { shorter } else { written(event, 60, 20) }
}

/// With no text longer than `max` characters, and at most `tags` tags.
fn written(event: &Event, max: usize, tags: usize) -> String {
    let short = |text: &String| cut(text, max);
    let short_some = |text: &Option<String>| text.as_ref().map(short);
    let monitor = &event.monitor;
    let event = Event {
        at: in_ms(event.at),
        monitor: EventMonitor {
            name: short(&monitor.name),
            kind: short(&monitor.kind),
            target: short(&monitor.target),
            group: short_some(&monitor.group),
            tags: monitor.tags.iter().take(tags).map(|(key, value)| (short(key), short(value))).collect(),
        },
        incident: event.incident.as_ref().map(|incident| EventIncident {
            started_at: in_ms(incident.started_at),
            ended_at: incident.ended_at.map(in_ms),
            acknowledged_by: short_some(&incident.acknowledged_by),
            released_by: short_some(&incident.released_by),
            link: short_some(&incident.link),
            ..incident.clone()
        }),
        outcome: event.outcome.as_ref().map(|outcome| EventOutcome {
            class: short(&outcome.class),
            expected: short_some(&outcome.expected),
            got: short_some(&outcome.got),
            message: short(&outcome.message),
        }),
        ..*event
    };
    serde_json::to_string(&event).expect("because texts, numbers and instants always serialize")
}

/// Whole milliseconds, in which programs count.
fn in_ms(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
