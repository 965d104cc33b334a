//! From a notice of a monitor to the event: what it says, and of which incident.

use super::{Incidents, Outcome, Watched};
use crate::announcement::Notice;
use crate::check::Failure;
use crate::event::{Event, EventIncident, EventOutcome, EventType, Severity};
use jiff::Timestamp;

/// The event of one of the `notices` of a moment, and its sequence. `None`: its incident is no longer there.
pub(super) fn draft(
    outcome: &Outcome,
    incidents: &Incidents,
    now: Timestamp,
    notices: &[Notice],
    notice: Notice,
) -> Option<(Event, i64)> {
    let Outcome { check, state, trouble, .. } = outcome;
    let (open, severity) = outcome.open().unzip();
    // A slot is judged once.
    let slot = check.slot_at.as_microsecond();
    let (kind, bad, about, sequence) = match notice {
        Notice::Opening(Severity::Degraded) => (EventType::Degraded, Severity::Degraded, open, 0),
        Notice::Opening(_) | Notice::Worse => (EventType::Down, Severity::Down, open, 0),
        Notice::Critical => (EventType::Critical, Severity::Critical, open, 0),
        Notice::Reminder(number) => (EventType::Reminder, severity?, open, number.into()),
        Notice::End(ended) => (EventType::Up, incidents.get(&ended)?.severity.when_over(), Some(ended), 0),
        Notice::FlappingStart => (EventType::FlappingStart, Severity::Degraded, open, slot),
        Notice::FlappingEnd => {
            let ended =
                |notice: &Notice| if let Notice::End(incident) = notice { Some(*incident) } else { None };
            let about = open.or_else(|| notices.iter().rev().find_map(ended));
            (EventType::FlappingEnd, severity.unwrap_or(Severity::Info), about, slot)
        }
    };
    let known = about.and_then(|id| Some((id, incidents.get(&id)?)));
    let said = match notice {
        Notice::FlappingStart => EventOutcome::flapping(state.recent.changes(), state.recent.count()),
        Notice::FlappingEnd => {
            let why = open.and(trouble.as_ref()).map(|trouble| trouble.message.as_str());
            EventOutcome::steady(severity, why)
        }
        Notice::End(_) => {
            let mut cause = known?.1.cause.clone();
            if let Some(seen) = &outcome.seen {
                cause.message = format!("{}; now {seen}", cause.message);
            }
            cause
        }
        // What is so now, where this check found it.
        _ => trouble.as_ref().map_or(known?.1.cause.clone(), EventOutcome::from),
    };
    let incident = known.map(|(id, known)| {
        let failures = if known.ended_at.is_some() { known.failures } else { state.failures };
        let began = known.down_at.unwrap_or(known.started_at);
        let acknowledged_by = known.acknowledged_by.clone();
        EventIncident { acknowledged_by, ..EventIncident::new(id, began, known.ended_at, failures) }
    });
    let event = Event::about(kind, bad, check.monitor.about.clone(), said, now);
    Some((Event { incident, ..event }, sequence))
}

/// That a certificate of the monitor nears its end.
pub(super) fn certificate(monitor: &Watched, warning: &Failure, now: Timestamp) -> Event {
    Event::about(EventType::Certificate, Severity::Degraded, monitor.about.clone(), warning.into(), now)
}
