//! The domain's types to and from those of `wit/notifier/0.1.0`. Nothing is decided here.

use crate::bindings::exports::uptime::notifier::notifier as exported;
use crate::bindings::uptime::notifier::types as guest;
use crate::error::{ConfigProblem, NotifierError};
use std::time::Duration;
use uptime_core::backoff::PROVIDER_MAX;
use uptime_core::event::{Event, EventType, Severity};
use uptime_core::notifier::{Description, Field, FieldKind, Place};

/// The event, but for what belongs to the delivery.
pub(crate) fn event(event: &Event) -> guest::Event {
    guest::Event {
        kind: event_type(event.kind),
        severity: match event.severity {
            Severity::Info => guest::Severity::Info,
            Severity::Degraded => guest::Severity::Degraded,
            Severity::Down => guest::Severity::Down,
            Severity::Critical => guest::Severity::Critical,
        },
        at_ms: epoch_ms(event.at.as_millisecond()),
        monitor: guest::Monitor {
            name: event.monitor.name.clone(),
            kind: event.monitor.kind.clone(),
            target: event.monitor.target.clone(),
            group: event.monitor.group.clone(),
            tags: event.monitor.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        },
        incident: event.incident.as_ref().map(|incident| guest::Incident {
            id: incident.id.0,
            started_at_ms: epoch_ms(incident.started_at.as_millisecond()),
            ended_at_ms: incident.ended_at.map(|at| epoch_ms(at.as_millisecond())),
            duration_s: incident.duration_s.map(epoch_ms),
            failures: incident.failures,
            acknowledged_by: incident.acknowledged_by.clone(),
            // There is no page to link to before `uptime serve` is there.
            link: None,
        }),
        outcome: event.outcome.as_ref().map(|outcome| guest::Outcome {
            class: outcome.class.clone(),
            expected: outcome.expected.clone(),
            got: outcome.got.clone(),
            message: outcome.message.clone(),
        }),
    }
}

fn event_type(kind: EventType) -> guest::EventType {
    match kind {
        EventType::Down => guest::EventType::Down,
        EventType::Up => guest::EventType::Up,
        EventType::Degraded => guest::EventType::Degraded,
        EventType::Critical => guest::EventType::Critical,
        EventType::Reminder => guest::EventType::Reminder,
        EventType::FlappingStart => guest::EventType::FlappingStart,
        EventType::FlappingEnd => guest::EventType::FlappingEnd,
        EventType::Certificate => guest::EventType::Certificate,
        EventType::Acknowledged => guest::EventType::Acknowledged,
        EventType::Blind => guest::EventType::Blind,
        EventType::Seeing => guest::EventType::Seeing,
        EventType::Stalled => guest::EventType::Stalled,
        EventType::Running => guest::EventType::Running,
        EventType::QueueBusy => guest::EventType::QueueBusy,
        EventType::ChannelBroken => guest::EventType::ChannelBroken,
        EventType::Test => guest::EventType::Test,
    }
}

/// Nothing that is told happened before 1970.
fn epoch_ms(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or_default()
}

pub(crate) fn description(description: exported::Description) -> Description {
    let kind = |kind| match kind {
        guest::FieldKind::Text => FieldKind::Text,
        guest::FieldKind::Secret => FieldKind::Secret,
        guest::FieldKind::Url => FieldKind::Url,
        guest::FieldKind::Integer => FieldKind::Integer,
        guest::FieldKind::Boolean => FieldKind::Boolean,
        guest::FieldKind::Choice => FieldKind::Choice,
        guest::FieldKind::Map => FieldKind::Map,
    };
    Description {
        name: description.name,
        version: description.version,
        summary: description.summary,
        fields: description
            .fields
            .into_iter()
            .map(|field| Field {
                kind: kind(field.kind),
                key: field.key,
                help: field.help,
                required: field.required,
                default: field.default,
                choices: field.choices,
                places: field.places.into_iter().map(place).collect(),
            })
            .collect(),
        hosts: description.hosts,
    }
}

fn place(place: guest::Place) -> Place {
    match place {
        guest::Place::Address => Place::Address,
        guest::Place::Path(to) => Place::Path { to },
        guest::Place::Query(to) => Place::Query { to },
        guest::Place::Header(header) => Place::Header { to: header.to, name: header.name },
        guest::Place::Body(to) => Place::Body { to },
        guest::Place::Signature => Place::Signature,
    }
}

/// The most problems that a plugin is listened to.
const PROBLEMS_MAX: usize = 20;

/// What a plugin complains of, each text through `said`.
pub(crate) fn problems(
    problems: Vec<exported::Problem>,
    said: impl Fn(&str) -> String,
) -> Vec<ConfigProblem> {
    problems
        .into_iter()
        .take(PROBLEMS_MAX)
        .map(|problem| ConfigProblem {
            key: problem.key.map(|key| said(&key)),
            message: said(&problem.message),
        })
        .collect()
}

/// Why a plugin did not deliver, each text through `said`.
pub(crate) fn notify_error(
    notifier: &str,
    error: exported::NotifyError,
    said: impl Fn(&str) -> String,
) -> NotifierError {
    let notifier = notifier.to_owned();
    let after = |ms: Option<u64>| ms.map(wait);
    match error {
        exported::NotifyError::Config(found) => {
            NotifierError::Config { notifier, problems: problems(found, said) }
        }
        exported::NotifyError::Unauthorized(message) => {
            NotifierError::Unauthorized { notifier, message: said(&message) }
        }
        exported::NotifyError::Gone(message) => NotifierError::Gone { notifier, message: said(&message) },
        exported::NotifyError::RateLimited(retry) => NotifierError::RateLimited {
            notifier,
            message: said(&retry.message),
            after: after(retry.after_ms),
        },
        exported::NotifyError::Transient(retry) => {
            NotifierError::Transient { notifier, message: said(&retry.message), after: after(retry.after_ms) }
        }
        exported::NotifyError::Permanent(message) => {
            NotifierError::Permanent { notifier, message: said(&message) }
        }
    }
}

/// A wait that a provider asked for, as far as it is granted.
pub(crate) fn wait(ms: u64) -> Duration {
    Duration::from_millis(ms).min(PROVIDER_MAX)
}
