//! The rows of `monitor_states`: read under their locks, written all at once.

use super::{LockedState, Recorded, message};
use crate::Result;
use crate::row::{Field, bind, column, named, us};
use crate::session::Session;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::HashMap;
use uptime_core::announcement::Standing;
use uptime_core::id::MonitorId;
use uptime_core::judgement::{Failures, State};

/// Locks the states of these monitors, in the order of their ids. Gives them, and the transaction's instant.
pub(super) async fn lock(
    connection: &mut Session,
    monitors: &[MonitorId],
) -> Result<(HashMap<MonitorId, LockedState>, Timestamp)> {
    let query = sqlx::query(
        "SELECT monitor_id, status, since, streak, streak_since, downs, downs_since, recent, flapping, window_recent,
                window_failed_at, failures, severity, told, owed, flapping_told, reminders, last_slot_at, incident_id,
                chain_until IS NOT NULL AS chained, now() AS now
         FROM monitor_states WHERE monitor_id = ANY ($1) ORDER BY monitor_id FOR UPDATE",
    );
    let rows = bind!(query, monitors).fetch_all(connection).await?;
    let mut states = HashMap::with_capacity(rows.len());
    let mut now = Timestamp::UNIX_EPOCH;
    for row in &rows {
        now = Field::read(row, "now")?;
        let monitor: i64 = row.try_get("monitor_id")?;
        let state = named::<LockedState>(row, || format!("the state of monitor {monitor}"))?;
        states.insert(MonitorId(monitor), state);
    }
    Ok((states, now))
}

impl Field for LockedState {
    fn read(row: &PgRow, _: &str) -> sqlx::Result<Self> {
        let failed_at: Option<_> = Field::read(row, "window_failed_at")?;
        let state = State {
            status: Field::read(row, "status")?,
            since: Field::read(row, "since")?,
            streak: Field::read(row, "streak")?,
            streak_since: Field::read(row, "streak_since")?,
            downs: Field::read(row, "downs")?,
            downs_since: Field::read(row, "downs_since")?,
            failures: Field::read(row, "failures")?,
            severity: Field::read(row, "severity")?,
            window: Failures {
                recent: Field::read(row, "window_recent")?,
                failed_at: failed_at.unwrap_or_default(),
            },
            recent: Field::read(row, "recent")?,
            flapping: Field::read(row, "flapping")?,
            last_slot_at: Field::read(row, "last_slot_at")?,
        };
        let owed: Option<_> = Field::read(row, "owed")?;
        let standing = Standing {
            told: Field::read(row, "told")?,
            owed: owed.unwrap_or_default(),
            flapping_told: Field::read(row, "flapping_told")?,
            reminders: Field::read(row, "reminders")?,
        };
        let incident = Field::read(row, "incident_id")?;
        Ok(Self { state, standing, incident, chained: row.try_get("chained")? })
    }
}

/// Writes the states after a batch of checks.
pub(super) async fn update(connection: &mut Session, recorded: &[Recorded]) -> Result<()> {
    let failed_at = |state: &State| array(&state.window.failed_at.iter().map(whole_us).collect::<Vec<_>>());
    let query = bind!(
        sqlx::query(include_str!("../../queries/update_states.sql")),
        column(recorded, |one| one.check.monitor.id),
        column(recorded, |one| one.locked.state.status),
        column(recorded, |one| one.locked.state.since),
        column(recorded, |one| one.locked.state.streak),
        column(recorded, |one| one.locked.state.streak_since),
        column(recorded, |one| one.locked.state.downs),
        column(recorded, |one| one.locked.state.downs_since),
        column(recorded, |one| one.locked.state.recent),
        column(recorded, |one| one.locked.state.flapping),
        column(recorded, |one| one.locked.state.window.recent),
        column(recorded, |one| failed_at(&one.locked.state)),
        column(recorded, |one| one.locked.state.failures),
        column(recorded, |one| one.locked.state.severity),
        column(recorded, |one| one.locked.standing.told),
        column(recorded, |one| array(&one.locked.standing.owed)),
        column(recorded, |one| one.locked.standing.flapping_told),
        column(recorded, |one| one.locked.standing.reminders),
        column(recorded, |one| one.locked.state.last_slot_at),
        column(recorded, |one| one.locked.incident),
        column(recorded, |one| one.check.started_at),
        column(recorded, |one| one.check.report.outcome()),
        column(recorded, |one| one.check.report.is_degraded()),
        column(recorded, |one| one.check.report.latency().map(us)),
        column(recorded, |one| message(&one.check.report)),
    );
    query.execute(connection).await?;
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
