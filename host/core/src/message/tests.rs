use super::*;
use crate::event::EventOutcome;
use crate::samples;
use std::collections::HashMap;
use uuid::Uuid;

fn composed(event: &Event) -> Message {
    compose(event, None, "ops", event.at)
}

fn event(kind: EventType) -> Event {
    samples::event(kind)
}

/// Each sample event by its name.
fn all() -> HashMap<&'static str, samples::Sample> {
    samples::all().into_iter().map(|samples| (samples.name, samples)).collect()
}

const GREEN: u32 = 0x002e_a043;
const BLUE: u32 = 0x0038_8bfd;
const DARK_RED: u32 = 0x008e_1519;
const RED: u32 = 0x00da_3633;
const YELLOW: u32 = 0x00d2_9922;

/// Symbol and headline, colour, phase and worst of each event and form.
#[test]
fn the_headline_says_it_all() {
    use Severity::{Critical, Degraded, Down, Info};
    let expected = [
        ("down", "🔴 shop is DOWN", RED, Phase::Opens, Down),
        ("up", "✅ shop is UP again after 4 min 12 s", GREEN, Phase::Ends, Down),
        ("degraded", "🟡 shop is DEGRADED", YELLOW, Phase::Opens, Degraded),
        ("critical", "🚨 CRITICAL: shop has been DOWN for 10 min", DARK_RED, Phase::Continues, Critical),
        ("reminder", "🔴 shop is still DOWN after 1 h", RED, Phase::Continues, Down),
        ("flapping-start", "🔁 shop is FLAPPING between up and down", YELLOW, Phase::Continues, Down),
        ("flapping-end", "✅ shop is UP, and no longer flapping", GREEN, Phase::Ends, Down),
        ("certificate", "🔒 shop: the certificate ends soon", YELLOW, Phase::Other, Degraded),
        ("acknowledged", "👤 shop is DOWN: ada takes care of it", BLUE, Phase::Taken, Down),
        ("blind", "🙈 The monitor is BLIND: its own network is away", YELLOW, Phase::Opens, Degraded),
        ("seeing", "✅ The monitor SEES again", GREEN, Phase::Ends, Info),
        ("stalled", "🛑 Checks are STALLED: nobody knows whether targets are up", RED, Phase::Opens, Down),
        ("running", "✅ Checks are RUNNING again", GREEN, Phase::Ends, Info),
        ("queue-busy", "⏳ Queue notifications is over its limit", YELLOW, Phase::Other, Degraded),
        ("channel-broken", "📵 Channel ops is BROKEN: its messages don't arrive", RED, Phase::Other, Down),
        ("test", "🔔 Test: messages of uptime arrive here", BLUE, Phase::Other, Info),
        ("down-again", "🔴 shop is DOWN", RED, Phase::Opens, Down),
        ("down-linked", "🔴 shop is DOWN", RED, Phase::Opens, Down),
        ("down-worse", "🔴 shop is DOWN", RED, Phase::Continues, Down),
        ("down-over", "⚪ shop was DOWN for 4 min 12 s", BLUE, Phase::Ends, Down),
        ("reminder-degraded", "🟡 shop is still DEGRADED after 1 h", YELLOW, Phase::Continues, Degraded),
        ("acknowledged-degraded", "👤 shop is DEGRADED: ada takes care of it", BLUE, Phase::Taken, Degraded),
        ("released", "🔴 shop is still DOWN after 1 min 30 s", RED, Phase::Released, Down),
        ("flapping-end-down", "🔴 shop is DOWN, and no longer flapping", RED, Phase::Continues, Down),
        ("up-degraded", "✅ shop is no longer DEGRADED after 4 min 12 s", GREEN, Phase::Ends, Degraded),
        ("up-all-of-it", "✅ shop is UP again after 4 min 12 s", GREEN, Phase::Ends, Info),
        ("resolved", "✋ shop: RESOLVED by hand after 1 min 30 s, NOT seen up", BLUE, Phase::Ends, Down),
        ("unwatched", "✋ shop: NO LONGER WATCHED after 4 min 12 s, NOT seen up", BLUE, Phase::Ends, Down),
        ("digest-down", "🔴 3 monitors are DOWN", RED, Phase::Other, Down),
        ("digest-mixed", "🔴 3 monitors: 1 down, 1 taken care of, 1 up again", RED, Phase::Other, Down),
        ("digest-up", "✅ 3 monitors are UP again", GREEN, Phase::Other, Info),
    ];
    let all = all();
    assert_eq!(all.len(), expected.len() + 1, "and strange texts");
    for (name, headline, colour, phase, worst) in expected {
        let it = &all[name];
        let message = compose(&it.event, it.digest.as_ref(), "ops", it.event.at);
        assert_eq!(format!("{} {}", message.symbol, message.headline), headline, "{name}");
        assert_eq!(message.colour, colour, "{name}");
        assert_eq!(super::phase(&it.event, it.announced.is_some()), phase, "{name}");
        assert_eq!(super::worst(&it.event, it.announced), worst, "{name}");
    }
}

#[test]
fn what_a_channel_hears_first_opens() {
    for kind in [EventType::Reminder, EventType::Critical, EventType::Acknowledged] {
        assert_eq!(phase(&event(kind), false), Phase::Opens, "{kind}");
    }
    let released = &all()["released"].event;
    assert_eq!(phase(released, false), Phase::Opens);
}

#[test]
fn a_key_pairs_an_opening_with_its_end_and_is_no_other_installations() {
    use EventType::{Acknowledged, Critical, Degraded, FlappingEnd, FlappingStart, Reminder, Up};
    let key = |event: &Event| key(event, samples::INSTALLATION);
    let of = |kind| key(&event(kind));
    let down = of(EventType::Down);
    let of_monitors = [Up, Degraded, Critical, Reminder, Acknowledged, FlappingStart, FlappingEnd];
    for kind in of_monitors {
        assert_eq!(of(kind), down, "{kind}");
    }
    assert_eq!(of(EventType::Blind), of(EventType::Seeing));
    assert_eq!(of(EventType::Stalled), of(EventType::Running));
    let all = all();
    let of_their_own: HashMap<_, _> =
        ["down", "certificate", "blind", "stalled", "queue-busy", "channel-broken", "test", "digest-down"]
            .iter()
            .map(|name| (key(&all[name].event), name))
            .collect();
    assert_eq!(of_their_own.len(), 8);
    let again = Event { delivery_id: crate::id::DeliveryId(Uuid::nil()), ..all["digest-down"].event.clone() };
    assert_ne!(key(&again), key(&all["digest-down"].event));
    assert_ne!(super::key(&event(EventType::Down), Uuid::nil()), down);
    assert!(down.len() == 32 && down.bytes().all(|byte| byte.is_ascii_hexdigit()), "{down}");
}

/// Keys are at providers, where they open and close for years: they stay.
#[test]
fn keys_are_the_same_for_ever() {
    let key = |kind| key(&event(kind), samples::INSTALLATION);
    assert_eq!(key(EventType::Down), "0f07bec34b25d8ab3b84c4f788b3c856");
    assert_eq!(key(EventType::Blind), "e9add1413b406ecedaa866e24b9f80ab");
}

#[test]
fn the_cause_tells_what_was_expected_once() {
    let mut down = event(EventType::Down);
    let cause = |event: &Event| composed(event).cause.expect("a cause").replace('\u{2060}', "");
    let real = "https://shop.example.com/health answered 503 Service Unavailable (expected 2xx, got 503)";
    assert_eq!(cause(&down), real);
    assert_eq!(cause(&event(EventType::Up)), format!("It was: {real}"));
    let message = |event: &mut Event, message: &str| {
        event.outcome.as_mut().expect("an outcome").message = message.into();
    };
    message(&mut down, "503 is not 2xx");
    assert_eq!(cause(&down), "503 is not 2xx");
    message(&mut down, "");
    assert_eq!(cause(&down), "expected 2xx, got 503");
    let by_operator = &all()["resolved"].event;
    assert!(cause(by_operator).starts_with("resolved by ada, and no check"), "{}", cause(by_operator));
}

#[test]
fn a_digest_names_its_monitors_after_their_counts() {
    let all = all();
    let cause = |name: &str| {
        let it = &all[name];
        compose(&it.event, it.digest.as_ref(), "ops", it.event.at).cause.expect("a cause")
    };
    assert!(cause("digest-down").starts_with("Down: shop ("), "{}", cause("digest-down"));
    assert_eq!(cause("digest-up"), "Up again: shop, mail, news");
    let words = cause("digest-mixed").replace('\u{2060}', "");
    assert!(words.starts_with("Down: mail (https://shop.example.com/health answered 503"), "{words}");
    assert!(words.ends_with("; taken care of: news; up again: shop"), "{words}");
}

#[test]
fn a_late_message_says_so() {
    let down = event(EventType::Down);
    let late = down.at.checked_add(jiff::SignedDuration::from_secs(840)).expect("an instant");
    let last = compose(&down, None, "ops", late).facts.pop().expect("a fact");
    assert_eq!(last, Fact { label: "Told late", value: Value::Text("this happened 14 min ago".into()) });
    assert!(composed(&down).facts.iter().all(|fact| fact.label != "Told late"));
}

#[test]
fn facts_are_in_order_and_a_page_is_a_link() {
    let mut reminder = event(EventType::Reminder);
    let incident = reminder.incident.as_mut().expect("an incident");
    incident.acknowledged_by = Some("ada".into());
    incident.link = Some("https://status.example.com/incidents/7".into());
    let text = |text: &str| Value::Text(text.to_owned());
    let message = composed(&reminder);
    let facts: Vec<_> = message.facts.into_iter().map(|fact| (fact.label, fact.value)).collect();
    assert_eq!(
        facts,
        [
            ("Target", Value::Address("https://shop.example.com/health".into())),
            ("Down since", Value::Instant("2026-04-14T02:14:05Z".parse().expect("an instant"))),
            ("Failed checks", text("3")),
            ("In charge", text("ada")),
            ("Group", text("web")),
            ("Tags", text("team=a")),
            ("Incident", text("#7")),
        ]
    );
    let address = "https://status.example.com/incidents/7".to_owned();
    assert_eq!(message.links, [Link { label: "Incident #7".into(), address }]);
    for link in ["javascript:alert(1)", "https://x.example/a b", "https://x.example/>"] {
        reminder.incident.as_mut().expect("an incident").link = Some(link.into());
        assert!(composed(&reminder).links.is_empty(), "{link}");
    }
}

#[test]
fn the_json_is_the_contract() {
    let mut up = event(EventType::Up);
    up.at = "2026-04-14T02:18:17.250900Z".parse().expect("an instant");
    assert_eq!(
        json(&up),
        concat!(
            r#"{"type":"up","delivery_id":"018f2b3c-0000-7000-8000-000000000001","at":"2026-04-14T02:18:17.25Z","#,
            r#""monitor":{"name":"shop","type":"http","target":"https://shop.example.com/health","group":"web","tags":{"team":"a"}},"#,
            r#""incident":{"id":7,"started_at":"2026-04-14T02:14:05Z","ended_at":"2026-04-14T02:18:17Z","duration_s":252,"failures":3},"#,
            r#""outcome":{"class":"status","expected":"2xx","got":"503","#,
            r#""message":"https://shop.example.com/health answered 503 Service Unavailable"},"severity":"info"}"#
        )
    );
}

#[test]
fn the_json_is_below_20_kb_whatever_comes_in() {
    for text in ["👾", "\u{1}", "x"] {
        let mut down = event(EventType::Down);
        let endless = text.repeat(30_000);
        down.monitor.name.clone_from(&endless);
        down.monitor.target.clone_from(&endless);
        down.monitor.tags =
            (0..200).map(|n| (format!("{n}{}", text.repeat(500)), text.repeat(500))).collect();
        down.outcome = Some(EventOutcome {
            expected: Some(endless.clone()),
            got: Some(endless.clone()),
            ..EventOutcome::new("status", endless)
        });
        let json = json(&down);
        assert!((1_000..=JSON_MAX).contains(&json.len()), "{}", json.len());
        let read: Event = serde_json::from_str(&json).expect("an event");
        assert_eq!(read.kind, EventType::Down);
    }
}
