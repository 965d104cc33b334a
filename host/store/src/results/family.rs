//! Parents and children: what is above a monitor, as it is now, and who below it waits for its verdict.

use super::ResultsTransaction;
use crate::row::Columns;
use crate::{Store, StoreError};
use sqlx::Row;
use uptime_core::dependency::Ancestor;
use uptime_core::id::MonitorId;
use uptime_core::judgement::Status;

impl ResultsTransaction {
    /// The monitors that are checked above `parent`, and itself: the nearest first. What this batch found of them is in it.
    pub async fn ancestors_from(
        &mut self,
        parent: MonitorId,
    ) -> Result<Vec<(MonitorId, Ancestor)>, StoreError> {
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

    async fn read_ancestors(&mut self, parent: MonitorId) -> Result<Vec<(MonitorId, Ancestor)>, StoreError> {
        let rows = sqlx::query(include_str!("../../queries/ancestors.sql"))
            .bind(parent.0)
            .fetch_all(&mut self.transaction)
            .await?;
        rows.iter()
            .map(|row| {
                let id = MonitorId(row.try_get("id")?);
                let status: String = row.try_get("status")?;
                let ancestor = Ancestor {
                    status: status.parse().unwrap_or(Status::Unknown),
                    downs: row.count("downs")?,
                    downs_since: row.optional_instant("downs_since")?,
                    looked_at: row.optional_instant("last_slot_at")?,
                    policy: row.json("policy", || format!("monitor {id}"))?,
                };
                Ok((id, ancestor))
            })
            .collect()
    }

    /// The monitors below `parent`, at any distance, that have something to tell and were held back.
    pub async fn held_below(&mut self, parent: MonitorId) -> Result<Vec<MonitorId>, StoreError> {
        let ids: Vec<i64> = sqlx::query_scalar(include_str!("../../queries/held_below.sql"))
            .bind(parent.0)
            .fetch_all(&mut self.transaction)
            .await?;
        Ok(ids.into_iter().map(MonitorId).collect())
    }
}

impl Store {
    /// Has these monitors checked now, as far as they have no check in hand. A hint, in a transaction of its own: who loses
    /// it is looked at when its slot comes.
    pub async fn check_now(&self, monitors: &[MonitorId]) -> Result<(), StoreError> {
        if monitors.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("../../queries/check_now.sql"))
            .bind(monitors.iter().map(|id| id.0).collect::<Vec<_>>())
            .execute(&self.sessions)
            .await?;
        Ok(())
    }
}
