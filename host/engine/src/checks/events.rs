//! From notices to events: who is told, and in which words.

use super::trouble;
use jiff::Timestamp;
use uptime_core::announcement::Notice;
use uptime_core::check::Failure;
use uptime_core::event::{Event, EventIncident, EventMonitor, EventOutcome, EventType, Severity};
use uptime_core::id::{DeliveryId, IncidentId};
use uptime_core::judgement::State;
use uptime_store::results::{FinishedCheck, InterestedChannel, ResultsTransaction};
use uptime_store::{StoreError, notifications};
use uuid::Uuid;

/// A certificate of the target that nears its end.
pub(super) struct NearsEnd {
    fingerprint: String,
    days: u16,
    warning: Failure,
}

struct Telling {
    kind: EventType,
    severity: Severity,
    incident: Option<(IncidentId, EventIncident)>,
    outcome: EventOutcome,
    sequence: i64,
}

/// Tells these notices of a check's monitor; with locations, `seen` is what they say.
pub(super) async fn tell(
    transaction: &mut ResultsTransaction,
    check: &FinishedCheck,
    state: &State,
    open: Option<(IncidentId, Severity)>,
    notices: &[Notice],
    seen: Option<&str>,
) -> Result<(), StoreError> {
    if notices.is_empty() {
        return Ok(());
    }
    let interested = transaction.channels_of(check.monitor.id).await?;
    let monitor = event_monitor(check);
    let telling = |notice: &Notice| {
        let mut telling = telling(transaction, check, state, open, notices, *notice)?;
        if let (Notice::End(_), Some(seen)) = (notice, seen) {
            telling.outcome.message = format!("{}; now {seen}", telling.outcome.message);
        }
        Some(telling)
    };
    let tellings: Vec<(&Notice, Telling)> =
        notices.iter().filter_map(|notice| Some((notice, telling(notice)?))).collect();
    let wants = |channel: &InterestedChannel, telling: &Telling| {
        channel.filter.wants(telling.kind, telling.severity, &monitor)
    };
    // Who hears one that says it all hears nothing beside it.
    let is_said = |channel: &InterestedChannel, notice: &Notice| {
        interested.iter().any(|other| other.id == channel.id)
            && tellings.iter().any(|(beside, telling)| beside.says(*notice) && wants(channel, telling))
    };
    for (notice, telling) in &tellings {
        let told = match notice {
            // A recovery is sent if and only if the opening was due: to those, whatever the monitor's group and tags are
            // by now.
            Notice::End(incident) => {
                let told = transaction.channels_told(*incident).await?;
                told.into_iter().filter(|channel| channel.filter.wants_event(EventType::Up)).collect()
            }
            _ => interested.clone(),
        };
        for channel in told {
            let is_wanted = matches!(notice, Notice::End(_)) || wants(&channel, telling);
            if is_wanted && !is_said(&channel, notice) {
                transaction.notify(notice_for(&channel, telling, &monitor, transaction.now()));
            }
        }
    }
    Ok(())
}

fn notice_for(
    channel: &InterestedChannel,
    telling: &Telling,
    monitor: &EventMonitor,
    now: Timestamp,
) -> notifications::Notice {
    let event = Event {
        kind: telling.kind,
        delivery_id: DeliveryId(Uuid::now_v7()),
        at: now,
        monitor: monitor.clone(),
        incident: telling.incident.as_ref().map(|(_, incident)| incident.clone()),
        outcome: Some(telling.outcome.clone()),
        severity: telling.severity,
    };
    notifications::Notice { channel: channel.id, event, sequence: telling.sequence }
}

fn telling(
    transaction: &ResultsTransaction,
    check: &FinishedCheck,
    state: &State,
    open: Option<(IncidentId, Severity)>,
    notices: &[Notice],
    notice: Notice,
) -> Option<Telling> {
    let about = |incident: IncidentId| {
        transaction.incident(incident).map(|row| {
            let failures = if row.ended_at.is_some() { row.failures } else { state.failures };
            let times = EventIncident {
                acknowledged_by: row.acknowledged_by.clone(),
                ..EventIncident::new(incident, row.started_at, row.ended_at, failures)
            };
            ((incident, times), row.cause.clone())
        })
    };
    let of_open = |kind: EventType, severity: Severity, sequence: i64| {
        let (incident, cause) = about(open?.0)?;
        // What is so now, where this check found it.
        let outcome = trouble(check).map_or(cause, EventOutcome::from);
        Some(Telling { kind, severity, incident: Some(incident), outcome, sequence })
    };
    // A slot is judged once.
    let slot = check.slot_at.as_microsecond();
    match notice {
        Notice::Opening(Severity::Degraded) => of_open(EventType::Degraded, Severity::Degraded, 0),
        Notice::Opening(_) | Notice::Worse => of_open(EventType::Down, Severity::Down, 0),
        Notice::Critical => of_open(EventType::Critical, Severity::Critical, 0),
        Notice::Reminder(number) => of_open(EventType::Reminder, open?.1, i64::from(number)),
        Notice::End(ended) => {
            let (incident, cause) = about(ended)?;
            let incident = Some(incident);
            Some(Telling {
                kind: EventType::Up,
                severity: transaction.incident(ended)?.severity.when_over(),
                incident,
                outcome: cause,
                sequence: 0,
            })
        }
        Notice::FlappingStart => {
            let incident = open.and_then(|(open, _)| about(open)).map(|(incident, _)| incident);
            let outcome = EventOutcome::flapping(state.recent.changes(), state.recent.count());
            let kind = EventType::FlappingStart;
            Some(Telling { kind, severity: Severity::Degraded, incident, outcome, sequence: slot })
        }
        Notice::FlappingEnd => {
            let ended = notices.iter().rev().find_map(|notice| match notice {
                Notice::End(incident) => Some(*incident),
                _ => None,
            });
            let incident = open.map(|(open, _)| open).or(ended).and_then(about);
            let open = open.map(|(_, severity)| severity);
            let why = open.and(trouble(check)).map(|trouble| trouble.message.as_str());
            let outcome = EventOutcome::steady(open, why);
            let severity = open.unwrap_or(Severity::Info);
            let incident = incident.map(|(incident, _)| incident);
            Some(Telling { kind: EventType::FlappingEnd, severity, incident, outcome, sequence: slot })
        }
    }
}

/// The certificates that the target showed and that near their end.
pub(super) fn certificates(check: &FinishedCheck, now: Timestamp) -> Vec<NearsEnd> {
    let Some(limits) = check.monitor.check.certificate_days() else { return Vec::new() };
    if check.report.warnings.is_empty() {
        return Vec::new();
    }
    let mut nears_end: Vec<NearsEnd> = Vec::new();
    for hop in &check.report.hops {
        let Some(shown) = &hop.tls else { continue };
        let host = hop.url.as_deref().unwrap_or(&check.monitor.target);
        if let (Ok(Some(warning)), Some(certificate), Some(days)) =
            (limits.judge(shown, host, now), shown.first_to_end(), limits.warning)
        {
            let is_known = |known: &NearsEnd| known.fingerprint == certificate.sha256;
            if !nears_end.iter().any(is_known) {
                nears_end.push(NearsEnd { fingerprint: certificate.sha256.clone(), days, warning });
            }
        }
    }
    nears_end
}

/// Tells of each certificate once, for each limit that it comes under.
pub(super) async fn tell_certificates(
    transaction: &mut ResultsTransaction,
    check: &FinishedCheck,
    nears_end: Vec<NearsEnd>,
) -> Result<(), StoreError> {
    let monitor = event_monitor(check);
    for NearsEnd { fingerprint, days, warning } in nears_end {
        if !transaction.is_certificate_news(check.monitor.id, &fingerprint, days).await? {
            continue;
        }
        let telling = Telling {
            kind: EventType::Certificate,
            severity: Severity::Degraded,
            incident: None,
            outcome: EventOutcome::from(&warning),
            sequence: 0,
        };
        for channel in transaction.channels_of(check.monitor.id).await? {
            if channel.filter.wants(telling.kind, telling.severity, &monitor) {
                transaction.notify(notice_for(&channel, &telling, &monitor, transaction.now()));
            }
        }
    }
    Ok(())
}

fn event_monitor(check: &FinishedCheck) -> EventMonitor {
    EventMonitor {
        name: check.monitor.name.clone(),
        kind: check.monitor.check.kind().to_owned(),
        target: check.monitor.target.clone(),
        group: check.monitor.group.clone(),
        tags: check.monitor.tags.clone(),
    }
}
