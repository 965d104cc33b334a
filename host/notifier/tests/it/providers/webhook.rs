//! Any receiver of Standard Webhooks. (Signatures are recomputed in `delivery`; the specification's vector is a test of
//! the plugin's own.)

use super::{golden, golden_events, refusals, row, tell, told};
use crate::support::{Answer, Sink, host, settings, status, text};
use std::collections::BTreeMap;
use std::time::Duration;
use uptime_core::ErrorClass::{Permanent, Transient};
use uptime_core::event::EventType;
use uptime_core::secret::Secret;
use uptime_notifier::{Limits, ResolvedSetting, ResolvedSettings};

fn hook(sink: &Sink) -> ResolvedSettings {
    settings([("url", text(sink.url("/hook")))])
}

#[tokio::test]
async fn every_event() {
    golden_events("webhook", hook, "").await;
}

#[tokio::test]
async fn a_shape_of_the_receivers_own() {
    let sink = Sink::start([]).await;
    let mut given = hook(&sink);
    let headers = BTreeMap::from([("X-Priority".to_owned(), Secret::new("5"))]);
    given.extend(settings([
        ("method", text("PUT")),
        ("headers", ResolvedSetting::Map(headers)),
        ("body", text(r#"{"title":"{headline}","n":{incident.failures},"why":"{cause}"}"#)),
    ]));
    tell("webhook", &given, &sink, &told(EventType::Down), None).await.expect("accepted");
    golden("webhook/own-json", &sink.arrived()[0]);

    let sink = Sink::start([]).await;
    let mut given = hook(&sink);
    given.extend(settings([("body", text("{message}")), ("body_type", text("text"))]));
    tell("webhook", &given, &sink, &told(EventType::Up), None).await.expect("accepted");
    golden("webhook/own-text", &sink.arrived()[0]);

    let sink = Sink::start([]).await;
    let mut given = hook(&sink);
    given.extend(settings([("body", text("text={headline}&prio=1")), ("body_type", text("form"))]));
    tell("webhook", &given, &sink, &told(EventType::Down), None).await.expect("accepted");
    golden("webhook/own-form", &sink.arrived()[0]);
}

#[tokio::test]
async fn the_id_is_the_same_over_all_tries_and_a_rotation_signs_twice() {
    let sink = Sink::start([status(503, ""), status(200, "")]).await;
    let mut given = hook(&sink);
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the old one"].map(Secret::new).to_vec();
    given.extend(settings([("secret", ResolvedSetting::List(secrets))]));
    let down = told(EventType::Down);
    tell("webhook", &given, &sink, &down, None).await.expect_err("a 503");
    tell("webhook", &given, &sink, &down, None).await.expect("accepted");
    let [first, second] = &sink.arrived()[..] else { panic!("two requests") };
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_eq!(first.body, second.body);
    for try_ in [first, second] {
        let signatures: Vec<_> = try_.headers["webhook-signature"].split(' ').collect();
        assert!(signatures.len() == 2 && signatures[0] != signatures[1], "{signatures:?}");
        assert!(signatures.iter().all(|signature| signature.starts_with("v1,")), "{signatures:?}");
    }
}

#[tokio::test]
async fn a_secret_that_is_no_base64_is_told_before_anything_is_sent() {
    let sink = Sink::start([]).await;
    let mut given = hook(&sink);
    given.extend(settings([("secret", text("whsec_%%%"))]));
    let error =
        tell("webhook", &given, &sink, &told(EventType::Down), None).await.expect_err("no such secret");
    assert!(error.channel_broken() && error.to_string().contains("base64"), "{error}");
    assert!(sink.arrived().is_empty());
}

#[tokio::test]
async fn a_body_is_below_20_kb_whatever_comes_in() {
    for text in ["👾", "\u{1}", "x"] {
        let mut down = told(EventType::Down);
        let endless = text.repeat(30_000);
        down.monitor.name.clone_from(&endless);
        down.monitor.target.clone_from(&endless);
        down.monitor.tags =
            (0..200).map(|n| (format!("{n}{}", text.repeat(500)), text.repeat(500))).collect();
        let outcome = down.outcome.as_mut().expect("an outcome");
        (outcome.expected, outcome.got) = (Some(endless.clone()), Some(endless.clone()));
        outcome.message = endless;
        let sink = Sink::start([]).await;
        tell("webhook", &hook(&sink), &sink, &down, None).await.expect("accepted");
        let arrived = &sink.arrived()[0];
        assert!(arrived.body.len() <= 20_000, "{}", arrived.body.len());
        assert_eq!(arrived.json()["type"], "down");
    }
}

#[tokio::test]
async fn each_refusal() {
    let to = |place: &str| vec![("location", place.to_owned())];
    refusals(
        "webhook",
        hook,
        vec![
            row(
                Answer::Status(302, to("https://elsewhere.example/"), String::new()),
                "`webhook` can't deliver: status 302 (redirects are not followed)",
                Permanent,
            ),
            row(status(400, "what?"), "`webhook` can't deliver: status 400: what?", Permanent),
            row(status(401, ""), "`webhook` was refused: status 401", Permanent).broken(),
            row(status(410, "bye\nbye"), "`webhook` found nobody there: status 410: bye bye", Permanent)
                .broken(),
            row(
                Answer::Status(429, vec![("retry-after", "2".into())], String::new()),
                "`webhook` was told to slow down: status 429",
                Transient,
            )
            .after_ms(2_000),
            row(status(503, "busy"), "`webhook` did not deliver: status 503: busy", Transient),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_tried_again() {
    let limits = Limits { request_timeout: Duration::from_millis(200), ..Limits::default() };
    let sink = Sink::start([Answer::Hang]).await;
    let (given, allow, down) = (hook(&sink), sink.grant(), told(EventType::Down));
    let error = host(limits, [])
        .notify(crate::support::delivery("webhook", &given, &allow, &down))
        .await
        .expect_err("no answer");
    assert_eq!(error.class(), Transient);
    assert_eq!(error.to_string(), "`webhook` did not deliver: no complete answer in time");
}
