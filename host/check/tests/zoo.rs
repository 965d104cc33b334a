//! Fifty bad targets at once: each check ends by its timeout, with a verdict of its own, and memory stays flat.
//!
//! A program of its own, so that no other test's memory is in what it measures.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uptime_check::Checker;
use uptime_core::check::FailureClass;
use uptime_core::target;

const TIMEOUT: Duration = Duration::from_secs(2);

/// What a check may need beyond its timeout.
const GRACE: Duration = Duration::from_secs(1);

/// What fifty checks at once may hold beyond what was there before, the targets' own buffers among it. It was 5 MB.
const GROWTH_MAX_BYTES: usize = 32 * 1024 * 1024;

/// A page of x86-64 and of most ARM systems.
const PAGE_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug)]
enum Badness {
    Hangs,
    DripsItsHead,
    DripsItsBody,
    EndlessHead,
    EndlessChunks,
    TenGigabytes,
    Loops,
    Resets,
    Garbage,
    LeavesForMetadata,
}

const ALL: [(Badness, Option<FailureClass>); 10] = [
    (Badness::Hangs, Some(FailureClass::FirstByteTimeout)),
    (Badness::DripsItsHead, Some(FailureClass::BodyTimeout)),
    (Badness::DripsItsBody, Some(FailureClass::BodyTimeout)),
    (Badness::EndlessHead, Some(FailureClass::Protocol)),
    // What is read of an endless body is judged, and here it is good.
    (Badness::EndlessChunks, None),
    (Badness::TenGigabytes, None),
    (Badness::Loops, Some(FailureClass::Redirect)),
    (Badness::Resets, Some(FailureClass::Protocol)),
    (Badness::Garbage, Some(FailureClass::Protocol)),
    (Badness::LeavesForMetadata, Some(FailureClass::Redirect)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_end_in_time_and_memory_stays_flat() {
    let checker = Checker::new().expect("a checker");
    let mut targets = JoinSet::new();
    let mut checks = JoinSet::new();
    let before = resident_bytes();
    for (badness, expected) in ALL.into_iter().cycle().take(50) {
        let address = serve(badness, &mut targets).await;
        let checker = checker.clone();
        checks.spawn(async move {
            let spec = target::parse(&format!("http://{address}/")).expect("a target");
            let began = Instant::now();
            let report = checker.check(&spec, TIMEOUT).await;
            let took = began.elapsed();
            assert!(took < TIMEOUT + GRACE, "{badness:?} took {took:?}: {report:?}");
            let class = report.failure.as_ref().map(|failure| failure.class);
            assert_eq!(class, expected, "{badness:?}: {report:?}");
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

async fn serve(badness: Badness, targets: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let chunk =
        Arc::new(b"1000\r\n".iter().copied().chain([b'x'; 0x1000]).chain(*b"\r\n").collect::<Vec<_>>());
    targets.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(misbehave(stream, badness, Arc::clone(&chunk)));
        }
    });
    address
}

async fn misbehave(mut stream: TcpStream, badness: Badness, chunk: Arc<Vec<u8>>) {
    let _ = stream.read(&mut [0; 4096]).await;
    match badness {
        Badness::Hangs => pending().await,
        Badness::DripsItsHead => drip(&mut stream, b"HTTP/1.1 200 OK\r\nx-slow: ").await,
        Badness::DripsItsBody => drip(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await,
        Badness::EndlessHead => {
            pour(&mut stream, b"HTTP/1.1 200 OK\r\n", b"x-more: and more and more\r\n").await;
        }
        Badness::EndlessChunks => {
            pour(&mut stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &chunk).await;
        }
        Badness::TenGigabytes => {
            pour(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n", &chunk).await;
        }
        Badness::Loops => pour(&mut stream, b"HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", b"").await,
        Badness::Resets => stream.set_zero_linger().expect("an open socket"),
        Badness::Garbage => pour(&mut stream, b"\x00\x01\x02 no HTTP\r\n\r\n", b"").await,
        Badness::LeavesForMetadata => {
            let head = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\n\r\n";
            pour(&mut stream, head, b"").await;
        }
    }
}

/// Sends `head`, then a byte every few milliseconds for ever.
async fn drip(stream: &mut TcpStream, head: &[u8]) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    if stream.write_all(head).await.is_ok() {
        while stream.write_all(b"x").await.is_ok() {
            ticks.tick().await;
        }
    }
}

/// Sends `head`, then `more` until the other side has enough; nothing more: ends.
async fn pour(stream: &mut TcpStream, head: &[u8], more: &[u8]) {
    if stream.write_all(head).await.is_ok() && !more.is_empty() {
        while stream.write_all(more).await.is_ok() {}
    }
}
