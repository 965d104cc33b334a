//! One event of each kind and form, for whoever has to see them all before a real one comes: `uptime plugin test`, the SDK's
//! tests, golden files.
//!
//! Made by the code that makes the real ones. The monitor `shop` got a 503 on 2026-04-14 at 02:14:05 UTC, and was back 4 min
//! 12 s later.

use crate::check::{Certificate, Failure, FailureClass, TlsEvidence};
use crate::digest;
use crate::event::{Event, EventIncident, EventMonitor, EventOutcome, EventType, Severity};
use crate::id::{DeliveryId, IncidentId};
use crate::incident::{By, Incident, IncidentAction, Mark};
use crate::monitor::CertificateDays;
use crate::recheck::{Digest, IncidentNow, Part, recheck_before_send};
use jiff::Timestamp;
use std::collections::BTreeMap;
use uuid::Uuid;

const STARTED_S: i64 = 1_776_132_845;
const LASTED_S: i64 = 252;

/// The installation that sample events are of.
pub const INSTALLATION: Uuid = Uuid::from_u128(0x018f_2b3c_0000_7000_8000_0000_0000_00ff);

const DELIVERY: DeliveryId = DeliveryId(Uuid::from_u128(0x018f_2b3c_0000_7000_8000_0000_0000_0001));

/// What is told, and what its channel was told before.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The event's type, or the word for its form.
    pub name: &'static str,
    /// What is told.
    pub event: Event,
    /// As [`Part::announced`].
    pub announced: Option<Severity>,
    /// Of a digest.
    pub digest: Option<Digest>,
    /// Which try it is.
    pub attempt: u32,
}

/// Each type of event; forms that the type alone does not tell; and one whose texts a stranger wrote to break a message.
pub fn all() -> Vec<Sample> {
    let one = |name, (event, announced): (Event, _)| Sample {
        name,
        event: event.sent_as(DELIVERY),
        announced,
        digest: None,
        attempt: 1,
    };
    let mut all: Vec<_> = EventType::ALL.iter().map(|kind| one(kind.as_str(), of_type(*kind))).collect();
    all.push(Sample { attempt: 2, ..one("down-again", of_type(EventType::Down)) });
    all.extend(forms().map(|(name, event, announced)| one(name, (event, announced))));
    all.extend(
        digests().map(|(name, (part, digest))| Sample { digest, ..one(name, (part.event, part.announced)) }),
    );
    all.push(one("strange-texts", (strange(), None)));
    all
}

/// The event of this type.
pub fn event(kind: EventType) -> Event {
    of_type(kind).0.sent_as(DELIVERY)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(STARTED_S + second).expect("because it is an instant of this century")
}

fn failure() -> Failure {
    let message = "https://shop.example.com/health answered 503 Service Unavailable";
    Failure::new(FailureClass::Status, message).with("2xx", "503")
}

pub(crate) fn incident(severity: Severity) -> Incident {
    Incident {
        id: IncidentId(7),
        monitor: EventMonitor {
            name: "shop".into(),
            kind: "http".into(),
            target: "https://shop.example.com/health".into(),
            group: Some("web".into()),
            tags: BTreeMap::from([("team".into(), "a".into())]),
        },
        cause: EventOutcome::from(&failure()),
        severity,
        started_at: at(0),
        ended_at: None,
        resolved_by: None,
        failures: 3,
        acknowledged: None,
        muted: None,
    }
}

const ADA: By<'_> = By { who: "ada", note: Some("the new release, on it") };
const ACKNOWLEDGE: IncidentAction = IncidentAction::Acknowledge { lasting: None };

fn done(action: IncidentAction, incident: &Incident) -> Event {
    action.event(ADA, incident, at(90)).expect("because such actions are told")
}

fn told_of(incident: &Incident, kind: EventType, second: i64) -> Event {
    let ended_at = (kind == EventType::Up).then(|| at(LASTED_S));
    incident.event(kind, at(second), ended_at, None, incident.cause.clone())
}

/// What an event of this type is, and what its channel was told before.
fn of_type(kind: EventType) -> (Event, Option<Severity>) {
    let about = |severity, second| told_of(&incident(severity), kind, second);
    let known = |event| (event, Some(Severity::Down));
    let host = "watch1";
    match kind {
        EventType::Down => (about(Severity::Down, 20), None),
        EventType::Degraded => (about(Severity::Degraded, 20), None),
        EventType::Up => known(about(Severity::Down, LASTED_S)),
        EventType::Critical => known(about(Severity::Critical, 600)),
        EventType::Reminder => known(about(Severity::Down, 3_600)),
        EventType::Acknowledged => known(done(ACKNOWLEDGE, &incident(Severity::Down))),
        EventType::FlappingStart => {
            let outcome = EventOutcome::flapping(8, 12);
            let severity = Severity::Degraded;
            known(Event { severity, outcome: Some(outcome), ..about(Severity::Down, 300) })
        }
        EventType::FlappingEnd => {
            let ended = EventIncident::new(IncidentId(7), at(0), Some(at(LASTED_S)), 3);
            let (severity, outcome) = (Severity::Info, Some(EventOutcome::steady(None, None)));
            known(Event { severity, outcome, incident: Some(ended), ..about(Severity::Down, 900) })
        }
        EventType::Certificate => {
            let (severity, outcome) = (Severity::Degraded, Some(certificate()));
            (Event { severity, outcome, incident: None, ..about(Severity::Down, 20) }, None)
        }
        EventType::Blind => {
            let words =
                "none of its witnesses answered: ping://192.0.2.1; no incident opens until one of them does";
            (Event::about_network(kind, host, words.into(), at(20)), None)
        }
        EventType::Seeing => {
            let words =
                "ping://192.0.2.1 answers again after 4m12s; what failed meanwhile is looked at again";
            (Event::about_network(kind, host, words.into(), at(LASTED_S)), None)
        }
        EventType::Stalled => {
            let words = "2 of 3 monitors have had no result for 3 intervals: shop, mail".into();
            (Event::about_checks(kind, "monitor-checks", words, at(20)), None)
        }
        EventType::Running => {
            let words = "each monitor has results again after 4m12s".into();
            (Event::about_checks(kind, "monitor-checks", words, at(LASTED_S)), None)
        }
        EventType::QueueBusy => {
            let counts = ("fewer than 1000 jobs".into(), "1204 jobs".into());
            let words = "the oldest of 1180 ready jobs has waited 12 min; no worker is alive".into();
            (Event::queue_busy("notifications", counts, words, at(20)), None)
        }
        EventType::ChannelBroken => {
            let words = "`slack` did not find the destination: status 404: no_service";
            (Event::channel_broken("ops", "slack", words, at(20)), None)
        }
        EventType::Test => (Event::test(at(20)), None),
    }
}

fn certificate() -> EventOutcome {
    let now = at(20);
    let shown = Certificate {
        subject: "CN=shop.example.com".into(),
        issuer: "CN=Example CA".into(),
        names: vec!["shop.example.com".into()],
        not_before: at(-80 * 86_400),
        not_after: at(6 * 86_400 + 3_600),
        sha256: "0".repeat(64),
        counts: true,
    };
    let shown = TlsEvidence { chain: vec![shown], ..TlsEvidence::default() };
    let judged = CertificateDays::default().judge(&shown, "shop.example.com", now);
    EventOutcome::from(&judged.expect("because it has days left").expect("because they are few"))
}

/// A notice, as it is told when its turn has come.
fn looked_at(event: Event, now: &IncidentNow) -> Part {
    recheck_before_send(event, now).expect("because nothing is said against it")
}

fn forms() -> impl Iterator<Item = (&'static str, Event, Option<Severity>)> {
    let (down, degraded) = (incident(Severity::Down), incident(Severity::Degraded));
    let taken = Incident {
        acknowledged: Some(Mark { by: "ada".into(), at: at(90), until: None }),
        ..incident(Severity::Down)
    };
    let over = IncidentNow {
        ended_at: Some(at(LASTED_S)),
        severity: Some(Severity::Down),
        ..IncidentNow::default()
    };
    let mut linked = told_of(&down, EventType::Down, 20);
    if let Some(incident) = &mut linked.incident {
        incident.link = Some("https://status.example.com/incidents/7".into());
    }
    let still_down = Event {
        outcome: Some(EventOutcome::steady(Some(Severity::Down), Some(&failure().message))),
        ..told_of(&down, EventType::FlappingEnd, 900)
    };
    let (red, yellow) = (Some(Severity::Down), Some(Severity::Degraded));
    [
        ("down-linked", linked, None),
        ("down-worse", told_of(&down, EventType::Down, 60), yellow),
        ("down-over", looked_at(told_of(&down, EventType::Down, 20), &over).event, None),
        ("reminder-degraded", told_of(&degraded, EventType::Reminder, 3_600), yellow),
        ("acknowledged-degraded", done(ACKNOWLEDGE, &degraded), yellow),
        ("released", done(IncidentAction::Unacknowledge, &taken), red),
        ("flapping-end-down", still_down, red),
        ("up-degraded", told_of(&degraded, EventType::Up, LASTED_S), yellow),
        ("up-all-of-it", looked_at(told_of(&down, EventType::Up, LASTED_S), &over).event, None),
        ("resolved", done(IncidentAction::Resolve, &taken), red),
        ("unwatched", down.unwatched(at(LASTED_S)), red),
    ]
    .into_iter()
}

fn digests() -> impl Iterator<Item = (&'static str, (Part, Option<Digest>))> {
    let part = |name: &str, number: i64, kind, second| {
        let mut about = incident(Severity::Down);
        (about.monitor.name, about.id) = (name.into(), IncidentId(number));
        let announced = (kind == EventType::Up).then_some(Severity::Down);
        Part { event: told_of(&about, kind, second), is_all_of_it: false, announced }
    };
    let many = |kind, second| {
        ["shop", "mail", "news"].iter().zip(7..).map(move |(name, id)| part(name, id, kind, second))
    };
    let mixed = [
        part("shop", 7, EventType::Up, LASTED_S),
        part("mail", 8, EventType::Down, 260),
        part("news", 9, EventType::Down, 261),
        part("news", 9, EventType::Acknowledged, 280),
    ];
    [
        ("digest-down", many(EventType::Down, 20).collect()),
        ("digest-mixed", mixed.to_vec()),
        ("digest-up", many(EventType::Up, LASTED_S).collect()),
    ]
    .map(|(name, parts)| (name, digest::compose(DELIVERY, parts).expect("because it has parts")))
    .into_iter()
}

/// What a stranger would write who wants to break a message: markup of every kind, a line break, an address, and no end.
fn strange() -> Event {
    const STRANGE: &str =
        "<b>&amp;</b> *_~`[x](http://evil.example) @everyone <!channel> \"q\" \\ {{x}} äöü 🔥";
    let mut event = event(EventType::Down);
    event.monitor.name = format!("shop {STRANGE}");
    if let Some(outcome) = &mut event.outcome {
        outcome.message = format!("line one\nline two {STRANGE} {}", "long ".repeat(1_200));
    }
    event
}
