//! The rows of a batch that nobody waits for: results, what happened to incidents, and the next checks.

use super::message;
use crate::Result;
use crate::row::{bind, column, us, write_rows};
use crate::session::Session;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use uptime_core::check::CheckReport;
use uptime_core::decision::{CertificateLimit, FinishedCheck, Outcome};
use uptime_core::id::{IncidentId, MonitorId};
use uptime_core::monitor::Location;

pub(super) async fn insert_results(connection: &mut Session, outcomes: &[Outcome]) -> Result<()> {
    // In microseconds.
    let took = |took: Option<Duration>| took.map(|took| i32::try_from(took.as_micros()).unwrap_or(i32::MAX));
    write_rows!(
        connection,
        include_str!("../../queries/insert_results.sql"),
        outcomes,
        |one| one.check.monitor.id,
        |one| one.check.slot_at,
        |one| one.check.started_at,
        |one| one.check.report.outcome(),
        |one| one.check.report.is_degraded(),
        |one| one.check.report.trouble().map(|trouble| trouble.class.as_str()),
        |one| message(&one.check.report),
        |one| evidence(&one.check.report),
        |one| one.check.report.status_code(),
        |one| one.check.report.address().map(|address| address.to_string()),
        |one| us(one.check.report.total),
        |one| took(one.check.report.phases().dns),
        |one| took(one.check.report.phases().connect),
        |one| took(one.check.report.phases().tls),
        |one| took(one.check.report.phases().first_byte),
        |one| took(one.check.report.phases().transfer),
        |one| us(one.check.late),
        |one| location(&one.check),
    );
    Ok(())
}

/// Enqueues the next checks of those that are to be looked at again before the scheduler comes for them.
pub(super) async fn follow_up(
    connection: &mut Session,
    outcomes: &[&Outcome],
    chained: &HashSet<MonitorId>,
) -> Result<()> {
    let is_due = |one: &&&Outcome| one.recheck_after.is_some() || chained.contains(&one.check.monitor.id);
    let next: Vec<&&Outcome> = outcomes.iter().filter(is_due).collect();
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

/// What happened to incidents, in order, and which certificates count as told from now on.
pub(super) async fn insert_events(
    connection: &mut Session,
    timeline: &[(IncidentId, &'static str, Option<String>)],
    certificates: &[CertificateLimit],
) -> Result<()> {
    write_rows!(
        connection,
        "INSERT INTO incident_events (incident_id, kind, note) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])",
        timeline,
        |(incident, _, _)| *incident,
        |(_, kind, _)| *kind,
        |(_, _, note)| note.as_deref(),
    );
    write_rows!(
        connection,
        "INSERT INTO certificate_notices (monitor_id, fingerprint, days)
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[]) ON CONFLICT DO NOTHING",
        certificates,
        |(monitor, _, _)| *monitor,
        |(_, fingerprint, _)| fingerprint.as_str(),
        |(_, _, days)| u32::from(*days),
    );
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
