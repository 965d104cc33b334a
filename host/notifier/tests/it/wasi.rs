//! WASI is there for the runtimes of other languages, and it is empty.
//!
//! The guest here is a component that asks WASI for everything it could give: variables, arguments, folders, sockets,
//! names, both clocks and randomness. It puts what it got into its receipt, a letter each.

use crate::log::Log;
use crate::support::{delivery, event, host, settings};
use uptime_core::event::EventType;
use uptime_notifier::scripted::Reply;
use uptime_notifier::{Delivery, Limits, NotifierError};
use wit_parser::Resolve;

/// What the guest imports, in the words of WASI 0.2: the functions that it calls, and no more of each interface.
const PROBE: &str = r"
package test:probe;

package wasi:cli@0.2.0 {
  interface environment {
    get-environment: func() -> list<tuple<string, string>>;
    get-arguments: func() -> list<string>;
    initial-cwd: func() -> option<string>;
  }
  interface stdout {
    use wasi:io/streams@0.2.0.{output-stream};
    get-stdout: func() -> output-stream;
  }
}

package wasi:io@0.2.0 {
  interface error { resource error; }
  interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource output-stream {
      blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
    }
  }
}

package wasi:clocks@0.2.0 {
  interface wall-clock {
    record datetime { seconds: u64, nanoseconds: u32 }
    now: func() -> datetime;
  }
  interface monotonic-clock { now: func() -> u64; }
}

package wasi:filesystem@0.2.0 {
  interface types { resource descriptor; }
  interface preopens {
    use types.{descriptor};
    get-directories: func() -> list<tuple<descriptor, string>>;
  }
}

package wasi:sockets@0.2.0 {
  interface network {
    enum error-code {
      unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, concurrency-conflict,
      not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, address-in-use,
      remote-unreachable, connection-refused, connection-reset, connection-aborted, datagram-too-large,
      name-unresolvable, temporary-resolver-failure, permanent-resolver-failure
    }
    enum ip-address-family { ipv4, ipv6 }
  }
  interface tcp { resource tcp-socket; }
  interface tcp-create-socket {
    use network.{error-code, ip-address-family};
    use tcp.{tcp-socket};
    create-tcp-socket: func(family: ip-address-family) -> result<tcp-socket, error-code>;
  }
  interface udp { resource udp-socket; }
  interface udp-create-socket {
    use network.{error-code, ip-address-family};
    use udp.{udp-socket};
    create-udp-socket: func(family: ip-address-family) -> result<udp-socket, error-code>;
  }
}

world probe {
  include uptime:notifier/notifier-plugin@0.1.0;
  import wasi:cli/environment@0.2.0;
  import wasi:cli/stdout@0.2.0;
  import wasi:clocks/wall-clock@0.2.0;
  import wasi:clocks/monotonic-clock@0.2.0;
  import wasi:filesystem/preopens@0.2.0;
  import wasi:sockets/tcp-create-socket@0.2.0;
  import wasi:sockets/udp-create-socket@0.2.0;
}
";

/// The instant of the delivery: 2026-04-14T02:14:26.5Z.
const NOW_MS: i64 = 1_776_132_866_500;

/// The letters begin at 512 and are the receipt's `detail`. A list's letter is `0` and its length; a socket's is `0` for
/// one that was made, else `1` and the error's place in its enum; a clock's is `y` when it is the delivery's.
const GUEST: &str = r#"(module
  (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
  (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
  (import "wasi:cli/environment@0.2.0" "initial-cwd" (func $cwd (param i32)))
  (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
  (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic (result i64)))
  (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $folders (param i32)))
  (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $tcp (param i32 i32)))
  (import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket" (func $udp (param i32 i32)))
  (memory (export "memory") 4)
  (global $free (mut i32) (i32.const 65536))
  (data (i32.const 16) "probe")
  (data (i32.const 64) "\10\00\00\00\05\00\00\00\10\00\00\00\05\00\00\00\10\00\00\00\05\00\00\00")
  (data (i32.const 640) "a line\n\1b[31mred\n")
  (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get $new)) (i32.const 7)) (i32.const -8)))
    (local.get $at))
  (func (export "uptime:notifier/notifier@0.1.0#describe") (result i32) (i32.const 64))
  (func (export "uptime:notifier/notifier@0.1.0#validate") (param i32 i32) (result i32) (i32.const 256))
  (func $letter (param $at i32) (param $value i32)
    (i32.store8 (i32.add (i32.const 512) (local.get $at)) (i32.add (i32.const 48) (local.get $value))))
  (func $socket (param $at i32)
    (if (i32.load8_u (i32.const 1024))
      (then (call $letter (local.get $at) (i32.add (i32.const 1) (i32.load8_u (i32.const 1028)))))
      (else (call $letter (local.get $at) (i32.const 0)))))
  (func $clock (param $at i32) (param $fits i32)
    (i32.store8 (i32.add (i32.const 512) (local.get $at)) (select (i32.const 121) (i32.const 110) (local.get $fits))))
  (func (export "uptime:notifier/notifier@0.1.0#notify") (param $in i32) (result i32)
    (call $environment (i32.const 1024))
    (call $letter (i32.const 0) (i32.load (i32.const 1028)))
    (call $arguments (i32.const 1024))
    (call $letter (i32.const 1) (i32.load (i32.const 1028)))
    (call $cwd (i32.const 1024))
    (call $letter (i32.const 2) (i32.load8_u (i32.const 1024)))
    (call $folders (i32.const 1024))
    (call $letter (i32.const 3) (i32.load (i32.const 1028)))
    (call $tcp (i32.const 0) (i32.const 1024))
    (call $socket (i32.const 4))
    (call $udp (i32.const 1) (i32.const 1024))
    (call $socket (i32.const 5))
    (call $wall (i32.const 1024))
    (call $clock (i32.const 6) (i32.and
      (i64.eq (i64.load (i32.const 1024)) (i64.const 1776132866))
      (i32.eq (i32.load (i32.const 1032)) (i32.const 500000000))))
    (call $clock (i32.const 7) (i64.eq (call $monotonic) (i64.const 1776132866500000000)))
    (call $write (call $stdout) (i32.const 640) (i32.const 16) (i32.const 1024))
    (i32.store (i32.const 276) (i32.const 1))
    (i32.store (i32.const 280) (i32.const 512))
    (i32.store (i32.const 284) (i32.const 8))
    (i32.const 256)))"#;

/// A component of the module, which imports what `PROBE` says.
fn guest(wat: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/notifier/0.1.0");
    resolve.push_path(folder).expect("the interface");
    let package = resolve.push_str("probe.wit", PROBE).expect("what the probe imports");
    let world = resolve.select_world(&[package], Some("probe")).expect("its world");
    let mut module = wat::parse_str(wat).expect("valid WAT");
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).expect("metadata");
    uptime_notifier::componentize(&module).expect("a component")
}

fn accepted() -> Reply {
    Reply::Response { status: 200, headers: vec![], body: vec![], truncated: false }
}

#[tokio::test]
async fn the_machine_that_a_guest_sees_is_empty() {
    let (log, _guard) = Log::capture();
    let host = host(Limits::default(), [("probe".to_owned(), guest(GUEST))]);
    let (event, settings) = (event(EventType::Down), settings([]));
    let now = jiff::Timestamp::from_millisecond(NOW_MS).expect("an instant");
    let delivery = Delivery { now, ..delivery("probe", &settings, &[], &event) };
    let announced = host.run_scripted(delivery, &[accepted()]).await;
    let receipt = announced.result.expect("it says what it saw");
    // No variable, no argument, no folder it runs in, none opened; both sockets denied (`access-denied` is 1); the
    // delivery's instant on both clocks.
    assert_eq!(receipt.detail.as_deref(), Some("000022yy"));

    let logged = log.text();
    assert!(logged.contains("a line") && logged.contains("[31mred"), "{logged}");
    assert!(!logged.contains('\u{1b}'), "{logged}");
}

/// A guest that makes streams without end holds memory of the host with each.
#[tokio::test]
async fn resources_have_an_end() {
    let hoarder = GUEST.replace(
        "(call $environment (i32.const 1024))",
        "(loop $more (drop (call $stdout)) (br $more)) (call $environment (i32.const 1024))",
    );
    let host = host(Limits::default(), [("probe".to_owned(), guest(&hoarder))]);
    let (event, settings) = (event(EventType::Down), settings([]));
    let announced = host.run_scripted(delivery("probe", &settings, &[], &event), &[accepted()]).await;
    let error = announced.result.expect_err("there is an end");
    // Not `Cpu`: it was the table that was full, long before.
    assert!(
        matches!(&error, NotifierError::Limit { limit, .. } if limit == "256 resources at a time"),
        "{error}"
    );
}
