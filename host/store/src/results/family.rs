//! Parents and children: what is above a monitor, as it is now, and who below it waits for its verdict.

use super::ResultsTransaction;
use crate::row::{bind, named};
use crate::{Result, Store};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uptime_core::dependency::Ancestor;
use uptime_core::id::MonitorId;

impl ResultsTransaction {
    /// The monitors that are checked above `parent`, and itself: the nearest first. What this batch found of them is in it.
    pub async fn ancestors_from(&mut self, parent: MonitorId) -> Result<Vec<(MonitorId, Ancestor)>> {
        if !self.ancestors.contains_key(&parent) {
            let read = self.read_ancestors(parent).await?;
            self.ancestors.insert(parent, read);
        }
        let mut ancestors = self.ancestors[&parent].clone();
        for (id, ancestor) in &mut ancestors {
            if let Some(recorded) =
                self.recorded.iter().rev().find(|recorded| recorded.check.monitor.id == *id)
            {
                ancestor.status = recorded.locked.state.status;
                ancestor.downs = recorded.locked.state.downs;
                ancestor.downs_since = recorded.locked.state.downs_since;
                ancestor.looked_at = recorded.locked.state.last_slot_at;
            }
        }
        Ok(ancestors)
    }

    async fn read_ancestors(&mut self, parent: MonitorId) -> Result<Vec<(MonitorId, Ancestor)>> {
        let query = sqlx::query(include_str!("../../queries/ancestors.sql"));
        let rows = bind!(query, parent).fetch_all(&mut self.transaction).await?;
        let ancestor = |row: &PgRow| {
            let id = MonitorId(row.try_get("id")?);
            Ok((id, named::<Ancestor>(row, || format!("monitor {id}"))?))
        };
        rows.iter().map(ancestor).collect()
    }

    /// The monitors below `parent`, at any distance, that have something to tell and were held back.
    pub async fn held_below(&mut self, parent: MonitorId) -> Result<Vec<MonitorId>> {
        let query = sqlx::query_scalar(include_str!("../../queries/held_below.sql"));
        let ids: Vec<i64> = bind!(query, parent).fetch_all(&mut self.transaction).await?;
        Ok(ids.into_iter().map(MonitorId).collect())
    }
}

impl Store {
    /// Has these monitors checked now, as far as they have no check in hand. A hint, in a transaction of its own: who loses
    /// it is looked at when its slot comes.
    pub async fn check_now(&self, monitors: &[MonitorId]) -> Result<()> {
        if monitors.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(include_str!("../../queries/check_now.sql"));
        bind!(query, monitors).execute(&self.sessions).await?;
        Ok(())
    }
}
