//! The domain's types to and from those of `wit/notifier/0.1.0`. Nothing is decided here.

use crate::bindings::exports::uptime::notifier::notifier as exported;
use crate::bindings::uptime::notifier::types as guest;
use crate::delivery::Delivery;
use crate::error::{ConfigProblem, NotifierError};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::backoff::PROVIDER_MAX;
use uptime_core::event::{Event, Severity};
use uptime_core::message::{self, Message, Phase, Value};
use uptime_core::notifier::{Description, Field, FieldKind, Place};
use uptime_core::recheck::{Part, utc};
use uuid::Uuid;

/// The most notices of a digest that a plugin gets.
const PARTS_MOST: usize = 500;

/// The event and its message, as the channel is told.
pub(crate) fn event(delivery: &Delivery<'_>) -> guest::Event {
    let Delivery { event, digest, before, installation, .. } = *delivery;
    let parts = digest.into_iter().flat_map(|digest| &digest.parts).take(PARTS_MOST);
    guest::Event {
        kind: event.kind.as_str().to_owned(),
        phase: phase(event, before.worst),
        severity: severity(event.severity),
        worst: severity(message::worst(event, before.worst)),
        key: message::key(event, installation),
        at_ms: epoch_ms(event.at),
        subject: message::subject(event),
        message: composed(message::compose(event, digest, delivery.channel, delivery.now)),
        parts: parts.map(|part| self::part(part, installation)).collect(),
        json: message::json(event),
    }
}

fn part(part: &Part, installation: Uuid) -> guest::Part {
    let event = &part.event;
    guest::Part {
        key: message::key(event, installation),
        phase: phase(event, part.announced),
        severity: severity(event.severity),
        worst: severity(message::worst(event, part.announced)),
        subject: message::subject(event),
        cause: message::cause(event).unwrap_or_default(),
    }
}

fn composed(message: Message) -> guest::Message {
    let fact = |fact: message::Fact| guest::Fact {
        label: fact.label.to_owned(),
        value: match fact.value {
            Value::Text(text) => guest::Value::Text(text),
            Value::Address(address) => guest::Value::Address(address),
            Value::Instant(at) => guest::Value::Instant(guest::Instant { ms: epoch_ms(at), text: utc(at) }),
        },
    };
    let link = |link: message::Link| guest::Link { label: link.label, address: link.address };
    guest::Message {
        symbol: message.symbol.to_owned(),
        headline: message.headline,
        cause: message.cause,
        facts: message.facts.into_iter().map(fact).collect(),
        colour: message.colour,
        links: message.links.into_iter().map(link).collect(),
    }
}

/// A value of one enum as that of another with the same names.
macro_rules! same {
    ($value:expr, $from:ty => $to:ty: $($name:ident)+) => {
        match $value { $(<$from>::$name => <$to>::$name),+ }
    };
}

fn phase(event: &Event, announced: Option<Severity>) -> guest::Phase {
    let phase = message::phase(event, announced.is_some());
    same!(phase, Phase => guest::Phase: Opens Continues Taken Released Ends Other)
}

fn severity(severity: Severity) -> guest::Severity {
    same!(severity, Severity => guest::Severity: Info Degraded Down Critical)
}

/// This try.
pub(crate) fn delivery(delivery: &Delivery<'_>) -> guest::Delivery {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    guest::Delivery {
        id: delivery.event.delivery_id.to_string(),
        channel: delivery.channel.to_owned(),
        attempt: delivery.attempt,
        now_ms: epoch_ms(delivery.now),
        time_zone: delivery.time_zone.to_owned(),
        first_remote_id: owned(delivery.before.first_remote_id),
        last_remote_id: owned(delivery.before.last_remote_id),
        progress: delivery.before.progress.map(<[u8]>::to_vec),
    }
}

/// Nothing that is told happened before 1970.
fn epoch_ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or_default()
}

pub(crate) fn description(description: exported::Description) -> Description {
    let kind = |kind| same!(kind, guest::FieldKind => FieldKind: Text Secret Url Integer Boolean Choice Map TextList);
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
        digests: description.digests,
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
    use exported::NotifyError as E;
    let notifier = notifier.to_owned();
    let retry =
        |retry: guest::Retry| (said(&retry.message), retry.after_ms.map(wait), progress(retry.progress));
    match error {
        E::Config(found) => NotifierError::Config { notifier, problems: problems(found, said) },
        E::Unauthorized(message) => NotifierError::Unauthorized { notifier, message: said(&message) },
        E::Gone(message) => NotifierError::Gone { notifier, message: said(&message) },
        E::Permanent(message) => NotifierError::Permanent { notifier, message: said(&message) },
        E::RateLimited(asked) => {
            let (message, after, progress) = retry(asked);
            NotifierError::RateLimited { notifier, message, after, progress }
        }
        E::Transient(asked) => {
            let (message, after, progress) = retry(asked);
            NotifierError::Transient { notifier, message, after, progress }
        }
    }
}

/// The most bytes that a try leaves to the next.
const PROGRESS_MOST: usize = 1_024;

/// What a try left. The next begins anew where that is too much to be kept.
fn progress(left: Option<Vec<u8>>) -> Option<Vec<u8>> {
    left.filter(|bytes| bytes.len() <= PROGRESS_MOST)
}

/// A wait that a provider asked for, as far as it is granted.
pub(crate) fn wait(ms: u64) -> Duration {
    Duration::from_millis(ms).min(PROVIDER_MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::delivery::Earlier;
    use crate::settings::ResolvedSettings;
    use serde_json::json;
    use std::sync::LazyLock;
    use uptime_core::notifier::LimitChanges;
    use uptime_core::samples;

    static LIMITS: LazyLock<LimitChanges> = LazyLock::new(LimitChanges::default);
    static SETTINGS: ResolvedSettings = ResolvedSettings::new();

    pub(crate) fn delivery_of(it: &samples::Sample) -> Delivery<'_> {
        Delivery {
            notifier: "any",
            settings: &SETTINGS,
            allow: &[],
            limits: &LIMITS,
            channel: "ops",
            time_zone: "UTC",
            installation: samples::INSTALLATION,
            event: &it.event,
            digest: it.digest.as_ref(),
            before: Earlier { worst: it.announced, ..Earlier::default() },
            now: it.event.at,
            attempt: it.attempt,
            hidden: &[],
            proxy: None,
        }
    }

    /// What the SDK's tests, and those of every author, get: each event as a plugin gets it.
    #[test]
    fn the_sdks_events_are_those_that_the_program_makes() {
        let events = samples::all()
            .into_iter()
            .map(|it| json!({ "name": it.name, "event": event(&delivery_of(&it)) }));
        let made = format!("{:#}\n", events.collect::<serde_json::Value>());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/sdk/events.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, made).expect("the file is written");
            return;
        }
        let kept = std::fs::read_to_string(path).expect("the file is there");
        assert!(
            made == kept,
            "`plugins/sdk/events.json` is not what the program makes: UPDATE_GOLDEN=1 writes it"
        );
    }

    #[test]
    fn a_digest_has_at_most_so_many_parts() {
        let part = Part {
            event: samples::event(uptime_core::event::EventType::Down),
            is_all_of_it: false,
            announced: None,
        };
        let digest = uptime_core::recheck::Digest { names: String::new(), parts: vec![part; PARTS_MOST + 1] };
        let it = samples::all().remove(0);
        let found = event(&Delivery { digest: Some(&digest), ..delivery_of(&it) });
        assert_eq!(found.parts.len(), PARTS_MOST);
        assert_eq!(found.parts[0].key, found.key);
    }

    #[test]
    fn what_a_try_leaves_is_bounded() {
        assert_eq!(progress(Some(vec![1; PROGRESS_MOST])).map(|left| left.len()), Some(PROGRESS_MOST));
        assert_eq!(progress(Some(vec![1; PROGRESS_MOST + 1])), None);
    }
}
