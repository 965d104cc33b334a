//! The rows of `monitor_states`: read under their locks, written all at once.

use super::{LockedState, Recorded};
use crate::StoreError;
use crate::row::{Columns, instant, int, optional_instant, unknown_word, us};
use crate::session::Session;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::HashMap;
use std::str::FromStr;
use uptime_core::announcement::Standing;
use uptime_core::check::CheckReport;
use uptime_core::event::Severity;
use uptime_core::id::{IncidentId, MonitorId};
use uptime_core::judgement::{Failures, Recent, State};

/// Locks the states of these monitors, in the order of their ids. Gives them, and the transaction's instant.
pub(super) async fn lock(
    connection: &mut Session,
    monitors: &[MonitorId],
) -> Result<(HashMap<MonitorId, LockedState>, Timestamp), StoreError> {
    let ids: Vec<i64> = monitors.iter().map(|id| id.0).collect();
    let rows = sqlx::query(
        "SELECT monitor_id, status, since, streak, streak_since, downs, downs_since, recent, flapping, window_recent,
                window_failed_at, failures, severity, told, owed, flapping_told, reminders, last_slot_at, incident_id,
                chain_until IS NOT NULL AS chained, now() AS now
         FROM monitor_states WHERE monitor_id = ANY ($1) ORDER BY monitor_id FOR UPDATE",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let mut states = HashMap::with_capacity(rows.len());
    let mut now = Timestamp::UNIX_EPOCH;
    for row in &rows {
        now = row.instant("now")?;
        states.insert(MonitorId(row.try_get("monitor_id")?), locked(row)?);
    }
    Ok((states, now))
}

fn locked(row: &PgRow) -> Result<LockedState, StoreError> {
    let failed_at: Option<Vec<jiff_sqlx::Timestamp>> = row.try_get("window_failed_at")?;
    let state = State {
        status: word(row, "status")?.unwrap_or_default(),
        since: row.optional_instant("since")?,
        streak: row.count("streak")?,
        streak_since: row.optional_instant("streak_since")?,
        downs: row.count("downs")?,
        downs_since: row.optional_instant("downs_since")?,
        failures: row.count("failures")?,
        severity: word(row, "severity")?,
        window: Failures {
            recent: recent(row, "window_recent")?,
            failed_at: failed_at.unwrap_or_default().into_iter().map(jiff_sqlx::Timestamp::to_jiff).collect(),
        },
        recent: recent(row, "recent")?,
        flapping: row.try_get("flapping")?,
        last_slot_at: row.optional_instant("last_slot_at")?,
    };
    let owed: Option<Vec<i64>> = row.try_get("owed")?;
    let standing = Standing {
        told: word::<Severity>(row, "told")?,
        owed: owed.unwrap_or_default().into_iter().map(IncidentId).collect(),
        flapping_told: row.try_get("flapping_told")?,
        reminders: row.count("reminders")?,
    };
    let incident = row.try_get::<Option<i64>, _>("incident_id")?.map(IncidentId);
    Ok(LockedState { state, standing, incident, chained: row.try_get("chained")? })
}

fn word<T: FromStr>(row: &PgRow, column: &'static str) -> Result<Option<T>, StoreError> {
    let Some(word) = row.try_get::<Option<String>, _>(column)? else { return Ok(None) };
    let monitor: i64 = row.try_get("monitor_id")?;
    let of = || format!("the state of monitor {monitor}");
    word.parse().map(Some).map_err(|_| unknown_word(column, of(), &word))
}

fn recent(row: &PgRow, column: &'static str) -> Result<Recent, StoreError> {
    Ok(Recent::from_bits(u32::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default()))
}

/// Writes the states after a batch of checks.
pub(super) async fn update(connection: &mut Session, recorded: &[Recorded]) -> Result<(), StoreError> {
    let states = || recorded.iter().map(|recorded| &recorded.locked.state);
    let standings = || recorded.iter().map(|recorded| &recorded.locked.standing);
    let reports = || recorded.iter().map(|recorded| &recorded.check.report);
    let message = |report: &CheckReport| report.trouble().map(|trouble| trouble.message.clone());
    sqlx::query(include_str!("../../queries/update_states.sql"))
        .bind(recorded.iter().map(|recorded| recorded.check.monitor.id.0).collect::<Vec<_>>())
        .bind(states().map(|state| state.status.as_str()).collect::<Vec<_>>())
        .bind(states().map(|state| optional_instant(state.since)).collect::<Vec<_>>())
        .bind(states().map(|state| int(state.streak)).collect::<Vec<_>>())
        .bind(states().map(|state| optional_instant(state.streak_since)).collect::<Vec<_>>())
        .bind(states().map(|state| int(state.downs)).collect::<Vec<_>>())
        .bind(states().map(|state| optional_instant(state.downs_since)).collect::<Vec<_>>())
        .bind(states().map(|state| i64::from(state.recent.bits())).collect::<Vec<_>>())
        .bind(states().map(|state| state.flapping).collect::<Vec<_>>())
        .bind(states().map(|state| i64::from(state.window.recent.bits())).collect::<Vec<_>>())
        .bind(
            states()
                .map(|state| array(&state.window.failed_at.iter().map(whole_us).collect::<Vec<_>>()))
                .collect::<Vec<_>>(),
        )
        .bind(states().map(|state| int(state.failures)).collect::<Vec<_>>())
        .bind(states().map(|state| state.severity.map(Severity::as_str)).collect::<Vec<_>>())
        .bind(standings().map(|standing| standing.told.map(Severity::as_str)).collect::<Vec<_>>())
        .bind(standings().map(|standing| array(&standing.owed)).collect::<Vec<_>>())
        .bind(standings().map(|standing| standing.flapping_told).collect::<Vec<_>>())
        .bind(standings().map(|standing| int(standing.reminders)).collect::<Vec<_>>())
        .bind(states().map(|state| optional_instant(state.last_slot_at)).collect::<Vec<_>>())
        .bind(recorded.iter().map(|recorded| recorded.locked.incident.map(|id| id.0)).collect::<Vec<_>>())
        .bind(recorded.iter().map(|recorded| instant(recorded.check.started_at)).collect::<Vec<_>>())
        .bind(reports().map(|report| report.outcome().as_str()).collect::<Vec<_>>())
        .bind(reports().map(CheckReport::is_degraded).collect::<Vec<_>>())
        .bind(reports().map(|report| report.latency().map(us)).collect::<Vec<_>>())
        .bind(reports().map(message).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// As the database keeps an instant that is bound: PostgreSQL rounds a text that has more digits.
fn whole_us(at: &Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(*at)
}

/// An array as PostgreSQL reads it from a text: an array of arrays would need them to be of one length.
fn array<T: ToString>(items: &[T]) -> Option<String> {
    let words: Vec<String> = items.iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| format!("{{{}}}", words.join(",")))
}
