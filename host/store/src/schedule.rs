//! Slots that are due become jobs.

use crate::row::{bind, rows};
use crate::{Result, Store};
use jiff::Timestamp;
use std::time::Duration;

rows! {
    /// What one run of the scheduler did.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Scheduled {
        pub due: i64,
        /// Of them, those that became a job; the rest have a check that still waits or runs.
        pub enqueued: i64,
    }

    /// A monitor whose slot is due.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DueMonitor {
        pub name: String,
        pub target: String,
        pub slot_at: Timestamp = "next_check_at",
    }
}

impl Store {
    /// Enqueues every slot that is due by `horizon` from now. State rows that another transaction holds are
    /// passed over; they are still due for the next call.
    pub async fn schedule(&self, horizon: Duration) -> Result<Scheduled> {
        let query = sqlx::query_as(include_str!("../queries/schedule.sql"));
        Ok(bind!(query, horizon).fetch_one(&self.sessions).await?)
    }

    /// What [`Store::schedule`] would enqueue now, the earliest first.
    pub async fn due(&self, horizon: Duration) -> Result<Vec<DueMonitor>> {
        let query = sqlx::query_as(
            "SELECT m.name, m.target, s.next_check_at FROM monitor_states s JOIN monitors m ON m.id = s.monitor_id
             WHERE s.active AND s.next_check_at <= now() + make_interval(secs => $1)
               AND EXISTS (SELECT FROM check_queues q WHERE q.monitor_id = s.monitor_id
                           AND NOT EXISTS (SELECT FROM jobs j WHERE j.queue = q.queue AND j.subject = s.monitor_id))
             ORDER BY s.next_check_at, m.name",
        );
        Ok(bind!(query, horizon).fetch_all(&self.sessions).await?)
    }

    /// How long until the earliest slot that nobody enqueued yet; zero when one is due, `None` when no monitor is
    /// active. Lets a loop sleep instead of scanning.
    pub async fn next_slot_in(&self) -> Result<Option<Duration>> {
        let seconds: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM min(next_check_at) - now())::double precision FROM monitor_states WHERE active",
        )
        .fetch_one(&self.sessions)
        .await?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }

    /// Makes the partitions of the coming days. Cheap when they are there.
    pub async fn make_result_partitions(&self) -> Result<()> {
        sqlx::query("SELECT make_result_partitions(3)").execute(&self.sessions).await?;
        Ok(())
    }
}
