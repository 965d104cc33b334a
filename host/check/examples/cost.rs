//! What a check costs: CPU time per check of this process alone, against a target in a process of its own.
//!
//! `cargo run --release -p uptime-check --example cost [CHECKS [AT_ONCE [URL]]]`; without a URL it starts a
//! target itself, and with `ping://HOST` it pings alone. CPU time is read from `/proc`, so it runs on Linux. Name lookup
//! and TLS are not in it.
#![expect(clippy::print_stdout, reason = "an example's output is its purpose")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use uptime_check::Checker;
use uptime_core::monitor::{CheckSpec, PingSpec};
use uptime_core::target;
use uptime_tests::{HttpTarget, ProcessStat, ServerProcess, serve_until_released};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|argument| argument == "serve") {
        let target = HttpTarget::start();
        return serve_until_released(&target.url(), String::new);
    }
    let checks = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    let at_once = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(64);
    let url = arguments.next();
    let server = url.is_none().then(|| ServerProcess::start(&["serve"]));
    let url = url.unwrap_or_else(|| server.as_ref().map_or_else(String::new, |it| it.address().to_owned()));
    let checker = Checker::new().expect("a checker");
    let first = one_echo(target::parse(&url).expect("a target"));
    let mut all = vec![(first.kind(), first)];
    if let (_, CheckSpec::Http(_)) = all[0] {
        let tcp = url.replace("http://", "tcp://").trim_end_matches('/').replace("/health", "");
        for other in [tcp, "ping://127.0.0.1".to_owned()] {
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
    ProcessStat::read(std::process::id()).expect("Linux has it").cpu_seconds
}
