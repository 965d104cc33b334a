//! What is looked at again when a notice's turn has come: is it still wanted, and is it still the whole truth?
//!
//! A notice is a snapshot and may have waited: for a provider, for a channel's hours, in the failed list. What people said
//! meanwhile (acknowledged, muted) and that the incident is over are looked at once more here, before it is sent. Nobody is
//! told "down" of what is known to be up, and an outage of which nobody was told is told as what it was: down from … to ….
//! Whether an end is due at all is decided before, in `announcement.rs` and `decision/announcing.rs`.

use crate::duration::elapsed_s;
use crate::event::{Event, EventIncident, EventType, Severity};
use jiff::Timestamp;

/// Why a notice is not sent after a newer one of its monitor was delivered to the channel.
pub const OVERTAKEN: &str = "a newer notice of the same monitor was told";

/// What is true of a notice's incident and of its channel now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not exclude each other")]
pub struct IncidentNow {
    /// When the incident ended, if it has.
    pub ended_at: Option<Timestamp>,
    pub severity: Option<Severity>,
    /// Nobody wants to hear of it any more.
    pub muted: bool,
    pub acknowledged: bool,
    /// This channel was told of it.
    pub opening_told: bool,
    /// The worst that this channel was told of it.
    pub worst_told: Option<Severity>,
    /// Its recovery waits for this channel, or was told.
    pub recovery_due: bool,
    /// No check has seen its end: a person ended it, or its monitor is watched no more.
    pub end_unseen: bool,
    /// A newer notice of the same monitor was delivered to this channel.
    pub overtaken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub event: Event,
    /// It is the first that is told of an outage that is over.
    pub is_all_of_it: bool,
    /// The worst that its channel was told before of the same incident; `None`: nothing.
    pub announced: Option<Severity>,
}

/// A digest, beside the event that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Its monitors, the worst first, as far as there is room.
    pub names: String,
    /// Its notices, in the order in which they were decided.
    pub parts: Vec<Part>,
}

/// Why a notice of an incident must not be sent as things stand; `None`: it may.
pub fn objection(kind: EventType, now: &IncidentNow) -> Option<&'static str> {
    if now.muted {
        return Some("the incident is muted");
    }
    if now.overtaken {
        return Some(OVERTAKEN);
    }
    match (kind, now.ended_at) {
        // It may be the first that a channel was to hear, and nothing else will say so to one that wants no end.
        (EventType::Critical, Some(_)) if !now.recovery_due && !now.opening_told => None,
        (EventType::Reminder | EventType::Critical, Some(_)) => {
            Some("the incident ended before this was told")
        }
        (EventType::Reminder | EventType::Critical, None) if now.acknowledged => {
            Some("somebody takes care of the incident")
        }
        (EventType::Acknowledged, None) if !now.acknowledged => {
            Some("nobody takes care of the incident any more")
        }
        (EventType::Down | EventType::Degraded, Some(_)) if now.recovery_due => {
            Some("the incident ended before this was told: the recovery says so")
        }
        _ => None,
    }
}

/// What is told as things stand now; the error: why it is not told.
pub fn recheck_before_send(mut event: Event, now: &IncidentNow) -> Result<Part, &'static str> {
    if event.incident.is_none() {
        return Ok(Part { event, is_all_of_it: false, announced: None });
    }
    let announced = now.worst_told;
    if let Some(reason) = objection(event.kind, now) {
        return Err(reason);
    }
    match (event.kind, now.ended_at) {
        // Nothing else will say so to this channel.
        (EventType::Down | EventType::Degraded | EventType::Critical, Some(ended_at)) => {
            end(&mut event, ended_at, now.end_unseen);
        }
        (EventType::Up, _) if !now.opening_told => {
            say_all_of_it(&mut event, now.severity);
            return Ok(Part { event, is_all_of_it: true, announced });
        }
        _ => {}
    }
    let is_all_of_it = now.ended_at.is_some() && event.kind != EventType::Up && !now.opening_told;
    Ok(Part { event, is_all_of_it, announced })
}

fn end(event: &mut Event, ended_at: Timestamp, unseen: bool) {
    if let Some(outcome) = event.outcome.as_mut().filter(|_| unseen) {
        outcome.message = format!("no check has seen it up; it was: {}", outcome.message);
    }
    if let Some(incident) = &mut event.incident {
        incident.ended_at = Some(ended_at);
        incident.duration_s = Some(elapsed_s(incident.started_at, ended_at));
    }
}

/// Says in the outcome's words when it was. A message of a recovery shows them after "It was:".
fn say_all_of_it(event: &mut Event, severity: Option<Severity>) {
    let Some(incident) = &event.incident else { return };
    let was = if severity == Some(Severity::Degraded) { "degraded" } else { "down" };
    let words = format!("{was} {} (told only now)", span(incident));
    if let Some(outcome) = &mut event.outcome {
        let cause = std::mem::take(&mut outcome.message);
        outcome.message = if cause.is_empty() { words } else { format!("{words}: {cause}") };
    }
}

/// When it was, as messages write it.
pub(crate) fn span(incident: &EventIncident) -> String {
    let until = incident.ended_at.map(|at| format!(" to {}", utc(at))).unwrap_or_default();
    format!("from {}{until}", utc(incident.started_at))
}

/// As messages write an instant.
pub fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventOutcome;
    use crate::id::IncidentId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("an instant")
    }

    fn event(kind: EventType) -> Event {
        let ended_at = (kind == EventType::Up).then(|| at(252));
        let incident = Some(EventIncident::new(IncidentId(1), at(0), ended_at, 3));
        let outcome = Some(EventOutcome::new("status", "the status is 503"));
        Event { kind, at: at(252), incident, outcome, ..crate::samples::event(EventType::Down) }
    }

    fn is_muted(kind: EventType, now: IncidentNow) -> bool {
        recheck_before_send(event(kind), &now).is_err()
    }

    #[test]
    fn mute_takes_everything_and_acknowledgement_what_nags() {
        for kind in EventType::ALL.iter().copied() {
            let muted = IncidentNow { muted: true, opening_told: true, ..IncidentNow::default() };
            assert!(is_muted(kind, muted), "{kind}");
            let acknowledged =
                IncidentNow { acknowledged: true, opening_told: true, ..IncidentNow::default() };
            let nags = matches!(kind, EventType::Reminder | EventType::Critical);
            assert_eq!(is_muted(kind, acknowledged), nags, "{kind}");
        }
        let without = Event { incident: None, ..event(EventType::Certificate) };
        let muted = IncidentNow { muted: true, ..IncidentNow::default() };
        assert!(recheck_before_send(without, &muted).is_ok());
    }

    #[test]
    fn what_is_over_is_not_told_as_if_it_went_on() {
        let over = IncidentNow { ended_at: Some(at(252)), ..IncidentNow::default() };
        for kind in [EventType::Reminder, EventType::Critical] {
            assert!(is_muted(kind, IncidentNow { opening_told: true, ..over }), "{kind}");
        }
        assert!(is_muted(EventType::Reminder, over));
        for kind in [EventType::Down, EventType::Degraded, EventType::Critical] {
            assert!(is_muted(kind, IncidentNow { recovery_due: true, ..over }), "{kind}");
            // To a channel that wants no recoveries it is told with its end.
            let tell = |now| recheck_before_send(event(kind), &now).expect("it is lost");
            let Part { event, is_all_of_it, .. } = tell(over);
            let incident = event.incident.expect("an incident");
            assert_eq!((incident.ended_at, incident.duration_s), (Some(at(252)), Some(252)));
            assert!(is_all_of_it);
            assert_eq!(event.outcome.expect("an outcome").message, "the status is 503");
            let unseen = tell(IncidentNow { end_unseen: true, ..over }).event.outcome.expect("an outcome");
            assert_eq!(unseen.message, "no check has seen it up; it was: the status is 503");
        }
    }

    #[test]
    fn a_recovery_without_an_opening_says_when_it_was() {
        let over =
            IncidentNow { ended_at: Some(at(252)), severity: Some(Severity::Down), ..Default::default() };
        let message = |now| {
            let part = recheck_before_send(event(EventType::Up), &now).ok()?;
            part.event.outcome.map(|outcome| outcome.message)
        };
        let when = "down from 2023-11-14 22:13:20 UTC to 2023-11-14 22:17:32 UTC (told only now)";
        assert_eq!(message(over), Some(format!("{when}: the status is 503")));
        let announced = IncidentNow { opening_told: true, ..over };
        assert_eq!(message(announced).as_deref(), Some("the status is 503"));
        let degraded = IncidentNow { severity: Some(Severity::Degraded), ..over };
        assert!(message(degraded).expect("told").starts_with("degraded from "));
    }
}
