//! One check from its JSON, and its report as JSON: every setting that a monitor can have, without a file or a
//! database. `tests/reference/compare` asks with it what a bare target can't say.
//!
//! `cargo run --release -p uptime-check --example ask -- TIMEOUT_MS SPEC`, where SPEC is a target or a `CheckSpec`
//! as it lies in the database.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example's output is its purpose")]

use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use uptime_check::Checker;
use uptime_core::monitor::CheckSpec;
use uptime_core::target;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(timeout), Some(spec)) = (arguments.next(), arguments.next()) else {
        eprintln!("error: a timeout in milliseconds and a check are needed");
        return ExitCode::from(2);
    };
    let spec = if spec.starts_with('{') {
        serde_json::from_str::<CheckSpec>(&spec).map_err(|error| error.to_string())
    } else {
        target::parse(&spec).map_err(|error| error.to_string())
    };
    let (timeout, spec) = match (timeout.parse(), spec) {
        (Ok(timeout), Ok(spec)) => (Duration::from_millis(timeout), spec),
        (timeout, spec) => {
            eprintln!("error: no timeout, or no check: {timeout:?}, {spec:?}");
            return ExitCode::from(2);
        }
    };
    let report = Checker::new().expect("a checker").check(&spec, timeout).await;
    // A report that lies in the database has whole milliseconds.
    let total_ms = report.total.as_secs_f64() * 1e3;
    println!("{}", json!({ "outcome": report.outcome(), "total_ms": total_ms, "report": report }));
    ExitCode::SUCCESS
}
