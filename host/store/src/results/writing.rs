//! The rows of a batch that nobody waits for: results, and the next checks.

use super::{FinishedCheck, Recorded, message};
use crate::Result;
use crate::row::{bind, column, us};
use crate::session::Session;
use serde_json::{Value, json};
use std::time::Duration;
use uptime_core::check::CheckReport;
use uptime_core::monitor::Location;

pub(super) async fn insert_results(connection: &mut Session, recorded: &[Recorded]) -> Result<()> {
    // In microseconds.
    let took = |took: Option<Duration>| took.map(|took| i32::try_from(took.as_micros()).unwrap_or(i32::MAX));
    let query = bind!(
        sqlx::query(include_str!("../../queries/insert_results.sql")),
        column(recorded, |one| one.check.monitor.id),
        column(recorded, |one| one.check.slot_at),
        column(recorded, |one| one.check.started_at),
        column(recorded, |one| one.check.report.outcome()),
        column(recorded, |one| one.check.report.is_degraded()),
        column(recorded, |one| one.check.report.trouble().map(|trouble| trouble.class.as_str())),
        column(recorded, |one| message(&one.check.report)),
        column(recorded, |one| evidence(&one.check.report)),
        column(recorded, |one| one.check.report.status_code()),
        column(recorded, |one| one.check.report.address().map(|address| address.to_string())),
        column(recorded, |one| us(one.check.report.total)),
        column(recorded, |one| took(one.check.report.phases().dns)),
        column(recorded, |one| took(one.check.report.phases().connect)),
        column(recorded, |one| took(one.check.report.phases().tls)),
        column(recorded, |one| took(one.check.report.phases().first_byte)),
        column(recorded, |one| took(one.check.report.phases().transfer)),
        column(recorded, |one| us(one.check.late)),
        column(recorded, |one| location(&one.check)),
    );
    query.execute(connection).await?;
    Ok(())
}

/// Enqueues the next checks of those that are to be looked at again before the scheduler comes for them.
pub(super) async fn follow_up(connection: &mut Session, recorded: &[Recorded]) -> Result<()> {
    let is_due = |one: &&Recorded| one.recheck_after.is_some() || one.locked.chained;
    let next: Vec<&Recorded> = recorded.iter().filter(is_due).collect();
    if next.is_empty() {
        return Ok(());
    }
    let query = bind!(
        sqlx::query(include_str!("../../queries/follow_up.sql")),
        column(&next, |one| one.check.monitor.id),
        column(&next, |one| one.recheck_after),
        column(&next, |one| location(&one.check)),
    );
    query.execute(connection).await?;
    Ok(())
}

fn location(check: &FinishedCheck) -> Option<&str> {
    check.location.as_ref().map(Location::as_str)
}

/// What is kept of a check that found trouble, for those who ask why. One that found none leaves its phases alone.
fn evidence(report: &CheckReport) -> Option<Value> {
    let trouble = report.trouble()?;
    Some(json!({
        "expected": trouble.expected,
        "got": trouble.got,
        "warnings": report.warnings,
        "hops": report.hops,
        "echoes": report.echoes,
    }))
}
