//! Jobs: claimed under a lease, completed fenced by the claim, put back, or moved to the failed list.
//!
//! ```text
//!  enqueue ──▶ waiting ──claim──▶ reserved ──complete──▶ gone
//!                 ▲                 │ │ └──bury──▶ failed ──retry_failed──▶ waiting (attempts 0, same id)
//!                 ├──release────────┘ │
//!                 └──retry_later──────┘            a lease that runs out: claimable again, attempts counted
//! ```
//!
//! Invariant: whoever holds `(id, attempts)` as it was claimed may end the job; everyone else touches no row. A
//! worker that was away beyond its lease finds that out by an empty answer.

use crate::row::Columns;
use crate::{Store, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use std::collections::HashSet;
use std::time::Duration;
use uptime_core::id::JobId;

/// What proves that a job is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The job.
    pub id: JobId,
    /// How often it had been claimed when we got it, this time included.
    pub attempts: u32,
}

/// A claimed job.
#[derive(Clone, Debug)]
pub struct Job {
    /// The proof that it is ours.
    pub claim: Claim,
    /// What it is about: a row's id of the table that its queue is for.
    pub subject: Option<i64>,
    /// Whom it shares a bound with.
    pub lane: Option<i64>,
    /// Whatever else its queue needs.
    pub payload: serde_json::Value,
    /// The instant that it was due.
    pub available_at: Timestamp,
    /// The claim's instant by the database's clock.
    pub claimed_at: Timestamp,
}

/// How many of a lane are running in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLoad {
    /// The lane.
    pub lane: i64,
    /// Claimed and not finished.
    pub running: usize,
}

/// What to claim.
#[derive(Clone, Debug)]
pub struct ClaimRequest<'a> {
    /// Of which queue.
    pub queue: &'a str,
    /// At most so many.
    pub limit: usize,
    /// For so long.
    pub lease: Duration,
    /// For a queue with lanes and order: how many of a lane may run at once in this process, and how many do.
    pub lanes: Option<(usize, &'a [LaneLoad])>,
    /// For a queue without: jobs that were due before are left for later, so that dead rows at the index's front
    /// are not walked for every claim.
    pub not_before: Option<Timestamp>,
}

/// A failure to be recorded.
#[derive(Clone, Debug)]
pub struct JobFailure {
    /// Whose.
    pub claim: Claim,
    /// When to run again; `None`: never, it goes to the failed list.
    pub retry_after: Option<Duration>,
    /// Whether the attempt counts, when it runs again.
    pub counts: bool,
    /// One line for a person, without secrets.
    pub error: String,
}

/// One failed attempt of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// The how-manyeth.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub error: String,
}

/// A job that will not run again by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedJob {
    /// The id that it had as a job, and will have again.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// What it was about, in words: `monitor shop`, `channel ops`.
    pub subject: String,
    /// How often it ran.
    pub attempts: u32,
    /// Why each attempt failed.
    pub errors: Vec<AttemptError>,
    /// When it was given up.
    pub failed_at: Timestamp,
}

/// What became of a failed job that was to be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It waits again.
    PutBack,
    /// Another job for the same subject waits already; this one is gone.
    WaitsAlready,
    /// What it was to tell is no longer so: a later notification of the same incident was delivered. It is gone.
    Superseded,
}

/// What is in one queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSize {
    /// The queue.
    pub queue: String,
    /// Due and not claimed.
    pub ready: i64,
    /// Not due yet.
    pub delayed: i64,
    /// Claimed.
    pub reserved: i64,
    /// In the failed list.
    pub failed: i64,
    /// How long the oldest ready job has waited.
    pub oldest_wait_ms: Option<i64>,
    /// Finished in a second, over the last one to two minutes.
    pub per_second: f64,
}

impl QueueSize {
    /// Every job of the queue that is not finished and not failed.
    pub fn size(&self) -> i64 {
        self.ready + self.delayed + self.reserved
    }
}

impl Store {
    /// Claims jobs that are ready, oldest first.
    pub async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Vec<Job>, StoreError> {
        let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
        let rows = if let Some((per_lane, load)) = request.lanes {
            let lanes: Vec<i64> = load.iter().map(|load| load.lane).collect();
            let running: Vec<i64> =
                load.iter().map(|load| i64::try_from(load.running).unwrap_or(i64::MAX)).collect();
            sqlx::query("SELECT * FROM claim_jobs_in_lanes($1, $2, $3, $4, $5, $6, $7)")
                .bind(request.queue)
                .bind(limit)
                .bind(request.lease.as_secs_f64())
                .bind(i64::try_from(per_lane).unwrap_or(i64::MAX))
                .bind(lanes)
                .bind(running)
                .bind(RANKED_JOBS.max(limit))
                .fetch_all(&self.pool)
                .await?
        } else {
            sqlx::query("SELECT * FROM claim_jobs($1, $2, $3, $4)")
                .bind(request.queue)
                .bind(limit)
                .bind(request.lease.as_secs_f64())
                .bind(crate::row::instant(request.not_before.unwrap_or(Timestamp::UNIX_EPOCH)))
                .fetch_all(&self.pool)
                .await?
        };
        let mut jobs = rows
            .iter()
            .map(|row| {
                Ok(Job {
                    claim: Claim { id: JobId(row.try_get("id")?), attempts: row.count("attempts")? },
                    subject: row.try_get("subject")?,
                    lane: row.try_get("lane")?,
                    payload: row.try_get("payload")?,
                    available_at: row.instant("available_at")?,
                    claimed_at: row.instant("claimed_at")?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        // UPDATE … RETURNING keeps no order.
        jobs.sort_unstable_by_key(|job| (job.available_at, job.claim.id));
        Ok(jobs)
    }

    /// Adds jobs that are due now, one for each payload, and announces them once.
    pub async fn enqueue(&self, queue: &str, payloads: &[serde_json::Value]) -> Result<(), StoreError> {
        sqlx::query(
            "WITH added AS (INSERT INTO jobs (queue, payload) SELECT $1, p FROM unnest($2::jsonb[]) p RETURNING 1)
             SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', $1) IS NULL END FROM added",
        )
        .bind(queue)
        .bind(payloads)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// How long until the next job of `queue` that nobody claimed is due; `None` when there is none.
    pub async fn next_ready_in(&self, queue: &str) -> Result<Option<Duration>, StoreError> {
        let seconds: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM available_at - now())::double precision FROM jobs
             WHERE queue = $1 AND available_at > now() AND reserved_until IS NULL ORDER BY available_at LIMIT 1",
        )
        .bind(queue)
        .fetch_optional(&self.pool)
        .await?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }

    /// Gives claimed jobs back as if they had never been claimed.
    pub async fn release(&self, claims: &[Claim]) -> Result<(), StoreError> {
        let (ids, attempts) = columns(claims);
        sqlx::query(
            "UPDATE jobs j SET reserved_until = NULL, attempts = j.attempts - 1
             FROM unnest($1::bigint[], $2::integer[]) r(id, attempts)
             WHERE j.id = ANY ($1) AND j.id = r.id AND j.attempts = r.attempts",
        )
        .bind(ids)
        .bind(attempts)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Ends jobs that are done, in a statement of their own. Gives back those that were still ours.
    pub async fn complete(&self, claims: &[Claim]) -> Result<HashSet<JobId>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        complete(&mut connection, claims).await
    }

    /// Records failures: each job runs again later, or goes to the failed list. Gives back those that were ours.
    pub async fn fail(&self, failures: &[JobFailure]) -> Result<HashSet<JobId>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let ours = fail(&mut transaction, failures).await?;
        transaction.commit().await?;
        Ok(ours)
    }

    /// The failed list, newest first.
    pub async fn failed_jobs(&self, queue: Option<&str>, limit: i64) -> Result<Vec<FailedJob>, StoreError> {
        let rows = sqlx::query(
            "SELECT f.id, f.queue, f.attempts, f.errors, f.failed_at,
                    coalesce('monitor ' || m.name, 'channel ' || c.name, 'job ' || f.id) AS subject
             FROM failed_jobs f
             LEFT JOIN monitors m ON f.queue = 'monitor-checks' AND m.id = f.subject
             LEFT JOIN channels c ON f.queue = 'notifications' AND c.id = f.lane
             WHERE $1::text IS NULL OR f.queue = $1
             ORDER BY f.failed_at DESC, f.id DESC LIMIT $2",
        )
        .bind(queue)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let id: i64 = row.try_get("id")?;
                Ok(FailedJob {
                    id: JobId(id),
                    queue: row.try_get("queue")?,
                    subject: row.try_get("subject")?,
                    attempts: row.count("attempts")?,
                    errors: row.json("errors", || format!("failed job {id}"))?,
                    failed_at: row.instant("failed_at")?,
                })
            })
            .collect()
    }

    /// Puts failed jobs back: those of `ids` (`None`: all), and of `queue` where one is named. Gives what became of
    /// each that was there.
    pub async fn retry_failed(
        &self,
        ids: Option<&[JobId]>,
        queue: Option<&str>,
    ) -> Result<Vec<(JobId, Retried)>, StoreError> {
        let ids: Option<Vec<i64>> = ids.map(|ids| ids.iter().map(|id| id.0).collect());
        let rows = sqlx::query(include_str!("../queries/retry_failed.sql"))
            .bind(ids)
            .bind(queue)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let retried = match row.try_get::<&str, _>("outcome")? {
                    "put-back" => Retried::PutBack,
                    "superseded" => Retried::Superseded,
                    _ => Retried::WaitsAlready,
                };
                Ok((JobId(row.try_get("id")?), retried))
            })
            .collect()
    }

    /// What is in each of `queues`, and with none named in every queue that holds something, and in the two that
    /// there always are.
    pub async fn queue_sizes(&self, queues: &[String]) -> Result<Vec<QueueSize>, StoreError> {
        let all = queues.is_empty();
        let named = if all {
            vec![crate::MONITOR_CHECKS.to_owned(), crate::NOTIFICATIONS.to_owned()]
        } else {
            queues.to_vec()
        };
        let rows = sqlx::query(include_str!("../queries/queue_sizes.sql"))
            .bind(named)
            .bind(all)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(QueueSize {
                    queue: row.try_get("queue")?,
                    ready: row.try_get("ready")?,
                    delayed: row.try_get("delayed")?,
                    reserved: row.try_get("reserved")?,
                    failed: row.try_get("failed")?,
                    oldest_wait_ms: row.try_get("oldest_wait_ms")?,
                    per_second: row.try_get("per_second")?,
                })
            })
            .collect()
    }

    /// Adds to what `worker` finished in this minute, and forgets what is older than an hour.
    pub async fn count_finished(
        &self,
        queue: &str,
        worker: uuid::Uuid,
        finished: u64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "WITH old AS (DELETE FROM queue_throughput WHERE queue = $1 AND minute_at < now() - interval '1 hour')
             INSERT INTO queue_throughput AS t (queue, worker, minute_at, finished)
             VALUES ($1, $2, date_trunc('minute', now()), $3)
             ON CONFLICT (queue, minute_at, worker) DO UPDATE SET finished = t.finished + EXCLUDED.finished",
        )
        .bind(queue)
        .bind(worker)
        .bind(i64::try_from(finished).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// How many ready jobs of a queue with lanes a claim looks at.
const RANKED_JOBS: i64 = 2_000;

/// Deletes finished jobs within a transaction of the caller's.
pub(crate) async fn complete(
    connection: &mut sqlx::PgConnection,
    claims: &[Claim],
) -> Result<HashSet<JobId>, StoreError> {
    let (ids, attempts) = columns(claims);
    let ids: Vec<i64> = sqlx::query_scalar("SELECT complete_jobs($1, $2)")
        .bind(ids)
        .bind(attempts)
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(JobId).collect())
}

/// Records failures within a transaction of the caller's.
pub(crate) async fn fail(
    connection: &mut sqlx::PgConnection,
    failures: &[JobFailure],
) -> Result<HashSet<JobId>, StoreError> {
    let (mut again, mut never) = (Vec::new(), Vec::new());
    for failure in failures {
        match failure.retry_after {
            Some(delay) => again.push((failure, delay)),
            None => never.push(failure),
        }
    }
    let mut ours = HashSet::new();
    if !again.is_empty() {
        let (ids, attempts) = columns(again.iter().map(|(failure, _)| &failure.claim));
        let delays: Vec<f64> = again.iter().map(|(_, delay)| delay.as_secs_f64()).collect();
        let errors: Vec<&str> = again.iter().map(|(failure, _)| failure.error.as_str()).collect();
        let put_back: Vec<i64> = sqlx::query_scalar(include_str!("../queries/retry_later.sql"))
            .bind(ids)
            .bind(attempts)
            .bind(delays)
            .bind(errors)
            .bind(again.iter().map(|(failure, _)| failure.counts).collect::<Vec<_>>())
            .fetch_all(&mut *connection)
            .await?;
        ours.extend(put_back.into_iter().map(JobId));
    }
    if !never.is_empty() {
        let (ids, attempts) = columns(never.iter().map(|failure| &failure.claim));
        let errors: Vec<&str> = never.iter().map(|failure| failure.error.as_str()).collect();
        let buried: Vec<i64> = sqlx::query_scalar(include_str!("../queries/bury.sql"))
            .bind(ids)
            .bind(attempts)
            .bind(errors)
            .fetch_all(&mut *connection)
            .await?;
        ours.extend(buried.into_iter().map(JobId));
    }
    Ok(ours)
}

fn columns<'a>(claims: impl IntoIterator<Item = &'a Claim>) -> (Vec<i64>, Vec<i32>) {
    claims.into_iter().map(|claim| (claim.id.0, crate::row::int(claim.attempts))).unzip()
}
