//! `uptime check`: targets, or monitors of the file, now and without a database.
//!
//! All targets of a round are checked at once. What is found goes one of three ways: an answer for people and programs
//! (`display`), repeated with a summary (`repeat`), or the line of a Nagios plugin (`nagios`).

mod check_target;
mod display;
mod flags;
mod nagios;
mod repeat;

use crate::args::CheckArgs;
use crate::prelude::*;
use crate::runtime::descriptors;
use check_target::CheckTarget;
pub use check_target::monitors_of_file;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use uptime_check::Checker;
use uptime_core::check::{CheckReport, Outcome};
use uptime_core::monitor::CheckSpec;
use uptime_core::secret::access::Access;
use uptime_core::target;

pub async fn run(global: &Global, args: &CheckArgs, printer: &Printer) -> Result<Exit> {
    if args.nagios {
        return Ok(match once(global, args).await {
            Ok(all) => nagios::print(&all, printer),
            Err(error) => nagios::refuse(&error, printer),
        });
    }
    let subjects = check_target::subjects(global, args)?;
    if args.count.is_some() || args.interval.is_some() {
        return repeat::run(args, &Runner::new()?, &subjects, printer).await;
    }
    let steps = printer.steps(printer.is_terminal());
    steps.step("checking");
    let (mut outcomes, mut entries) = (Vec::new(), Vec::new());
    for running in Runner::new()?.begin(&subjects) {
        let checked = ended(running).await?;
        outcomes.push(checked.report.outcome());
        if printer.streams() { display::list(printer, &[checked]) } else { entries.push(checked) }
    }
    steps.done();
    if !printer.streams() {
        display::list(printer, &entries);
    }
    Ok(exit(&outcomes))
}

async fn once(global: &Global, args: &CheckArgs) -> Result<Vec<Checked>> {
    let subjects = check_target::subjects(global, args)?;
    let mut all = Vec::with_capacity(subjects.len());
    for running in Runner::new()?.begin(&subjects) {
        all.push(ended(running).await?);
    }
    Ok(all)
}

/// A subject and what was found.
struct Checked {
    subject: Arc<CheckTarget>,
    report: CheckReport,
    at: jiff::Timestamp,
}

/// What checks run on: the engine, and as much room as there are descriptors for.
struct Runner {
    checker: Checker,
    room: Arc<Semaphore>,
}

impl Runner {
    fn new() -> Result<Self> {
        let room = descriptors::raise().checks_at_once(descriptors::open().unwrap_or_default());
        // What is checked stands on the command line or in the operator's own file.
        let checker = descriptors::checker(Access::operator())?;
        Ok(Self { checker, room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))) })
    }

    /// Begins all at once: together they take as long as the slowest. What there is no room for yet waits for it, and its
    /// time begins when it does.
    fn begin(&self, subjects: &[Arc<CheckTarget>]) -> Vec<JoinHandle<Checked>> {
        let begin = |subject: &Arc<CheckTarget>| {
            let (checker, room, subject) =
                (self.checker.clone(), Arc::clone(&self.room), Arc::clone(subject));
            tokio::spawn(async move {
                // Never closed.
                let _room = room.acquire().await;
                let at = jiff::Timestamp::now();
                let report = checker.check(&subject.spec, subject.timeout).await;
                Checked { subject, report, at }
            })
        };
        subjects.iter().map(begin).collect()
    }
}

async fn ended(running: JoinHandle<Checked>) -> Result<Checked> {
    running.await.map_err(|error| bug(format!("a check: {error}")))
}

/// By the worst of all: one that was down is down, whatever came after.
fn exit(outcomes: &[Outcome]) -> Exit {
    if outcomes.contains(&Outcome::Down) {
        Exit::No
    } else if outcomes.contains(&Outcome::Inconclusive) {
        Exit::TryAgain
    } else {
        Exit::Ok
    }
}

/// Each target as a check; the first that is none is the error.
pub fn parse(targets: &[String]) -> Result<Vec<CheckSpec>> {
    targets
        .iter()
        .map(|text| target::parse(text).map_err(|error| usage_error(error.to_string()).hint(error.hint())))
        .collect()
}
