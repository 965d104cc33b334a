//! The message for an event: composed here, once for all providers, without any markup.
//!
//! Written for somebody who was woken by it: the headline alone says what is the matter with what; the cause comes next; the
//! facts follow. Plugins only bring it into their provider's markup. Lengths are Unicode scalar values and a promise: whoever
//! escapes each of them five for one is within Slack's 3,000 a block and 2,000 a field, and all texts together are at most
//! [`TOTAL_MAX`], so that Telegram's 4,096 UTF-16 units hold (`tests/message.rs`). Each text is one line that nothing in it
//! makes live ([`inert`]).

mod identity;
mod json;
mod words;

pub use crate::event::Phase;
pub use identity::{key, phase, worst};
pub use json::{JSON_MAX, json};
pub use words::{cause, subject};

use crate::duration::{elapsed, in_words};
use crate::event::{Event, EventType, Severity};
use crate::recheck::Digest;
use crate::text::{inert, is_web_address, printable};
use jiff::Timestamp;
use std::time::Duration;

/// The longest headline.
pub const HEADLINE_MAX: usize = 250;
/// The longest cause.
pub const CAUSE_MAX: usize = 600;
/// The longest text of a fact.
pub const FACT_MAX: usize = 200;
/// The longest address among the facts: five times that, all escaped, fits Slack's fields.
pub const ADDRESS_MAX: usize = 380;
/// The longest address of a link.
pub const LINK_MAX: usize = 200;
/// All texts together.
pub const TOTAL_MAX: usize = 1_900;

/// Sent later than this after it was decided, a message says so.
const LATE: Duration = Duration::from_mins(2);

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One emoji that can be told from the others at arm's length.
    pub symbol: &'static str,
    /// What is the matter with what.
    pub headline: String,
    /// Why.
    pub cause: Option<String>,
    /// The rest, the important first.
    pub facts: Vec<Fact>,
    /// For a bar beside the text, as `0xRRGGBB`.
    pub colour: u32,
    /// Pages that show more.
    pub links: Vec<Link>,
}

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// One or two words.
    pub label: &'static str,
    /// What there is to say.
    pub value: Value,
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text; an address that is none of the web, too.
    Text(String),
    /// An address of the web, to be clicked on.
    Address(String),
    /// An instant; some providers show it in the reader's own zone.
    Instant(Timestamp),
}

/// A page of the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it shows, in a word or two.
    pub label: String,
    /// Where.
    pub address: String,
}

/// The message for `event`, which `channel` is told at `now`.
pub fn compose(event: &Event, digest: Option<&Digest>, channel: &str, now: Timestamp) -> Message {
    Message {
        symbol: words::symbol(event),
        headline: words::headline(event),
        cause: digest.map_or_else(|| cause(event), |digest| Some(inert(&digest.names, CAUSE_MAX))),
        facts: facts(event, channel, now),
        colour: words::colour(event),
        links: link(event).into_iter().collect(),
    }
}

fn facts(event: &Event, channel: &str, now: Timestamp) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |label, value| facts.push(Fact { label, value });
    if event.kind.topic().is_target() && !event.monitor.target.is_empty() {
        let target = printable(event.monitor.target.trim(), ADDRESS_MAX);
        let is_web = is_web_address(&target);
        fact("Target", if is_web { Value::Address(target) } else { Value::Text(inert(&target, FACT_MAX)) });
    }
    if let Some(incident) = &event.incident {
        let is_flapping = event.kind == EventType::FlappingStart;
        let since = match (incident.ended_at, event.severity) {
            (Some(_), _) => "From",
            (None, Severity::Down | Severity::Critical) if !is_flapping => "Down since",
            (None, Severity::Degraded) if !is_flapping => "Degraded since",
            _ => "Since",
        };
        fact(since, Value::Instant(incident.started_at));
        if let Some(ended_at) = incident.ended_at {
            fact("Until", Value::Instant(ended_at));
        }
        if incident.failures > 0 {
            fact("Failed checks", Value::Text(incident.failures.to_string()));
        }
        if let Some(name) = words::in_charge(event).filter(|_| event.kind != EventType::Acknowledged) {
            fact("In charge", Value::Text(name));
        }
    }
    if let Some(group) = event.monitor.group.as_ref().filter(|group| !group.is_empty()) {
        fact("Group", Value::Text(inert(group, 60)));
    }
    if !event.monitor.tags.is_empty() {
        let tags: Vec<String> =
            event.monitor.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        fact("Tags", Value::Text(inert(&tags.join(", "), FACT_MAX)));
    }
    if let Some(incident) = &event.incident {
        fact("Incident", Value::Text(format!("#{}", incident.id)));
    }
    if event.kind == EventType::Test {
        fact("Channel", Value::Text(inert(channel, 60)));
    }
    let late = elapsed(event.at, now);
    if late > LATE {
        fact("Told late", Value::Text(format!("this happened {} ago", in_words(late.as_secs()))));
    }
    facts
}

fn link(event: &Event) -> Option<Link> {
    let incident = event.incident.as_ref()?;
    let address = incident.link.as_ref().filter(|link| is_web_address(link) && link.len() <= LINK_MAX)?;
    Some(Link { label: format!("Incident #{}", incident.id), address: address.clone() })
}

#[cfg(test)]
mod tests;
