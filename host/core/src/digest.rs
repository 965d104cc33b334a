//! One message about many monitors: what it says, so that nobody reads twenty at once.
//!
//! Made of the notices that wait for it, each as it stands when the digest leaves. A monitor's incident is named once, by
//! the last that there is to say of it, the worst first. Plugins know nothing of digests: it is an event like any other,
//! whose monitor is "23 monitors".

use crate::event::{Event, EventMonitor, EventOutcome, EventType, Severity};
use crate::id::{DeliveryId, IncidentId};
use crate::incident::UNWATCHED;
use crate::review::{Part, utc};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

/// The length of the message that names the monitors.
pub const WORDS_MOST: usize = 1_000;

/// The kind of the "monitor" of a digest, by which it is known.
pub const KIND: &str = "digest";

/// What is said where not all are named.
const MORE: &str = "`uptime incident list --open`";

/// What there is to say of one monitor, the worst first: the order in which they are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Critical,
    Down,
    Degraded,
    Flapping,
    Certificate,
    Unwatched,
    WasDown,
    UpAgain,
    Steady,
}

impl Standing {
    fn of(part: &Part) -> Self {
        let ended = part.event.incident.as_ref().is_some_and(|incident| incident.ended_at.is_some());
        match part.event.kind {
            EventType::Up
                if part.event.outcome.as_ref().is_some_and(|outcome| outcome.class == UNWATCHED) =>
            {
                Self::Unwatched
            }
            _ if ended && part.is_all_of_it => Self::WasDown,
            EventType::Up => Self::UpAgain,
            EventType::FlappingEnd if part.event.severity == Severity::Info => Self::Steady,
            EventType::Critical => Self::Critical,
            EventType::Degraded => Self::Degraded,
            EventType::FlappingStart => Self::Flapping,
            EventType::Certificate => Self::Certificate,
            _ if part.event.severity == Severity::Degraded => Self::Degraded,
            _ => Self::Down,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::Flapping => "flapping",
            Self::Certificate => "certificate ends soon",
            Self::Unwatched => "no longer watched",
            Self::WasDown => "was down",
            Self::UpAgain => "up again",
            Self::Steady => "steady again",
        }
    }

    /// Whether somebody has to look.
    fn opens(self) -> bool {
        self < Self::Unwatched
    }
}

/// The digest of these notices, in the order in which they were decided; `None` without any. One alone stays what it is.
pub fn compose(delivery_id: DeliveryId, parts: Vec<Part>) -> Option<Event> {
    let last = parts.iter().map(|part| part.event.at).max()?;
    let mut parts = latest(parts);
    if parts.len() == 1 {
        return parts.pop().map(|part| Event { delivery_id, ..part.event });
    }
    let standings: Vec<Standing> = parts.iter().map(Standing::of).collect();
    let first_kind = parts[0].event.kind;
    let is_common = parts.iter().all(|part| part.event.kind == first_kind);
    let opens = standings.iter().any(|standing| standing.opens());
    let kind = match (is_common, opens) {
        (true, _) => first_kind,
        (false, true) => EventType::Down,
        (false, false) => EventType::Up,
    };
    let worst = parts.iter().map(|part| part.event.severity).max();
    let severity = worst.filter(|_| kind != EventType::Up).unwrap_or(Severity::Info);
    let names: HashSet<&str> = parts.iter().map(|part| part.event.monitor.name.as_str()).collect();
    let name = match names.len() {
        1 => parts[0].event.monitor.name.clone(),
        count => format!("{count} monitors"),
    };
    let message = words(&parts, &standings);
    Some(Event {
        kind,
        delivery_id,
        at: last,
        monitor: EventMonitor {
            name,
            kind: KIND.into(),
            target: String::new(),
            group: common_group(&parts),
            tags: common_tags(&parts),
        },
        incident: None,
        outcome: Some(EventOutcome { class: KIND.into(), expected: None, got: None, message }),
        severity,
    })
}

/// The last of each incident, and what belongs to none.
fn latest(parts: Vec<Part>) -> Vec<Part> {
    let mut places: BTreeMap<IncidentId, usize> = BTreeMap::new();
    let mut kept: Vec<Part> = Vec::new();
    for part in parts {
        match part.event.incident.as_ref().map(|incident| incident.id) {
            Some(incident) => {
                if let Some(place) = places.get(&incident) {
                    kept[*place] = part;
                } else {
                    places.insert(incident, kept.len());
                    kept.push(part);
                }
            }
            None => kept.push(part),
        }
    }
    kept
}

/// How many of each, then as many names as there is room for. The counts come first: a provider may cut the rest.
fn words(parts: &[Part], standings: &[Standing]) -> String {
    let mut by_standing: BTreeMap<Standing, Vec<&Part>> = BTreeMap::new();
    for (part, standing) in parts.iter().zip(standings) {
        by_standing.entry(*standing).or_default().push(part);
    }
    let counts: Vec<String> =
        by_standing.iter().map(|(standing, parts)| format!("{} {}", parts.len(), standing.words())).collect();
    let mut text = format!("{}. ", counts.join(", "));
    let room = WORDS_MOST - format!("; and {} more: {MORE}", parts.len()).chars().count();
    let mut length = text.chars().count();
    let mut named = 0;
    'all: for (standing, parts) in &by_standing {
        for (nth, part) in parts.iter().enumerate() {
            let lead = match (nth, named) {
                (0, 0) => capital(&format!("{}: ", standing.words())),
                (0, _) => format!("; {}: ", standing.words()),
                _ => ", ".to_owned(),
            };
            let piece = lead + &named_in(part, *standing);
            let longer = length + piece.chars().count();
            if longer > room {
                break 'all;
            }
            text.push_str(&piece);
            length = longer;
            named += 1;
        }
    }
    if named < parts.len() {
        let lead = if named == 0 { "" } else { "; and " };
        let _ = write!(text, "{lead}{} more: {MORE}", parts.len() - named);
    }
    text
}

fn named_in(part: &Part, standing: Standing) -> String {
    let name = cut(&part.event.monitor.name, 60);
    match (standing, &part.event.incident, &part.event.outcome) {
        (Standing::WasDown, Some(incident), _) => {
            let until = incident.ended_at.map(|at| format!(" to {}", utc(at))).unwrap_or_default();
            format!("{name} (from {}{until})", utc(incident.started_at))
        }
        (standing, _, Some(outcome)) if standing.opens() && !outcome.message.is_empty() => {
            format!("{name} ({})", cut(&outcome.message, 80))
        }
        _ => name,
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn common_group(parts: &[Part]) -> Option<String> {
    let group = parts.first()?.event.monitor.group.clone()?;
    parts.iter().all(|part| part.event.monitor.group.as_ref() == Some(&group)).then_some(group)
}

fn common_tags(parts: &[Part]) -> BTreeMap<String, String> {
    let mut tags = parts.first().map(|part| part.event.monitor.tags.clone()).unwrap_or_default();
    tags.retain(|key, value| parts.iter().all(|part| part.event.monitor.tags.get(key) == Some(value)));
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventIncident;
    use jiff::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("an instant")
    }

    fn id() -> DeliveryId {
        DeliveryId(uuid::Uuid::from_u128(7))
    }

    fn part(kind: EventType, name: &str, incident: i64) -> Part {
        let is_up = kind == EventType::Up;
        let event = Event {
            kind,
            delivery_id: DeliveryId(uuid::Uuid::nil()),
            at: at(incident),
            monitor: EventMonitor {
                name: name.into(),
                kind: "http".into(),
                target: "https://shop.example.com/".into(),
                group: Some("web".into()),
                tags: BTreeMap::from([("team".into(), "a".into()), ("name".into(), name.into())]),
            },
            incident: Some(EventIncident {
                id: IncidentId(incident),
                started_at: at(0),
                ended_at: is_up.then(|| at(60)),
                duration_s: None,
                failures: 3,
                acknowledged_by: None,
            }),
            outcome: Some(EventOutcome {
                class: "status".into(),
                expected: None,
                got: None,
                message: "503".into(),
            }),
            severity: if is_up { Severity::Info } else { Severity::Down },
        };
        Part { event, is_all_of_it: false }
    }

    fn message(event: &Event) -> &str {
        &event.outcome.as_ref().expect("an outcome").message
    }

    #[test]
    fn the_worst_come_first_and_each_incident_once() {
        let whole = Part { is_all_of_it: true, ..part(EventType::Up, "news", 4) };
        let parts = vec![
            part(EventType::Up, "blog", 1),
            part(EventType::Down, "shop", 2),
            part(EventType::Down, "mail", 3),
            part(EventType::Critical, "mail", 3),
            whole,
        ];
        let digest = compose(id(), parts).expect("a digest");
        assert_eq!((digest.kind, digest.delivery_id, digest.at), (EventType::Down, id(), at(4)));
        assert_eq!((digest.monitor.name.as_str(), digest.monitor.kind.as_str()), ("4 monitors", KIND));
        assert_eq!(digest.monitor.group.as_deref(), Some("web"));
        assert_eq!(digest.monitor.tags, BTreeMap::from([("team".into(), "a".into())]));
        assert_eq!(
            message(&digest),
            "1 critical, 1 down, 1 was down, 1 up again. Critical: mail (503); down: shop (503); \
             was down: news (from 2023-11-14 22:13:20 UTC to 2023-11-14 22:14:20 UTC); up again: blog"
        );
    }

    #[test]
    fn a_common_kind_stays_and_recoveries_alone_are_good_news() {
        let kind = |parts: Vec<Part>| compose(id(), parts).map(|event| (event.kind, event.severity));
        let (up, down) = (|n| part(EventType::Up, "a", n), |n| part(EventType::Down, "b", n));
        assert_eq!(kind(vec![up(1), up(2)]), Some((EventType::Up, Severity::Info)));
        assert_eq!(kind(vec![up(1), down(2)]), Some((EventType::Down, Severity::Down)));
        let reminders = vec![part(EventType::Reminder, "a", 1), part(EventType::Reminder, "b", 2)];
        assert_eq!(kind(reminders), Some((EventType::Reminder, Severity::Down)));
        assert_eq!(kind(Vec::new()), None);
    }

    #[test]
    fn what_nobody_watches_is_not_up_again() {
        let mut gone = part(EventType::Up, "shop", 1);
        gone.event.outcome.as_mut().expect("an outcome").class = UNWATCHED.into();
        let digest = compose(id(), vec![gone, part(EventType::Up, "blog", 2)]).expect("a digest");
        let words = "1 no longer watched, 1 up again. No longer watched: shop; up again: blog";
        assert_eq!((digest.kind, message(&digest)), (EventType::Up, words));
    }

    #[test]
    fn one_alone_stays_what_it_is() {
        let only = compose(id(), vec![part(EventType::Down, "shop", 1)]).expect("a digest");
        assert_eq!((only.monitor.name.as_str(), only.monitor.kind.as_str()), ("shop", "http"));
        assert_eq!((only.delivery_id, message(&only)), (id(), "503"));
    }

    #[test]
    fn it_is_never_longer_than_it_may_be_and_counts_the_rest() {
        for count in [2_usize, 14, 60, 3_000] {
            for length in [1, 30, 200] {
                let parts = (0..count)
                    .map(|n| {
                        part(
                            EventType::Down,
                            &format!("{}{n}", "ä".repeat(length)),
                            i64::try_from(n).expect("small"),
                        )
                    })
                    .collect();
                let digest = compose(id(), parts).expect("a digest");
                let text = message(&digest);
                assert!(text.chars().count() <= WORDS_MOST, "{} characters", text.chars().count());
                let named = text.matches("(503)").count();
                assert!(named > 0);
                let rest = format!("; and {} more: {MORE}", count - named);
                assert_eq!(text.ends_with(&rest), named < count, "{text}");
            }
        }
    }
}
