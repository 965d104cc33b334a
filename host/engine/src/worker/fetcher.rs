//! The fetcher: alone it talks to the database, for all the jobs of its worker.
//!
//! Each turn settles what finished and claims as many jobs as there are free slots. Then it waits for whatever comes first:
//! a job's end, a wake-up, the next job's due instant, the fallback `sleep`, or the end.

use super::{End, Finished, Handler, WorkerOptions, WorkerSummary};
use crate::{Activity, Observer, patience};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uptime_core::ErrorClass;
use uptime_core::backoff;
use uptime_core::id::JobId;
use uptime_store::queue::{Claim, ClaimRequest, Job, LaneLoad};
use uptime_store::{Store, StoreError};
use uuid::Uuid;

/// The most jobs that one claim takes.
const BATCH: usize = 500;

/// How long after a claim that failed to try again; doubled up to [`DATABASE_RETRY_MAX`].
const DATABASE_RETRY: Duration = Duration::from_millis(100);
const DATABASE_RETRY_MAX: Duration = Duration::from_secs(5);

/// How long a low-water mark holds.
const LOW_WATER_MAX: Duration = Duration::from_secs(5);

/// How often what was finished is added to the queue's throughput.
const THROUGHPUT_EVERY: Duration = Duration::from_secs(5);

struct Running {
    claim: Claim,
    lane: Option<i64>,
}

pub(super) struct Fetcher<H: Handler> {
    concurrency: usize,
    store: Store,
    handler: Arc<H>,
    options: WorkerOptions,
    observer: Observer,
    running: HashMap<JobId, Running>,
    tasks: JoinSet<Finished<H::Done>>,
    finished: Vec<Finished<H::Done>>,
    /// Jobs claimed so far, for `max_jobs`.
    taken: u64,
    summary: WorkerSummary,
    unreported: u64,
    reported_at: Instant,
    id: Uuid,
    low_water: LowWater,
    database_away: bool,
}

/// Where in the index the next claim begins, while a backlog is worked off: behind an old snapshot the entries of finished
/// jobs stay at its front, and each claim would walk them all.
#[derive(Debug, Default)]
struct LowWater {
    mark: Option<(Timestamp, Instant)>,
}

impl LowWater {
    /// `None`: from the front, for the first claim, after one that was not full, and every few seconds, so that a job that
    /// was enqueued or put back before the mark waits no longer than that.
    fn not_before(&self) -> Option<Timestamp> {
        self.mark.filter(|(_, set_at)| set_at.elapsed() < LOW_WATER_MAX).map(|(mark, _)| mark)
    }

    fn claimed(&mut self, jobs: &[Job], limit: usize) {
        let set_at = self.mark.map(|(_, set_at)| set_at).filter(|set_at| set_at.elapsed() < LOW_WATER_MAX);
        let is_full = jobs.len() == limit;
        // The jobs come oldest first.
        self.mark = jobs
            .first()
            .filter(|_| is_full)
            .map(|job| (job.available_at, set_at.unwrap_or_else(Instant::now)));
    }
}

/// Why the fetcher stopped waiting.
enum Woken<D> {
    Finished(Option<Result<Finished<D>, tokio::task::JoinError>>),
    Look,
    Stop,
}

impl<H: Handler> Fetcher<H> {
    pub(super) fn new(store: Store, handler: Arc<H>, options: WorkerOptions, observer: Observer) -> Self {
        Self {
            concurrency: usize::try_from(options.settings.concurrency).unwrap_or(usize::MAX).max(1),
            store,
            handler,
            options,
            observer,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            finished: Vec::new(),
            taken: 0,
            summary: WorkerSummary::default(),
            unreported: 0,
            reported_at: Instant::now(),
            id: Uuid::new_v4(),
            low_water: LowWater::default(),
            database_away: false,
        }
    }

    pub(super) async fn run(
        mut self,
        mut woken: mpsc::Receiver<()>,
        stop: CancellationToken,
    ) -> Result<WorkerSummary, StoreError> {
        let began = Instant::now();
        let mut retry = DATABASE_RETRY;
        loop {
            let time_is_up = self.options.max_time.is_some_and(|max| began.elapsed() >= max);
            if stop.is_cancelled() || time_is_up {
                break;
            }
            let wait = match patience::turn(self.turn(), &stop).await {
                Ok(wait) => {
                    self.database_is_back();
                    retry = DATABASE_RETRY;
                    wait
                }
                Err(error) if error.class() == ErrorClass::Transient => {
                    self.database_is_away(&error);
                    retry = (retry * 2).min(DATABASE_RETRY_MAX);
                    Some(retry)
                }
                Err(error) => {
                    // An operator has to mend it; what runs still ends in order.
                    self.wind_down().await;
                    return Err(error);
                }
            };
            let Some(mut wait) = wait else { break };
            if let Some(max) = self.options.max_time {
                wait = wait.min(max.saturating_sub(began.elapsed()));
            }
            match self.wait(wait, &mut woken, &stop).await {
                Woken::Finished(finished) => self.collect(finished),
                Woken::Look => {}
                Woken::Stop => break,
            }
        }
        self.wind_down().await;
        Ok(self.summary)
    }

    /// Settles, claims, starts. Gives how long to wait for the next turn; `None` when there will be none.
    async fn turn(&mut self) -> Result<Option<Duration>, StoreError> {
        self.settle().await?;
        self.report_throughput(false).await;
        let free = self.concurrency.saturating_sub(self.running.len()).min(BATCH);
        let left = self.options.max_jobs.map_or(u64::MAX, |max| max.saturating_sub(self.taken));
        let limit = free.min(usize::try_from(left).unwrap_or(usize::MAX));
        if limit == 0 {
            return Ok(if left == 0 && self.running.is_empty() {
                None
            } else {
                Some(self.options.settings.sleep)
            });
        }
        let from_the_front = self.low_water.not_before().is_none();
        let claimed = self.claim(limit).await?;
        let count = claimed.len();
        self.taken += count as u64;
        self.start(claimed).await?;
        if !self.finished.is_empty() {
            // Jobs that did not have to run: settled in the next turn.
            return Ok(Some(Duration::ZERO));
        }
        if count == limit || !from_the_front || (count > 0 && self.handler.per_lane().is_some()) {
            // There may be more, also before the low-water mark, or behind a lane that is full now: look again as soon
            // as a slot is free.
            return Ok(Some(if self.running.len() < self.concurrency {
                Duration::ZERO
            } else {
                self.options.settings.sleep
            }));
        }
        if count == 0 && self.options.stop_when_empty && self.running.is_empty() {
            return Ok(None);
        }
        let next = self.store.next_ready_in(self.handler.queue()).await?;
        Ok(Some(next.map_or(self.options.settings.sleep, |next| next.min(self.options.settings.sleep))))
    }

    async fn claim(&mut self, limit: usize) -> Result<Vec<(Job, Instant)>, StoreError> {
        let mut load: HashMap<i64, usize> = HashMap::new();
        for running in self.running.values() {
            if let Some(lane) = running.lane {
                *load.entry(lane).or_default() += 1;
            }
        }
        let load: Vec<LaneLoad> =
            load.into_iter().map(|(lane, running)| LaneLoad { lane, running }).collect();
        // The lease is counted from before the claim was sent, so that ours ends before the database's.
        let asked = Instant::now();
        let request = ClaimRequest {
            queue: self.handler.queue(),
            limit,
            lease: self.options.settings.retry_after,
            lanes: self.handler.per_lane().map(|per_lane| (per_lane, load.as_slice())),
            not_before: self.low_water.not_before(),
        };
        let jobs = self.store.claim(&request).await?;
        if self.handler.per_lane().is_none() {
            self.low_water.claimed(&jobs, limit);
        }
        Ok(jobs.into_iter().map(|job| (job, asked)).collect())
    }

    async fn start(&mut self, claimed: Vec<(Job, Instant)>) -> Result<(), StoreError> {
        if claimed.is_empty() {
            return Ok(());
        }
        let jobs: Vec<Job> = claimed.iter().map(|(job, _)| job.clone()).collect();
        let mut work = match self.handler.load(&jobs).await {
            Ok(work) => work,
            Err(error) => {
                // They were not begun. If the database can't be told now, their leases will tell it.
                let claims: Vec<Claim> = jobs.iter().map(|job| job.claim).collect();
                let _ = self.store.release(&claims).await;
                return Err(error);
            }
        };
        let settings = &self.options.settings;
        let (limit, lease, tries) = (settings.timeout, settings.retry_after, settings.tries);
        let mut late = Vec::new();
        for (job, asked) in claimed {
            let end = if backoff::may_run(job.claim.attempts, tries) {
                match work.remove(&job.claim.id) {
                    Some(Ok(work)) => {
                        match backoff::deadline(limit, lease.saturating_sub(asked.elapsed())) {
                            Some(within) => self.spawn(job, work, within, asked),
                            // The claim took so long that its outcome could not be recorded any more.
                            None => late.push(job.claim),
                        }
                        continue;
                    }
                    Some(Err(error)) => End::Unreadable(error.to_string()),
                    None => End::Dropped,
                }
            } else {
                End::Spent
            };
            let started_at = job.claimed_at;
            self.finished.push(Finished { job, started_at, took: Duration::ZERO, end });
        }
        if late.is_empty() { Ok(()) } else { self.store.release(&late).await }
    }

    fn spawn(&mut self, job: Job, work: H::Work, within: Duration, asked: Instant) {
        self.running.insert(job.claim.id, Running { claim: job.claim, lane: job.lane });
        let handler = Arc::clone(&self.handler);
        self.tasks.spawn(async move {
            let began = Instant::now();
            let started_at = SignedDuration::try_from(began.saturating_duration_since(asked))
                .ok()
                .and_then(|since| job.claimed_at.checked_add(since).ok())
                .unwrap_or(job.claimed_at);
            let run = AssertUnwindSafe(handler.run(&job, work, within)).catch_unwind();
            let end = match timeout(within, run).await {
                Ok(Ok(done)) => End::Done(done),
                Ok(Err(panic)) => End::Panicked(panic_message(panic.as_ref())),
                Err(_) => End::TimedOut(within),
            };
            Finished { job, started_at, took: began.elapsed(), end }
        });
    }

    async fn wait(
        &mut self,
        wait: Duration,
        woken: &mut mpsc::Receiver<()>,
        stop: &CancellationToken,
    ) -> Woken<H::Done> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stop,
            finished = self.tasks.join_next(), if !self.tasks.is_empty() => Woken::Finished(finished),
            Some(()) = woken.recv() => Woken::Look,
            () = tokio::time::sleep(wait) => Woken::Look,
        }
    }

    /// Takes a job's end, and whatever else ended meanwhile, so that they are settled together.
    fn collect(&mut self, first: Option<Result<Finished<H::Done>, tokio::task::JoinError>>) {
        let mut next = first;
        while let Some(ended) = next {
            // A task can't end by a panic, it is caught inside; by an abort only in `wind_down`.
            if let Ok(finished) = ended {
                self.running.remove(&finished.job.claim.id);
                self.finished.push(finished);
            }
            next = self.tasks.try_join_next();
        }
    }

    async fn settle(&mut self) -> Result<(), StoreError> {
        if self.finished.is_empty() {
            return Ok(());
        }
        self.handler.settle(&self.finished).await?;
        for finished in &self.finished {
            if let End::Panicked(message) = &finished.end {
                tracing::error!(
                    queue = self.handler.queue(),
                    job = finished.job.claim.id.0,
                    message,
                    "job panicked"
                );
            }
        }
        let count = self.finished.len() as u64;
        self.finished.clear();
        self.summary.settled += count;
        self.unreported += count;
        Ok(())
    }

    async fn report_throughput(&mut self, now: bool) {
        if self.unreported == 0 || (!now && self.reported_at.elapsed() < THROUGHPUT_EVERY) {
            return;
        }
        // Telemetry: when it can't be written now it is written with the next.
        let counted = self.store.count_finished(self.handler.queue(), self.id, self.unreported);
        if patience::goodbye(counted).await.is_ok() {
            self.unreported = 0;
        }
        self.reported_at = Instant::now();
    }

    /// Lets what runs end, then gives back what did not.
    async fn wind_down(&mut self) {
        let queue = self.handler.queue();
        let deadline = tokio::time::Instant::now() + self.options.grace;
        while !self.tasks.is_empty() {
            match timeout_at(deadline, self.tasks.join_next()).await {
                Ok(ended) => self.collect(ended),
                Err(_) => break,
            }
            // At once: whoever stops us may not wait for the slowest. What fails here is tried again below.
            let _ = timeout_at(deadline, self.settle()).await;
        }
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            self.collect(Some(ended));
        }
        while let Err(error) = patience::goodbye(self.settle()).await {
            if error.class() != ErrorClass::Transient || tokio::time::Instant::now() >= deadline {
                warn!(queue, %error, jobs = self.finished.len(), "could not record what finished; the leases will run out");
                break;
            }
            tokio::time::sleep(DATABASE_RETRY).await;
        }
        let left: Vec<Claim> = self.running.drain().map(|(_, running)| running.claim).collect();
        if !left.is_empty() {
            match patience::goodbye(self.store.release(&left)).await {
                Ok(()) => self.summary.released = left.len(),
                Err(error) => {
                    warn!(queue, %error, jobs = left.len(), "could not give jobs back; their leases will run out");
                }
            }
        }
        self.report_throughput(true).await;
        info!(queue, settled = self.summary.settled, released = self.summary.released, "worker stopped");
    }

    fn database_is_away(&mut self, error: &StoreError) {
        if self.database_away {
            debug!(queue = self.handler.queue(), %error, "database still away");
        } else {
            self.database_away = true;
            warn!(queue = self.handler.queue(), %error, "database away: waiting for it, nothing is lost");
            (self.observer)(Activity::DatabaseAway {
                queue: self.handler.queue(),
                reason: error.to_string(),
            });
        }
    }

    fn database_is_back(&mut self) {
        if std::mem::take(&mut self.database_away) {
            info!(queue = self.handler.queue(), "database back");
            (self.observer)(Activity::DatabaseBack { queue: self.handler.queue() });
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    uptime_core::check::printable(message.unwrap_or("no message"), 500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_store::queue::Claim;

    fn jobs(seconds: &[i64]) -> Vec<Job> {
        let at = |second| Timestamp::from_second(second).expect("an instant");
        let job = |second: &i64| Job {
            claim: Claim { id: JobId(*second), attempts: 1 },
            subject: None,
            lane: None,
            payload: serde_json::Value::Null,
            available_at: at(*second),
            claimed_at: at(*second),
        };
        seconds.iter().map(job).collect()
    }

    #[test]
    fn the_mark_follows_full_claims_and_falls_with_one_that_is_not() {
        let mut low_water = LowWater::default();
        let mark = |low_water: &LowWater| low_water.not_before().map(Timestamp::as_second);
        assert_eq!(mark(&low_water), None);
        low_water.claimed(&jobs(&[7, 8]), 2);
        assert_eq!(mark(&low_water), Some(7));
        low_water.claimed(&jobs(&[9, 9]), 2);
        assert_eq!(mark(&low_water), Some(9));
        low_water.claimed(&jobs(&[10]), 2);
        assert_eq!(mark(&low_water), None);
        low_water.claimed(&[], 2);
        assert_eq!(mark(&low_water), None);
    }

    #[test]
    fn the_mark_falls_after_a_while_however_long_the_backlog() {
        let long_ago = Instant::now().checked_sub(LOW_WATER_MAX).expect("the machine has run for seconds");
        let low_water = LowWater { mark: Some((Timestamp::UNIX_EPOCH, long_ago)) };
        assert_eq!(low_water.not_before(), None);
    }
}
