//! Any receiver of Standard Webhooks. (Signatures are recomputed in `delivery`; the specification's vector is a test of
//! the plugin's own.)

use super::{announced, body, golden, golden_events, refusals, reply, reply_with, tell};
use crate::support::{settings, text};
use std::collections::BTreeMap;
use uptime_core::event::EventType;
use uptime_core::secret::Secret;
use uptime_notifier::scripted::SentRequest;
use uptime_notifier::{ResolvedSetting, ResolvedSettings};

fn hook<const N: usize>(more: [(&str, ResolvedSetting); N]) -> ResolvedSettings {
    let mut given = settings(more);
    given.extend(settings([("url", text("https://hooks.example/hook"))]));
    given
}

fn header<'a>(sent: &'a SentRequest, name: &str) -> &'a str {
    let mut headers = sent.headers.iter();
    headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str()).expect(name)
}

#[tokio::test]
async fn every_event() {
    golden_events("webhook", &hook([]), reply(204, "")).await;
}

#[tokio::test]
async fn a_shape_of_the_receivers_own() {
    let headers = BTreeMap::from([("X-Priority".to_owned(), Secret::new("5"))]);
    let json = hook([
        ("method", text("PUT")),
        ("headers", ResolvedSetting::Map(headers)),
        ("body", text(r#"{"title":"{headline}","n":{incident.failures},"why":"{cause}"}"#)),
    ]);
    let plain = hook([("body", text("{message}")), ("body_type", text("text"))]);
    let form = hook([("body", text("text={headline}&prio=1")), ("body_type", text("form"))]);
    for (given, kind, name) in [
        (json, EventType::Down, "webhook/own-json"),
        (plain, EventType::Up, "webhook/own-text"),
        (form, EventType::Down, "webhook/own-form"),
    ] {
        let announced = tell("webhook", &given, &announced(kind), None, &[reply(204, "")]).await;
        announced.result.expect("accepted");
        golden(name, &announced.sent[0]);
    }
}

#[tokio::test]
async fn the_id_is_the_same_over_all_tries_and_a_rotation_signs_twice() {
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the old one"].map(Secret::new).to_vec();
    let (given, down) = (hook([("secret", ResolvedSetting::List(secrets))]), announced(EventType::Down));
    let first = tell("webhook", &given, &down, None, &[reply(503, "")]).await;
    first.result.expect_err("a 503");
    let second = tell("webhook", &given, &down, None, &[reply(200, "")]).await;
    second.result.expect("accepted");
    let (first, second) = (&first.sent[0], &second.sent[0]);
    assert_eq!(header(first, "webhook-id"), header(second, "webhook-id"));
    assert_eq!(first.body, second.body);
    for try_ in [first, second] {
        let signatures: Vec<_> = header(try_, "webhook-signature").split(' ').collect();
        assert!(signatures.len() == 2 && signatures[0] != signatures[1], "{signatures:?}");
        assert!(signatures.iter().all(|signature| signature.starts_with("v1,")), "{signatures:?}");
    }
}

#[tokio::test]
async fn a_secret_that_is_no_base64_is_told_before_anything_is_sent() {
    let given = hook([("secret", text("whsec_%%%"))]);
    let announced = tell("webhook", &given, &announced(EventType::Down), None, &[reply(200, "")]).await;
    let error = announced.result.expect_err("no such secret");
    assert!(error.channel_broken() && error.to_string().contains("base64"), "{error}");
    assert!(announced.sent.is_empty());
}

#[tokio::test]
async fn a_body_is_below_20_kb_whatever_comes_in() {
    for text in ["👾", "\u{1}", "x"] {
        let mut down = announced(EventType::Down);
        let endless = text.repeat(30_000);
        down.monitor.name.clone_from(&endless);
        down.monitor.target.clone_from(&endless);
        down.monitor.tags =
            (0..200).map(|n| (format!("{n}{}", text.repeat(500)), text.repeat(500))).collect();
        let outcome = down.outcome.as_mut().expect("an outcome");
        (outcome.expected, outcome.got) = (Some(endless.clone()), Some(endless.clone()));
        outcome.message = endless;
        let announced = tell("webhook", &hook([]), &down, None, &[reply(204, "")]).await;
        announced.result.expect("accepted");
        assert!(announced.sent[0].body.len() <= 20_000, "{}", announced.sent[0].body.len());
        assert_eq!(body(&announced.sent[0])["type"], "down");
    }
}

#[tokio::test]
async fn each_refusal() {
    let rows = [
        (
            reply_with(302, &[("location", "https://elsewhere.example/")], ""),
            "can't deliver: status 302 (redirects are not followed)",
            None,
        ),
        (reply(400, "what?"), "can't deliver: status 400: what?", None),
        (reply(401, ""), "was refused: status 401", None),
        (reply(410, "bye\nbye"), "did not find the destination: status 410: bye bye", None),
        (reply_with(429, &[("retry-after", "2")], ""), "was told to slow down: status 429", Some(2_000)),
        (
            reply_with(429, &[("retry-after", "9999")], ""),
            "was told to slow down: status 429",
            Some(3_600_000),
        ),
        (reply(503, "busy"), "could not deliver for now: status 503: busy", None),
    ];
    refusals("webhook", &hook([]), rows).await;
}
