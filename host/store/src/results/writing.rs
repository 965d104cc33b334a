//! The rows of a batch that nobody waits for: results, and the next checks.

use super::{FinishedCheck, Recorded};
use crate::StoreError;
use crate::row::{instant, us};
use crate::session::Session;
use serde_json::{Value, json};
use std::time::Duration;
use uptime_core::check::{CheckReport, Failure};
use uptime_core::monitor::Location;

pub(super) async fn insert_results(
    connection: &mut Session,
    recorded: &[Recorded],
) -> Result<(), StoreError> {
    let checks = || recorded.iter().map(|recorded| &recorded.check);
    let phase = |phase: fn(&CheckReport) -> Option<Duration>| -> Vec<Option<i32>> {
        checks()
            .map(|check| phase(&check.report).map(|took| i32::try_from(took.as_micros()).unwrap_or(i32::MAX)))
            .collect()
    };
    let trouble = |part: fn(&Failure) -> &str| -> Vec<Option<&str>> {
        checks().map(|check| check.report.trouble().map(part)).collect()
    };
    sqlx::query(include_str!("../../queries/insert_results.sql"))
        .bind(checks().map(|check| check.monitor.id.0).collect::<Vec<_>>())
        .bind(checks().map(|check| instant(check.slot_at)).collect::<Vec<_>>())
        .bind(checks().map(|check| instant(check.started_at)).collect::<Vec<_>>())
        .bind(checks().map(|check| check.report.outcome().as_str()).collect::<Vec<_>>())
        .bind(checks().map(|check| check.report.is_degraded()).collect::<Vec<_>>())
        .bind(trouble(|trouble| trouble.class.as_str()))
        .bind(trouble(|trouble| &trouble.message))
        .bind(checks().map(|check| evidence(&check.report)).collect::<Vec<_>>())
        .bind(
            checks()
                .map(|check| check.report.status_code().and_then(|code| i16::try_from(code).ok()))
                .collect::<Vec<_>>(),
        )
        .bind(
            checks()
                .map(|check| check.report.address().map(|address| address.to_string()))
                .collect::<Vec<_>>(),
        )
        .bind(checks().map(|check| us(check.report.total)).collect::<Vec<_>>())
        .bind(phase(|report| report.phases().dns))
        .bind(phase(|report| report.phases().connect))
        .bind(phase(|report| report.phases().tls))
        .bind(phase(|report| report.phases().first_byte))
        .bind(phase(|report| report.phases().transfer))
        .bind(checks().map(|check| us(check.late)).collect::<Vec<_>>())
        .bind(checks().map(location).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Enqueues the next checks of those that are to be looked at again before the scheduler comes for them.
pub(super) async fn follow_up(connection: &mut Session, recorded: &[Recorded]) -> Result<(), StoreError> {
    let next: Vec<&Recorded> = recorded
        .iter()
        .filter(|recorded| recorded.recheck_after.is_some() || recorded.locked.chained)
        .collect();
    if next.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../queries/follow_up.sql"))
        .bind(next.iter().map(|recorded| recorded.check.monitor.id.0).collect::<Vec<_>>())
        .bind(
            next.iter()
                .map(|recorded| recorded.recheck_after.map(|after| after.as_secs_f64()))
                .collect::<Vec<_>>(),
        )
        .bind(next.iter().map(|recorded| location(&recorded.check)).collect::<Vec<_>>())
        .execute(connection)
        .await?;
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
