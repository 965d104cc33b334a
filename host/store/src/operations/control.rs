//! What operators say to a queue: pause it, resume it, let its workers begin anew, delete what waits in it.

use super::{ALIVE_FOR, CHUNK, begin_by_index};
use crate::row::{bind, rows};
use crate::{Result, Store};
use jiff::Timestamp;
use uptime_core::id::JobId;

rows! {
    /// Where a clearing has come to: after the last job that it looked at, in the order in which they are claimed.
    #[derive(Clone, Copy, Debug)]
    pub struct ClearPosition {
        available_at: Timestamp,
        id: JobId,
    }

    /// What a step of a clearing deleted.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Cleared {
        pub ready: i64,
        /// Jobs that were not due yet.
        pub delayed: i64,
    }
}

impl Store {
    /// Nothing of the queue is claimed from now on. `false`: it was so already.
    pub async fn pause_queue(&self, queue: &str) -> Result<bool> {
        let query = sqlx::query(
            "WITH paused AS (
               INSERT INTO queue_controls AS c (queue, paused_at) VALUES ($1, now())
               ON CONFLICT (queue) DO UPDATE SET paused_at = now() WHERE c.paused_at IS NULL
               RETURNING queue)
             SELECT pg_notify('uptime_control', queue) FROM paused",
        );
        Ok(bind!(query, queue).fetch_optional(&self.sessions).await?.is_some())
    }

    /// The queue is claimed from again. `false`: it was not paused.
    pub async fn resume_queue(&self, queue: &str) -> Result<bool> {
        let query = sqlx::query(
            "WITH resumed AS (
               UPDATE queue_controls SET paused_at = NULL, resumed_at = now()
               WHERE queue = $1 AND paused_at IS NOT NULL RETURNING queue)
             SELECT pg_notify('uptime_jobs', queue), pg_notify('uptime_control', queue) FROM resumed",
        );
        Ok(bind!(query, queue).fetch_optional(&self.sessions).await?.is_some())
    }

    /// The queue's workers are to finish what runs and to end, so that whoever keeps them starts them anew. Gives how many
    /// of them are alive.
    pub async fn restart_workers(&self, queue: &str) -> Result<i64> {
        let query = sqlx::query_scalar(
            "WITH asked AS (
               INSERT INTO queue_controls (queue, restart_asked_at) VALUES ($1, now())
               ON CONFLICT (queue) DO UPDATE SET restart_asked_at = now()
               RETURNING queue),
             announced AS (SELECT pg_notify('uptime_control', queue) FROM asked)
             SELECT (SELECT count(*) FROM workers WHERE queue = $1 AND seen_at > now() - make_interval(secs => $2))
             FROM announced",
        );
        Ok(bind!(query, queue, ALIVE_FOR).fetch_one(&self.sessions).await?)
    }

    /// Deletes the next jobs that wait in the queue, at most [`CHUNK`]: those that were there at `as_of`, after `position`.
    /// What is reserved stays. Notifications that will not be told become `discarded` with their jobs. `None`: that was all.
    pub async fn clear_queue(
        &self,
        queue: &str,
        as_of: Timestamp,
        position: Option<ClearPosition>,
    ) -> Result<Option<(Cleared, ClearPosition)>> {
        let mut transaction = begin_by_index(&self.sessions).await?;
        let after = position.unwrap_or(ClearPosition { available_at: Timestamp::UNIX_EPOCH, id: JobId(0) });
        let query = sqlx::query_as(include_str!("../../queries/clear_chunk.sql"));
        let jobs: Vec<ClearPosition> = bind!(query, queue, after.available_at, after.id, as_of, CHUNK)
            .fetch_all(&mut transaction)
            .await?;
        let Some(last) = jobs.last().copied() else { return Ok(None) };
        let ids: Vec<JobId> = jobs.into_iter().map(|job| job.id).collect();
        let query = sqlx::query_as(include_str!("../../queries/clear_jobs.sql"));
        let cleared: Cleared = bind!(query, ids, queue).fetch_one(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Some((cleared, last)))
    }
}
