//! Jobs: claimed under a lease, completed fenced by the claim, put back, or moved to the failed list.
//!
//! ```text
//!  enqueue ──▶ waiting ──claim──▶ reserved ──complete──▶ gone
//!                 ▲                 │ │ └──fail────▶ failed ──retry_failed──▶ waiting (attempts 0, same id)
//!                 ├──release────────┘ │
//!                 └──retry_later──────┘            a lease that runs out, or whose worker is dead (remove_workers):
//!                                                  claimable again, attempts counted
//! ```
//!
//! Invariant: of all workers only the one that holds `(id, number)` as it was claimed may end the job. The number only grows: it
//! survives a release, a failure and a retry by hand. A worker that was away beyond its lease finds that out by an empty
//! answer. Besides workers, `apply` (a monitor or channel that is gone) and `queue clear` delete jobs.

pub use uptime_core::queue::Claim;

use crate::row::{Field, bind, rows};
use crate::session::Session;
use crate::{Result, Store};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::HashSet;
use std::time::Duration;
use uptime_core::id::JobId;
use uptime_core::liveness::CHECK_MARGIN;

rows! {
    #[derive(Clone, Debug)]
    pub struct Job {
        pub claim: Claim,
        /// What it is about: a row's id of the table that its queue is for.
        pub subject: Option<i64>,
        /// Whom it shares a bound with.
        pub concurrency_key: Option<i64>,
        /// Whatever else its queue needs; an error when it can't be read, which is this job's alone.
        pub payload: Result<serde_json::Value, String>,
        /// The instant that it was due.
        pub available_at: Timestamp,
        /// The claim's instant by the database's clock.
        pub claimed_at: Timestamp,
        /// How long the claim is good for.
        pub lease: Duration,
    }
}

impl Field for Result<serde_json::Value, String> {
    fn read(row: &PgRow, column: &str) -> sqlx::Result<Self> {
        Ok(row.try_get(column).map_err(|error| error.to_string()))
    }
}

impl Job {
    /// Whether it is a delivery that finds out if a failing channel works again.
    pub fn is_probe(&self) -> bool {
        self.payload.as_ref().is_ok_and(|payload| payload.get("probe").is_some())
    }
}

/// How many of a key are running in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLoad {
    pub concurrency_key: i64,
    pub running: usize,
}

/// What to claim, and what is done with. Both in one statement: a worker's turn is one round trip and one commit.
#[derive(Clone, Debug)]
pub struct ClaimRequest<'a> {
    pub queue: &'a str,
    /// Claims whose jobs are done: they are gone afterwards, as far as they were still theirs.
    pub done: &'a [Claim],
    pub limit: usize,
    /// By the worker of this number, if the database knows it.
    pub worker: Option<i32>,
    /// For so long, or for a job's own timeout and [`CHECK_MARGIN`] where that is less.
    pub lease: Duration,
    /// For a queue with concurrency keys and an order: how many of a key may run at once in this process, and how many do.
    pub keys: Option<(usize, &'a [KeyLoad])>,
    /// For a queue without: where in the order of due instants it begins.
    pub from: ClaimFrom,
}

/// Where a claim begins. Dead rows at the index's front are not to be walked for every claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimFrom {
    Front,
    /// With those that are due since this instant.
    Instant(Timestamp),
    /// With those that became due within this time.
    Last(Duration),
}

#[derive(Clone, Debug)]
pub struct JobFailure {
    pub claim: Claim,
    /// When to run again; `None`: never, it goes to the failed list.
    pub retry_after: Option<Duration>,
    /// Whether the claim counts as an attempt.
    pub counts: bool,
    /// One line for a person, without secrets.
    pub error: String,
}

impl Store {
    /// Ends what is done, and claims jobs that are ready, oldest first. A paused queue gives none.
    pub async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Vec<Job>> {
        let ClaimRequest { queue, worker, lease, .. } = *request;
        let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
        let (done, numbers) = columns(request.done);
        let found = if let Some((per_key, load)) = request.keys {
            let keys: Vec<i64> = load.iter().map(|load| load.concurrency_key).collect();
            let running: Vec<usize> = load.iter().map(|load| load.running).collect();
            let ranked = limit.saturating_mul(RANKED_PER_JOB).clamp(RANKED_FEWEST, RANKED_MOST).max(limit);
            let claim =
                bind!(sqlx::query_as(CLAIM_BY_KEY), queue, limit, done, numbers, per_key, keys, running);
            bind!(claim, ranked, worker, lease, CHECK_MARGIN).fetch_all(&self.sessions).await
        } else {
            let (since, last) = match request.from {
                ClaimFrom::Front => (Some(Timestamp::UNIX_EPOCH), Duration::ZERO),
                ClaimFrom::Instant(since) => (Some(since), Duration::ZERO),
                ClaimFrom::Last(last) => (None, last),
            };
            bind!(
                sqlx::query_as(CLAIM),
                queue,
                limit,
                done,
                numbers,
                since,
                last,
                worker,
                lease,
                CHECK_MARGIN
            )
            .fetch_all(&self.sessions)
            .await
        };
        let mut jobs: Vec<Job> = found?;
        // UPDATE … RETURNING keeps no order.
        jobs.sort_unstable_by_key(|job| (job.available_at, job.claim.id));
        Ok(jobs)
    }

    /// How long until the next job of `queue` that nobody claimed is due; `None` when there is none.
    pub async fn next_ready_in(&self, queue: &str) -> Result<Option<Duration>> {
        let seconds: Option<f64> =
            bind!(sqlx::query_scalar("SELECT next_job_in($1)"), queue).fetch_one(&self.sessions).await?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }

    /// Gives claimed jobs back as if they had never been claimed, and announces them: others may be idle.
    pub async fn release(&self, claims: &[Claim]) -> Result<()> {
        let (ids, numbers) = columns(claims);
        let release = sqlx::query(
            "WITH released AS (
               UPDATE jobs j SET reserved_until = NULL, attempts = j.attempts - 1
               FROM unnest($1::bigint[], $2::integer[]) r(id, claims)
               WHERE j.id = ANY ($1) AND j.id = r.id AND j.claims = r.claims AND j.reserved_until IS NOT NULL
               RETURNING j.queue)
             SELECT pg_notify('uptime_jobs', queue) FROM (SELECT DISTINCT queue FROM released) q",
        );
        bind!(release, ids, numbers).execute(&self.sessions).await?;
        Ok(())
    }

    /// Ends jobs that are done, in a statement of their own. Gives back those that were still ours.
    pub async fn complete(&self, claims: &[Claim]) -> Result<HashSet<JobId>> {
        let mut transaction = self.sessions.begin().await?;
        let ours = complete(&mut transaction, claims).await?;
        transaction.commit().await?;
        Ok(ours)
    }

    /// Records failures: each job runs again later, or goes to the failed list. Gives back those that were ours.
    pub async fn fail(&self, failures: &[JobFailure]) -> Result<HashSet<JobId>> {
        let mut transaction = self.sessions.begin().await?;
        let ours = fail(&mut transaction, failures).await?;
        transaction.commit().await?;
        Ok(ours)
    }
}

macro_rules! claim {
    ($found:literal) => {
        concat!(
            "SELECT id, subject, concurrency_key, payload, attempts, claims, available_at, claimed_at, lease_ms / 1e3 AS lease FROM claim_jobs(",
            $found,
            ")"
        )
    };
}

const CLAIM: &str =
    claim!("find_jobs($1, $2, coalesce($5, now() - make_interval(secs => $6)), $3, $4), $7, $8, $9");
const CLAIM_BY_KEY: &str = claim!("find_jobs_of_channels($1, $2, $5, $6, $7, $8, $3, $4), $9, $10, $11");

/// How many ready jobs of a queue with concurrency keys a claim looks at: so many times what it may take, but no fewer and no more than
/// these. More would cost a claim of few jobs more than the jobs themselves; what is behind a key that is full after this
/// claim is found by the next, which leaves that key out.
const RANKED_PER_JOB: i64 = 8;
const RANKED_FEWEST: i64 = 200;
const RANKED_MOST: i64 = 2_000;

/// Deletes finished jobs in the caller's transaction.
pub(crate) async fn complete(connection: &mut Session, claims: &[Claim]) -> Result<HashSet<JobId>> {
    let (ids, numbers) = columns(claims);
    let complete = sqlx::query_scalar("SELECT complete_jobs($1, $2)");
    let ids: Vec<i64> = bind!(complete, ids, numbers).fetch_all(connection).await?;
    Ok(ids.into_iter().map(JobId).collect())
}

/// Records failures in the caller's transaction.
pub(crate) async fn fail(connection: &mut Session, failures: &[JobFailure]) -> Result<HashSet<JobId>> {
    let (again, never): (Vec<_>, Vec<_>) =
        failures.iter().partition::<Vec<&JobFailure>, _>(|failure| failure.retry_after.is_some());
    let parts = |failures: &[&JobFailure]| {
        let (ids, numbers) = columns(failures.iter().map(|failure| &failure.claim));
        let errors: Vec<String> = failures.iter().map(|failure| failure.error.clone()).collect();
        let counts: Vec<bool> = failures.iter().map(|failure| failure.counts).collect();
        (ids, numbers, errors, counts)
    };
    let mut ours: Vec<i64> = Vec::new();
    if !again.is_empty() {
        let (ids, numbers, errors, counts) = parts(&again);
        let delays: Vec<Duration> = again.iter().filter_map(|failure| failure.retry_after).collect();
        let query = sqlx::query_scalar(include_str!("../queries/retry_later.sql"));
        ours = bind!(query, ids, numbers, delays, errors, counts).fetch_all(&mut *connection).await?;
    }
    if !never.is_empty() {
        let (ids, numbers, errors, counts) = parts(&never);
        let query = sqlx::query_scalar(include_str!("../queries/move_to_failed.sql"));
        let removed: Vec<i64> = bind!(query, ids, numbers, errors, counts).fetch_all(connection).await?;
        ours.extend(removed);
    }
    Ok(ours.into_iter().map(JobId).collect())
}

fn columns<'a>(claims: impl IntoIterator<Item = &'a Claim>) -> (Vec<JobId>, Vec<u32>) {
    claims.into_iter().map(|claim| (claim.id, claim.number)).unzip()
}
