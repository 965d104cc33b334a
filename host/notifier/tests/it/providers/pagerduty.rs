//! The Events API v2 of `PagerDuty`.

use super::{HOST, body, golden_events, refusals, reply};
use crate::support::{delivery, settings, text};
use std::collections::BTreeMap;
use uptime_core::digest;
use uptime_core::event::{EventType, Severity};
use uptime_core::id::{DeliveryId, IncidentId};
use uptime_core::recheck::Part;
use uptime_core::samples;
use uptime_notifier::{Delivery, Earlier, ResolvedSettings};

const ACCEPTED: &str = r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#;

fn service() -> ResolvedSettings {
    settings([("routing_key", text("r0uting\"key"))])
}

#[tokio::test]
async fn every_event() {
    golden_events("pagerduty", &service(), reply(202, ACCEPTED)).await;
}

/// A notice of the monitor `name`; incidents have numbers of their own.
fn part(name: &str, number: i64, kind: EventType, announced: Option<Severity>) -> Part {
    let mut event = samples::event(kind);
    event.monitor.name = name.into();
    event.incident.as_mut().expect("an incident").id = IncidentId(number);
    Part { event, is_all_of_it: false, announced }
}

/// Tells a digest by as many calls as that takes, and gives the bodies.
async fn announced(delivery_id: u128, parts: Vec<Part>) -> Vec<serde_json::Value> {
    let delivery_id = DeliveryId(uuid::Uuid::from_u128(delivery_id));
    let (part, digest) = digest::compose(delivery_id, parts).expect("parts");
    let given = service();
    let (mut bodies, mut progress): (Vec<_>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let before = Earlier { worst: part.announced, progress: progress.as_deref(), ..Earlier::default() };
        let try_ = delivery("pagerduty", &given, &[], &part.event);
        let try_ = Delivery { digest: digest.as_ref(), before, ..try_ };
        let announced = HOST.run_scripted(try_, &[reply(202, ACCEPTED)]).await;
        bodies.extend(announced.sent.iter().map(body));
        match announced.result {
            Ok(_) => return bodies,
            Err(error) => {
                assert!(error.to_string().ends_with("alerts are told so far"), "{error}");
                progress = Some(error.progress().expect("how far it has come").to_vec());
            }
        }
    }
}

#[tokio::test]
async fn every_alert_that_digests_open_is_closed_by_digests() {
    let mut open: BTreeMap<String, u32> = BTreeMap::new();
    let mut opened = 0;
    let names: Vec<String> = (0..16).map(|n| format!("monitor {n}")).collect();
    let all = |kind, announced| {
        names.iter().zip(1..).map(|(name, n)| part(name, n, kind, announced)).collect::<Vec<_>>()
    };
    let red = Some(Severity::Down);
    let digests = [
        all(EventType::Down, None),
        all(EventType::Acknowledged, red),
        all(EventType::Critical, red),
        // Some come back, and one of those goes down again; one flaps.
        vec![
            part("monitor 0", 1, EventType::Up, red),
            part("monitor 0", 17, EventType::Down, None),
            part("monitor 1", 2, EventType::FlappingStart, red),
            part("monitor 2", 3, EventType::Up, red),
        ],
        vec![part("monitor 1", 18, EventType::FlappingEnd, None), part("monitor 0", 17, EventType::Up, red)],
        // One is degraded first, and then down.
        vec![part("monitor 2", 19, EventType::Degraded, None), part("monitor 2", 19, EventType::Down, None)],
        vec![part("monitor 2", 19, EventType::Up, red), part("monitor 3", 4, EventType::Reminder, red)],
        (3..16).map(|n| part(&format!("monitor {n}"), n + 1, EventType::Up, red)).collect(),
    ];
    for (n, parts) in digests.into_iter().enumerate() {
        for body in announced(n as u128, parts).await {
            assert_eq!(body["routing_key"], "r0uting\"key");
            let key = body["dedup_key"].as_str().expect("a key").to_owned();
            match body["event_action"].as_str().expect("an action") {
                "trigger" => opened += u32::from(open.insert(key, 0).is_none()),
                "acknowledge" => *open.get_mut(&key).expect("an open alert") += 1,
                "resolve" => assert!(open.remove(&key).is_some(), "an open alert"),
                other => panic!("{other}"),
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(opened, 18, "nothing is opened twice");
}

#[tokio::test]
async fn each_refusal() {
    let wrong = r#"{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect"]}"#;
    let other = r#"{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is missing"]}"#;
    let rows = [
        (reply(400, wrong), "was refused: status 400: Event object is invalid", None),
        (reply(400, other), "can't deliver: status 400: Event object is invalid", None),
        (reply(429, "{}"), "was told to slow down: status 429: {}", None),
        (reply(500, ""), "could not deliver for now: status 500", None),
    ];
    refusals("pagerduty", &service(), rows).await;
}
