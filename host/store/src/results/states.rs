//! The rows of `monitor_states`: read under their locks, written all at once.

use super::message;
use crate::Result;
use crate::row::{Field, bind, named, us, write_rows};
use crate::session::Session;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::HashSet;
use uptime_core::announcement::Announced;
use uptime_core::decision::{Known, Outcome, Remembered};
use uptime_core::id::MonitorId;
use uptime_core::judgement::{Failures, State};

/// Locks the states of these monitors, in the order of their ids. Gives what is known by them, and which are chained.
pub(super) async fn lock(
    connection: &mut Session,
    monitors: &[MonitorId],
) -> Result<(Known, HashSet<MonitorId>)> {
    let query = sqlx::query(
        "SELECT monitor_id, status, since, streak, streak_since, downs, downs_since, recent, flapping, window_recent,
                window_failed_at, failures, severity, announced_severity, unannounced_ends, flapping_announced, reminders, last_slot_at, incident_id,
                chain_until IS NOT NULL AS chained, now() AS now
         FROM monitor_states WHERE monitor_id = ANY ($1) ORDER BY monitor_id FOR UPDATE",
    );
    let rows = bind!(query, monitors).fetch_all(connection).await?;
    let (mut known, mut chained) = (Known::default(), HashSet::new());
    for row in &rows {
        known.now = Field::read(row, "now")?;
        let monitor = MonitorId(row.try_get("monitor_id")?);
        known.monitors.insert(monitor, named(row, || format!("the state of monitor {monitor}"))?);
        if row.try_get("chained")? {
            chained.insert(monitor);
        }
    }
    Ok((known, chained))
}

impl Field for Remembered {
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
        let unannounced_ends: Option<_> = Field::read(row, "unannounced_ends")?;
        let announced = Announced {
            announced_severity: Field::read(row, "announced_severity")?,
            unannounced_ends: unannounced_ends.unwrap_or_default(),
            flapping_announced: Field::read(row, "flapping_announced")?,
            reminders: Field::read(row, "reminders")?,
        };
        let incident = Field::read(row, "incident_id")?;
        Ok(Self { state, announced, incident, locations: Vec::new() })
    }
}

/// Writes the states after a batch of checks.
pub(super) async fn update(connection: &mut Session, outcomes: &[&Outcome]) -> Result<()> {
    let failed_at = |state: &State| array(&state.window.failed_at.iter().map(whole_us).collect::<Vec<_>>());
    write_rows!(
        connection,
        include_str!("../../queries/update_states.sql"),
        outcomes,
        |one| one.check.monitor.id,
        |one| one.state.status,
        |one| one.state.since,
        |one| one.state.streak,
        |one| one.state.streak_since,
        |one| one.state.downs,
        |one| one.state.downs_since,
        |one| one.state.recent,
        |one| one.state.flapping,
        |one| one.state.window.recent,
        |one| failed_at(&one.state),
        |one| one.state.failures,
        |one| one.state.severity,
        |one| one.announced.announced_severity,
        |one| array(&one.announced.unannounced_ends),
        |one| one.announced.flapping_announced,
        |one| one.announced.reminders,
        |one| one.state.last_slot_at,
        |one| one.incident,
        |one| one.check.started_at,
        |one| one.check.report.outcome(),
        |one| one.check.report.is_degraded(),
        |one| one.check.report.latency().map(us),
        |one| message(&one.check.report),
    );
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
