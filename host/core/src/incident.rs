//! What people do with an incident: acknowledge it, mute it, end it, say something of it.
//!
//! Pure: whether an action makes sense for an incident as it is, and what is told of it. The store asks under the lock of the
//! monitor's state, so of two people who come at once exactly one does it, and the other hears who was quicker.

use crate::event::{Event, EventIncident, EventMonitor, EventOutcome, EventType, Severity};
use crate::id::IncidentId;
use crate::recheck::utc;
use jiff::Timestamp;
use std::time::Duration;
use thiserror::Error;

/// The class in what is told when an incident ends because nobody looks any more.
pub const UNWATCHED: &str = "unwatched";
/// The class of the outcome that a recovery by hand bears: no check has seen the monitor up.
pub const BY_OPERATOR: &str = "resolved";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentAction {
    /// Takes care of it: no reminder and no `critical` for so long, or until it ends.
    Acknowledge {
        /// `None`: until it ends.
        lasting: Option<Duration>,
    },
    Unacknowledge,
    /// Wants nothing more to be told of it, not even its end.
    Mute,
    Unmute,
    /// Ends it now, whatever the checks say; a fresh confirmation opens another one.
    Resolve,
    Comment,
}

/// Who does it, and what they say to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By<'a> {
    pub who: &'a str,
    pub note: Option<&'a str>,
}

/// That somebody takes care of an incident, or muted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub by: String,
    pub at: Timestamp,
    /// When it expires; `None`: when the incident ends.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub id: IncidentId,
    /// Of which monitor, as that is now.
    pub monitor: EventMonitor,
    pub cause: EventOutcome,
    pub severity: Severity,
    /// The first failure; of the outage, if it began as degraded.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// Who ended it; `None`: a check, or nobody yet.
    pub resolved_by: Option<String>,
    pub failures: u32,
    pub acknowledged: Option<Mark>,
    pub muted: Option<Mark>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ActionRefused {
    #[error("has ended{}", .by.as_ref().map(|by| format!(": {by} resolved it")).unwrap_or_default())]
    Ended {
        /// Who ended it; `None`: a check did.
        by: Option<String>,
    },
    #[error("is acknowledged already: {by} takes care of it")]
    Acknowledged { by: String },
    #[error("is not acknowledged")]
    NotAcknowledged,
    #[error("is muted already, by {by}")]
    Muted { by: String },
    #[error("is not muted")]
    NotMuted,
}

impl IncidentAction {
    /// The word for what has happened then, in the database, in JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge { .. } => "acknowledged",
            Self::Unacknowledge => "unacknowledged",
            Self::Mute => "muted",
            Self::Unmute => "unmuted",
            Self::Resolve => "resolved",
            Self::Comment => "commented",
        }
    }

    /// Whether it can be done to `incident` at `now`. A comment always can.
    pub fn permit(self, incident: &Incident, now: Timestamp) -> Result<(), ActionRefused> {
        if self != Self::Comment && incident.ended_at.is_some() {
            return Err(ActionRefused::Ended { by: incident.resolved_by.clone() });
        }
        match (self, incident.acknowledged(now), &incident.muted) {
            (Self::Acknowledge { .. }, Some(mark), _) => {
                Err(ActionRefused::Acknowledged { by: mark.by.clone() })
            }
            (Self::Unacknowledge, None, _) => Err(ActionRefused::NotAcknowledged),
            (Self::Mute, _, Some(mark)) => Err(ActionRefused::Muted { by: mark.by.clone() }),
            (Self::Unmute, _, None) => Err(ActionRefused::NotMuted),
            _ => Ok(()),
        }
    }

    /// What is told of it, to those who were told of the incident; `None`: nothing.
    pub fn event_type(self) -> Option<EventType> {
        match self {
            Self::Acknowledge { .. } => Some(EventType::Acknowledged),
            Self::Resolve => Some(EventType::Up),
            // It is open as before, and nobody takes care of it.
            Self::Unacknowledge => Some(EventType::Reminder),
            Self::Mute | Self::Unmute | Self::Comment => None,
        }
    }

    /// The event; `None`: nothing is told.
    pub fn event(self, by: By<'_>, incident: &Incident, now: Timestamp) -> Option<Event> {
        let kind = self.event_type()?;
        let ended_at = (kind == EventType::Up).then_some(now);
        let in_charge = incident.acknowledged(now).map(|mark| mark.by.clone());
        let (who, cause) = (by.who, &incident.cause.message);
        let says = by.note.map(|note| format!("; {who} says: {note}")).unwrap_or_default();
        // Who ended it comes first: a provider may cut the rest.
        let (acknowledged_by, released_by, message) = match (self, in_charge) {
            (Self::Resolve, in_charge) => {
                let words = format!("resolved by {who}, and no check has seen it up{says}; it was: {cause}");
                (in_charge, None, words)
            }
            (Self::Unacknowledge, Some(name)) => {
                let words = format!("{cause}; {name} takes care of it no more{says}");
                (None, Some(name), words)
            }
            (_, _) => (Some(who.to_owned()), None, format!("{cause}{says}")),
        };
        let class = if kind == EventType::Up { BY_OPERATOR } else { &incident.cause.class };
        let outcome = EventOutcome { class: class.to_owned(), message, ..incident.cause.clone() };
        let mut event = incident.event(kind, now, ended_at, acknowledged_by, outcome);
        if let Some(incident) = &mut event.incident {
            incident.released_by = released_by;
        }
        Some(event)
    }
}

impl Incident {
    /// Who takes care of it at `now`.
    pub fn acknowledged(&self, now: Timestamp) -> Option<&Mark> {
        self.acknowledged.as_ref().filter(|mark| mark.until.is_none_or(|until| until > now))
    }

    /// What is told of its end when its monitor is watched no more: that nobody looks; or that it was up again, where that
    /// was seen and held back.
    pub fn unwatched(&self, now: Timestamp) -> Event {
        let acknowledged_by = self.acknowledged(now).map(|mark| mark.by.clone());
        let outcome = if self.ended_at.is_some() {
            self.cause.clone()
        } else {
            let was = if self.severity == Severity::Degraded { "degraded" } else { "down" };
            let (name, since, cause) = (&self.monitor.name, utc(self.started_at), &self.cause.message);
            let message = format!("{name} is no longer watched; it was {was} since {since}: {cause}");
            EventOutcome::new(UNWATCHED, message)
        };
        self.event(EventType::Up, now, self.ended_at.or(Some(now)), acknowledged_by, outcome)
    }

    /// What is told of it at `at`.
    pub fn event(
        &self,
        kind: EventType,
        at: Timestamp,
        ended_at: Option<Timestamp>,
        acknowledged_by: Option<String>,
        outcome: EventOutcome,
    ) -> Event {
        let severity = if kind == EventType::Up { self.severity.when_over() } else { self.severity };
        let incident = EventIncident::new(self.id, self.started_at, ended_at, self.failures);
        let incident = Some(EventIncident { acknowledged_by, ..incident });
        Event { incident, ..Event::about(kind, severity, self.monitor.clone(), outcome, at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    fn incident() -> Incident {
        let cause = EventOutcome { got: Some("503".into()), ..EventOutcome::new("status", "answered 503") };
        Incident { cause, started_at: at(100), failures: 4, ..crate::samples::incident(Severity::Down) }
    }

    fn mark(by: &str, until: Option<i64>) -> Mark {
        Mark { by: by.into(), at: at(150), until: until.map(at) }
    }

    const ACKNOWLEDGE: IncidentAction = IncidentAction::Acknowledge { lasting: None };

    #[test]
    fn what_makes_no_sense_is_refused_with_who_was_quicker() {
        let all = [
            ACKNOWLEDGE,
            IncidentAction::Unacknowledge,
            IncidentAction::Mute,
            IncidentAction::Unmute,
            IncidentAction::Resolve,
            IncidentAction::Comment,
        ];
        let refusals = |incident: &Incident| -> Vec<String> {
            all.iter()
                .filter_map(|action| action.permit(incident, at(200)).err())
                .map(|refusal| refusal.to_string())
                .collect()
        };
        assert_eq!(refusals(&incident()), ["is not acknowledged", "is not muted"]);
        let taken =
            Incident { acknowledged: Some(mark("bob", None)), muted: Some(mark("eve", None)), ..incident() };
        assert_eq!(
            refusals(&taken),
            ["is acknowledged already: bob takes care of it", "is muted already, by eve"]
        );
        let ended = Incident { ended_at: Some(at(190)), ..taken };
        assert_eq!(refusals(&ended), ["has ended"; 5], "all but the comment");
        let resolved = Incident { resolved_by: Some("bob".into()), ..ended };
        assert_eq!(refusals(&resolved), ["has ended: bob resolved it"; 5]);
    }

    #[test]
    fn an_acknowledgement_holds_up_to_its_instant_and_no_longer() {
        let taken = Incident { acknowledged: Some(mark("bob", Some(200))), ..incident() };
        assert!(ACKNOWLEDGE.permit(&taken, at(199)).is_err());
        assert_eq!(IncidentAction::Unacknowledge.permit(&taken, at(199)), Ok(()));
        assert_eq!(ACKNOWLEDGE.permit(&taken, at(200)), Ok(()));
        assert_eq!(
            IncidentAction::Unacknowledge.permit(&taken, at(200)),
            Err(ActionRefused::NotAcknowledged)
        );
    }

    #[test]
    fn the_end_of_what_nobody_watches_says_so_and_an_end_that_was_seen_says_that() {
        let tell = |incident: &Incident| {
            let event = incident.unwatched(at(220));
            assert_eq!((event.kind, event.severity), (EventType::Up, incident.severity.when_over()));
            let (told, outcome) = (event.incident.expect("an incident"), event.outcome.expect("an outcome"));
            (outcome.class, outcome.message, outcome.got, told.ended_at, told.duration_s)
        };
        let words = |was: &str| {
            format!("shop is no longer watched; it was {was} since 1970-01-01 00:01:40 UTC: answered 503")
        };
        let expected = |was: &str| ("unwatched".to_owned(), words(was), None, Some(at(220)), Some(120));
        assert_eq!(tell(&incident()), expected("down"));
        assert_eq!(tell(&Incident { severity: Severity::Degraded, ..incident() }), expected("degraded"));
        assert_eq!(
            tell(&Incident { ended_at: Some(at(190)), ..incident() }),
            ("status".to_owned(), "answered 503".to_owned(), Some("503".to_owned()), Some(at(190)), Some(90))
        );
    }

    #[test]
    fn an_acknowledgement_and_an_end_are_told_and_the_rest_is_not() {
        let taken = Incident { acknowledged: Some(mark("bob", None)), ..incident() };
        let degraded = Incident { severity: Severity::Degraded, ..incident() };
        let tell = |action: IncidentAction, incident: &Incident, note| {
            let event = action.event(By { who: "anna", note }, incident, at(220))?;
            let (kept, cause) = (event.incident.expect("an incident"), event.outcome.expect("a cause"));
            let ended = (event.kind == EventType::Up).then(|| (at(220), 120));
            assert_eq!((kept.failures, kept.ended_at.zip(kept.duration_s)), (4, ended));
            assert_eq!(cause.got.as_deref(), Some("503"));
            let in_charge = kept.acknowledged_by.unwrap_or("nobody".into());
            let words = format!("{} ({}), {in_charge} in charge", event.kind, event.severity);
            Some(format!("{words}: {}: {}", cause.class, cause.message))
        };
        let by_operator = "resolved: resolved by anna, and no check has seen it up";
        for (action, incident, note, told) in [
            (
                ACKNOWLEDGE,
                &incident(),
                Some("on it"),
                "acknowledged (down), anna in charge: STATUS; anna says: on it",
            ),
            (
                IncidentAction::Unacknowledge,
                &taken,
                Some("off to bed"),
                "reminder (down), nobody in charge: STATUS; bob takes care of it no more; anna says: off to bed",
            ),
            (
                IncidentAction::Resolve,
                &taken,
                None,
                "up (info), bob in charge: BY_HAND; it was: answered 503",
            ),
            (
                IncidentAction::Resolve,
                &taken,
                Some("a false alarm"),
                "up (info), bob in charge: BY_HAND; anna says: a false alarm; it was: answered 503",
            ),
            // A message can say what it was.
            (ACKNOWLEDGE, &degraded, None, "acknowledged (degraded), anna in charge: STATUS"),
            (
                IncidentAction::Resolve,
                &degraded,
                None,
                "up (degraded), nobody in charge: BY_HAND; it was: answered 503",
            ),
        ] {
            let told = told.replace("STATUS", "status: answered 503").replace("BY_HAND", by_operator);
            assert_eq!(tell(action, incident, note), Some(told));
        }
        for action in [IncidentAction::Mute, IncidentAction::Unmute, IncidentAction::Comment] {
            assert_eq!(tell(action, &taken, Some("why")), None);
        }
    }
}
