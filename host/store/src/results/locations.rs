//! What is known of a batch's monitors from each of their locations: read under the locks of the monitors' states, written with
//! them.

use super::{FinishedCheck, Recorded, ResultsTransaction, message};
use crate::Result;
use crate::row::{bind, column, named, to_json, us};
use crate::session::Session;
use serde_json::Value;
use sqlx::Row;
use std::collections::HashMap;
use uptime_core::id::MonitorId;
use uptime_core::judgement::locations::LocalState;

/// All locations of these monitors. The caller holds the locks of their states.
pub(super) async fn read(
    connection: &mut Session,
    monitors: &[MonitorId],
) -> Result<HashMap<MonitorId, Vec<LocalState>>> {
    let query = sqlx::query(
        "SELECT monitor_id, location, awaited_since, memory FROM monitor_locations WHERE monitor_id = ANY ($1)
         ORDER BY monitor_id, location",
    );
    let rows = bind!(query, monitors).fetch_all(connection).await?;
    let mut locations: HashMap<MonitorId, Vec<LocalState>> = HashMap::new();
    for row in &rows {
        let (monitor, location): (i64, String) = (row.try_get("monitor_id")?, row.try_get("location")?);
        let local = named::<LocalState>(row, || format!("monitor {monitor} in `{location}`"))?;
        locations.entry(MonitorId(monitor)).or_default().push(local);
    }
    Ok(locations)
}

impl ResultsTransaction {
    /// From now on each location of a monitor is waited for.
    pub async fn await_locations(&mut self, monitor: MonitorId) -> Result<()> {
        let query = sqlx::query("UPDATE monitor_locations SET awaited_since = now() WHERE monitor_id = $1");
        bind!(query, monitor).execute(&mut self.transaction).await?;
        let now = self.now;
        for local in self.locations.entry(monitor).or_default() {
            local.awaited_since = now;
        }
        Ok(())
    }
}

/// Writes what is known now from where each check ran.
pub(super) async fn update(connection: &mut Session, recorded: &[Recorded]) -> Result<()> {
    let written: Vec<_> = recorded.iter().filter_map(|one| Some((&one.check, one.local.as_ref()?))).collect();
    if written.is_empty() {
        return Ok(());
    }
    let memory = |(check, local): &(&FinishedCheck, &LocalState)| {
        let of = || format!("monitor `{}` in `{}`", check.monitor.name, local.location);
        to_json("memory", of, &local.state)
    };
    let memories = written.iter().map(memory).collect::<Result<Vec<Value>, _>>()?;
    let query = bind!(
        sqlx::query(include_str!("../../queries/update_locations.sql")),
        column(&written, |(check, _)| check.monitor.id),
        column(&written, |(_, local)| local.location.as_str()),
        memories,
        column(&written, |(check, _)| check.started_at),
        column(&written, |(check, _)| check.report.outcome()),
        column(&written, |(check, _)| check.report.is_degraded()),
        column(&written, |(check, _)| check.report.latency().map(us)),
        column(&written, |(check, _)| message(&check.report)),
    );
    query.execute(connection).await?;
    Ok(())
}
