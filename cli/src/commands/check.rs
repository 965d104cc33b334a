//! `uptime check`: targets once, without a database.

use crate::args::CheckArgs;
use crate::descriptors;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Entry, FAINT, Printer, ms, state_style};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use uptime_check::Checker;
use uptime_core::check::{CheckReport, Outcome};
use uptime_core::monitor::CheckSpec;
use uptime_core::target;

pub async fn run(args: &CheckArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let specs = parse(&args.targets)?;
    let checker = checker()?;
    let room = descriptors::raise().checks_at_once(descriptors::open().unwrap_or_default());
    let room = Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS)));
    let steps = printer.is_terminal().then(|| printer.steps());
    if let Some(steps) = &steps {
        steps.step("checking");
    }
    // All at once: together they take as long as the slowest.
    let running: Vec<_> = args
        .targets
        .iter()
        .zip(specs)
        .map(|(target, spec)| {
            let (checker, timeout, target) = (checker.clone(), args.timeout, shown(target, &spec));
            let room = Arc::clone(&room);
            tokio::spawn(async move {
                // Never closed.
                let _room = room.acquire().await;
                let report = checker.check(&spec, timeout).await;
                Checked { target, kind: spec.kind(), report }
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    let mut entries = Vec::new();
    for check in running {
        let checked =
            check.await.map_err(|error| CommandError::new(Exit::Bug, format!("a check: {error}")))?;
        outcomes.push(checked.report.outcome());
        let entry = Entry { json: checked.json(), cells: checked.cells() };
        if printer.streams() { list(printer, vec![entry]) } else { entries.push(entry) }
    }
    if let Some(steps) = steps {
        steps.done();
    }
    if !printer.streams() {
        list(printer, entries);
    }
    Ok(if outcomes.contains(&Outcome::Down) {
        Exit::No
    } else if outcomes.contains(&Outcome::Inconclusive) {
        Exit::TryAgain
    } else {
        Exit::Ok
    })
}

fn list(printer: &Printer, entries: Vec<Entry>) {
    printer.list("checks", &["outcome", "target", "total ms", "phases ms", "address", "why"], entries);
}

/// The target as it was typed, so that an answer finds its question; without a password.
fn shown(typed: &str, spec: &CheckSpec) -> String {
    match spec {
        CheckSpec::Http(http) if !http.url.username().is_empty() || http.url.password().is_some() => {
            spec.target()
        }
        _ => typed.to_owned(),
    }
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

/// One target, checked.
struct Checked {
    target: String,
    kind: &'static str,
    report: CheckReport,
}

impl Checked {
    fn json(&self) -> Value {
        let ms = |took: Option<Duration>| took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3);
        let phases = self.report.phases();
        let failure = self.report.failure.as_ref();
        json!({
            "target": self.target,
            "type": self.kind,
            "outcome": self.report.outcome(),
            "class": failure.map(|failure| failure.class.as_str()),
            "message": failure.map(|failure| failure.message.as_str()),
            "expected": failure.and_then(|failure| failure.expected.as_deref()),
            "got": failure.and_then(|failure| failure.got.as_deref()),
            "address": self.report.address(),
            "status": self.report.status_code(),
            "total_ms": ms(Some(self.report.total)),
            "phases": {
                "dns_ms": ms(phases.dns),
                "connect_ms": ms(phases.connect),
                "tls_ms": ms(phases.tls),
                "first_byte_ms": ms(phases.first_byte),
                "transfer_ms": ms(phases.transfer),
            },
        })
    }

    fn cells(&self) -> Vec<Cell> {
        let outcome = self.report.outcome().as_str();
        let phases = self.report.phases();
        let named = [
            ("dns", phases.dns),
            ("connect", phases.connect),
            ("tls", phases.tls),
            (if self.kind == "ping" { "round trip" } else { "first byte" }, phases.first_byte),
            ("transfer", phases.transfer),
        ];
        let phases: Vec<String> =
            named.iter().filter_map(|(name, took)| Some(format!("{name} {}", ms((*took)?)))).collect();
        vec![
            Cell::styled(outcome, state_style(outcome)),
            self.target.as_str().into(),
            ms(self.report.total).into(),
            Cell::styled(phases.join(", "), FAINT),
            self.report.address().map(|address| address.to_string()).unwrap_or_default().into(),
            self.report.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default().into(),
        ]
    }
}
