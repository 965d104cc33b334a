//! The failed list: jobs that will not run again by themselves, what they were about, and another chance for them.
//!
//! What is done to many goes by id in chunks of [`CHUNK`], each in a transaction of its own: memory and locks stay small
//! with a million of them, two operators at once do each job once, and one who breaks off has done whole chunks.

use crate::operations::{CHUNK, begin_by_index};
use crate::row::{Columns, optional_instant};
use crate::session::Session;
use crate::{NOTIFICATIONS, Store, StoreError, notifications};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;
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
    pub id: NotificationId,
    pub event: String,
    /// The monitor's name, as it was then.
    pub monitor: String,
    /// The incident, for an event that has one.
    pub incident: Option<IncidentId>,
    /// The notification's name, the same over all tries.
    pub delivery_id: DeliveryId,
}

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

    fn ids(&self) -> Option<Vec<i64>> {
        self.ids.as_ref().map(|ids| ids.iter().map(|id| id.0).collect())
    }

    fn first(&self) -> Option<i64> {
        self.range.as_ref().map(|range| range.start().0)
    }

    fn last(&self) -> Option<i64> {
        self.range.as_ref().map(|range| range.end().0)
    }
}

impl Store {
    /// The failed list, newest first.
    pub async fn failed_jobs(&self, queue: Option<&str>, limit: i64) -> Result<Vec<FailedJob>, StoreError> {
        self.read_failed(queue, None, limit).await
    }

    /// The failed jobs with these ids, newest first; those that are not there are not in the answer.
    pub async fn failed_jobs_by_id(&self, ids: &[JobId]) -> Result<Vec<FailedJob>, StoreError> {
        self.read_failed(None, Some(ids.iter().map(|id| id.0).collect()), i64::MAX).await
    }

    async fn read_failed(
        &self,
        queue: Option<&str>,
        ids: Option<Vec<i64>>,
        limit: i64,
    ) -> Result<Vec<FailedJob>, StoreError> {
        let rows = sqlx::query(include_str!("../queries/failed_jobs.sql"))
            .bind(queue)
            .bind(ids)
            .bind(limit)
            .fetch_all(&self.sessions)
            .await?;
        rows.iter().map(failed_job).collect()
    }

    pub async fn count_failed(&self, which: &Selection) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../queries/count_failed.sql"))
            .bind(which.ids())
            .bind(which.first())
            .bind(which.last())
            .bind(&which.queue)
            .bind(optional_instant(which.failed_by))
            .fetch_one(&self.sessions)
            .await?;
        Ok(count.unsigned_abs())
    }

    /// Puts the next failed jobs of `which` back, at most [`CHUNK`], by id: those after `after`. Gives what became of
    /// each; an empty answer says that there are no more.
    pub async fn retry_failed(
        &self,
        which: &Selection,
        after: Option<JobId>,
    ) -> Result<Vec<(JobId, Retried)>, StoreError> {
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
    pub async fn delete_failed(
        &self,
        which: &Selection,
        after: Option<JobId>,
    ) -> Result<Vec<JobId>, StoreError> {
        let mut transaction = begin_by_index(&self.sessions).await?;
        let ids = lock_failed(&mut transaction, which, after).await?;
        sqlx::query("DELETE FROM failed_jobs WHERE id = ANY ($1)")
            .bind(&ids)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(ids.into_iter().map(JobId).collect())
    }
}

/// Puts failed jobs back, which are locked. What became of each, by id.
pub(crate) async fn put_back(
    connection: &mut Session,
    ids: &[i64],
) -> Result<HashMap<i64, Retried>, StoreError> {
    let subjects: Vec<i64> = sqlx::query_scalar(
        "SELECT subject FROM failed_jobs WHERE id = ANY ($1) AND queue = $2 AND subject IS NOT NULL",
    )
    .bind(ids)
    .bind(NOTIFICATIONS)
    .fetch_all(&mut *connection)
    .await?;
    let (superseded, reasons) = notifications::superseded(connection, &subjects).await?;
    let rows = sqlx::query(include_str!("../queries/retry_failed.sql"))
        .bind(ids)
        .bind(superseded)
        .bind(reasons)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let retried = match row.try_get::<&str, _>("outcome")? {
                "put-back" => Retried::PutBack,
                "superseded" => Retried::Superseded,
                _ => Retried::WaitsAlready,
            };
            Ok((row.try_get("id")?, retried))
        })
        .collect()
}

/// In two steps, so that the second finds its rows by their ids whatever the planner believes: none changes between them.
async fn lock_failed(
    connection: &mut Session,
    which: &Selection,
    after: Option<JobId>,
) -> Result<Vec<i64>, StoreError> {
    Ok(sqlx::query_scalar(include_str!("../queries/lock_failed.sql"))
        .bind(after.map_or(i64::MIN, |id| id.0))
        .bind(which.ids())
        .bind(which.first())
        .bind(which.last())
        .bind(&which.queue)
        .bind(CHUNK)
        .bind(optional_instant(which.failed_by))
        .fetch_all(connection)
        .await?)
}

fn failed_job(row: &PgRow) -> Result<FailedJob, StoreError> {
    let id: i64 = row.try_get("id")?;
    let notification = row
        .try_get::<Option<String>, _>("event")?
        .map(|event| {
            Ok::<_, StoreError>(FailedNotification {
                id: NotificationId(row.try_get("notification_id")?),
                event,
                monitor: row.try_get::<Option<String>, _>("monitor")?.unwrap_or_default(),
                incident: row.try_get::<Option<i64>, _>("incident_id")?.map(IncidentId),
                delivery_id: DeliveryId(row.try_get("delivery_id")?),
            })
        })
        .transpose()?;
    Ok(FailedJob {
        id: JobId(id),
        queue: row.try_get("queue")?,
        subject: row.try_get("subject")?,
        notification,
        attempts: row.count("attempts")?,
        errors: row.json("errors", || format!("failed job {id}"))?,
        created_at: row.instant("created_at")?,
        failed_at: row.instant("failed_at")?,
    })
}
