//! The lengths that core promises of a message, whatever comes in.

use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;
use uptime_core::event::{Event, EventIncident, EventMonitor, EventOutcome, EventType, Severity};
use uptime_core::id::{DeliveryId, IncidentId};
use uptime_core::message::{self, Message, Value};
use uptime_core::recheck::Digest;
use uptime_core::samples;
use uuid::Uuid;

/// Texts that are longer than anything, or full of what is made inert, or of what must not be there.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,80}",
        Just(String::new()),
        ("[@:/&👾\u{200d}\u{202e}\n ]{1,4}", 1..2_000_usize).prop_map(|(piece, times)| piece.repeat(times)),
        ("https://[a-z]{1,600}", Just(())).prop_map(|(address, ())| address),
    ]
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text())
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64).prop_map(|second| Timestamp::from_second(second).expect("an instant"))
}

prop_compose! {
    fn incident()(
        id in 1..i64::MAX,
        started_at in instant(),
        ended_at in proptest::option::of(instant()),
        failures in any::<u32>(),
        acknowledged_by in maybe(),
        link in maybe(),
    ) -> EventIncident {
        EventIncident { acknowledged_by, link, ..EventIncident::new(IncidentId(id), started_at, ended_at, failures) }
    }
}

prop_compose! {
    fn event()(
        kind in proptest::sample::select(EventType::ALL),
        severity in proptest::sample::select(Severity::ALL),
        at in instant(),
        (name, target, group) in (text(), text(), maybe()),
        is_digest in any::<bool>(),
        tags in proptest::collection::btree_map(text(), text(), 0..30),
        incident in proptest::option::of(incident()),
        (class, expected, got, message) in ("resolved|unwatched|status", maybe(), maybe(), text()),
    ) -> Event {
        Event {
            kind,
            severity,
            at,
            delivery_id: DeliveryId(Uuid::nil()),
            monitor: EventMonitor {
                name,
                kind: if is_digest { Event::DIGEST } else { "http" }.into(),
                target,
                group,
                tags: BTreeMap::from_iter(tags),
            },
            incident,
            outcome: Some(EventOutcome { expected, got, ..EventOutcome::new(&class, message) }),
        }
    }
}

fn holds(message: &Message) -> Result<(), TestCaseError> {
    let mut total = 0;
    let mut at_most = |text: &str, most: usize| {
        let length = text.chars().count();
        total += length;
        prop_assert!(length <= most, "{length} characters of at most {most}: {text}");
        prop_assert!(!text.contains(char::is_control), "{text:?}");
        Ok(())
    };
    at_most(message.symbol, 2)?;
    at_most(&message.headline, 250)?;
    at_most(message.cause.as_deref().unwrap_or_default(), 600)?;
    prop_assert!(message.facts.len() <= 10 && message.links.len() <= 3);
    for fact in &message.facts {
        at_most(fact.label, 20)?;
        match &fact.value {
            Value::Text(text) => at_most(text, 200)?,
            Value::Address(address) => at_most(address, 380)?,
            Value::Instant(_) => at_most("2026-04-14 02:14:05 UTC", 23)?,
        }
        if let Value::Text(text) = &fact.value {
            prop_assert!(!text.contains("://"), "{text}");
        }
    }
    for link in &message.links {
        at_most(&link.label, 40)?;
        at_most(&link.address, 200)?;
    }
    for text in [&message.headline, message.cause.as_ref().unwrap_or(&message.headline)] {
        prop_assert!(!text.contains("://") && !text.contains("@e"), "{text}");
    }
    prop_assert!(total <= message::TOTAL_MAX, "{total} characters in all");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn lengths_hold(event in event(), names in text(), now in instant(), channel in text()) {
        holds(&message::compose(&event, None, &channel, now))?;
        let digest = Digest { names, parts: Vec::new() };
        holds(&message::compose(&event, Some(&digest), &channel, now))?;
        prop_assert!(message::subject(&event).chars().count() <= 150);
        prop_assert!(message::cause(&event).unwrap_or_default().chars().count() <= 600);
        prop_assert!(message::json(&event).len() <= message::JSON_MAX);
        prop_assert_eq!(message::key(&event, samples::INSTALLATION).len(), 32);
    }
}

#[test]
fn the_longest_of_all_is_close_to_what_is_promised() {
    let long = |times| "word ".repeat(times);
    let mut event = samples::event(EventType::Reminder);
    event.monitor = EventMonitor {
        name: long(100),
        kind: "http".into(),
        target: format!("https://{}", "x".repeat(372)),
        group: Some(long(100)),
        tags: BTreeMap::from([(long(100), long(100))]),
    };
    event.outcome = Some(EventOutcome {
        expected: Some(long(100)),
        got: Some(format!("not {}", long(100))),
        ..EventOutcome::new("status", long(500))
    });
    let incident = event.incident.as_mut().expect("an incident");
    incident.acknowledged_by = Some(long(100));
    incident.link = Some(format!("https://{}", "x".repeat(192)));
    let now = event.at.checked_add(jiff::SignedDuration::from_hours(100)).expect("an instant");
    let message = message::compose(&event, None, "ops", now);
    holds(&message).expect("the promise");
    let total: usize = message.facts.iter().map(|fact| fact.label.len() + 20).sum::<usize>()
        + message.headline.chars().count()
        + message.cause.expect("a cause").chars().count();
    assert!(total > 900, "{total}");
}
