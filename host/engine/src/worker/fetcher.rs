//! The fetcher: runs the jobs of a worker, and has one turn at a time with the database.
//!
//! A turn goes on beside the jobs: while one batch is settled and the next is claimed, the batch between them runs. The next
//! turn begins when there is something to settle or to claim (a wake-up, the next job's due instant, the fallback `sleep`).
//! Heartbeats go their own way: a turn that takes long does not make the worker look dead. The first one comes before the first
//! turn, because it brings the number that claims bear.

use super::heartbeats::{HeartbeatEnd, Heartbeats, Load};
use super::round_trip::{ClaimPlan, ClaimedBatch, FRONT_EVERY, LowWater, RoundTrip};
use super::{End, Finished, Handler, Slots, Wakes, WorkerOptions, WorkerSummary};
use crate::db_timeout::{self, Outage};
use crate::{Activity, Observer};
use futures_util::FutureExt;
use jiff::SignedDuration;
use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uptime_core::backoff;
use uptime_core::liveness::HEARTBEAT_EVERY;
use uptime_store::queue::{Claim, ClaimFrom, Job, KeyLoad};
use uptime_store::workers::Orders;
use uptime_store::{Store, StoreError};

/// The most jobs that one claim takes.
const BATCH: usize = 500;

/// How many jobs may have yielded each slot, or be in flight as the first of their keys: one thing that is busy does not have
/// the whole queue claimed.
const PER_SLOT: usize = 4;

/// How long after a turn that failed to try again; doubled up to [`DATABASE_RETRY_MAX`].
const DATABASE_RETRY: Duration = Duration::from_millis(100);
const DATABASE_RETRY_MAX: Duration = Duration::from_secs(2);

pub(super) struct Fetcher<H: Handler> {
    concurrency: usize,
    store: Store,
    handler: Arc<H>,
    options: WorkerOptions,
    observer: Observer,
    began: Instant,
    /// What runs, with its concurrency key. By claim: after a suspension a job may be claimed anew while its old run still ends.
    running: HashMap<Claim, Option<i64>>,
    tasks: JoinSet<Finished<H::Done>>,
    /// Which of them wait for their place.
    slots: Arc<Slots>,
    /// Ended, and not settled.
    finished: Vec<Finished<H::Done>>,
    /// Settled, and only to be ended yet.
    done: Vec<Claim>,
    /// Claimed, and not to be run by us after all.
    returned: Vec<Claim>,
    /// The turn that is under way.
    round_trip: Option<JoinHandle<RoundTripEnd<H>>>,
    /// When the next one begins at the latest.
    next_round_trip_at: Instant,
    /// Something happened that the turn under way may have missed.
    recheck: bool,
    /// Jobs claimed so far, for `max_jobs`.
    taken: u64,
    low_water: LowWater,
    heartbeats: Heartbeats,
    queue_is_paused: bool,
    outage: Outage,
    /// While the database is away: how long until the next try.
    away: Option<Duration>,
    /// Why this worker is to end by itself.
    ends: bool,
    summary: WorkerSummary,
}

type RoundTripEnd<H> = (RoundTrip<H>, Result<Option<ClaimedBatch<<H as Handler>::Work>>, StoreError>);

/// How long a job may wait for its place, and then run.
struct Limits {
    queue_deadline: Duration,
    within: Duration,
}

enum Wake<H: Handler> {
    Finished(Option<Result<Finished<H::Done>, JoinError>>),
    RoundTripEnd(Result<RoundTripEnd<H>, JoinError>),
    HeartbeatEnd(HeartbeatEnd),
    Recheck,
    Control,
    Later,
    Stop,
}

impl<H: Handler> Fetcher<H> {
    pub(super) fn new(store: Store, handler: Arc<H>, options: WorkerOptions, observer: Observer) -> Self {
        let heartbeats = Heartbeats::new(handler.queue());
        Self {
            concurrency: usize::try_from(options.settings.concurrency).unwrap_or(usize::MAX).max(1),
            outage: Outage::of(handler.queue(), store.clone()),
            store,
            handler,
            options,
            observer,
            began: Instant::now(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            slots: Arc::default(),
            finished: Vec::new(),
            done: Vec::new(),
            returned: Vec::new(),
            round_trip: None,
            next_round_trip_at: Instant::now(),
            recheck: true,
            taken: 0,
            low_water: LowWater::default(),
            heartbeats,
            queue_is_paused: false,
            away: None,
            ends: false,
            summary: WorkerSummary::default(),
        }
    }

    pub(super) async fn run(
        mut self,
        wakes: &Wakes,
        stop: CancellationToken,
    ) -> Result<WorkerSummary, StoreError> {
        // Ends with the worker, whatever ends it: a turn that is under way then has only so long.
        let round_trips = stop.child_token();
        let ended = self.work(wakes, &stop, &round_trips).await;
        round_trips.cancel();
        self.wind_down().await;
        ended.map(|()| self.summary)
    }

    async fn work(
        &mut self,
        wakes: &Wakes,
        stop: &CancellationToken,
        round_trips: &CancellationToken,
    ) -> Result<(), StoreError> {
        loop {
            (self.observer)(Activity::Turned { by: self.handler.queue() });
            let time_is_up = self.options.max_time.is_some_and(|max| self.began.elapsed() >= max);
            if stop.is_cancelled() || time_is_up || self.ends {
                return Ok(());
            }
            self.beat_when_due();
            // While the database is away a turn begins only when it is time to try again.
            if self.round_trip.is_none()
                && !self.heartbeats.is_first_under_way()
                && (self.next_round_trip_at <= Instant::now() || (self.recheck && self.away.is_none()))
            {
                self.begin_round_trip(round_trips);
            }
            match self.wait(wakes, stop).await {
                Wake::Finished(finished) => self.collect(finished),
                Wake::RoundTripEnd(turned) => self.end_round_trip(turned, round_trips)?,
                Wake::HeartbeatEnd(heard) => {
                    if let Some(orders) = self.heartbeats.end(heard) {
                        self.obey(&orders);
                    }
                }
                Wake::Recheck => self.recheck = true,
                Wake::Control => {
                    self.heartbeats.hurry();
                    self.recheck = true;
                }
                Wake::Later => {}
                Wake::Stop => return Ok(()),
            }
        }
    }

    async fn wait(&mut self, wakes: &Wakes, stop: &CancellationToken) -> Wake<H> {
        let mut until = Instant::now() + self.heartbeats.due_in().unwrap_or(HEARTBEAT_EVERY);
        if self.round_trip.is_none() && !self.heartbeats.is_first_under_way() {
            until = until.min(self.next_round_trip_at);
        }
        if let Some(max) = self.options.max_time {
            until = until.min(self.began + max);
        }
        let round_trip = async {
            match &mut self.round_trip {
                Some(round_trip) => round_trip.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Wake::Stop,
            turned = round_trip => {
                self.round_trip = None;
                Wake::RoundTripEnd(turned)
            }
            heard = self.heartbeats.heard() => Wake::HeartbeatEnd(heard),
            finished = self.tasks.join_next(), if !self.tasks.is_empty() => Wake::Finished(finished),
            () = wakes.control.notified() => Wake::Control,
            () = wakes.jobs.notified() => Wake::Recheck,
            // Its slot is free.
            () = self.slots.came.notified() => Wake::Recheck,
            // Others are to know, too.
            Ok(()) = self.options.paused.changed() => Wake::Control,
            () = sleep_until(until.into()) => Wake::Later,
        }
    }

    fn beat_when_due(&mut self) {
        if self.heartbeats.due_in() == Some(Duration::ZERO) {
            let paused = *self.options.paused.borrow();
            self.heartbeats.begin(&self.store, Load { running: self.running.len(), paused });
        }
    }

    fn begin_round_trip(&mut self, round_trips: &CancellationToken) {
        self.recheck = false;
        self.next_round_trip_at = Instant::now() + self.options.settings.sleep;
        let claim_plan = self.claim_plan();
        let round_trip = self.round_trip_of(claim_plan);
        let round_trips = round_trips.clone();
        self.round_trip = Some(tokio::spawn(async move {
            let mut round_trip = round_trip;
            let ended = db_timeout::round_trip(round_trip.run(), &round_trips).await;
            (round_trip, ended)
        }));
    }

    fn round_trip_of(&mut self, claim_plan: Option<ClaimPlan>) -> RoundTrip<H> {
        RoundTrip {
            store: self.store.clone(),
            handler: Arc::clone(&self.handler),
            finished: std::mem::take(&mut self.finished),
            done: std::mem::take(&mut self.done),
            returned: std::mem::take(&mut self.returned),
            claim_plan,
            settled: 0,
        }
    }

    fn free(&self) -> usize {
        let running = self.running.len();
        let in_slots = running.saturating_sub(self.slots.yielded());
        let room = (self.concurrency * (1 + PER_SLOT)).saturating_sub(running);
        self.concurrency.saturating_sub(in_slots).min(room)
    }

    /// Of a queue with concurrency keys: how many jobs of a key may be in flight, and how many more are claimed now. A quarter of the slots, and
    /// as many as [`PER_SLOT`] says beyond them, is for keys that have none in flight: one that hangs takes none from others.
    fn share(&self, per_key: usize) -> (usize, usize) {
        let running = self.running.len();
        let shared = (self.concurrency - self.concurrency / 4).saturating_sub(running);
        let firsts = (self.concurrency * PER_SLOT).saturating_sub(running);
        if shared > 0 { (per_key, shared) } else { (1, firsts) }
    }

    fn room(&self) -> usize {
        self.handler.per_key().map_or_else(|| self.free(), |per_key| self.share(per_key).1)
    }

    fn claim_plan(&mut self) -> Option<ClaimPlan> {
        let free = self.room().min(BATCH);
        let left = self.options.max_jobs.map_or(u64::MAX, |max| max.saturating_sub(self.taken));
        let limit = free.min(usize::try_from(left).unwrap_or(usize::MAX));
        if limit == 0 || *self.options.paused.borrow_and_update() {
            return None;
        }
        let keys = self.handler.per_key().map(|per_key| {
            let mut load: HashMap<i64, usize> = HashMap::new();
            for concurrency_key in self.running.values().copied().flatten() {
                *load.entry(concurrency_key).or_default() += 1;
            }
            (
                self.share(per_key).0,
                load.into_iter()
                    .map(|(concurrency_key, running)| KeyLoad { concurrency_key, running })
                    .collect(),
            )
        });
        let (worker, lease) = (self.heartbeats.number(), self.options.settings.retry_after);
        Some(ClaimPlan { limit, worker, lease, keys, from: self.low_water.from() })
    }

    fn end_round_trip(
        &mut self,
        turned: Result<RoundTripEnd<H>, JoinError>,
        round_trips: &CancellationToken,
    ) -> Result<(), StoreError> {
        match self.take_back(turned) {
            Ok(claimed) => {
                self.database_is_back();
                if let Some(claimed) = claimed {
                    self.take(claimed, round_trips);
                }
                let nothing_left = self.options.max_jobs.is_some_and(|max| self.taken >= max);
                if nothing_left && self.is_idle() {
                    self.ends = true;
                }
                Ok(())
            }
            // Of an error that is not waited for, what runs still ends in order.
            Err(error) => self.database_is_away(error),
        }
    }

    /// Takes back what a turn could not settle.
    fn take_back(
        &mut self,
        turned: Result<RoundTripEnd<H>, JoinError>,
    ) -> Result<Option<ClaimedBatch<H::Work>>, StoreError> {
        let (round_trip, ended) = match turned {
            Ok(turned) => turned,
            Err(error) => {
                // A bug in a handler. What it was to settle has gone with it, and comes back when its lease runs out.
                error!(queue = self.handler.queue(), %error, "a round trip to the database panicked");
                return Ok(None);
            }
        };
        self.finished.extend(round_trip.finished);
        self.done.extend(round_trip.done);
        self.returned.extend(round_trip.returned);
        self.summary.settled += round_trip.settled;
        self.heartbeats.count(round_trip.settled);
        (self.observer)(Activity::Settled {
            queue: self.handler.queue(),
            settled: round_trip.settled,
            running: self.running.len(),
        });
        ended
    }

    fn obey(&mut self, orders: &Orders) {
        let queue = self.handler.queue();
        if std::mem::replace(&mut self.queue_is_paused, orders.paused) != orders.paused {
            info!(queue, "{}", if orders.paused { "queue paused" } else { "queue resumed" });
        }
        if orders.restart {
            info!(queue, "restart asked: finishing what runs");
            self.summary.restart = true;
            self.ends = true;
        }
        let held = memory_stats::memory_stats().map(|held| held.physical_mem);
        if let (Some(max), Some(held)) = (self.options.max_memory, held)
            && held > max
        {
            info!(queue, held_mib = held >> 20, max_mib = max >> 20, "memory limit: finishing what runs");
            self.ends = true;
        }
    }

    /// Begins the next turn when there may be more, then the jobs.
    fn take(&mut self, claimed: ClaimedBatch<H::Work>, round_trips: &CancellationToken) {
        let ClaimedBatch { asked_at, limit, from, ref jobs, next_in, .. } = claimed;
        let count = jobs.len();
        self.taken += count as u64;
        let has_keys = self.handler.per_key().is_some();
        if !has_keys {
            self.low_water.claimed(&claimed);
        }
        let ClaimedBatch { jobs, mut work, .. } = claimed;
        let mut to_run = Vec::with_capacity(count);
        for job in jobs {
            let work = work.remove(&job.claim.id);
            if let Some(runnable) = self.admit(job, work, asked_at) {
                to_run.push(runnable);
            }
        }
        // There may be more when the claim was full, before the mark where it began, or behind a key that is full now.
        let may_be_more = count == limit || matches!(from, ClaimFrom::Instant(_)) || (count > 0 && has_keys);
        if may_be_more && self.room() > 0 && !self.ends {
            // Beside the jobs, not after them.
            self.begin_round_trip(round_trips);
        } else if count == 0 && self.options.stop_when_empty && self.is_idle() {
            // Empty is what is empty from its front on.
            self.ends |= from == ClaimFrom::Front;
            self.recheck = !self.ends;
            self.low_water = LowWater::default();
        } else {
            // What the claim may have passed over, because it did not begin at the front, is looked for soon.
            let overlooked = (from != ClaimFrom::Front).then_some(FRONT_EVERY);
            let soonest = next_in.into_iter().chain(overlooked).min().unwrap_or(Duration::MAX);
            self.next_round_trip_at =
                self.next_round_trip_at.min(Instant::now() + soonest.min(self.options.settings.sleep));
        }
        for (job, work, limits) in to_run {
            self.spawn(job, work, limits, asked_at);
        }
    }

    /// Whether there is nothing to wait for.
    fn is_idle(&self) -> bool {
        self.running.is_empty()
            && self.finished.is_empty()
            && self.done.is_empty()
            && self.returned.is_empty()
    }

    /// A claimed job, its work and its limits, when it may run.
    fn admit(
        &mut self,
        job: Job,
        work: Option<Result<H::Work, StoreError>>,
        asked_at: Instant,
    ) -> Option<(Job, H::Work, Limits)> {
        let settings = &self.options.settings;
        let end = match work {
            _ if job.payload.is_err() => {
                let reason = job.payload.as_ref().err().cloned().unwrap_or_default();
                End::Unreadable(format!("its payload can't be read: {reason}"))
            }
            _ if !backoff::may_run(job.claim.attempts, settings.tries) => End::Spent,
            None => End::Dropped,
            Some(Err(error)) => End::unreadable(&error),
            Some(Ok(work)) => {
                let left = job.lease.saturating_sub(asked_at.elapsed());
                let timeout = settings.timeout.min(self.handler.time_of(&work));
                let Some(within) = backoff::deadline(timeout, left) else {
                    // The claim took so long that the outcome could not be recorded any more.
                    self.returned.push(job.claim);
                    self.recheck = true;
                    return None;
                };
                self.running.insert(job.claim, job.concurrency_key);
                let queue_deadline = backoff::queue_deadline(within, left);
                return Some((job, work, Limits { queue_deadline, within }));
            }
        };
        let started_at = job.claimed_at;
        self.finished.push(Finished { job, started_at, took: Duration::ZERO, end });
        self.recheck = true;
        None
    }

    fn spawn(&mut self, job: Job, work: H::Work, Limits { queue_deadline, within }: Limits, asked: Instant) {
        let (handler, slots) = (Arc::clone(&self.handler), Arc::clone(&self.slots));
        let run = async move {
            let place = tokio::select! {
                biased;
                () = slots.closed.cancelled() => None,
                place = timeout(queue_deadline, handler.place(&work, &slots)) => place.ok(),
            };
            let began = Instant::now();
            let started_at = SignedDuration::try_from(began.saturating_duration_since(asked))
                .ok()
                .and_then(|since| job.claimed_at.checked_add(since).ok())
                .unwrap_or(job.claimed_at);
            if place.is_none() {
                return Finished { job, started_at, took: Duration::ZERO, end: End::NotBegun };
            }
            let run = AssertUnwindSafe(async { handler.run(&job, work, within).await }).catch_unwind();
            let end = match timeout(within, run).await {
                Ok(Ok(done)) => End::Done(done),
                Ok(Err(panic)) => End::Panicked(panic_message(panic.as_ref())),
                Err(_) => End::TimedOut(within),
            };
            drop(place);
            Finished { job, started_at, took: began.elapsed(), end }
        };
        match self.handler.runtime() {
            Some(runtime) => self.tasks.spawn_on(run, runtime),
            None => self.tasks.spawn(run),
        };
    }

    /// Takes a job's end, and whatever else ended meanwhile, so that they are settled together.
    fn collect(&mut self, first: Option<Result<Finished<H::Done>, JoinError>>) {
        let mut next = first;
        while let Some(ended) = next {
            // A task can't end by a panic, it is caught inside; by an abort only in `wind_down`.
            if let Ok(finished) = ended {
                if let End::Panicked(message) = &finished.end {
                    error!(
                        queue = self.handler.queue(),
                        job = finished.job.claim.id.0,
                        message,
                        "job panicked"
                    );
                }
                self.running.remove(&finished.job.claim);
                if matches!(finished.end, End::NotBegun) {
                    self.taken = self.taken.saturating_sub(1);
                    self.summary.released += 1;
                    self.returned.push(finished.job.claim);
                } else {
                    self.finished.push(finished);
                }
                self.recheck = true;
            }
            next = self.tasks.try_join_next();
        }
    }

    /// Lets what runs end, then gives back what did not.
    async fn wind_down(&mut self) {
        let queue = self.handler.queue();
        let deadline = tokio::time::Instant::now() + self.options.grace;
        self.slots.closed.cancel();
        if let Some(round_trip) = self.round_trip.take()
            && let Ok(Some(claimed)) = self.take_back(round_trip.await)
        {
            // Claimed just when we were to stop: nobody has begun them.
            self.summary.released += claimed.jobs.len();
            self.returned.extend(claimed.jobs.iter().map(|job| job.claim));
        }
        while !self.tasks.is_empty() {
            // It is stopping, not dead: nobody else is to run what still runs.
            self.beat_when_due();
            let beat_in = self.heartbeats.due_in().unwrap_or(HEARTBEAT_EVERY);
            tokio::select! {
                ended = self.tasks.join_next() => {
                    self.collect(ended);
                    // At once: whoever stops us may not wait for the slowest. What fails here is tried again below.
                    let _ = self.say_goodbye().await;
                }
                heard = self.heartbeats.heard() => {
                    self.heartbeats.end(heard);
                }
                () = tokio::time::sleep(beat_in) => {}
                () = sleep_until(deadline) => break,
            }
        }
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            self.collect(Some(ended));
        }
        self.summary.released += self.running.len();
        self.returned.extend(self.running.drain().map(|(claim, _)| claim));
        while let Err(error) = self.say_goodbye().await {
            if !self.store.may_recover(&error) || tokio::time::Instant::now() >= deadline {
                let jobs = self.finished.len() + self.done.len() + self.returned.len();
                warn!(queue, %error, jobs, "could not record what finished or give jobs back; the leases will run out");
                break;
            }
            tokio::time::sleep(DATABASE_RETRY).await;
        }
        self.heartbeats.sign_off(&self.store).await;
        info!(queue, settled = self.summary.settled, released = self.summary.released, "worker stopped");
    }

    /// A turn that claims nothing.
    async fn say_goodbye(&mut self) -> Result<(), StoreError> {
        let mut round_trip = self.round_trip_of(None);
        let ended = db_timeout::goodbye(round_trip.run()).await;
        self.take_back(Ok((round_trip, ended))).map(|_| ())
    }

    fn database_is_away(&mut self, error: StoreError) -> Result<(), StoreError> {
        let retry = self.away.map_or(DATABASE_RETRY, |retry| (retry * 2).min(DATABASE_RETRY_MAX));
        self.next_round_trip_at = Instant::now() + retry;
        self.away = Some(retry);
        self.outage.goes_on(error, &self.observer)
    }

    fn database_is_back(&mut self) {
        self.away = None;
        self.outage.ends(&self.observer);
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    uptime_core::text::printable(message.unwrap_or("no message"), 500)
}
