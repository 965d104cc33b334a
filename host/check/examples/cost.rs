//! What a check costs: CPU time per check of this process alone, against a target in a process of its own.
//!
//! `cargo run --release -p uptime-check --example cost [CHECKS [AT_ONCE [URL]]]`; without a URL it starts a
//! target itself, and with `ping://HOST` it pings alone. CPU time is read from `/proc`, so it runs on Linux. Name lookup
//! and TLS are not in it.
#![expect(clippy::print_stdout, reason = "an example's output is its purpose")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uptime_check::Checker;
use uptime_core::monitor::{CheckSpec, PingSpec};
use uptime_core::target;

const TIMEOUT: Duration = Duration::from_secs(10);

/// What the kernel counts CPU time in, on every Linux that there is.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|argument| argument == "serve") {
        return serve().await;
    }
    let checks = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    let at_once = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(64);
    let mut server = None;
    let url = arguments.next().unwrap_or_else(|| {
        let (child, url) = start_target();
        server = Some(child);
        url
    });
    let checker = Checker::new().expect("a checker");
    let first = one_echo(target::parse(&url).expect("a target"));
    let mut all = vec![(first.kind(), first)];
    if let (_, CheckSpec::Http(_)) = all[0] {
        for other in [url.replace("http://", "tcp://").replace("/health", ""), "ping://127.0.0.1".to_owned()]
        {
            let spec = one_echo(target::parse(&other).expect("a target"));
            all.push((spec.kind(), spec));
        }
    }
    measure(&checker, &all[0].1, checks / 10, at_once).await;
    for (what, spec) in all {
        let (wall, cpu, failed) = measure(&checker, &spec, checks, at_once).await;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let count = checks as f64;
        println!(
            "{what}: {:.1} µs of CPU a check, {:.0} checks/s, {failed} of {checks} failed",
            cpu * 1e6 / count,
            count / wall
        );
    }
    if let Some(mut server) = server {
        server.kill().and_then(|()| server.wait()).expect("it was running");
    }
}

/// A ping sends one echo here, so that a check is an echo.
fn one_echo(spec: CheckSpec) -> CheckSpec {
    match spec {
        CheckSpec::Ping(ping) => CheckSpec::Ping(PingSpec { count: 1, ..ping }),
        spec => spec,
    }
}

/// Wall clock and CPU seconds of `checks` checks, and how many failed.
async fn measure(checker: &Checker, spec: &CheckSpec, checks: usize, at_once: usize) -> (f64, f64, usize) {
    let left = Arc::new(AtomicUsize::new(checks));
    let (began, before) = (Instant::now(), cpu_seconds());
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let (checker, spec, left) = (checker.clone(), spec.clone(), Arc::clone(&left));
        tasks.spawn(async move {
            let mut failed = 0;
            while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                failed += usize::from(checker.check(&spec, TIMEOUT).await.failure.is_some());
            }
            failed
        });
    }
    let failed = tasks.join_all().await.into_iter().sum();
    (began.elapsed().as_secs_f64(), cpu_seconds() - before, failed)
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// Starts this program again as the target.
fn start_target() -> (std::process::Child, String) {
    let program = std::env::current_exe().expect("a path");
    let mut child = Command::new(program).arg("serve").stdout(Stdio::piped()).spawn().expect("it starts");
    let mut url = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut url).expect("it says where it is");
    (child, url.trim().to_owned())
}

async fn serve() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}/health", listener.local_addr().expect("an address"));
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            let mut request = [0; 4096];
            let mut length = 0;
            while !request[..length].ends_with(b"\r\n\r\n") {
                match stream.read(&mut request[length..]).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => length += count,
                }
            }
            let _ = stream.write_all(ANSWER).await;
        });
    }
}
