//! The event as JSON, as programs get it: a contract, to which keys are added and from which none is taken.

use crate::event::Event;
use crate::text::cut;
use jiff::Timestamp;
use serde_json::Value;

/// The most bytes of it: the specification of Standard Webhooks asks for less than this.
pub const JSON_MAX: usize = 20_000;

/// The most tags of an event that has to be cut.
const TAGS_MOST: usize = 20;

/// The event as JSON: whole, unless that is too much; then its long texts are cut, and tags left out.
pub fn json(event: &Event) -> String {
    let mut event = Event { at: in_ms(event.at), ..event.clone() };
    if let Some(incident) = &mut event.incident {
        incident.started_at = in_ms(incident.started_at);
        incident.ended_at = incident.ended_at.map(in_ms);
    }
    let whole = whole(&event);
    if whole.len() <= JSON_MAX {
        return whole;
    }
    event.monitor.tags = event.monitor.tags.into_iter().take(TAGS_MOST).collect();
    let event = serde_json::json!(event);
    // Even with each character six bytes long, as a control character is in JSON, the last is short enough.
    let shorter = short(event.clone(), 1_000).to_string();
    if shorter.len() <= JSON_MAX { shorter } else { short(event, 60).to_string() }
}

fn whole(event: &Event) -> String {
    serde_json::to_string(event).expect("because texts, numbers and instants always serialize")
}

/// With no text longer than `max` characters.
fn short(value: Value, max: usize) -> Value {
    match value {
        Value::String(text) => cut(&text, max).into(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (cut(&key, max), short(value, max))).collect()
        }
        value => value,
    }
}

/// Whole milliseconds, in which programs count.
fn in_ms(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
