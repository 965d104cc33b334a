//! What pairs a beginning with its end at a provider: a key, where in its life the subject is, and the worst that was told.
//!
//! The key is the monitor's, not the incident's. What a channel is told of one monitor is in order, so that at most one
//! thing is open there; and while a monitor flaps, the end of one incident and the beginning of the next are one message.

use crate::event::{Event, EventType, Phase, Severity, Topic};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use uuid::Uuid;

/// The phase of an event for a channel that was told of its incident before, or was not.
pub fn phase(event: &Event, is_told: bool) -> Phase {
    match event.kind {
        _ if event.is_digest() => Phase::Other,
        EventType::FlappingEnd if event.severity == Severity::Info => Phase::Ends,
        EventType::Down | EventType::Degraded | EventType::Critical if event.is_over() => Phase::Ends,
        EventType::Reminder if is_told && event.is_released() => Phase::Released,
        kind => match kind.traits().1 {
            Phase::Continues | Phase::Taken if !is_told => Phase::Opens,
            phase => phase,
        },
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
