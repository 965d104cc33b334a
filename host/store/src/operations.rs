//! What operators see of the queues and say to them.
//!
//! Here: what is in each queue. [`control`] has what is said (pause, resume, restart, clear), [`busy`] the one event that a
//! queue causes, [`vacuum`] what keeps dead rows in the table. What is asked of workers reaches them through the database:
//! a row of `queue_controls`, and an announcement so that they look at once.

pub mod busy;
pub mod control;
pub mod vacuum;

use crate::row::{Field, bind, rows};
use crate::session::{Session, Sessions};
use crate::{Result, Store};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::liveness::QueueLoad;

/// How many rows a statement changes that may be about a million.
pub const CHUNK: i64 = 1_000;

/// How long a worker's heartbeat is good for.
pub const ALIVE_FOR: Duration = uptime_core::liveness::COUNTED_FOR;

rows! {
    #[derive(Clone, Debug, PartialEq)]
    pub struct QueueSize {
        pub queue: String,
        /// Due and not claimed, or claimed under a lease that ran out, and its turn.
        pub ready: i64,
        /// Not due yet, or due behind another of its order that is not done.
        pub delayed: i64,
        pub reserved: i64,
        /// In the failed list.
        pub failed: i64,
        /// How long the oldest ready job has waited, or what is due behind it.
        pub oldest_wait_ms: Option<i64>,
        /// Finished in a second, over the last one to two minutes.
        pub per_second: f64,
        /// Workers that were heard lately.
        pub workers: i64,
        /// Those of them that a signal has paused.
        pub paused_workers: i64,
        /// Since when nothing of it is claimed, if an operator said so.
        pub paused_at: Option<Timestamp>,
    }

    struct Sized {
        size: QueueSize,
        in_order: bool,
    }
}

impl QueueSize {
    /// Every job of the queue that is not finished and not failed.
    pub fn size(&self) -> i64 {
        self.ready + self.delayed + self.reserved
    }

    pub fn load(&self) -> QueueLoad {
        QueueLoad {
            ready: self.ready,
            oldest_wait: self.oldest_wait_ms.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs())),
            working: self.workers - self.paused_workers,
            paused: self.paused_at.is_some(),
        }
    }
}

impl Store {
    /// What is in each of `queues`, and with none named in every queue that holds something, has a worker or is paused,
    /// and in the two that there always are.
    pub async fn queue_sizes(&self, queues: &[String]) -> Result<Vec<QueueSize>> {
        let all = queues.is_empty();
        // Two looks at the same moment.
        let mut transaction = self.sessions.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut transaction)
            .await?;
        let query = sqlx::query_as(include_str!("../queries/queue_sizes.sql"));
        let listed = if all { standard() } else { queues.to_vec() };
        let mut sizes: Vec<Sized> = bind!(query, listed, all, ALIVE_FOR).fetch_all(&mut transaction).await?;
        for Sized { size, .. } in sizes.iter_mut().filter(|sized| sized.in_order) {
            let query = sqlx::query_as("SELECT ready, oldest_wait_ms FROM ready_in_order($1)");
            let (ready, oldest_wait_ms): (i64, Option<i64>) =
                bind!(query, &size.queue).fetch_one(&mut transaction).await?;
            size.ready += ready;
            size.delayed -= ready;
            size.oldest_wait_ms = size.oldest_wait_ms.max(oldest_wait_ms);
        }
        transaction.commit().await?;
        Ok(sizes.into_iter().map(|sized| sized.size).collect())
    }

    /// The names of the queues that [`queue_sizes`](Self::queue_sizes) has something to say of, without counting.
    pub async fn known_queues(&self) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(include_str!("../queries/known_queues.sql"));
        Ok(bind!(query, standard(), ALIVE_FOR).fetch_all(&self.sessions).await?)
    }

    /// The instant so long ago by the database's clock.
    pub async fn instant_before(&self, ago: Duration) -> Result<Timestamp> {
        let query = sqlx::query("SELECT now() - make_interval(secs => $1) AS instant");
        Ok(Field::read(&bind!(query, ago).fetch_one(&self.sessions).await?, "instant")?)
    }
}

/// The queues that there are in any case.
fn standard() -> Vec<String> {
    uptime_core::queue::names().map(str::to_owned).into()
}

/// A transaction that goes through a large table from one chunk to the next: by an ordered index whatever the statistics say,
/// for each chunk would be a sort of the whole otherwise.
pub(crate) async fn begin_by_index(sessions: &Sessions) -> Result<Session> {
    let mut transaction = sessions.begin().await?;
    sqlx::raw_sql(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; SET LOCAL jit = off",
    )
    .execute(&mut transaction)
    .await?;
    Ok(transaction)
}
