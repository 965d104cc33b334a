//! Answers of an HTTP server: any bytes, over a real connection, through the whole check.
//!
//! The first byte says how it is asked (HTTP/1.1 or HTTP/2, decompressed or not, which assertions), the rest is what
//! the server sends before it closes. Redirects are followed only where there is no network but the loopback, so that
//! no input can make this fuzzer call anybody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use uptime_check::Checker;
use uptime_core::check::{CheckReport, Failure};
use uptime_core::monitor::{CheckSpec, HttpVersions};
use uptime_core::target;

const TIMEOUT: Duration = Duration::from_secs(2);

/// What a check may need beyond its timeout.
const GRACE: Duration = Duration::from_secs(1);

struct Server {
    runtime: Runtime,
    checker: Checker,
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    /// There is no network that a redirect could lead into.
    alone: bool,
}

fuzz_target!(|input: &[u8]| {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(start);
    let Some((&how, answer)) = input.split_first() else { return };
    *server.answer.lock().expect("no thread panicked") = answer.to_vec();
    let spec = spec(server, how);
    let report = server.runtime.block_on(async {
        let check = server.checker.check(&spec, TIMEOUT);
        tokio::time::timeout(TIMEOUT + GRACE, check).await.expect("a check ends by its timeout")
    });
    judge(&report, &spec, server.alone);
});

fn spec(server: &Server, how: u8) -> CheckSpec {
    let Ok(CheckSpec::Http(mut http)) = target::parse(&format!("http://{}/", server.address)) else {
        unreachable!("it is an http target")
    };
    let asked = |bit: u8| how & (1 << bit) != 0;
    http.redirects = if server.alone { how & 3 } else { 0 };
    http.compression = asked(2);
    if asked(3) {
        http.expect.body_contains.push("ok".into());
        http.expect.body_matches.push("^[a-z]+$".parse().expect("a pattern"));
    }
    if asked(4) {
        http.expect.size_below = Some(100);
        http.expect.status = vec!["100-599".parse().expect("a rule")];
    }
    if asked(5) {
        http.versions = HttpVersions::Http2;
    }
    CheckSpec::Http(http)
}

fn judge(report: &CheckReport, spec: &CheckSpec, alone: bool) {
    let CheckSpec::Http(http) = spec else { unreachable!("it is an http check") };
    assert!(report.hops.len() <= usize::from(http.redirects) + 1, "{report:?}");
    for failure in report.failure.iter().chain(&report.warnings) {
        let parts = [Some(&failure.message), failure.expected.as_ref(), failure.got.as_ref()];
        for part in parts.into_iter().flatten() {
            assert!(!part.chars().any(char::is_control), "{failure:?}");
            assert!(part.chars().count() <= Failure::MESSAGE_MAX, "{failure:?}");
        }
        // Where a redirect leads out of the loopback the fault is ours: there is no network.
        assert!(!failure.class.is_ours() || alone && http.redirects > 0, "{failure:?}");
    }
    serde_json::to_string(report).expect("a report is stored");
}

fn start() -> Server {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = Arc::new(Mutex::new(Vec::new()));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let told = Arc::clone(&answer);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = told.lock().expect("no thread panicked").clone();
            tokio::spawn(send(stream, answer));
        }
    });
    let checker = Checker::new().expect("a checker");
    Server { runtime, checker, address, answer, alone: is_alone() }
}

/// Sends after the request has begun, and closes when the other side has.
async fn send(mut stream: TcpStream, answer: Vec<u8>) {
    let mut request = [0; 4096];
    if stream.read(&mut request).await.is_ok_and(|count| count > 0) && stream.write_all(&answer).await.is_ok()
    {
        let _ = stream.shutdown().await;
        while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
    }
}

fn is_alone() -> bool {
    let listed = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let mut links = listed.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    links.next() == Some("lo") && links.next().is_none()
}
