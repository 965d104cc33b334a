//! What people are told: an event, as a snapshot that is complete in itself.
//!
//! An event is written with the change that caused it and is not looked up again when it is delivered, so a
//! message tells what was true then. Its JSON is the generic webhook's body and a contract (additive changes only).

use crate::id::{DeliveryId, IncidentId};
use crate::words::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// What happened, in the order of the documentation.
    #[derive(PartialOrd, Ord)]
    pub enum EventType: "event type" {
        Down = "down",
        Up = "up",
        /// Up, but worse than it should be.
        Degraded = "degraded",
        Critical = "critical",
        Reminder = "reminder",
        /// Up and down too often to tell each.
        FlappingStart = "flapping-start",
        FlappingEnd = "flapping-end",
        /// A certificate nears its end.
        Certificate = "certificate",
        Acknowledged = "acknowledged",
        /// The monitor's own network is away.
        Blind = "blind",
        Seeing = "seeing",
        /// Monitors have had no result for too long.
        Stalled = "stalled",
        Running = "running",
        /// A queue is over its limit.
        QueueBusy = "queue-busy",
        /// Another channel can't be delivered to.
        ChannelBroken = "channel-broken",
        /// Somebody tries a channel.
        Test = "test",
    }
}

impl EventType {
    /// By these a channel hears of an incident. Whom none of them was for is told nothing of what follows: no end, and not
    /// who takes care of it.
    pub const HEARD_BY: [Self; 5] =
        [Self::Down, Self::Degraded, Self::Critical, Self::Reminder, Self::FlappingEnd];

    /// What it is about.
    pub fn topic(self) -> Topic {
        match self {
            Self::Down
            | Self::Up
            | Self::Degraded
            | Self::Critical
            | Self::Reminder
            | Self::FlappingStart
            | Self::FlappingEnd
            | Self::Acknowledged => Topic::Monitor,
            Self::Certificate => Topic::Certificate,
            Self::Blind | Self::Seeing => Topic::Network,
            Self::Stalled | Self::Running => Topic::Checks,
            Self::QueueBusy => Topic::Queue,
            Self::ChannelBroken => Topic::Channel,
            Self::Test => Topic::Test,
        }
    }
}

/// What events are about. Those about one thing follow each other: the last one that was told is what a channel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Whether a monitor is up.
    Monitor,
    /// A monitor's certificate.
    Certificate,
    /// A host's network.
    Network,
    /// Whether checks have results.
    Checks,
    /// The length of a queue.
    Queue,
    /// Whether a channel can be delivered to.
    Channel,
    /// Nothing.
    Test,
}

words! {
    /// How bad it is, the worst last.
    #[derive(PartialOrd, Ord)]
    pub enum Severity: "severity" {
        Info = "info",
        /// Works, but worse than it should.
        Degraded = "degraded",
        Down = "down",
        /// Has not worked for long.
        Critical = "critical",
    }
}

impl Severity {
    /// What the end of an incident of this severity bears: good news, but for one that was never worse than degraded. It
    /// stays told apart, or its end would read as if the monitor had been down.
    #[must_use]
    pub fn when_over(self) -> Self {
        if self == Self::Degraded { self } else { Self::Info }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The notification's name, the same over all tries.
    pub delivery_id: DeliveryId,
    /// When it was decided.
    pub at: Timestamp,
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
    pub name: String,
    /// `http`, `tcp` or `ping`.
    #[serde(rename = "type")]
    pub kind: String,
    pub target: String,
    pub group: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// The incident, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventIncident {
    pub id: IncidentId,
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
    pub expected: Option<String>,
    pub got: Option<String>,
    /// One line for a person.
    pub message: String,
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
        let unknown = "dwn
"
        .parse::<Severity>()
        .expect_err("no such word");
        assert_eq!(unknown, "there is no severity `dwn `; there are info, degraded, down, critical");
    }
}
