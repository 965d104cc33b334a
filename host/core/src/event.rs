//! What people are told: an event, as a snapshot that is complete in itself.
//!
//! An event is written with the change that caused it and is not looked up again when it is delivered, so a
//! message tells what was true then. Its JSON is the generic webhook's body and a contract (additive changes only).

use crate::id::{DeliveryId, IncidentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventType { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl EventType {
            /// Each, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the file, in JSON and in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

event_types! {
    /// An incident opened.
    Down = "down",
    /// It ended.
    Up = "up",
    /// Up, but worse than it should be.
    Degraded = "degraded",
    /// Down for long.
    Critical = "critical",
    /// Still down.
    Reminder = "reminder",
    /// Up and down too often to tell each.
    FlappingStart = "flapping-start",
    /// Steady again.
    FlappingEnd = "flapping-end",
    /// A certificate nears its end.
    Certificate = "certificate",
    /// Somebody takes care of it.
    Acknowledged = "acknowledged",
    /// The monitor's own network is away.
    Blind = "blind",
    /// And is back.
    Seeing = "seeing",
    /// Monitors have had no result for too long.
    Stalled = "stalled",
    /// They have results again.
    Running = "running",
    /// A queue is over its limit.
    QueueBusy = "queue-busy",
    /// Another channel can't be delivered to.
    ChannelBroken = "channel-broken",
    /// Somebody tries a channel.
    Test = "test",
}

impl EventType {
    /// By these a channel hears of an incident. Whom none of them was for is told nothing of what follows: no end, and not
    /// who takes care of it.
    pub const HEARD_BY: [Self; 5] =
        [Self::Down, Self::Degraded, Self::Critical, Self::Reminder, Self::FlappingEnd];
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for EventType {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|event| event.as_str() == word).ok_or(())
    }
}

/// How bad it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Works, but worse than it should.
    Degraded,
    /// Does not work.
    Down,
    /// Has not worked for long.
    Critical,
}

impl Severity {
    /// Each, the worst last.
    pub const ALL: [Self; 4] = [Self::Info, Self::Degraded, Self::Down, Self::Critical];

    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Critical => "critical",
        }
    }

    /// What the end of an incident of this severity bears: good news, but for one that was never worse than degraded. It
    /// stays told apart, or its end would read as if the monitor had been down.
    #[must_use]
    pub fn when_over(self) -> Self {
        if self == Self::Degraded { self } else { Self::Info }
    }
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The notification's name, the same over all tries.
    pub delivery_id: DeliveryId,
    /// When it was decided.
    pub at: Timestamp,
    /// What it is about.
    pub monitor: EventMonitor,
    /// The incident, for the events that have one.
    pub incident: Option<EventIncident>,
    /// What the deciding check found.
    pub outcome: Option<EventOutcome>,
    /// How bad it is. Of `up`: [`Severity::when_over`].
    pub severity: Severity,
}

impl Event {
    /// That a channel can't be delivered to, for the others.
    pub fn channel_broken(
        channel: &str,
        notifier: &str,
        reason: &str,
        at: Timestamp,
        delivery_id: DeliveryId,
    ) -> Self {
        Self {
            kind: EventType::ChannelBroken,
            delivery_id,
            at,
            monitor: EventMonitor {
                name: channel.to_owned(),
                kind: "channel".into(),
                target: notifier.to_owned(),
                group: None,
                tags: BTreeMap::new(),
            },
            incident: None,
            outcome: Some(EventOutcome {
                class: "channel".into(),
                expected: None,
                got: None,
                message: reason.to_owned(),
            }),
            severity: Severity::Down,
        }
    }

    /// That the checks of a queue have stalled, or run again, for the channels that want to hear it.
    pub fn about_checks(
        kind: EventType,
        queue: &str,
        message: String,
        at: Timestamp,
        delivery_id: DeliveryId,
    ) -> Self {
        Self {
            kind,
            delivery_id,
            at,
            monitor: EventMonitor {
                name: queue.to_owned(),
                kind: "queue".into(),
                target: format!("uptime queue monitor {queue}"),
                group: None,
                tags: BTreeMap::new(),
            },
            incident: None,
            outcome: Some(EventOutcome {
                class: EventType::Stalled.as_str().into(),
                expected: None,
                got: None,
                message,
            }),
            severity: if kind == EventType::Stalled { Severity::Down } else { Severity::Info },
        }
    }
}

/// The monitor, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMonitor {
    /// Its name.
    pub name: String,
    /// `http`, `tcp` or `ping`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is checked.
    pub target: String,
    /// Its group.
    pub group: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The incident, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventIncident {
    /// Its id.
    pub id: IncidentId,
    /// The first failure.
    pub started_at: Timestamp,
    /// The first success after it.
    pub ended_at: Option<Timestamp>,
    /// From start to end, whole seconds.
    pub duration_s: Option<i64>,
    /// Failures in a row when it was decided; for `up`, of the whole incident.
    #[serde(default)]
    pub failures: u32,
    /// Who takes care of it, where somebody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
}

/// What the deciding check found. For `up`: what the incident was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventOutcome {
    /// The word of a [`FailureClass`](crate::check::FailureClass).
    pub class: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// What came instead.
    pub got: Option<String>,
    /// One line for a person.
    pub message: String,
}

impl std::str::FromStr for Severity {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == word).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_json_and_in_the_file() {
        for event in EventType::ALL {
            assert_eq!(serde_json::to_value(event).expect("a unit variant serializes"), event.as_str());
            assert_eq!(event.as_str().parse(), Ok(*event));
        }
    }
}
