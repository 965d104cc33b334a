//! What people are told: an event, as a snapshot that is complete in itself.
//!
//! An event is written with the change that caused it and is not looked up again when it is delivered, so a
//! message tells what was true then. Its JSON is the generic webhook's body and a contract (additive changes only).

use crate::check::{Failure, FailureClass};
use crate::duration::elapsed_s;
use crate::id::{DeliveryId, IncidentId};
use crate::words::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

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
        self.traits().0
    }

    /// What the kind alone says of an event: what it is about, the phase for a channel that was told before, and the symbol,
    /// where it is not as bad as the severity says.
    pub(crate) fn traits(self) -> (Topic, Phase, Option<&'static str>) {
        match self {
            Self::Down | Self::Degraded | Self::Reminder => (Topic::Monitor, Phase::Continues, None),
            Self::Critical => (Topic::Monitor, Phase::Continues, Some("🚨")),
            Self::FlappingStart => (Topic::Monitor, Phase::Continues, Some("🔁")),
            Self::FlappingEnd => (Topic::Monitor, Phase::Continues, Some("✅")),
            Self::Acknowledged => (Topic::Monitor, Phase::Taken, Some("👤")),
            Self::Up => (Topic::Monitor, Phase::Ends, Some("✅")),
            Self::Certificate => (Topic::Certificate, Phase::Other, Some("🔒")),
            Self::Blind => (Topic::Network, Phase::Opens, Some("🙈")),
            Self::Seeing => (Topic::Network, Phase::Ends, Some("✅")),
            Self::Stalled => (Topic::Checks, Phase::Opens, Some("🛑")),
            Self::Running => (Topic::Checks, Phase::Ends, Some("✅")),
            Self::QueueBusy => (Topic::Queue, Phase::Other, Some("⏳")),
            Self::ChannelBroken => (Topic::Channel, Phase::Other, Some("📵")),
            Self::Test => (Topic::Test, Phase::Other, Some("🔔")),
        }
    }

    /// What a digest says of one, and of many, where events of this kind are counted for themselves.
    pub(crate) fn counted(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Certificate => Some(["certificate ends soon", "certificates end soon"]),
            _ => None,
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

impl Topic {
    /// Whether it is about a target, rather than about this program itself.
    pub fn is_target(self) -> bool {
        matches!(self, Self::Monitor | Self::Certificate)
    }
}

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
    /// The word for the type of the "monitor" of a digest.
    pub const DIGEST: &str = "digest";

    /// Whether it is about many monitors at once.
    pub fn is_digest(&self) -> bool {
        self.monitor.kind == Self::DIGEST
    }

    /// Whether the incident is over already: of an opening, that it is told too late to be news.
    pub fn is_over(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.ended_at.is_some())
    }

    /// Whether it says that nobody takes care of the incident any more.
    pub fn is_released(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.released_by.is_some())
    }

    /// About a monitor, and no incident. Nobody has been told it yet: it has no delivery's name ([`sent_as`](Self::sent_as)).
    pub(crate) fn about(
        kind: EventType,
        severity: Severity,
        monitor: EventMonitor,
        outcome: EventOutcome,
        at: Timestamp,
    ) -> Self {
        let (delivery_id, incident, outcome) = (DeliveryId(Uuid::nil()), None, Some(outcome));
        Self { kind, delivery_id, at, monitor, incident, outcome, severity }
    }

    /// The same, for one notification.
    #[must_use]
    pub fn sent_as(&self, delivery_id: DeliveryId) -> Self {
        Self { delivery_id, ..self.clone() }
    }

    /// Of this program itself: about something named `name` of the type `type_`.
    fn own(
        kind: EventType,
        severity: Severity,
        (name, type_, target): (&str, &str, String),
        outcome: EventOutcome,
        at: Timestamp,
    ) -> Self {
        let (name, tags) = (name.to_owned(), BTreeMap::new());
        let monitor = EventMonitor { name, kind: type_.to_owned(), target, group: None, tags };
        Self::about(kind, severity, monitor, outcome, at)
    }

    /// That a channel can't be delivered to, for the others.
    pub fn channel_broken(channel: &str, notifier: &str, reason: &str, at: Timestamp) -> Self {
        let (about, outcome) =
            ((channel, "channel", notifier.to_owned()), EventOutcome::new("channel", reason));
        Self::own(EventType::ChannelBroken, Severity::Down, about, outcome, at)
    }

    /// That the checks of a queue have stalled, or run again, for the channels that want to hear it.
    pub fn about_checks(kind: EventType, queue: &str, message: String, at: Timestamp) -> Self {
        let severity = if kind == EventType::Stalled { Severity::Down } else { Severity::Info };
        let outcome = EventOutcome::new(EventType::Stalled.as_str(), message);
        Self::own(kind, severity, (queue, "queue", queue_command(queue)), outcome, at)
    }

    /// That a queue is over its limit, of which `expected` and `got` tell.
    pub fn queue_busy(
        queue: &str,
        (expected, got): (String, String),
        message: String,
        at: Timestamp,
    ) -> Self {
        let kind = EventType::QueueBusy;
        let outcome = EventOutcome {
            expected: Some(expected),
            got: Some(got),
            ..EventOutcome::new(kind.as_str(), message)
        };
        Self::own(kind, Severity::Degraded, (queue, "queue", queue_command(queue)), outcome, at)
    }

    /// That a host has lost its network, or has it again.
    pub fn about_network(kind: EventType, host: &str, message: String, at: Timestamp) -> Self {
        let severity = if kind == EventType::Blind { Severity::Degraded } else { Severity::Info };
        let outcome = EventOutcome::new(FailureClass::Network.as_str(), message);
        Self::own(kind, severity, ("uptime", "host", host.to_owned()), outcome, at)
    }

    /// That somebody tries a channel.
    pub fn test(at: Timestamp) -> Self {
        let kind = EventType::Test;
        let outcome = EventOutcome::new(kind.as_str(), "This is a test message: nothing is down.");
        let about = ("test", "http", "https://example.com/".to_owned());
        Self::own(kind, Severity::Info, about, outcome, at)
    }
}

fn queue_command(queue: &str) -> String {
    format!("uptime queue monitor {queue}")
}

/// The monitor, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMonitor {
    pub name: String,
    /// One of `CheckSpec::TYPES`.
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
    /// Who took care of it until now: the event says that nobody does any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_by: Option<String>,
    /// A page that shows it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

impl EventIncident {
    /// An incident that began at `started_at`, with no more to say of it.
    pub fn new(id: IncidentId, started_at: Timestamp, ended_at: Option<Timestamp>, failures: u32) -> Self {
        let duration_s = ended_at.map(|end| elapsed_s(started_at, end));
        let (acknowledged_by, released_by, link) = (None, None, None);
        Self { id, started_at, ended_at, duration_s, failures, acknowledged_by, released_by, link }
    }
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

impl EventOutcome {
    /// What can be said in one line alone.
    pub fn new(class: &str, message: impl Into<String>) -> Self {
        Self { class: class.to_owned(), expected: None, got: None, message: message.into() }
    }

    /// That a monitor begins to flap, after so many changes in its last `count` checks.
    pub fn flapping(changes: u32, count: u32) -> Self {
        let message = format!(
            "it changed {changes} times in its last {count} checks: the next changes are not told, until it is steady"
        );
        Self::new(FLAPPING, message)
    }

    /// That a monitor is steady again: how it is, and why it is not up.
    pub fn steady(open: Option<Severity>, why: Option<&str>) -> Self {
        let how = match open {
            Some(Severity::Degraded) => "degraded",
            Some(_) => "down",
            None => "up",
        };
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        Self::new(FLAPPING, format!("steady again: {how}{why}"))
    }
}

const FLAPPING: &str = "flapping";

impl From<&Failure> for EventOutcome {
    fn from(failure: &Failure) -> Self {
        let Failure { class, message, expected, got, .. } = failure.clone();
        Self { class: class.as_str().to_owned(), expected, got, message }
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
        let unknown = "dwn\n".parse::<Severity>().expect_err("no such word");
        assert_eq!(unknown, "there is no severity `dwn `; there are info, degraded, down, critical");
    }
}
