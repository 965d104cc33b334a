//! What is known of a batch's monitors from each of their locations: read under the locks of the monitors' states, written with
//! them.

use super::message;
use crate::Result;
use crate::row::{bind, named, to_json, us, write_rows};
use crate::session::Session;
use sqlx::Row;
use std::collections::HashMap;
use uptime_core::decision::{Outcome, Remembered};
use uptime_core::id::MonitorId;
use uptime_core::judgement::locations::LocalState;

/// Adds what is known of these monitors from each of their locations. The caller holds the locks of their states.
pub(super) async fn read(
    connection: &mut Session,
    monitors: &mut HashMap<MonitorId, Remembered>,
) -> Result<()> {
    let query = sqlx::query(
        "SELECT monitor_id, location, awaited_since, memory FROM monitor_locations WHERE monitor_id = ANY ($1)
         ORDER BY monitor_id, location",
    );
    for row in bind!(query, monitors.keys().copied().collect::<Vec<_>>()).fetch_all(connection).await? {
        let (monitor, location): (i64, String) = (row.try_get("monitor_id")?, row.try_get("location")?);
        let local = named::<LocalState>(&row, || format!("monitor {monitor} in `{location}`"))?;
        monitors.entry(MonitorId(monitor)).or_default().locations.push(local);
    }
    Ok(())
}

/// From now on each location of these monitors is waited for.
pub(super) async fn restart_waiting(connection: &mut Session, monitors: &[MonitorId]) -> Result<()> {
    let update = "UPDATE monitor_locations SET awaited_since = now() WHERE monitor_id = ANY ($1)";
    write_rows!(connection, update, monitors, |monitor| *monitor);
    Ok(())
}

/// Writes what is known now from where each check ran.
pub(super) async fn update(connection: &mut Session, outcomes: &[&Outcome]) -> Result<()> {
    let mut written = Vec::new();
    for Outcome { check, local, .. } in outcomes {
        let Some(local) = local else { continue };
        let of = || format!("monitor `{}` in `{}`", check.monitor.about.name, local.location);
        written.push((check, local.location.as_str(), to_json("memory", of, &local.state)?));
    }
    write_rows!(
        connection,
        include_str!("../../queries/update_locations.sql"),
        &written,
        |(check, ..)| check.monitor.id,
        |(_, location, _)| *location,
        |(.., memory)| memory,
        |(check, ..)| check.started_at,
        |(check, ..)| check.report.outcome(),
        |(check, ..)| check.report.is_degraded(),
        |(check, ..)| check.report.latency().map(us),
        |(check, ..)| message(&check.report),
    );
    Ok(())
}
