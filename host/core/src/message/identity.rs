//! What pairs a beginning with its end at a provider: a key, where in its life the subject is, and the worst that was told.
//!
//! The key is the monitor's, not the incident's. What a channel is told of one monitor is in order, so that at most one
//! thing is open there; and while a monitor flaps, the end of one incident and the beginning of the next are one message.

use crate::event::{Event, EventType, Severity, Topic};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use uuid::Uuid;

/// Where in the life of what a key stands for an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It begins, or its channel hears of it for the first time.
    Opens,
    /// It goes on.
    Continues,
    /// It goes on, and somebody takes care of it.
    Taken,
    /// It goes on, and nobody takes care of it any more.
    Released,
    /// It is over.
    Ends,
    /// It has neither beginning nor end.
    Other,
}

/// The phase of an event for a channel that was told of its incident before, or was not.
pub fn phase(event: &Event, is_told: bool) -> Phase {
    let goes_on = if is_told { Phase::Continues } else { Phase::Opens };
    if event.is_digest() {
        return Phase::Other;
    }
    match event.kind {
        EventType::Up | EventType::Seeing | EventType::Running => Phase::Ends,
        EventType::FlappingEnd if event.severity == Severity::Info => Phase::Ends,
        EventType::Down | EventType::Degraded | EventType::Critical if event.is_over() => Phase::Ends,
        EventType::Blind | EventType::Stalled => Phase::Opens,
        EventType::Acknowledged if is_told => Phase::Taken,
        EventType::Reminder if is_told && event.is_released() => Phase::Released,
        EventType::Down
        | EventType::Degraded
        | EventType::Critical
        | EventType::Reminder
        | EventType::Acknowledged
        | EventType::FlappingStart
        | EventType::FlappingEnd => goes_on,
        EventType::Certificate | EventType::QueueBusy | EventType::ChannelBroken | EventType::Test => {
            Phase::Other
        }
    }
}

/// The worst that a channel was told of the subject, with this event.
pub fn worst(event: &Event, announced: Option<Severity>) -> Severity {
    event.severity.max(announced.unwrap_or(Severity::Info))
}

/// The same from opening to end, of each installation another: 32 hexadecimal digits. What has no end, and a digest, has one
/// of its own.
pub fn key(event: &Event, installation: Uuid) -> String {
    let own = event.delivery_id.to_string();
    let name = event.monitor.name.as_str();
    let (of, what) = match event.kind.topic() {
        _ if event.is_digest() => ("digest", own.as_str()),
        Topic::Test => ("test", own.as_str()),
        Topic::Monitor => ("monitor", name),
        Topic::Certificate => ("certificate", name),
        Topic::Network => ("network", event.monitor.target.as_str()),
        Topic::Checks => ("checks", name),
        Topic::Queue => ("queue", name),
        Topic::Channel => ("channel", name),
    };
    let hash = Sha256::new().chain_update(installation).chain_update(of).chain_update([0]).chain_update(what);
    hash.finalize().iter().take(16).fold(String::with_capacity(32), |mut key, byte| {
        // Writing to a string can't fail.
        let _ = write!(key, "{byte:02x}");
        key
    })
}
