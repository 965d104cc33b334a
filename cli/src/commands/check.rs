//! `uptime check`: targets once, without a database.

use crate::args::CheckArgs;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Entry, FAINT, Printer, ms, state_style};
use serde_json::{Value, json};
use std::time::Duration;
use uptime_core::check::{CheckReport, Outcome};
use uptime_core::monitor::CheckSpec;
use uptime_core::target;
use uptime_engine::check::Checker;

pub async fn run(args: &CheckArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let specs = parse(&args.targets)?;
    let checker = checker()?;
    // All at once: together they take as long as the slowest.
    let running: Vec<_> = specs
        .iter()
        .map(|spec| {
            let (checker, spec, timeout) = (checker.clone(), spec.clone(), args.timeout);
            tokio::spawn(async move { checker.check(&spec, timeout).await })
        })
        .collect();
    let mut checks = Vec::new();
    for ((target, spec), report) in args.targets.iter().zip(specs).zip(running) {
        let report = report
            .await
            .map_err(|error| CommandError::new(Exit::Bug, format!("the check of `{target}`: {error}")))?;
        checks.push((spec, report));
    }
    print(printer, &checks);
    let has = |outcome| checks.iter().any(|(_, report)| report.outcome() == outcome);
    Ok(if has(Outcome::Down) {
        Exit::No
    } else if has(Outcome::Inconclusive) {
        Exit::TryAgain
    } else {
        Exit::Ok
    })
}

/// Each target as a check; the first that is none is the error.
pub fn parse(targets: &[String]) -> Result<Vec<CheckSpec>, CommandError> {
    targets
        .iter()
        .map(|text| {
            target::parse(text)
                .map_err(|error| CommandError::new(Exit::Usage, error.to_string()).hint(error.hint()))
        })
        .collect()
}

/// The check engine.
pub fn checker() -> Result<Checker, CommandError> {
    Checker::new().map_err(|error| CommandError::new(error.class().into(), error.to_string()))
}

fn print(printer: &Printer, checks: &[(CheckSpec, CheckReport)]) {
    let entries = checks
        .iter()
        .map(|(spec, report)| Entry { json: as_json(spec, report), cells: as_row(spec, report) });
    printer.list(
        "checks",
        &["outcome", "target", "total ms", "phases ms", "address", "why"],
        entries.collect(),
    );
}

fn as_json(spec: &CheckSpec, report: &CheckReport) -> Value {
    let ms = |took: Option<Duration>| took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3);
    let phases = report.phases;
    let failure = report.failure.as_ref();
    json!({
        "target": spec.target(),
        "type": spec.kind(),
        "outcome": report.outcome(),
        "class": failure.map(|failure| failure.class.as_str()),
        "message": failure.map(|failure| failure.message.as_str()),
        "expected": failure.and_then(|failure| failure.expected.as_deref()),
        "got": failure.and_then(|failure| failure.got.as_deref()),
        "address": report.address,
        "status": report.status_code,
        "total_ms": ms(Some(report.total)),
        "phases": {
            "dns_ms": ms(phases.dns),
            "connect_ms": ms(phases.connect),
            "tls_ms": ms(phases.tls),
            "first_byte_ms": ms(phases.first_byte),
            "transfer_ms": ms(phases.transfer),
        },
    })
}

fn as_row(spec: &CheckSpec, report: &CheckReport) -> Vec<Cell> {
    let outcome = report.outcome().as_str();
    let phases = report.phases;
    let named = [
        ("dns", phases.dns),
        ("connect", phases.connect),
        ("tls", phases.tls),
        (if spec.kind() == "ping" { "round trip" } else { "first byte" }, phases.first_byte),
        ("transfer", phases.transfer),
    ];
    let phases: Vec<String> =
        named.iter().filter_map(|(name, took)| Some(format!("{name} {}", ms((*took)?)))).collect();
    vec![
        Cell::styled(outcome, state_style(outcome)),
        spec.target().into(),
        ms(report.total).into(),
        Cell::styled(phases.join(", "), FAINT),
        report.address.map(|address| address.to_string()).unwrap_or_default().into(),
        report.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default().into(),
    ]
}
