use super::*;
use actions::Action;
use std::collections::BTreeSet;
use uptime_plugin_sdk::serde_json::{Value, json};
use uptime_plugin_sdk::testing::{self, FakeHost, answer, delivery, event};
use uptime_plugin_sdk::{Part, Phase, Severity};

const ACCEPTED: &str = r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#;

fn settings() -> Settings {
    testing::settings([("routing_key", "ref".into())])
}

fn part(key: &str, phase: Phase) -> Part {
    let (severity, worst) = (Severity::Down, Severity::Down);
    Part { key: key.into(), phase, severity, worst, subject: key.into(), cause: "503".into() }
}

fn digest(parts: &[(&str, Phase)]) -> Event {
    let parts = parts.iter().map(|(key, phase)| part(key, *phase)).collect();
    Event { parts, ..event("digest-mixed") }
}

/// `t…`, `a…` and `r…` for what is done, in order.
fn done(event: &Event) -> Vec<String> {
    actions::of(event).iter().map(Action::mark).collect()
}

/// `PagerDuty`, as strict as it can be: what is not open is not acknowledged, and an alert has all that it needs.
#[derive(Default)]
struct Service {
    open: BTreeSet<String>,
    opened: usize,
}

impl Service {
    fn take(&mut self, body: &Value) {
        let key = body["dedup_key"].as_str().expect("a key").to_owned();
        assert_eq!(body["routing_key"], "ref");
        match body["event_action"].as_str().expect("an action") {
            "trigger" => {
                let text = |key: &str| body["payload"][key].as_str().expect("a text").to_owned();
                assert!((1..=1_024).contains(&text("summary").chars().count()) && !text("source").is_empty());
                assert!(["critical", "error", "warning", "info"].contains(&text("severity").as_str()));
                self.opened += usize::from(self.open.insert(key));
            }
            "acknowledge" => assert!(self.open.contains(&key), "an open alert"),
            "resolve" => {
                self.open.remove(&key);
            }
            other => panic!("{other}"),
        }
    }

    /// Tells it an event, by as many calls as that takes.
    fn told(&mut self, event: &Event) {
        let mut progress = None;
        loop {
            let mut host = FakeHost::always(Ok(answer(202, ACCEPTED)));
            let delivery = Delivery { progress, ..delivery(event) };
            let result = PagerDuty::notify(&settings(), event, &delivery, &mut host);
            (0..host.sent.len()).for_each(|n| self.take(&host.json(n)));
            match result {
                Ok(_) => return,
                Err(NotifyError::Transient(Retry { progress: Some(left), .. })) => progress = Some(left),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

#[test]
fn an_alert_opens_is_taken_and_closes() {
    let mut service = Service::default();
    for (name, open) in
        [("down", 1), ("critical", 1), ("acknowledged", 1), ("released", 1), ("reminder", 1), ("up", 0)]
    {
        service.told(&event(name));
        assert_eq!((service.open.len(), service.opened), (open, 1), "{name}");
    }
    // Up and down too often to tell each, degraded to down, and ended by a person.
    for (name, open) in
        [("degraded", 1), ("down-worse", 1), ("flapping-start", 1), ("flapping-end-down", 1), ("resolved", 0)]
    {
        service.told(&event(name));
        assert_eq!((service.open.len(), service.opened), (open, 2), "{name}");
    }
    service.told(&event("blind"));
    service.told(&event("seeing"));
    assert_eq!((service.open.len(), service.opened), (0, 3));
}

#[test]
fn of_a_digest_each_alert_is_told_as_it_is_in_the_end() {
    use Phase::{Continues, Ends, Opens, Released, Taken};
    for (parts, expected) in [
        (&[("a", Opens), ("a", Continues)][..], &["ta"][..]),
        (&[("a", Opens), ("b", Opens), ("a", Taken)], &["tb", "ta", "aa"]),
        (&[("a", Opens), ("a", Ends)], &["ra"]),
        (&[("a", Ends), ("b", Ends), ("a", Opens)], &["ra", "rb", "ta"]),
        (&[("a", Taken)], &["aa"]),
        (&[("a", Opens), ("a", Taken), ("a", Continues)], &["ta", "aa"]),
        (&[("a", Opens), ("a", Taken), ("a", Released)], &["ta"]),
    ] {
        let mut found = done(&digest(parts));
        let mut expected: Vec<_> = expected.iter().map(|mark| (*mark).to_owned()).collect();
        let of_a =
            |marks: &[String]| marks.iter().filter(|mark| mark.ends_with('a')).cloned().collect::<Vec<_>>();
        assert_eq!(of_a(&found), of_a(&expected), "in order");
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_call_goes_on_where_the_last_one_stopped() {
    let keys: Vec<String> = (0..10).map(|n| format!("key{n}")).collect();
    let all = digest(&keys.iter().map(|key| (key.as_str(), Phase::Opens)).collect::<Vec<_>>());
    let mut host = FakeHost::answering([answer(202, ACCEPTED), answer(202, ACCEPTED), answer(503, "busy")]);
    let error = PagerDuty::notify(&settings(), &all, &delivery(&all), &mut host).expect_err("a 503");
    let NotifyError::Transient(Retry { message, progress, .. }) = error else { panic!("{error:?}") };
    assert_eq!((message.as_str(), progress.as_deref()), ("status 503: busy", Some(&b"tkey1"[..])));
    let mut host = FakeHost::always(Ok(answer(202, ACCEPTED)));
    let next = Delivery { progress, ..delivery(&all) };
    assert_eq!(PagerDuty::notify(&settings(), &all, &next, &mut host), Ok(Receipt::new()));
    assert_eq!((host.sent.len(), host.json(0)["dedup_key"].clone()), (8, json!("key2")));
    // What nobody knows any more begins anew.
    let unknown = Delivery { progress: Some(b"?".to_vec()), ..delivery(&all) };
    let mut host = FakeHost::always(Ok(answer(202, ACCEPTED)));
    assert!(PagerDuty::notify(&settings(), &all, &unknown, &mut host).is_err());
    assert_eq!(host.json(0)["dedup_key"], "key0");
    // A failure before anything was done leaves what was known.
    let mut host = FakeHost::answering([answer(503, "busy")]);
    let error = PagerDuty::notify(&settings(), &all, &delivery(&all), &mut host).expect_err("a 503");
    assert_eq!(error, NotifyError::Transient(Retry::new("status 503: busy", None)));
}

#[test]
fn the_alert_says_what_a_person_needs() {
    let mut host = FakeHost::answering([answer(202, ACCEPTED)]);
    let down = event("down-linked");
    PagerDuty::notify(&settings(), &down, &delivery(&down), &mut host).expect("accepted");
    assert_eq!(host.sent[0].url, "https://events.pagerduty.com/v2/enqueue");
    let body = host.json(0);
    assert_eq!((&body["event_action"], &body["dedup_key"]), (&json!("trigger"), &json!(down.key)));
    assert_eq!((&body["payload"]["severity"], &body["payload"]["source"]), (&json!("error"), &json!("shop")));
    assert_eq!(body["payload"]["timestamp"], "2026-04-14T02:14:25Z");
    assert_eq!(body["payload"]["custom_details"]["Target"], "https://shop.example.com/health");
    assert_eq!(body["links"][0]["href"], "https://status.example.com/incidents/7");
    let eu = testing::settings([("routing_key", "ref".into()), ("region", "eu".into())]);
    let mut host = FakeHost::answering([answer(202, ACCEPTED)]);
    PagerDuty::notify(&eu, &down, &delivery(&down), &mut host).expect("accepted");
    assert_eq!(host.sent[0].url, "https://events.eu.pagerduty.com/v2/enqueue");
}
