//! One message about many monitors: what it says, so that nobody reads twenty at once.
//!
//! Made of the notices that wait for it, each as it stands when the digest leaves. A monitor is counted and named once, by how
//! it is in the end, the worst first; incidents that it had before that one stand behind its name. A certificate that ends is
//! another matter, and is counted for itself. To a plugin that knows nothing of digests it is an event like any other, whose
//! monitor is "23 monitors", and whose `got` says how many are what where they are not all alike; one that does gets the parts.

use crate::event::{Event, EventMonitor, EventOutcome, EventType, Severity};
use crate::id::{DeliveryId, IncidentId};
use crate::incident::{BY_OPERATOR, UNWATCHED};
use crate::recheck::{Digest, Part, span, utc};
use crate::text::{capital, cut};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

/// The length of the names of the monitors. A message has room for them.
pub const NAMES_MOST: usize = 600;

/// What is said where not all are named.
const MORE: &str = "`uptime incident list --open`";

/// What there is to say of one monitor, the worst first: the order in which they are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Summary {
    Critical,
    Down,
    Degraded,
    Flapping,
    /// Counted for itself, beside what the monitor is.
    Apart(EventType),
    Handled,
    Other,
    ByOperator,
    Unwatched,
    WasDown,
    WasDegraded,
    UpAgain,
    NoLongerDegraded,
    Steady,
}

impl Summary {
    fn of(event: &Event, is_all_of_it: bool) -> Self {
        let ended = event.incident.as_ref().is_some_and(|incident| incident.ended_at.is_some());
        let is_degraded = event.severity == Severity::Degraded;
        let is_end_of = |class| event.outcome.as_ref().is_some_and(|outcome| outcome.class == class);
        match event.kind {
            EventType::Up if is_end_of(BY_OPERATOR) => Self::ByOperator,
            EventType::Up if is_end_of(UNWATCHED) => Self::Unwatched,
            _ if ended && is_all_of_it && is_degraded => Self::WasDegraded,
            _ if ended && is_all_of_it => Self::WasDown,
            EventType::Up if is_degraded => Self::NoLongerDegraded,
            EventType::Up => Self::UpAgain,
            EventType::FlappingEnd if event.severity == Severity::Info => Self::Steady,
            EventType::Critical => Self::Critical,
            EventType::FlappingStart => Self::Flapping,
            EventType::Acknowledged => Self::Handled,
            EventType::Down | EventType::Degraded | EventType::Reminder | EventType::FlappingEnd => {
                if is_degraded {
                    Self::Degraded
                } else {
                    Self::Down
                }
            }
            kind if kind.counted().is_some() => Self::Apart(kind),
            _ => Self::Other,
        }
    }

    fn describe(self, many: bool) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::Flapping => "flapping",
            Self::Apart(kind) => kind.counted().map_or("", |words| words[usize::from(many)]),
            Self::Handled => "taken care of",
            Self::Other if many => "other events",
            Self::Other => "other event",
            Self::ByOperator => "resolved by hand",
            Self::Unwatched => "no longer watched",
            Self::WasDown if many => "were down",
            Self::WasDown => "was down",
            Self::WasDegraded if many => "were degraded",
            Self::WasDegraded => "was degraded",
            Self::UpAgain => "up again",
            Self::NoLongerDegraded => "no longer degraded",
            Self::Steady => "steady again",
        }
    }

    /// Whether somebody has to look.
    fn opens(self) -> bool {
        self < Self::ByOperator
    }

    /// Whether the event's kind says the same of all of them.
    fn is_kind(self) -> bool {
        !matches!(
            self,
            Self::Handled
                | Self::Other
                | Self::ByOperator
                | Self::Unwatched
                | Self::WasDown
                | Self::WasDegraded
                | Self::NoLongerDegraded
        )
    }
}

/// What there is to say of one monitor.
struct MonitorSummary {
    /// The last.
    part: Part,
    summary: Summary,
    /// The last of each incident that it had before, in the order in which they were told.
    before: Vec<Event>,
}

/// The digest of these notices, in the order in which they were decided; `None` without any. One alone stays what it is, and
/// is no digest.
pub fn compose(delivery_id: DeliveryId, mut parts: Vec<Part>) -> Option<(Part, Option<Digest>)> {
    let last = parts.iter().map(|part| part.event.at).max()?;
    carry_on(&mut parts);
    let mut items = by_monitor(&parts);
    if items.len() == 1 {
        return items.pop().map(|item| (alone(item, delivery_id), None));
    }
    let worst = items.iter().min_by_key(|item| (item.summary, item.part.event.kind))?;
    let (summary, mut kind, mut severity) = (worst.summary, worst.part.event.kind, worst.part.event.severity);
    if !summary.opens() {
        (kind, severity) = (EventType::Up, Severity::Info);
    }
    let are_alike = items.iter().all(|item| item.summary == summary);
    if are_alike && summary == Summary::Steady {
        kind = EventType::FlappingEnd;
    }
    let all: HashSet<&str> = items.iter().map(|item| item.part.event.monitor.name.as_str()).collect();
    let name = match all.len() {
        1 => items[0].part.event.monitor.name.clone(),
        count => format!("{count} monitors"),
    };
    let got = match (are_alike, summary.is_kind()) {
        (true, true) if all.len() > 1 => None,
        (true, _) => Some(format!("all {}", summary.describe(true))),
        (false, _) => Some(counts(&items)),
    };
    let (counts, names) = (counts(&items), names(&items));
    let event = Event {
        kind,
        delivery_id,
        at: last,
        monitor: EventMonitor {
            name,
            kind: Event::DIGEST.into(),
            target: String::new(),
            group: common_group(&items),
            tags: common_tags(&items),
        },
        incident: None,
        // The counts come first: a provider may cut the rest.
        outcome: Some(EventOutcome { got, ..EventOutcome::new(Event::DIGEST, format!("{counts}. {names}")) }),
        severity,
    };
    Some((Part { event, is_all_of_it: false, announced: None }, Some(Digest { names, parts })))
}

/// What one of them tells of an incident, the channel knows when it reads those behind it.
fn carry_on(parts: &mut [Part]) {
    let mut worst: HashMap<IncidentId, Severity> = HashMap::new();
    for part in parts {
        let Some(incident) = &part.event.incident else { continue };
        part.announced = part.announced.max(worst.get(&incident.id).copied());
        if EventType::HEARD_BY.contains(&part.event.kind) {
            worst.insert(incident.id, part.event.severity.max(part.announced.unwrap_or(Severity::Info)));
        }
    }
}

/// What there is to say of each monitor in the end, and of each certificate.
fn by_monitor(parts: &[Part]) -> Vec<MonitorSummary> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut items: Vec<MonitorSummary> = Vec::new();
    for part in parts {
        let summary = Summary::of(&part.event, part.is_all_of_it);
        let place = (!matches!(summary, Summary::Apart(_)))
            .then(|| *places.entry(&part.event.monitor.name).or_insert(items.len()));
        let part = part.clone();
        match place.and_then(|place| items.get_mut(place)) {
            None => items.push(MonitorSummary { part, summary, before: Vec::new() }),
            Some(item) => {
                item.before.push(std::mem::replace(&mut item.part, part).event);
                item.summary = summary;
            }
        }
    }
    for item in &mut items {
        only_ended(item);
    }
    items
}

/// Of what was said before leaves the last of each other incident.
fn only_ended(item: &mut MonitorSummary) {
    let id = |event: &Event| event.incident.as_ref().map(|incident| incident.id);
    let mut known: HashSet<_> = id(&item.part.event).into_iter().collect();
    let mut kept: Vec<Event> = std::mem::take(&mut item.before)
        .into_iter()
        .rev()
        .filter(|event| id(event).is_some_and(|id| known.insert(id)))
        .collect();
    kept.reverse();
    item.before = kept;
}

/// One alone: what it is, and what was before it.
fn alone(item: MonitorSummary, delivery_id: DeliveryId) -> Part {
    let before = before(&item);
    let mut part = item.part;
    part.event.delivery_id = delivery_id;
    if let (Some(before), Some(outcome)) = (before, &mut part.event.outcome) {
        let lead = if outcome.message.is_empty() { "" } else { "; " };
        outcome.message = format!("{}{lead}{before}", outcome.message);
    }
    part
}

fn counts(items: &[MonitorSummary]) -> String {
    let count = |(summary, items): (Summary, Vec<&MonitorSummary>)| {
        format!("{} {}", items.len(), summary.describe(items.len() > 1))
    };
    by_summary(items).into_iter().map(count).collect::<Vec<_>>().join(", ")
}

fn by_summary(items: &[MonitorSummary]) -> BTreeMap<Summary, Vec<&MonitorSummary>> {
    let mut all: BTreeMap<Summary, Vec<&MonitorSummary>> = BTreeMap::new();
    for item in items {
        all.entry(item.summary).or_default().push(item);
    }
    all
}

/// As many names as there is room for.
fn names(items: &[MonitorSummary]) -> String {
    let mut text = String::new();
    let room = NAMES_MOST - format!("; and {} more: {MORE}", items.len()).chars().count();
    let mut length = 0;
    let mut named = 0;
    'all: for (summary, items) in by_summary(items) {
        let describe = summary.describe(items.len() > 1);
        for (nth, item) in items.iter().enumerate() {
            let lead = match (nth, named) {
                (0, 0) => capital(&format!("{describe}: ")),
                (0, _) => format!("; {describe}: "),
                _ => ", ".to_owned(),
            };
            let piece = lead + &named_in(item);
            let longer = length + piece.chars().count();
            if longer > room {
                break 'all;
            }
            text.push_str(&piece);
            length = longer;
            named += 1;
        }
    }
    if named < items.len() {
        let lead = if named == 0 { "" } else { "; and " };
        let _ = write!(text, "{lead}{} more: {MORE}", items.len() - named);
    }
    text
}

fn named_in(item: &MonitorSummary) -> String {
    let name = cut(&item.part.event.monitor.name, 60);
    let why = match (item.summary, &item.part.event.incident, &item.part.event.outcome) {
        (Summary::WasDown | Summary::WasDegraded, Some(incident), _) => Some(span(incident)),
        (Summary::Handled, Some(incident), _) => incident.acknowledged_by.as_deref().map(|by| cut(by, 60)),
        (Summary::ByOperator, _, Some(outcome)) => Some(cut(&outcome.message, 160)),
        (summary, _, Some(outcome)) if summary.opens() => Some(cut(&outcome.message, 80)),
        _ => None,
    };
    let said: Vec<String> = why.filter(|why| !why.is_empty()).into_iter().chain(before(item)).collect();
    if said.is_empty() { name } else { format!("{name} ({})", said.join("; ")) }
}

/// What the monitor had before it became what it is.
fn before(item: &MonitorSummary) -> Option<String> {
    let incidents = || item.before.iter().filter_map(|event| Some((event, event.incident.as_ref()?)));
    let (event, first) = incidents().next()?;
    if item.before.len() > 1 {
        return Some(format!("before that {} incidents since {}", item.before.len(), utc(first.started_at)));
    }
    let was = if event.severity == Severity::Degraded { "degraded" } else { "down" };
    Some(format!("before that {was} {}", span(first)))
}

fn common_group(items: &[MonitorSummary]) -> Option<String> {
    let group = items.first()?.part.event.monitor.group.clone()?;
    items.iter().all(|item| item.part.event.monitor.group.as_ref() == Some(&group)).then_some(group)
}

fn common_tags(items: &[MonitorSummary]) -> BTreeMap<String, String> {
    let mut tags = items.first().map(|item| item.part.event.monitor.tags.clone()).unwrap_or_default();
    tags.retain(|key, value| items.iter().all(|item| item.part.event.monitor.tags.get(key) == Some(value)));
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
        let mut event = Event {
            kind,
            at: at(incident),
            incident: Some(EventIncident::new(IncidentId(incident), at(0), is_up.then(|| at(60)), 3)),
            outcome: Some(EventOutcome::new("status", "503")),
            severity: if is_up { Severity::Info } else { Severity::Down },
            ..crate::samples::event(EventType::Down)
        };
        event.monitor.name = name.into();
        event.monitor.tags.insert("name".into(), name.into());
        Part { event, is_all_of_it: false, announced: None }
    }

    fn composed(parts: Vec<Part>) -> Event {
        compose(id(), parts).expect("a digest").0.event
    }

    fn with_severity(mut part: Part, severity: Severity) -> Part {
        part.event.severity = severity;
        part
    }

    fn got(event: &Event) -> Option<&str> {
        event.outcome.as_ref()?.got.as_deref()
    }

    /// Two monitors, `shop` with these notices and `mail`, which is down: what is said of `shop`.
    fn of_shop(mut parts: Vec<Part>) -> String {
        parts.push(part(EventType::Down, "mail", 99));
        let digest = composed(parts);
        assert_eq!(digest.monitor.name, "2 monitors");
        assert!(message(&digest).starts_with(&format!("{}. ", got(&digest).unwrap_or("2 down"))));
        message(&digest).to_owned()
    }

    const WHEN: &str = "from 2023-11-14 22:13:20 UTC to 2023-11-14 22:14:20 UTC";

    #[test]
    fn a_monitor_counts_once_by_how_it_is_in_the_end_whatever_it_was_before() {
        use EventType::{Acknowledged, Certificate, Critical, Down, FlappingEnd, FlappingStart, Up};
        let shop = |kind, incident| part(kind, "shop", incident);
        let steady = with_severity(shop(FlappingEnd, 2), Severity::Info);
        // Another matter than whether it is up.
        let mut certificate = shop(Certificate, 0);
        certificate.event.incident = None;
        // What was degraded was not down, and what a person ended was not seen up.
        let ended = || with_severity(shop(Up, 1), Severity::Degraded);
        let whole = Part { is_all_of_it: true, ..ended() };
        let (mut by_operator, mut is_handled) = (shop(Up, 1), shop(Acknowledged, 1));
        by_operator.event.outcome = Some(EventOutcome::new(BY_OPERATOR, "resolved by ada"));
        is_handled.event.incident.as_mut().expect("an incident").acknowledged_by = Some("ada".into());
        for (parts, said) in [
            (vec![shop(Up, 1), shop(Down, 2)], "2 down. Down: shop (503; before that down WHEN), mail (503)"),
            (vec![shop(Down, 1), shop(Up, 1)], "1 down, 1 up again. MAIL; up again: shop"),
            (
                vec![shop(Up, 1), shop(Up, 2), shop(Critical, 3)],
                "1 critical, 1 down. Critical: shop (503; before that 2 incidents since 2023-11-14 22:13:20 UTC); \
                 down: mail (503)",
            ),
            (vec![shop(FlappingStart, 2), steady], "1 down, 1 steady again. MAIL; steady again: shop"),
            (
                vec![certificate, shop(Down, 1)],
                "2 down, 1 certificate ends soon. Down: shop (503), mail (503); certificate ends soon: shop (503)",
            ),
            (vec![ended()], "1 down, 1 no longer degraded. MAIL; no longer degraded: shop"),
            (vec![whole], "1 down, 1 was degraded. MAIL; was degraded: shop (WHEN)"),
            (vec![by_operator], "1 down, 1 resolved by hand. MAIL; resolved by hand: shop (resolved by ada)"),
            (vec![gone(shop(Up, 1))], "1 down, 1 no longer watched. MAIL; no longer watched: shop"),
            (vec![is_handled], "1 down, 1 taken care of. MAIL; taken care of: shop (ada)"),
        ] {
            assert_eq!(of_shop(parts), said.replace("MAIL", "Down: mail (503)").replace("WHEN", WHEN));
        }
    }

    fn gone(mut part: Part) -> Part {
        part.event.outcome.as_mut().expect("an outcome").class = UNWATCHED.into();
        part
    }

    #[test]
    fn the_kind_is_the_worst_and_how_many_are_what_is_said_where_it_does_not_say_it() {
        use EventType::{Degraded, Down, FlappingEnd, Reminder, Up};
        let two = |kind| [part(kind, "shop", 1), part(kind, "mail", 2)];
        let whole = |part| Part { is_all_of_it: true, ..part };
        let steady = |part| with_severity(part, Severity::Info);
        let up = || part(Up, "news", 3);
        let degraded = with_severity(part(Degraded, "blog", 3), Severity::Degraded);
        for (parts, said) in [
            (two(Down), "down (down), -"),
            (two(Reminder), "reminder (down), -"),
            ([up(), part(Down, "shop", 1)], "down (down), 1 down, 1 up again"),
            ([up(), degraded], "degraded (degraded), 1 degraded, 1 up again"),
            // Recoveries alone are good news.
            (two(Up), "up (info), -"),
            (two(Up).map(whole), "up (info), all were down"),
            (
                two(Up).map(|part| with_severity(part, Severity::Degraded)),
                "up (info), all no longer degraded",
            ),
            (two(FlappingEnd).map(steady), "flapping-end (info), -"),
            // Or a message would say that they are up.
            (two(Up).map(gone), "up (info), all no longer watched"),
            ([gone(part(Up, "shop", 1)), up()], "up (info), 1 no longer watched, 1 up again"),
        ] {
            let event = composed(parts.into());
            let counts = got(&event).unwrap_or("-");
            assert_eq!(format!("{} ({}), {counts}", event.kind, event.severity), said);
        }
        assert!(compose(id(), Vec::new()).is_none());
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
        let digest = composed(parts);
        assert_eq!((digest.kind, digest.delivery_id, digest.at), (EventType::Critical, id(), at(4)));
        let monitor = (digest.monitor.name.as_str(), digest.monitor.kind.as_str());
        assert_eq!(monitor, ("4 monitors", Event::DIGEST));
        assert_eq!(digest.monitor.group.as_deref(), Some("web"));
        assert_eq!(digest.monitor.tags, BTreeMap::from([("team".into(), "a".into())]));
        assert_eq!(
            message(&digest),
            "1 critical, 1 down, 1 was down, 1 up again. Critical: mail (503); down: shop (503); \
             was down: news (from 2023-11-14 22:13:20 UTC to 2023-11-14 22:14:20 UTC); up again: blog"
        );
    }

    #[test]
    fn only_outages_are_counted_as_down() {
        use EventType::{Degraded, Down, FlappingEnd, Reminder};
        for kind in EventType::ALL.iter().copied() {
            let severity = if kind == Degraded { Severity::Degraded } else { Severity::Down };
            let shop = with_severity(part(kind, "shop", 1), severity);
            let digest = composed(vec![shop, part(EventType::Up, "mail", 2)]);
            let (said, is_down) = (message(&digest), [Down, FlappingEnd, Reminder].contains(&kind));
            assert_eq!(said.starts_with("1 down,"), is_down, "{kind}: {said}");
        }
    }

    #[test]
    fn one_alone_stays_what_it_is() {
        let only = composed(vec![part(EventType::Down, "shop", 1)]);
        assert_eq!((only.monitor.name.as_str(), only.monitor.kind.as_str()), ("shop", "http"));
        assert_eq!((only.delivery_id, message(&only)), (id(), "503"));
        let two = vec![part(EventType::Up, "shop", 1), part(EventType::Down, "shop", 2)];
        let one = composed(two);
        assert_eq!((one.kind, one.monitor.name.as_str()), (EventType::Down, "shop"));
        assert_eq!(message(&one), format!("503; before that down {WHEN}"));
    }

    #[test]
    fn it_is_never_longer_than_it_may_be_and_counts_the_rest() {
        for count in [2, 14, 60, 3_000] {
            for length in [1, 30, 200] {
                let parts = (0..count)
                    .map(|n| part(EventType::Down, &format!("{}{n}", "ä".repeat(length)), n))
                    .collect();
                let (_, digest) = compose(id(), parts).expect("a digest");
                let text = digest.expect("many").names;
                assert!(text.chars().count() <= NAMES_MOST, "{} characters", text.chars().count());
                let named = i64::try_from(text.matches("(503)").count()).expect("few");
                assert!(named > 0);
                let rest = format!("; and {} more: {MORE}", count - named);
                assert_eq!(text.ends_with(&rest), named < count, "{text}");
            }
        }
    }

    #[test]
    fn its_parts_are_all_of_it_and_each_knows_what_is_told_before_it() {
        let down = part(EventType::Down, "shop", 1);
        let taken = part(EventType::Acknowledged, "shop", 1);
        let worse = Part { announced: Some(Severity::Degraded), ..part(EventType::Down, "mail", 2) };
        let critical = with_severity(part(EventType::Critical, "mail", 2), Severity::Critical);
        let (_, digest) = compose(id(), vec![down, taken, worse, critical]).expect("a digest");
        let parts = digest.expect("two monitors").parts.into_iter();
        let known: Vec<_> = parts.map(|part| (part.event.kind, part.announced)).collect();
        assert_eq!(
            known,
            [
                (EventType::Down, None),
                (EventType::Acknowledged, Some(Severity::Down)),
                (EventType::Down, Some(Severity::Degraded)),
                (EventType::Critical, Some(Severity::Down)),
            ]
        );
    }
}
