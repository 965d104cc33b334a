//! Fifty bad targets at once: each check ends by its timeout, with a verdict of its own, and memory stays flat.

use super::connection::resetting;
use super::head_and_body::dripping;
use crate::check_with;
use crate::namespace::assert_passes;
use crate::redirect::redirecting;
use crate::target::Target;
use std::process::Command;
use std::time::Duration;
use tokio::task::JoinSet;
use uptime_check::Checker;
use uptime_core::check::FailureClass;

const TIMEOUT: Duration = Duration::from_secs(2);

/// What fifty checks at once may hold beyond what was there before, the targets' own buffers among it. It was 5 MB.
const GROWTH_MAX_BYTES: usize = 32 << 20;

/// A page of x86-64 and of most ARM systems.
const PAGE_BYTES: usize = 4096;

const ALL: [(&str, Option<FailureClass>); 10] = [
    ("hangs", Some(FailureClass::FirstByteTimeout)),
    ("drips its head", Some(FailureClass::BodyTimeout)),
    ("drips its body", Some(FailureClass::BodyTimeout)),
    ("endless head", Some(FailureClass::Protocol)),
    // What is read of an endless body is judged, and here it is good.
    ("endless chunks", None),
    ("ten gigabytes", None),
    ("loops", Some(FailureClass::Redirect)),
    ("resets", Some(FailureClass::Protocol)),
    ("garbage", Some(FailureClass::Protocol)),
    ("leads to metadata", Some(FailureClass::Redirect)),
];

async fn bad(badness: &str) -> Target {
    let chunk = [&b"1000\r\n"[..], &[b'x'; 0x1000], b"\r\n"].concat();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n";
    match badness {
        "hangs" => Target::hanging().await,
        "drips its head" => dripping(b"HTTP/1.1 200 OK\r\nx-slow: aaaaaaaaaaaaaaaaaaaa").await,
        "drips its body" => dripping(b"HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxx").await,
        "endless head" => Target::pouring("HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n".to_vec()).await,
        "endless chunks" => Target::pouring(chunked, chunk).await,
        "ten gigabytes" => Target::pouring(long, chunk).await,
        "loops" => redirecting("302 Found", "/".into()).await,
        "resets" => resetting().await,
        "garbage" => Target::answering(|_| "\0\u{1}\u{2} no HTTP\r\n\r\n".into()).await,
        "leads to metadata" => redirecting("302 Found", "http://169.254.169.254/latest/".into()).await,
        other => panic!("{other}"),
    }
}

/// In a process of its own, so that no other test's memory is in what it measures.
#[test]
fn fifty_at_once_end_in_time_and_memory_stays_flat() {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    assert_passes(command.args(["--exact", "zoo::crowd::fifty_at_once", "--ignored", "--nocapture"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run in a process of its own by the test above"]
async fn fifty_at_once() {
    let checker = Checker::new().expect("a checker");
    let mut checks = JoinSet::new();
    let before = resident_bytes();
    for (badness, expected) in ALL.into_iter().cycle().take(50) {
        let (target, checker) = (bad(badness).await, checker.clone());
        checks.spawn(async move {
            let report = check_with(&checker, &target.parsed("http"), TIMEOUT).await;
            let class = report.failure.as_ref().map(|failure| failure.class);
            assert_eq!(class, expected, "{badness}: {report:?}");
        });
    }
    let mut samples = tokio::time::interval(Duration::from_millis(5));
    let mut peak = before;
    loop {
        tokio::select! {
            _ = samples.tick() => peak = peak.max(resident_bytes()),
            done = checks.join_next() => match done {
                Some(done) => done.expect("no check panics"),
                None => break,
            },
        }
    }
    let grown = peak - before;
    assert!(grown < GROWTH_MAX_BYTES, "{grown} bytes more than the {before} before");
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * PAGE_BYTES
}
