//! Components that mean harm or are broken: each ends in its typed error within its limit, and the next delivery by a
//! good plugin works.

use crate::support::{Answer, Sink, component, delivery, event, host, settings, status, text, tight};
use std::time::{Duration, Instant};
use uptime_core::ErrorClass;
use uptime_core::event::EventType;
use uptime_notifier::{Limits, NotifierError, NotifierHost, Receipt};

/// A guest whose functions do as they should, but for the parts given. Its `describe` says that it is called
/// `hostile`; zeroed memory at 256 is a receipt with nothing in it.
struct Guest {
    memory: &'static str,
    describe: &'static str,
    notify: &'static str,
    realloc: &'static str,
    more: &'static str,
}

const GOOD: Guest = Guest {
    memory: "4",
    describe: "(i32.const 64)",
    notify: "(i32.const 256)",
    realloc: "(local.set $size (global.get $free))
              (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get $new)) (i32.const 7)) (i32.const -8)))
              (local.get $size)",
    more: "",
};

impl Guest {
    fn build(&self) -> Vec<u8> {
        self.build_for("0.1.0")
    }

    fn build_for(&self, version: &str) -> Vec<u8> {
        let Self { memory, describe, notify, realloc, more } = self;
        let wat = format!(
            r#"(module
              (import "uptime:notifier/http@{version}" "send" (func $send
                (param i32 i32)))
              (import "uptime:notifier/log@{version}" "write" (func $log (param i32 i32 i32)))
              (memory (export "memory") {memory})
              (global $free (mut i32) (i32.const 65536))
              (data (i32.const 16) "hostile")
              (data (i32.const 64) "\10\00\00\00\07\00\00\00\10\00\00\00\07\00\00\00\10\00\00\00\07\00\00\00")
              (data (i32.const 160) "\ff\fe")
              (data (i32.const 240) "\09")
              (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
                {realloc})
              (func (export "uptime:notifier/notifier@{version}#describe") (result i32) {describe})
              (func (export "uptime:notifier/notifier@{version}#validate") (param i32 i32) (result i32) (i32.const 256))
              (func $notify (export "uptime:notifier/notifier@{version}#notify") (param $in i32) (result i32) {notify})
              {more})"#
        );
        component(&wat, version)
    }
}

/// Tells an event by the plugin `hostile`.
async fn tell(host: &NotifierHost) -> Result<Receipt, NotifierError> {
    host.notify(delivery("hostile", &settings([]), &[], &event(EventType::Down))).await
}

/// The plugin fails with `expected` (a name of the error's and its message), and the host is as good as before.
async fn fails(guest: Vec<u8>, expected: &str) {
    let host = host(tight(), [("hostile".to_owned(), guest)]);
    // Twice: the second meets a compiled plugin, and nothing of the first.
    for _ in 0..2 {
        let started = Instant::now();
        let error = tell(&host).await.expect_err(expected);
        assert_eq!(format!("{}: {error}", name(&error)), expected);
        assert!(started.elapsed() < Duration::from_secs(20), "{expected}: {:?}", started.elapsed());
    }
    let sink = Sink::start([]).await;
    let good = settings([("url", text(sink.url("/")))]);
    let receipt = host.notify(delivery("webhook", &good, &sink.grant(), &event(EventType::Down))).await;
    assert_eq!(receipt.expect("a good plugin still works").status, Some(204));
    assert_eq!(sink.arrived().len(), 1);
}

fn name(error: &NotifierError) -> &'static str {
    match error {
        NotifierError::Cpu { .. } => "cpu",
        NotifierError::Memory { .. } => "memory",
        NotifierError::Trap { .. } => "trap",
        NotifierError::BadReturn { .. } => "bad return",
        NotifierError::Limit { .. } => "limit",
        NotifierError::BadComponent { .. } => "bad component",
        _ => "another",
    }
}

const CPU: &str = "cpu: the plugin `hostile` used up its 50 ms of CPU time";
const MEMORY: &str = "memory: the plugin `hostile` wanted more than its 16384 KiB of memory";

#[tokio::test]
async fn the_good_guest_is_good() {
    let host = host(tight(), [("hostile".to_owned(), GOOD.build())]);
    assert_eq!(tell(&host).await.expect("accepted"), Receipt::default());
    assert_eq!(host.describe("hostile").await.expect("described").name, "hostile");
}

#[tokio::test]
async fn a_loop_in_any_place() {
    fails(Guest { notify: "(loop (br 0)) (unreachable)", ..GOOD }.build(), CPU).await;
    fails(Guest { describe: "(loop (br 0)) (unreachable)", ..GOOD }.build(), CPU).await;
    fails(Guest { realloc: "(loop (br 0)) (unreachable)", ..GOOD }.build(), CPU).await;
    fails(Guest { more: "(func $start (loop (br 0))) (start $start)", ..GOOD }.build(), CPU).await;
    // Through the host all the time.
    let calls = "(loop (call $log (i32.const 0) (i32.const 16) (i32.const 7)) (br 0)) (unreachable)";
    fails(Guest { notify: calls, ..GOOD }.build(), CPU).await;
}

#[tokio::test]
async fn a_memory_bomb() {
    let grow = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    fails(Guest { notify: grow, ..GOOD }.build(), MEMORY).await;
    fails(Guest { memory: "16384", ..GOOD }.build(), MEMORY).await;
    let table = Guest {
        notify: "(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable)",
        more: "(table $t 1 funcref)",
        ..GOOD
    };
    fails(table.build(), MEMORY).await;
}

#[tokio::test]
async fn a_guest_that_lives_with_refused_memory_has_done_no_harm() {
    let host = host(
        tight(),
        [(
            "hostile".to_owned(),
            Guest { notify: "(drop (memory.grow (i32.const 30000))) (i32.const 256)", ..GOOD }.build(),
        )],
    );
    assert!(tell(&host).await.is_ok());
}

#[tokio::test]
async fn a_crash() {
    fails(
        Guest { notify: "(unreachable)", ..GOOD }.build(),
        "trap: the plugin `hostile` crashed: wasm trap: wasm `unreachable` instruction executed",
    )
    .await;
    fails(
        Guest { notify: "(call $notify (local.get $in))", ..GOOD }.build(),
        "trap: the plugin `hostile` crashed: wasm trap: call stack exhausted",
    )
    .await;
    fails(
        Guest { notify: "(i32.load (i32.const -8))", ..GOOD }.build(),
        "trap: the plugin `hostile` crashed: wasm trap: out of bounds memory access",
    )
    .await;
}

#[tokio::test]
async fn what_is_handed_over_wrong() {
    let log = |ptr: &str, len: &str| {
        format!("(call $log (i32.const 1) (i32.const {ptr}) (i32.const {len})) (i32.const 256)")
    };
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let giant = Guest { memory: "160", notify: leak(log("0", "9437184")), ..GOOD };
    fails(giant.build(), "limit: the plugin `hostile` went over its limit of 8192 KiB handed over at once")
        .await;
    let outside = Guest { notify: leak(log("262000", "4096")), ..GOOD };
    fails(
        outside.build(),
        "bad return: the plugin `hostile` handed over what can't be read: string pointer/length out of bounds of memory",
    )
    .await;
    let invalid = Guest { notify: leak(log("160", "2")), ..GOOD };
    fails(
        invalid.build(),
        "bad return: the plugin `hostile` handed over what can't be read: invalid utf-8 sequence of 1 bytes from index 0",
    )
    .await;
    let discriminant = Guest { notify: "(i32.const 240)", ..GOOD };
    fails(
        discriminant.build(),
        "bad return: the plugin `hostile` handed over what can't be read: invalid expected discriminant",
    )
    .await;
}

#[tokio::test]
async fn a_flood_of_requests() {
    // Zeroed memory is a GET of the empty address.
    let notify = "(loop (call $send (i32.const 512) (i32.const 1024)) (br 0)) (unreachable)";
    let flood = Guest { notify, ..GOOD };
    fails(flood.build(), "limit: the plugin `hostile` went over its limit of 8 requests in a call").await;
}

#[tokio::test]
async fn files_that_are_no_plugins() {
    for (bytes, expected) in [
        (b"hello".to_vec(), "it is no WebAssembly"),
        (wat::parse_str("(module)").expect("a module"), "it is a core module, not a component"),
        (
            wat::parse_str("(component)").expect("a component"),
            "it does not export `uptime:notifier/notifier`",
        ),
        (
            GOOD.build_for("0.9.0"),
            "it is built for version 0.9.0 of the interface, and this program speaks 0.1.0",
        ),
        (GOOD.build()[..200].to_vec(), "unexpected end"),
    ] {
        let host = host(tight(), [("hostile".to_owned(), bytes)]);
        let error = tell(&host).await.expect_err(expected);
        assert_eq!((name(&error), error.class()), ("bad component", ErrorClass::Config), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.channel_broken());
    }
}

#[tokio::test]
async fn a_provider_that_hangs_costs_its_time_and_no_more() {
    let sink = Sink::start([Answer::Hang, Answer::Hang, status(200, "")]).await;
    let webhook = settings([("url", text(sink.url("/")))]);
    let limits = Limits { request_timeout: Duration::from_millis(200), ..tight() };
    let patient = host(limits, []);
    let error = patient
        .notify(delivery("webhook", &webhook, &sink.grant(), &event(EventType::Up)))
        .await
        .expect_err("hangs");
    assert_eq!(error.to_string(), "`webhook` did not deliver: no complete answer in time");
    assert_eq!(error.class(), ErrorClass::Transient);

    let brief = host(Limits { wall_clock: Duration::from_millis(200), ..tight() }, []);
    let error = brief
        .notify(delivery("webhook", &webhook, &sink.grant(), &event(EventType::Up)))
        .await
        .expect_err("hangs");
    assert!(matches!(error, NotifierError::WallClock { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Transient);
    brief
        .notify(delivery("webhook", &webhook, &sink.grant(), &event(EventType::Up)))
        .await
        .expect("delivered");
}

/// Waiting is no CPU time: a provider that takes longer than the whole budget is waited for.
#[tokio::test]
async fn waiting_is_free() {
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let gate = std::sync::Arc::clone(&release);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await.expect("a request");
        gate.notified().await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("an answer");
    });
    let host = host(tight(), []);
    let webhook = settings([("url", text(format!("http://{address}/")))]);
    let allow = [format!("http://{address}").parse().expect("a grant")];
    let down = event(EventType::Down);
    let (receipt, ()) = tokio::join!(host.notify(delivery("webhook", &webhook, &allow, &down)), async {
        // Not to synchronise: this is the time that must not count.
        tokio::time::sleep(Duration::from_millis(250)).await;
        release.notify_one();
    });
    assert_eq!(receipt.expect("delivered").status, Some(204));
}

/// Guests that compute all at once on one thread do not keep a good one from its turn.
#[tokio::test]
async fn a_guest_that_computes_lets_others_run() {
    let looping = Guest { notify: "(loop (br 0)) (unreachable)", ..GOOD }.build();
    let limits =
        Limits { cpu: Duration::from_secs(5), wall_clock: Duration::from_secs(20), ..Limits::default() };
    let host = host(limits, [("hostile".to_owned(), looping)]);
    host.describe("hostile").await.expect("compiled");
    host.describe("webhook").await.expect("compiled");
    let sink = Sink::start([]).await;
    let webhook = settings([("url", text(sink.url("/")))]);
    let (allow, down) = (sink.grant(), event(EventType::Down));
    tokio::select! {
        biased;
        _ = tell(&host) => panic!("the looping guest was to run longer"),
        receipt = host.notify(delivery("webhook", &webhook, &allow, &down)) => { receipt.expect("delivered"); }
    }
}

/// A plugin that fails in a row is left alone, which uses up no try and harms no other plugin.
#[tokio::test]
async fn a_plugin_that_fails_again_and_again_is_left_alone() {
    let crashing = Guest { notify: "(unreachable)", ..GOOD }.build();
    let host = host(Limits { failures: 2, ..tight() }, [("hostile".to_owned(), crashing)]);
    for _ in 0..2 {
        assert!(matches!(tell(&host).await, Err(NotifierError::Trap { .. })));
    }
    let error = tell(&host).await.expect_err("left alone");
    assert_eq!(
        (error.class(), error.asks_for_patience(), error.channel_broken()),
        (ErrorClass::Transient, true, false),
        "{error}"
    );
    assert!(error.retry_after().is_some_and(|after| after > Duration::from_secs(50)), "{error}");
    let sink = Sink::start([]).await;
    let good = settings([("url", text(sink.url("/")))]);
    host.notify(delivery("webhook", &good, &sink.grant(), &event(EventType::Down))).await.expect("delivered");
}
