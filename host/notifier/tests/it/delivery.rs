//! The built-in plugins through the host to a sink on loopback: what arrives, what is signed, what stays secret.

use crate::hostile::case::{NAME, build};
use crate::log::Log;
use crate::support::{Behaviour, Sink, delivery, event, host, settings, status, text};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use std::collections::BTreeMap;
use uptime_core::ErrorClass;
use uptime_core::event::EventType;
use uptime_core::secret::Secret;
use uptime_notifier::{ConfigProblem, HostOptions, Limits, NotifierError, NotifierHost, ResolvedSetting};

const CANARY: &str = "canary-4f1d\"9b";

#[tokio::test]
async fn the_webhook_arrives_signed_and_is_the_contract() {
    let host = host(Limits::default(), []);
    let sink = Sink::start([]).await;
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "plain-secret"];
    let webhook = settings([
        ("url", text(sink.url("/hook?room=1"))),
        ("secret", ResolvedSetting::List(secrets.map(Secret::new).to_vec())),
        ("headers", ResolvedSetting::Map(BTreeMap::from([("X-Key".into(), Secret::new(CANARY))]))),
    ]);
    for kind in [EventType::Down, EventType::Up] {
        let event = event(kind);
        let grant = sink.grant();
        let given = delivery("webhook", &webhook, &grant, &event);
        let now = given.now.as_second();
        let receipt = host.notify(given).await.expect("delivered");
        assert_eq!(receipt.status, Some(204));
        let arrived = sink.arrived().pop().expect("a request");
        assert_eq!((arrived.method.as_str(), arrived.path.as_str()), ("POST", "/hook?room=1"));
        assert_eq!(arrived.json(), serde_json::to_value(&event).expect("an event serializes"));
        assert_eq!(arrived.headers["content-type"], "application/json");
        assert_eq!(arrived.headers["x-key"], CANARY);
        assert_eq!(arrived.headers["user-agent"], concat!("uptime/", env!("CARGO_PKG_VERSION")));
        assert_eq!(arrived.headers["webhook-id"], event.delivery_id.to_string());

        // The instant that the caller has from the database, whatever this host's clock says.
        let timestamp: i64 = arrived.headers["webhook-timestamp"].parse().expect("seconds");
        assert_eq!(timestamp, now);
        let mut content = format!("{}.{timestamp}.", event.delivery_id).into_bytes();
        content.extend_from_slice(&arrived.body);
        let key = base64::engine::general_purpose::STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .expect("a key");
        let signatures = [key.as_slice(), b"plain-secret"].map(|key| {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("a key");
            mac.update(&content);
            format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
        });
        assert_eq!(arrived.headers["webhook-signature"], signatures.join(" "));
    }
}

#[tokio::test]
async fn each_plugins_message_arrives_with_its_secrets_in_place() {
    let host = host(Limits::default(), []);
    let event = event(EventType::Down);
    let room = "/_matrix/client/v3/rooms/%21a%3Am.example/send/m.room.message/";
    let room = format!("{room}{}", event.delivery_id);
    let base = |sink: &Sink| text(sink.url("/"));
    let sink = Sink::start([
        status(200, r#"{"id":"99"}"#),
        status(200, r#"{"event_id":"$1"}"#),
        status(200, r#"{"id":"sPs71M8A2T"}"#),
        status(202, r#"{"status":"success","dedup_key":"x"}"#),
        status(200, "ok"),
        status(200, r#"{"ok":true,"ts":"1.2"}"#),
        status(200, r#"{"ok":true,"result":{"message_id":815}}"#),
    ])
    .await;
    let discord =
        settings([("webhook_url", text(sink.url("/api/webhooks/1/tok?x=y"))), ("thread_id", text("5"))]);
    let matrix = settings([
        ("homeserver", base(&sink)),
        ("access_token", text("syt_1")),
        ("room", text("!a:m.example")),
    ]);
    let ntfy = settings([("topic", text("t0p\"ic")), ("token", text("tk_1")), ("server", base(&sink))]);
    let pagerduty = settings([("routing_key", text("r0uting\"key")), ("base_url", base(&sink))]);
    let hook = settings([("webhook_url", text(sink.url("/services/T/B/x")))]);
    let bot = settings([
        ("bot_token", text("xoxb-1")),
        ("channel", text("C1")),
        ("base_url", text(sink.url("/api/"))),
    ]);
    let telegram = settings([
        ("bot_token", text("123:AB-c_d")),
        ("chat_id", ResolvedSetting::Integer(-42)),
        ("base_url", base(&sink)),
    ]);
    for (notifier, given, path, authorization, (key, value), remote_id) in [
        (
            "discord",
            discord,
            "/api/webhooks/1/tok?x=y&wait=true&thread_id=5",
            None,
            ("tts", json!(null)),
            Some("99"),
        ),
        ("matrix", matrix, &room, Some("Bearer syt_1"), ("msgtype", json!("m.text")), Some("$1")),
        ("ntfy", ntfy, "/", Some("Bearer tk_1"), ("topic", json!("t0p\"ic")), Some("sPs71M8A2T")),
        ("pagerduty", pagerduty, "/v2/enqueue", None, ("routing_key", json!("r0uting\"key")), None),
        ("slack", hook, "/services/T/B/x", None, ("channel", json!(null)), None),
        ("slack", bot, "/api/chat.postMessage", Some("Bearer xoxb-1"), ("channel", json!("C1")), Some("1.2")),
        ("telegram", telegram, "/bot123:AB-c_d/sendMessage", None, ("chat_id", json!(-42)), Some("815")),
    ] {
        let grant = sink.grant();
        let receipt = host.notify(delivery(notifier, &given, &grant, &event)).await.expect(notifier);
        let arrived = sink.arrived().pop().expect("a request");
        assert_eq!((arrived.path.as_str(), arrived.json()[key].clone()), (path, value), "{notifier}");
        assert_eq!(arrived.headers.get("authorization").map(String::as_str), authorization, "{notifier}");
        assert_eq!(receipt.remote_id.as_deref(), remote_id, "{notifier}");
    }
}

#[tokio::test]
async fn nobody_there_is_transient() {
    let host = host(Limits::default(), []);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let webhook = settings([("url", text(format!("http://{free}/")))]);
    let allow = [format!("http://{free}").parse().expect("a grant")];
    let error = host
        .notify(delivery("webhook", &webhook, &allow, &event(EventType::Down)))
        .await
        .expect_err("refused");
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("`webhook` could not deliver for now: no connection to {free}: ")),
        "{error}"
    );
}

#[tokio::test]
async fn settings_are_held_against_the_description() {
    let host = host(Limits::default(), []);
    let problems = |name: &'static str, given| {
        let host = host.clone();
        async move {
            let problems = host.validate(name, &given).await.expect("validated");
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        }
    };
    assert_eq!(
        problems("telegram", settings([("bot_tokn", text("x")), ("chat_id", text(""))])).await,
        [
            "`bot_token`: is missing: the bot's token, from @BotFather",
            "`chat_id`: is missing: the chat's number (-100… for groups), or `@name` of a public channel",
            "`bot_tokn`: `telegram` has no such setting; did you mean `bot_token`?",
        ]
    );
    assert_eq!(
        problems(
            "telegram",
            settings([("bot_token", text("x")), ("chat_id", text("ops")), ("silent", text("yes"))])
        )
        .await,
        ["`silent`: takes `true` or `false`"]
    );
    assert_eq!(
        problems(
            "telegram",
            settings([("bot_token", text("x")), ("chat_id", text("ops")), ("silent", text("true"))])
        )
        .await,
        ["`chat_id`: `ops` is neither a chat's number nor an `@name`"]
    );
    assert_eq!(
        problems("webhook", settings([("url", text("ftp://x")), ("method", text("FETCH"))])).await,
        [
            "`url`: takes an address such as `https://example.com/path`",
            "`method`: takes one of `POST`, `PUT`, `PATCH`, `GET`, `DELETE`"
        ]
    );
    let error = host
        .notify(delivery("slack", &settings([]), &[], &event(EventType::Test)))
        .await
        .expect_err("no settings");
    let NotifierError::Config { problems, .. } = error else { panic!("{error}") };
    assert_eq!(problems[0].key.as_deref(), Some("webhook_url"));
    let error = host.validate("telegrm", &settings([])).await.expect_err("no such notifier");
    assert_eq!(
        (error.to_string().as_str(), error.hint().as_deref()),
        ("unknown notifier `telegrm`", Some("did you mean `telegram`?"))
    );
    assert_eq!(
        host.validate("webhook", &settings([("secret", text("x"))])).await.expect("validated"),
        [ConfigProblem { key: Some("url".into()), message: "is missing: where the events go".into() }]
    );
}

#[tokio::test]
async fn a_preview_shows_the_request_and_no_secret() {
    let host = host(Limits::default(), []);
    let event = event(EventType::Down);
    for (name, given, url) in [
        (
            "telegram",
            settings([("bot_token", text(CANARY)), ("chat_id", text("1"))]),
            "https://api.telegram.org/bot•••/sendMessage",
        ),
        (
            "discord",
            settings([("webhook_url", text(format!("https://discord.com/api/webhooks/1/{CANARY}")))]),
            "https://discord.com/•••?wait=true",
        ),
        (
            "slack",
            settings([("bot_token", text(CANARY)), ("channel", text("C1"))]),
            "https://slack.com/api/chat.postMessage",
        ),
        (
            "webhook",
            settings([
                ("url", text("https://hooks.example/x")),
                ("secret", text(CANARY)),
                (
                    "headers",
                    ResolvedSetting::Map(BTreeMap::from([("authorization".into(), Secret::new(CANARY))])),
                ),
            ]),
            "https://hooks.example/x",
        ),
    ] {
        let requests = host.preview(delivery(name, &given, &[], &event)).await.expect(name);
        assert_eq!((requests.len(), requests[0].method.as_str(), requests[0].url.as_str()), (1, "POST", url));
        assert!(requests[0].body.as_ref().expect("a body").contains("shop"), "{name}");
        let shown = format!("{requests:?}");
        assert!(!shown.contains("canary") && !shown.contains("secret"), "{shown}");
    }
    let plain = settings([("url", text("http://hooks.example/x"))]);
    let error = host.preview(delivery("webhook", &plain, &[], &event)).await.expect_err("plain HTTP");
    assert!(matches!(error, NotifierError::EgressDenied { .. }), "{error}");
}

/// A guest that logs the value of its first setting 100 times, sends it nowhere, and has one field: a secret `key`.
const TELLTALE: &str = r#"
(data (i32.const 88) "\80\00\00\00\01\00\00\00")
(data (i32.const 32) "key")
(data (i32.const 128) "\20\00\00\00\03\00\00\00\20\00\00\00\03\00\00\00\01\00\00\00")
;; Its one place: to sign with.
(data (i32.const 168) "\c8\00\00\00\01\00\00\00")
(data (i32.const 200) "\05")
(func (export "notify") (param $in i32) (result i32) (local $setting i32) (local $n i32)
  (local.set $setting (i32.load (local.get $in)))
  (loop
    (call $log (i32.const 1) (i32.load (i32.add (local.get $setting) (i32.const 16))) (i32.load (i32.add (local.get $setting) (i32.const 20))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get $n) (i32.const 100))))
  ;; The receipt's remote id is the value, and its detail its first ten characters, which no mask knows.
  (i32.store8 (i32.const 264) (i32.const 1))
  (i32.store (i32.const 268) (i32.load (i32.add (local.get $setting) (i32.const 16))))
  (i32.store (i32.const 272) (i32.load (i32.add (local.get $setting) (i32.const 20))))
  (i32.store8 (i32.const 276) (i32.const 1))
  (i32.store (i32.const 280) (i32.load (i32.add (local.get $setting) (i32.const 16))))
  (i32.store (i32.const 284) (i32.const 10))
  (i32.const 256))"#;

#[tokio::test]
async fn a_plugin_that_tells_its_settings_tells_no_secret() {
    let (log, _guard) = Log::capture();
    let host = host(Limits::default(), [(NAME.to_owned(), build(TELLTALE, "telltale"))]);
    let given = settings([("key", text(CANARY))]);
    let receipt = host.notify(delivery(NAME, &given, &[], &event(EventType::Test))).await.expect("a receipt");
    assert_eq!(receipt.remote_id.as_deref(), Some("•••"));
    let seen = receipt.detail.expect("what the guest saw");
    assert!(seen.starts_with("secret") && !CANARY.starts_with(&seen), "{seen}");
    let lines = log.text();
    assert_eq!(lines.matches("•••").count(), usize::try_from(Limits::default().log_lines).expect("a number"));
    assert!(!lines.contains("canary") && !lines.contains(&seen), "{lines}");
}

#[tokio::test]
async fn an_echo_tells_no_secret_and_nothing_of_a_request_is_logged() {
    let (log, _guard) = Log::capture();
    let host = host(Limits::default(), []);
    let echo = Behaviour::Status(
        400,
        vec![("x-echo", CANARY.into())],
        format!("bad key {CANARY} or {}", CANARY.replace('"', "\\\"")),
    );
    let sink = Sink::start([echo]).await;
    let telegram =
        settings([("bot_token", text(CANARY)), ("chat_id", text("1")), ("base_url", text(sink.url("")))]);
    let error = host
        .notify(delivery("telegram", &telegram, &sink.grant(), &event(EventType::Down)))
        .await
        .expect_err("refused");
    assert_eq!(error.to_string(), "`telegram` can't deliver: status 400: bad key ••• or •••");
    assert_eq!(sink.arrived()[0].path, "/botcanary-4f1d%229b/sendMessage");
    let (lines, debug) = (log.text(), format!("{error:?}"));
    assert!(!lines.contains("canary") && !debug.contains("canary"), "{lines}{debug}");
    assert!(!lines.contains("sendMessage") && !lines.contains("chat_id"), "{lines}");
}

#[tokio::test]
async fn a_long_answer_is_cut_and_still_an_answer() {
    let host = host(Limits { request_body: 64 * 1024, ..Limits::default() }, []);
    let sink = Sink::start([status(200, &"x".repeat(3_000_000))]).await;
    let webhook = settings([("url", text(sink.url("/")))]);
    host.notify(delivery("webhook", &webhook, &sink.grant(), &event(EventType::Down)))
        .await
        .expect("delivered");
    let long = settings([("url", text(sink.url("/"))), ("body", text("x".repeat(65 * 1024)))]);
    let error = host
        .notify(delivery("webhook", &long, &sink.grant(), &event(EventType::Down)))
        .await
        .expect_err("too long");
    assert!(error.to_string().ends_with("a body of 66560 bytes is over the limit of 65536"), "{error}");
    assert_eq!(sink.arrived().len(), 1);
}

#[tokio::test]
async fn compiled_plugins_are_kept_for_the_next_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = || HostOptions { cache_dir: Some(folder.path().join("plugins")), ..HostOptions::default() };
    NotifierHost::new(options()).expect("a host").describe("webhook").await.expect("compiled");
    let files = std::fs::read_dir(folder.path().join("plugins")).expect("the folder").count();
    assert_eq!(files, 1);
    let again = NotifierHost::new(options()).expect("a host");
    assert_eq!(again.names(), ["discord", "matrix", "ntfy", "pagerduty", "slack", "telegram", "webhook"]);
    assert_eq!(again.describe("webhook").await.expect("loaded").name, "webhook");
}

#[tokio::test]
async fn a_plugin_has_its_number_of_calls_at_a_time() {
    let host = host(Limits { concurrency: 1, ..Limits::default() }, []);
    let sink = Sink::start([Behaviour::Hang]).await;
    let webhook = settings([("url", text(sink.url("/")))]);
    let (allow, down) = (sink.grant(), event(EventType::Down));
    host.describe("webhook").await.expect("compiled");
    let mut first = std::pin::pin!(host.notify(delivery("webhook", &webhook, &allow, &down)));
    let mut second = std::pin::pin!(host.notify(delivery("webhook", &webhook, &allow, &down)));
    // The first hangs in the sink; the second would be answered at once, if it were let through.
    tokio::select! {
        biased;
        _ = &mut first => panic!("the first hangs"),
        _ = &mut second => panic!("the second was let through"),
        () = async { while sink.arrived().is_empty() { tokio::task::yield_now().await } } => {}
    }
    // Another plugin has places of its own.
    let discord = settings([("webhook_url", text(sink.url("/")))]);
    let error = host
        .notify(delivery("discord", &discord, &allow, &down))
        .await
        .expect_err("204 is not Discord's answer");
    assert!(matches!(error, NotifierError::Transient { .. }), "{error}");
    assert_eq!(sink.arrived().len(), 2);
}
