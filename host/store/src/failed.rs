//! The failed list: jobs that will not run again by themselves, what they were about, and another chance for them.
//!
//! What is done to many goes by id in chunks of [`CHUNK`], each in a transaction of its own: memory and locks stay small
//! with a million of them, two operators at once do each job once, and one who breaks off has done whole chunks.

use crate::operations::{CHUNK, begin_by_index};
use crate::row::{Field, bind, kept_as_json, named, optional, rows};
use crate::session::Session;
use crate::{NOTIFICATIONS, Result, Store, notifications};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use uptime_core::id::{DeliveryId, IncidentId, JobId, NotificationId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    pub attempt: u32,
    pub at: Timestamp,
    pub error: String,
}

kept_as_json!(Vec<AttemptError>);

rows! {
    /// A job that will not run again by itself.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FailedJob {
        /// The id that it had as a job, and will have again.
        pub id: JobId,
        pub queue: String,
        /// What it was about, in words: `monitor shop`, `channel ops`, `monitor 12 (removed)`.
        pub subject: String,
        /// For a delivery whose notification is still there: what was to be told.
        pub notification: Option<FailedNotification>,
        pub attempts: u32,
        pub errors: Vec<AttemptError>,
        pub created_at: Timestamp,
        pub failed_at: Timestamp,
    }

    /// What a failed delivery was to tell.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FailedNotification {
        pub id: NotificationId = "notification_id",
        /// The event's type. Text, because a newer release may have written one that this does not know.
        pub event: String,
        /// The monitor's name, as it was then.
        pub monitor: String,
        /// The incident, for an event that has one.
        pub incident: Option<IncidentId> = "incident_id",
        /// The notification's name, the same over all tries.
        pub delivery_id: DeliveryId,
    }
}

optional!(FailedNotification, "notification_id");

/// Which failed jobs. Each condition that is there must hold; none: all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub ids: Option<Vec<JobId>>,
    /// Those with ids from here to there.
    pub range: Option<RangeInclusive<JobId>>,
    pub queue: Option<String>,
    /// Those that had failed by this instant.
    pub failed_by: Option<Timestamp>,
}

/// What became of a failed job that was to be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    PutBack,
    /// Another job for the same subject waits already; this one is gone.
    WaitsAlready,
    /// A later notification of the same monitor was delivered, or one of the same incident is about to be. It is gone.
    Superseded,
}

impl Selection {
    pub fn of(ids: impl Into<Vec<JobId>>) -> Self {
        Self { ids: Some(ids.into()), ..Self::default() }
    }

    fn first(&self) -> Option<JobId> {
        self.range.as_ref().map(|range| *range.start())
    }

    fn last(&self) -> Option<JobId> {
        self.range.as_ref().map(|range| *range.end())
    }
}

impl Store {
    /// The failed list, newest first.
    pub async fn failed_jobs(&self, queue: Option<&str>, limit: i64) -> Result<Vec<FailedJob>> {
        self.read_failed(queue, None, limit).await
    }

    /// The failed jobs with these ids, newest first; those that are not there are not in the answer.
    pub async fn failed_jobs_by_id(&self, ids: &[JobId]) -> Result<Vec<FailedJob>> {
        self.read_failed(None, Some(ids), i64::MAX).await
    }

    async fn read_failed(
        &self,
        queue: Option<&str>,
        ids: Option<&[JobId]>,
        limit: i64,
    ) -> Result<Vec<FailedJob>> {
        let query = sqlx::query(include_str!("../queries/failed_jobs.sql"));
        let rows = bind!(query, queue, ids, limit).fetch_all(&self.sessions).await?;
        let job = |row: &PgRow| {
            let id = JobId::read(row, "id")?;
            named(row, || format!("failed job {id}"))
        };
        rows.iter().map(job).collect()
    }

    pub async fn count_failed(&self, which: &Selection) -> Result<u64> {
        let Selection { ids, queue, failed_by, .. } = which;
        let query = sqlx::query_scalar(include_str!("../queries/count_failed.sql"));
        let count = bind!(query, ids.as_deref(), which.first(), which.last(), queue.as_deref(), *failed_by);
        Ok(count.fetch_one(&self.sessions).await.map(i64::unsigned_abs)?)
    }

    /// Puts the next failed jobs of `which` back, at most [`CHUNK`], by id: those after `after`. Gives what became of
    /// each; an empty answer says that there are no more.
    pub async fn retry_failed(
        &self,
        which: &Selection,
        after: Option<JobId>,
    ) -> Result<Vec<(JobId, Retried)>> {
        let mut transaction = begin_by_index(&self.sessions).await?;
        let ids = lock_failed(&mut transaction, which, after).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = put_back(&mut transaction, &ids).await?;
        transaction.commit().await?;
        Ok(ids.into_iter().filter_map(|id| Some((JobId(id), *outcomes.get(&id)?))).collect())
    }

    /// Deletes the next failed jobs of `which`, as [`retry_failed`](Self::retry_failed) goes through them. A notification
    /// that one was to deliver stays what it is: failed.
    pub async fn delete_failed(&self, which: &Selection, after: Option<JobId>) -> Result<Vec<JobId>> {
        let mut transaction = begin_by_index(&self.sessions).await?;
        let ids = lock_failed(&mut transaction, which, after).await?;
        let delete = sqlx::query("DELETE FROM failed_jobs WHERE id = ANY ($1)");
        bind!(delete, &ids).execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(ids.into_iter().map(JobId).collect())
    }
}

/// Puts failed jobs back, which are locked. What became of each, by id.
pub(crate) async fn put_back(connection: &mut Session, ids: &[i64]) -> Result<HashMap<i64, Retried>> {
    let subjects = sqlx::query_scalar(
        "SELECT subject FROM failed_jobs WHERE id = ANY ($1) AND queue = $2 AND subject IS NOT NULL",
    );
    let subjects: Vec<i64> = bind!(subjects, ids, NOTIFICATIONS).fetch_all(&mut *connection).await?;
    let (superseded, reasons) = notifications::superseded(connection, &subjects).await?;
    let query = sqlx::query_as(include_str!("../queries/retry_failed.sql"));
    let outcomes: Vec<(i64, String)> = bind!(query, ids, superseded, reasons).fetch_all(connection).await?;
    let retried = |outcome: String| match outcome.as_str() {
        "put-back" => Retried::PutBack,
        "superseded" => Retried::Superseded,
        _ => Retried::WaitsAlready,
    };
    Ok(outcomes.into_iter().map(|(id, outcome)| (id, retried(outcome))).collect())
}

/// In two steps, so that the second finds its rows by their ids whatever the planner believes: none changes between them.
async fn lock_failed(connection: &mut Session, which: &Selection, after: Option<JobId>) -> Result<Vec<i64>> {
    let Selection { ids, queue, failed_by, .. } = which;
    let after = after.unwrap_or(JobId(i64::MIN));
    let query = sqlx::query_scalar(include_str!("../queries/lock_failed.sql"));
    let query = bind!(query, after, ids.as_deref(), which.first(), which.last(), queue.as_deref(), CHUNK);
    Ok(bind!(query, *failed_by).fetch_all(connection).await?)
}
