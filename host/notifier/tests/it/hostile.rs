//! Components that mean harm or are broken: each ends in its typed error within its limit, and the next delivery by a
//! good plugin works. They are files, `tests/hostile/*.wat`; how one is written stands in [`case`].

pub(crate) mod case;
mod made;
mod server;

use crate::alone::alone;
use crate::log::Log;
use crate::support::{
    Behaviour, Sink, delivery, event, host, host_with_cache, settings, status, text, tight,
};
use case::{Case, Function, NAME};
use std::io::Write;
use std::time::{Duration, Instant};
use uptime_core::ErrorClass;
use uptime_core::event::EventType;
use uptime_core::grant::HostGrant;
use uptime_notifier::{Delivery, Limits, NotifierError, NotifierHost};

/// How much longer than its limits a call may take on a machine that has other things to do.
const SLACK: Duration = Duration::from_secs(5);

/// Calls the plugin `hostile`.
async fn call(
    case: &Case,
    host: &NotifierHost,
    allow: &[HostGrant],
) -> Result<case::Returned, NotifierError> {
    match case.function {
        Function::Describe => host.describe(NAME).await.map(case::Returned::Described),
        Function::Validate => host.validate(NAME, &case.settings).await.map(case::Returned::Validated),
        Function::Notify => {
            let event = event(EventType::Down);
            host.notify(delivery(NAME, &case.settings, allow, &event)).await.map(case::Returned::Delivered)
        }
    }
}

/// All of them, and the grants that they have.
async fn all() -> (Vec<Case>, Vec<HostGrant>) {
    let port = server::start().await;
    let mut cases = Case::all(port);
    cases.extend(made::all());
    (cases, vec![format!("http://127.0.0.1:{port}").parse().expect("a grant")])
}

#[tokio::test]
async fn each_ends_in_its_error_within_its_limits_and_harms_nobody() {
    let (cases, allow) = all().await;
    assert!(cases.len() >= 40, "{} hostile components", cases.len());
    let sink = Sink::start([]).await;
    let good = settings([("url", text(sink.url("/")))]);
    let grant = sink.grant();
    let cache = tempfile::tempdir().expect("a folder");
    let mut announced = 0;
    for case in &cases {
        let host =
            host_with_cache(cache.path(), case.limits.clone(), [(NAME.to_owned(), case.bytes.clone())]);
        // Twice: the second meets a compiled plugin, and nothing of the first.
        for _ in 0..2 {
            let (log, guard) = Log::capture();
            let began = Instant::now();
            let outcome = call(case, &host, &allow).await;
            let took = began.elapsed();
            drop(guard);
            case.judge(&outcome, &log.text());
            assert!(
                took < case.limits.wall_clock.min(case.limits.cpu * 20 + Duration::from_secs(2)) + SLACK,
                "{}: {took:?}",
                case.name
            );
            let event = event(EventType::Down);
            let receipt = host.notify(delivery("webhook", &good, &grant, &event)).await;
            assert_eq!(receipt.expect("a good plugin still works").status, Some(204), "{}", case.name);
            announced += 1;
        }
    }
    assert_eq!(sink.arrived().len(), announced);
}

/// Native code that somebody has put where a compiled plugin lies: it does not run. What this user alone can write is
/// looked at and made anew; where others can write, nothing is read at all.
#[cfg(unix)]
#[tokio::test]
async fn forged_compiled_code_does_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let good = case::build("", "good");
    let describe = async || {
        let host = host_with_cache(folder.path(), tight(), [(NAME.to_owned(), good.clone())]);
        host.describe(NAME).await.expect("described").name
    };
    assert_eq!(describe().await, NAME);
    let file =
        std::fs::read_dir(folder.path()).expect("the folder").next().expect("a file").expect("a file").path();
    let whole = std::fs::read(&file).expect("the file");
    let mut other_engine = whole.clone();
    // In its head stands which machine it was made for.
    let machine = std::env::consts::ARCH.as_bytes();
    let at = whole.windows(machine.len()).position(|window| window == machine).expect("the machine's name");
    other_engine[at] ^= 0x20;
    for forged in [
        b"#!/bin/sh\nrm -rf /\n".to_vec(),
        b"\x7fELF\x02\x01\x01\0".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        [b"\x7fELF\x02\x01\x01\0".as_slice(), &vec![0x41; 65_536]].concat(),
        other_engine,
        Vec::new(),
    ] {
        // Another file in its place, as a mapped one may not change.
        std::fs::remove_file(&file).expect("the file");
        std::fs::write(&file, &forged).expect("the file");
        assert_eq!(describe().await, NAME);
        assert_eq!(std::fs::read(&file).expect("the file"), whole, "made anew");
    }
    std::fs::remove_file(&file).expect("the file");
    std::fs::write(&file, b"forged").expect("the file");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("its mode");
    assert_eq!(describe().await, NAME);
    assert_eq!(std::fs::read(&file).expect("the file"), b"forged", "neither read nor written");
}

/// How many rounds of all of them the memory is looked at for.
const ROUNDS: usize = 8;
/// What it may grow by in that time, in KiB.
const GROWTH_KIB: u64 = 4 * 1024;

#[tokio::test]
async fn memory_and_descriptors_are_flat_however_often_they_are_called() {
    if !alone("hostile::memory_and_descriptors_are_flat_however_often_they_are_called", &[]) {
        return;
    }
    let (cases, allow) = all().await;
    let sink = Sink::start([]).await;
    let good = settings([("url", text(sink.url("/")))]);
    let grant = sink.grant();
    let cache = tempfile::tempdir().expect("a folder");
    let hosts: Vec<_> = cases
        .iter()
        .map(|case| {
            host_with_cache(cache.path(), case.limits.clone(), [(NAME.to_owned(), case.bytes.clone())])
        })
        .collect();
    let round = async || {
        for (case, host) in cases.iter().zip(&hosts) {
            // What becomes of it is the other test's.
            let _ = call(case, host, &allow).await;
        }
        let event = event(EventType::Down);
        let receipt = hosts[0].notify(delivery("webhook", &good, &grant, &event)).await;
        assert_eq!(receipt.expect("a good plugin still works").status, Some(204));
    };
    // Compiles them, and fills the allocator's pockets.
    round().await;
    round().await;
    let before = (resident_kib(), descriptors());
    for _ in 0..ROUNDS {
        round().await;
    }
    let after = (resident_kib(), descriptors());
    let calls = ROUNDS * cases.len();
    let _ = writeln!(
        std::io::stderr(),
        "{calls} calls: {} KiB and {} descriptors before, {} KiB and {} after",
        before.0,
        before.1,
        after.0,
        after.1
    );
    let (memory_is_flat, descriptors_are) = (after.0 < before.0 + GROWTH_KIB, after.1 <= before.1);
    assert!(memory_is_flat && descriptors_are, "{calls} calls: {before:?}, {after:?}");
}

/// The memory that this process has, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line for it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How many files, sockets and the like this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the descriptors").count()
}

#[tokio::test]
async fn a_provider_that_hangs_costs_its_time_and_no_more() {
    let sink = Sink::start([Behaviour::Hang, Behaviour::Hang, status(200, "")]).await;
    let webhook = settings([("url", text(sink.url("/")))]);
    let limits = Limits { request_timeout: Duration::from_millis(200), ..tight() };
    let patient = host(limits, []);
    let error = patient
        .notify(delivery("webhook", &webhook, &sink.grant(), &event(EventType::Up)))
        .await
        .expect_err("hangs");
    assert_eq!(error.to_string(), "`webhook` could not deliver for now: no complete answer in time");
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
    let looping = case::build(
        "(func (export \"notify\") (param i32) (result i32) (loop (br 0)) (unreachable))",
        "loop",
    );
    let limits =
        Limits { cpu: Duration::from_secs(5), wall_clock: Duration::from_secs(20), ..Limits::default() };
    let host = host(limits, [("hostile".to_owned(), looping)]);
    host.describe("hostile").await.expect("compiled");
    host.describe("webhook").await.expect("compiled");
    let sink = Sink::start([]).await;
    let webhook = settings([("url", text(sink.url("/")))]);
    let (allow, down, none) = (sink.grant(), event(EventType::Down), settings([]));
    tokio::select! {
        biased;
        _ = host.notify(delivery(NAME, &none, &[], &down)) => panic!("the looping guest was to run longer"),
        receipt = host.notify(delivery("webhook", &webhook, &allow, &down)) => { receipt.expect("delivered"); }
    }
}

/// A plugin that fails in a row is left alone, which uses up no try and harms no other plugin.
#[tokio::test]
async fn a_plugin_that_fails_again_and_again_is_left_alone() {
    let crashing = case::build("(func (export \"notify\") (param i32) (result i32) (unreachable))", "crash");
    let host = host(Limits { failures: 2, ..tight() }, [(NAME.to_owned(), crashing)]);
    let (down, none) = (event(EventType::Down), settings([]));
    let tell = async || host.notify(delivery(NAME, &none, &[], &down)).await;
    for _ in 0..2 {
        assert!(matches!(tell().await, Err(NotifierError::Trap { .. })));
    }
    let error = tell().await.expect_err("left alone");
    assert_eq!(
        (error.class(), error.waits_for_provider(), error.channel_broken()),
        (ErrorClass::Transient, true, false),
        "{error}"
    );
    assert!(error.retry_after().is_some_and(|after| after > Duration::from_secs(50)), "{error}");
    // What it does for one channel is that channel's.
    let other = Delivery { channel: "boss", ..delivery(NAME, &none, &[], &down) };
    assert!(matches!(host.notify(other).await, Err(NotifierError::Trap { .. })));
    let sink = Sink::start([]).await;
    let good = settings([("url", text(sink.url("/")))]);
    host.notify(delivery("webhook", &good, &sink.grant(), &event(EventType::Down))).await.expect("delivered");
}
