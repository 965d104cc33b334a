//! What is known of a batch's monitors from each of their locations: read under the locks of the monitors' states, written with
//! them.

use super::{Recorded, ResultsTransaction};
use crate::StoreError;
use crate::row::{Columns, instant, us};
use crate::session::Session;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::HashMap;
use uptime_core::check::CheckReport;
use uptime_core::id::MonitorId;
use uptime_core::judgement::locations::LocalState;
use uptime_core::monitor::NoLocation;

/// All locations of these monitors. The caller holds the locks of their states.
pub(super) async fn read(
    connection: &mut Session,
    monitors: &[MonitorId],
) -> Result<HashMap<MonitorId, Vec<LocalState>>, StoreError> {
    let ids: Vec<i64> = monitors.iter().map(|id| id.0).collect();
    let rows = sqlx::query(
        "SELECT monitor_id, location, awaited_since, memory FROM monitor_locations WHERE monitor_id = ANY ($1)
         ORDER BY monitor_id, location",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let mut locations: HashMap<MonitorId, Vec<LocalState>> = HashMap::new();
    for row in &rows {
        let monitor = MonitorId(row.try_get("monitor_id")?);
        locations.entry(monitor).or_default().push(local_state(row)?);
    }
    Ok(locations)
}

/// What is known of a monitor from one location, of a row of `monitor_locations`.
pub(crate) fn local_state(row: &PgRow) -> Result<LocalState, StoreError> {
    let (monitor, location): (i64, String) = (row.try_get("monitor_id")?, row.try_get("location")?);
    let of = || format!("monitor {monitor} in `{location}`");
    let unreadable =
        |error: NoLocation| StoreError::Row { column: "location", row: of(), reason: error.to_string() };
    Ok(LocalState {
        location: location.parse().map_err(unreadable)?,
        state: row.json("memory", of)?,
        awaited_since: row.instant("awaited_since")?,
    })
}

impl ResultsTransaction {
    /// From now on each location of a monitor is waited for.
    pub async fn await_locations(&mut self, monitor: MonitorId) -> Result<(), StoreError> {
        sqlx::query("UPDATE monitor_locations SET awaited_since = now() WHERE monitor_id = $1")
            .bind(monitor.0)
            .execute(&mut self.transaction)
            .await?;
        let now = self.now;
        for local in self.locations.entry(monitor).or_default() {
            local.awaited_since = now;
        }
        Ok(())
    }
}

/// Writes what is known now from where each check ran.
pub(super) async fn update(connection: &mut Session, recorded: &[Recorded]) -> Result<(), StoreError> {
    let (mut monitors, mut locations, mut memories) = (Vec::new(), Vec::new(), Vec::new());
    let (mut checked_at, mut outcomes, mut degraded) = (Vec::new(), Vec::new(), Vec::new());
    let (mut latencies, mut messages) = (Vec::new(), Vec::new());
    for Recorded { check, local, .. } in recorded {
        let Some(LocalState { location, state, .. }) = local else { continue };
        let memory = serde_json::to_value(state).map_err(|error| StoreError::Row {
            column: "memory",
            row: format!("monitor `{}` in `{location}`", check.monitor.name),
            reason: error.to_string(),
        })?;
        monitors.push(check.monitor.id.0);
        locations.push(location.to_string());
        memories.push(memory);
        checked_at.push(instant(check.started_at));
        outcomes.push(check.report.outcome().as_str());
        degraded.push(check.report.is_degraded());
        latencies.push(check.report.latency().map(us));
        messages.push(message(&check.report));
    }
    if monitors.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../queries/update_locations.sql"))
        .bind(monitors)
        .bind(locations)
        .bind::<Vec<Value>>(memories)
        .bind(checked_at)
        .bind(outcomes)
        .bind(degraded)
        .bind(latencies)
        .bind(messages)
        .execute(connection)
        .await?;
    Ok(())
}

fn message(report: &CheckReport) -> Option<String> {
    report.trouble().map(|trouble| trouble.message.clone())
}
