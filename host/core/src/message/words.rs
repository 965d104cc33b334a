//! What is said of each event: headline, cause, symbol, colour.

use super::{CAUSE_MAX, HEADLINE_MAX};
use crate::duration::{elapsed_s, in_words};
use crate::event::{Event, EventType, Severity};
use crate::incident::{BY_OPERATOR, UNWATCHED};
use crate::text::{cut, inert};

const DEGRADED: &str = "DEGRADED";
const DOWN: &str = "DOWN";

/// What it is about: a monitor, a channel, a queue; of a digest how many.
pub fn subject(event: &Event) -> String {
    inert(&event.monitor.name, 150)
}

pub(super) fn headline(event: &Event) -> String {
    let name = subject(event);
    if let Some(counts) = counts(event) {
        return format!("{name}: {counts}");
    }
    let is_digest = event.is_digest();
    let (is, has) = if is_digest { ("are", "have") } else { ("is", "has") };
    let lasted = event.incident.as_ref().map(|incident| {
        let until = incident.ended_at.unwrap_or(event.at);
        let seconds = incident.duration_s.unwrap_or_else(|| elapsed_s(incident.started_at, until));
        in_words(seconds.unsigned_abs())
    });
    let with = |word: &str| lasted.as_ref().map(|lasted| format!(" {word} {lasted}")).unwrap_or_default();
    let how = how(event);
    let word = how.unwrap_or(if event.kind == EventType::Degraded { DEGRADED } else { DOWN });
    let headline = match event.kind {
        EventType::Down | EventType::Degraded | EventType::Critical if event.is_over() => {
            format!("{name} was {word}{}", with("for"))
        }
        EventType::Down | EventType::Degraded => format!("{name} {is} {word}"),
        EventType::Up => match unseen_end(event) {
            Some(end) => format!("{name}: {end}{}, NOT seen up", with("after")),
            None if how == Some(DEGRADED) => format!("{name} {is} no longer {DEGRADED}{}", with("after")),
            None => format!("{name} {is} UP again{}", with("after")),
        },
        EventType::Critical => format!("CRITICAL: {name} {has} been {word}{}", with("for")),
        EventType::Reminder => format!("{name} {is} still {word}{}", with("after")),
        EventType::FlappingStart => format!("{name} {is} FLAPPING between up and down"),
        EventType::FlappingEnd => format!("{name} {is} {}, and no longer flapping", how.unwrap_or("UP")),
        EventType::Certificate if is_digest => format!("{name}: their certificates end soon"),
        EventType::Certificate => format!("{name}: the certificate ends soon"),
        EventType::Acknowledged => {
            let who = in_charge(event).unwrap_or_else(|| "somebody".into());
            let how = how.map(|how| format!(" {is} {how}")).unwrap_or_default();
            format!("{name}{how}: {who} takes care of it")
        }
        EventType::Blind => "The monitor is BLIND: its own network is away".into(),
        EventType::Seeing => format!("The monitor SEES again{}", with("after")),
        EventType::Stalled => "Checks are STALLED: nobody knows whether targets are up".into(),
        EventType::Running => "Checks are RUNNING again".into(),
        EventType::QueueBusy => format!("Queue {name} is over its limit"),
        EventType::ChannelBroken => format!("Channel {name} is BROKEN: its messages don't arrive"),
        EventType::Test => "Test: messages of uptime arrive here".into(),
    };
    cut(&headline, HEADLINE_MAX)
}

/// Why: of an event that is no digest.
pub fn cause(event: &Event) -> Option<String> {
    let outcome = event.outcome.as_ref()?;
    let mut cause = inert(&outcome.message, 400);
    if let (Some(expected), Some(got), false) = (&outcome.expected, &outcome.got, event.is_digest()) {
        let (expected, got) = (&inert(expected, 80), &inert(got, 80));
        let expectation = format!("expected {expected}, got {got}");
        if cause.is_empty() {
            cause = expectation;
        } else if !(cause.contains(expected) && cause.contains(got)) {
            cause = format!("{cause} ({expectation})");
        }
    }
    if cause.is_empty() {
        return None;
    }
    let is_past = event.kind == EventType::Up && unseen_end(event).is_none() && !event.is_digest();
    Some(cut(&if is_past { format!("It was: {cause}") } else { cause }, CAUSE_MAX))
}

/// How bad it is; for the end of an incident, how bad that was, where the event tells. `None`: not bad.
fn how(event: &Event) -> Option<&'static str> {
    match event.severity {
        Severity::Info => None,
        Severity::Degraded => Some(DEGRADED),
        Severity::Down | Severity::Critical => Some(DOWN),
    }
}

/// How an incident ended that no check has seen end.
fn unseen_end(event: &Event) -> Option<&'static str> {
    match event.outcome.as_ref().filter(|_| event.kind == EventType::Up)?.class.as_str() {
        BY_OPERATOR => Some("RESOLVED by hand"),
        UNWATCHED => Some("NO LONGER WATCHED"),
        _ => None,
    }
}

/// Of a digest whose monitors are not all alike: how many are what.
fn counts(event: &Event) -> Option<String> {
    let counts = event.outcome.as_ref()?.got.as_deref().filter(|_| event.is_digest())?;
    Some(inert(counts, 90))
}

/// Who takes care of it.
pub(super) fn in_charge(event: &Event) -> Option<String> {
    let name = inert(event.incident.as_ref()?.acknowledged_by.as_deref()?, 60);
    (!name.is_empty()).then_some(name)
}

pub(super) fn symbol(event: &Event) -> &'static str {
    let trouble = if event.severity == Severity::Degraded { "🟡" } else { "🔴" };
    match event.kind {
        EventType::Down | EventType::Degraded | EventType::Critical if event.is_over() => "⚪",
        EventType::FlappingEnd if event.severity != Severity::Info => trouble,
        EventType::Up if unseen_end(event).is_some() => "✋",
        EventType::Up if counts(event).is_some() => "⚪",
        kind => kind.traits().2.unwrap_or(trouble),
    }
}

/// The symbol's, where it has one; else as bad as the severity says.
pub(super) fn colour(event: &Event) -> u32 {
    match (symbol(event), event.severity) {
        ("✅", _) => 0x002e_a043,
        ("⚪" | "✋" | "👤", _) | (_, Severity::Info) => 0x0038_8bfd,
        (_, Severity::Critical) => 0x008e_1519,
        (_, Severity::Down) => 0x00da_3633,
        (_, Severity::Degraded) => 0x00d2_9922,
    }
}
