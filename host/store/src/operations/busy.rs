//! A queue over its limit is told to the channels that want it: once when it goes over, again after a while, and forgotten
//! when a look finds it below.
//!
//! The look, what it remembers (`queue_controls`) and the notifications are one transaction under the lock of the queue's
//! row. A notification about a queue goes before all that waits for delivery: it must not wait behind what it is about.

use super::QueueSize;
use crate::row::{bind, column, rows};
use crate::{Result, Store, own_network};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::event::Event;

rows! {
    /// When a queue was found over its limit, by the database's clock.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BusyMoment {
        pub now: Timestamp,
        /// The first look that found it so.
        pub since: Timestamp = "busy_since",
    }

    struct OverLimit {
        moment: BusyMoment,
        was_told: bool,
    }
}

/// What came of a look that found a queue over its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// These channels will be told, by name.
    Channels(Vec<String>),
    /// It was told, and not so long ago.
    Already,
    /// No channel wants to hear of it. The next look asks again.
    Nobody,
}

impl Store {
    /// The queue is at or over `limit`. Unless that was told less than `again_after` ago, enqueues a notification for each
    /// enabled channel that wants this event.
    pub async fn enqueue_busy(
        &self,
        queue: &str,
        limit: i64,
        again_after: Duration,
        event: impl FnOnce(BusyMoment) -> Event,
    ) -> Result<Told> {
        let mut transaction = self.sessions.begin().await?;
        let query = sqlx::query_as(include_str!("../../queries/over_limit.sql"));
        let OverLimit { moment, was_told } =
            bind!(query, queue, again_after).fetch_one(&mut transaction).await?;
        if was_told {
            // Said at once: the row's lock is not to wait for a rollback.
            transaction.commit().await?;
            return Ok(Told::Already);
        }
        let (_, told) = own_network::enqueue_notices(&mut transaction, None, None, &event(moment)).await?;
        if !told.is_empty() {
            let query = sqlx::query(
                "UPDATE queue_controls SET busy_told_at = now(), busy_limit = $2 WHERE queue = $1",
            );
            bind!(query, queue, limit).execute(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(if told.is_empty() { Told::Nobody } else { Told::Channels(told) })
    }

    /// These queues were found below their limit: the next time that one is over, it is told at once. One that was told to be
    /// over a lower limit, by another look, is kept in mind until it is below that.
    pub async fn forget_busy(&self, below: &[&QueueSize]) -> Result<()> {
        let query = sqlx::query(
            "UPDATE queue_controls c SET busy_since = NULL, busy_told_at = NULL, busy_limit = NULL
             FROM unnest($1::text[], $2::bigint[]) b(queue, size)
             WHERE c.queue = b.queue AND c.busy_since IS NOT NULL AND (c.busy_limit IS NULL OR b.size < c.busy_limit)",
        );
        let queues = column(below, |size| size.queue.as_str());
        bind!(query, queues, column(below, |size| size.size())).execute(&self.sessions).await?;
        Ok(())
    }
}
