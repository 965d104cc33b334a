//! A turn: one conversation of a worker with its database.
//!
//! It settles what finished, claims what there is room for (what only has to be ended rides on the claim), and loads what the
//! claimed jobs need. A turn owns what it is to settle and gives back what it could not, so that one that is cut off loses
//! nothing.

use super::{Finished, Handler};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uptime_core::id::JobId;
use uptime_store::queue::{Claim, ClaimFrom, ClaimRequest, Job, KeyLoad};
use uptime_store::{Store, StoreError};

pub(super) struct RoundTrip<H: Handler> {
    pub store: Store,
    pub handler: Arc<H>,
    pub finished: Vec<Finished<H::Done>>,
    /// Settled, and only to be ended yet.
    pub done: Vec<Claim>,
    /// Claimed, and not to be run by us after all.
    pub returned: Vec<Claim>,
    pub claim_plan: Option<ClaimPlan>,
    /// How many jobs this turn has settled.
    pub settled: u64,
}

#[derive(Debug)]
pub(super) struct ClaimPlan {
    pub limit: usize,
    pub worker: Option<i32>,
    pub lease: Duration,
    pub keys: Option<(usize, Vec<KeyLoad>)>,
    pub from: ClaimFrom,
}

pub(super) struct ClaimedBatch<W> {
    /// When it was asked for: the lease is counted from here, so that ours ends before the database's.
    pub asked_at: Instant,
    pub limit: usize,
    pub from: ClaimFrom,
    pub jobs: Vec<Job>,
    pub work: HashMap<JobId, Result<W, StoreError>>,
    /// How long until the next job that nobody claimed is due; looked at when there was less than was wished for.
    pub next_in: Option<Duration>,
}

impl<H: Handler> RoundTrip<H> {
    /// Does all of it. After an error what was not settled is still here.
    pub async fn run(&mut self) -> Result<Option<ClaimedBatch<H::Work>>, StoreError> {
        if !self.returned.is_empty() {
            self.store.release(&self.returned).await?;
            self.returned.clear();
        }
        if !self.finished.is_empty() {
            let done = self.handler.settle(&self.finished).await?;
            self.settled += self.finished.len().saturating_sub(done.len()) as u64;
            self.finished.clear();
            self.done.extend(done);
        }
        match self.claim_plan.take() {
            Some(claim_plan) => self.claim(claim_plan).await.map(Some),
            None if self.done.is_empty() => Ok(None),
            None => {
                self.store.complete(&self.done).await?;
                self.ended();
                Ok(None)
            }
        }
    }

    async fn claim(&mut self, claim_plan: ClaimPlan) -> Result<ClaimedBatch<H::Work>, StoreError> {
        let ClaimPlan { limit, worker, lease, keys, from } = claim_plan;
        let asked_at = Instant::now();
        let queue = self.handler.queue();
        let keys = keys.as_ref().map(|(per_key, load)| (*per_key, load.as_slice()));
        let request = ClaimRequest { queue, done: &self.done, limit, worker, lease, keys, from };
        let jobs = self.store.claim(&request).await?;
        self.ended();
        // They are to be given back until somebody is running them: this may end at each of the following waits. If the
        // database can't be told then, their leases will tell it.
        let running = self.returned.len();
        self.returned.extend(jobs.iter().map(|job| job.claim));
        let work = if jobs.is_empty() { HashMap::new() } else { self.handler.load(&jobs).await? };
        // Without an answer it is `sleep` that says when to look again.
        let next_in =
            if jobs.len() < limit { self.store.next_ready_in(queue).await.ok().flatten() } else { None };
        self.returned.truncate(running);
        Ok(ClaimedBatch { asked_at, limit, from, jobs, work, next_in })
    }

    fn ended(&mut self) {
        self.settled += self.done.len() as u64;
        self.done.clear();
    }
}

/// How far back a claim looks that does not begin at the index's front: what is enqueued, or due, between two looks there
/// is never older.
const RECENT: Duration = Duration::from_mins(1);

/// How often a claim begins at the front.
pub(super) const FRONT_EVERY: Duration = Duration::from_secs(5);

/// Where in the index the next claim begins. While somebody holds an old snapshot the entries of finished jobs stay at its
/// front, and each claim would walk them all: half a million of them take 0.1 s.
#[derive(Debug, Default)]
pub(super) struct LowWater {
    /// The oldest job of the last full claim: a backlog is worked off from there.
    mark: Option<Timestamp>,
    /// When a claim began at the front for the last time.
    front_at: Option<Instant>,
}

impl LowWater {
    /// At the front at first, and every few seconds: so a job that was due before all others (put back, or its worker was
    /// killed) waits no longer than that.
    pub fn from(&self) -> ClaimFrom {
        match (self.front_at, self.mark) {
            (Some(at), Some(mark)) if at.elapsed() < FRONT_EVERY => ClaimFrom::Instant(mark),
            (Some(at), None) if at.elapsed() < FRONT_EVERY => ClaimFrom::Last(RECENT),
            _ => ClaimFrom::Front,
        }
    }

    pub fn claimed<W>(&mut self, claimed: &ClaimedBatch<W>) {
        if claimed.from == ClaimFrom::Front {
            self.front_at = Some(claimed.asked_at);
        }
        let is_full = claimed.jobs.len() == claimed.limit;
        // The jobs come oldest first.
        self.mark = claimed.jobs.first().filter(|_| is_full).map(|job| job.available_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(low_water: &mut LowWater, seconds: &[i64], limit: usize) {
        let at = |second| Timestamp::from_second(second).expect("an instant");
        let job = |second: &i64| Job {
            claim: Claim { id: JobId(*second), number: 1, attempts: 1 },
            subject: None,
            concurrency_key: None,
            payload: Ok(serde_json::Value::Null),
            available_at: at(*second),
            claimed_at: at(*second),
            lease: Duration::from_secs(90),
        };
        low_water.claimed(&ClaimedBatch::<()> {
            asked_at: Instant::now(),
            limit,
            from: low_water.from(),
            jobs: seconds.iter().map(job).collect(),
            work: HashMap::new(),
            next_in: None,
        });
    }

    fn mark(second: i64) -> ClaimFrom {
        ClaimFrom::Instant(Timestamp::from_second(second).expect("an instant"))
    }

    #[test]
    fn the_mark_follows_full_claims_and_falls_with_one_that_is_not() {
        let mut low_water = LowWater::default();
        assert_eq!(low_water.from(), ClaimFrom::Front);
        claim(&mut low_water, &[7, 8], 2);
        assert_eq!(low_water.from(), mark(7));
        claim(&mut low_water, &[9, 9], 2);
        assert_eq!(low_water.from(), mark(9));
        claim(&mut low_water, &[10], 2);
        assert_eq!(low_water.from(), ClaimFrom::Last(RECENT));
        claim(&mut low_water, &[], 2);
        assert_eq!(low_water.from(), ClaimFrom::Last(RECENT));
    }

    #[test]
    fn the_front_is_looked_at_every_few_seconds_however_long_the_backlog() {
        let mut low_water = LowWater::default();
        claim(&mut low_water, &[7, 8], 2);
        low_water.front_at = Instant::now().checked_sub(FRONT_EVERY);
        assert!(low_water.front_at.is_some(), "the machine has run for seconds");
        assert_eq!(low_water.from(), ClaimFrom::Front);
        claim(&mut low_water, &[7, 8], 2);
        assert_eq!(low_water.from(), mark(7));
    }
}
