//! The worker: one fetcher for a queue and the jobs that it runs.
//!
//! What a queue's jobs are is a [`Handler`]: how they are read, run and settled. The fetcher (`worker/fetcher.rs`) does the
//! rest. Jobs run as tasks, each under a deadline that ends before its lease; a panic or a timeout ends that job alone.
//!
//! Operators reach it through the database: a paused queue gives no jobs, and a restart asks it to finish and to end.
//!
//! On a stop it claims no more, gives what runs `grace` to end, settles each as it ends, and releases the rest without
//! counting the attempt. While the database is away it keeps what finished and tries again; the fence decides what still
//! counts. Nothing that it asks of the database is waited for without an end.

mod fetcher;
mod heartbeats;
mod neighbours;
mod round_trip;
mod slots;

use crate::Observer;
use fetcher::Fetcher;
use jiff::Timestamp;
pub use slots::{Permit, Slots, Yielded};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uptime_core::id::JobId;
use uptime_core::queue::QueueSettings;
use uptime_store::queue::{Claim, Job, JobFailure};
use uptime_store::{Store, StoreError, Wakeup};

/// How long a job that was put back for a newer release's workers waits for them.
const FOR_NEWER: Duration = Duration::from_secs(10);

/// How long after a lost connection to listen again.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

pub trait Handler: Send + Sync + 'static {
    /// What a job needs to run, read for a whole batch at once.
    type Work: Send + 'static;
    /// What a job that ran to its end leaves to be settled.
    type Done: Send + 'static;

    fn queue(&self) -> &'static str;

    /// For a queue with concurrency keys and an order: how many jobs of a key may run at once in this process.
    fn per_key(&self) -> Option<usize> {
        None
    }

    /// Reads what the jobs need. A job that is not in the answer has lost its subject and is dropped; one with an
    /// error fails alone.
    fn load(
        &self,
        jobs: &[Job],
    ) -> impl Future<Output = Result<HashMap<JobId, Result<Self::Work, StoreError>>, StoreError>> + Send;

    /// Waits until a job may begin, and gives what it holds while it runs. The wait is no part of the job: it is lateness, and
    /// `within` begins after it. One that lasts too long, or until the worker stops, is broken off, and the job given back
    /// as if nobody had claimed it.
    fn place(&self, _work: &Self::Work, _slots: &Slots) -> impl Future<Output = Permit> + Send {
        std::future::ready(Permit::default())
    }

    /// Where the jobs run; `None`: where the worker does.
    fn runtime(&self) -> Option<&Handle> {
        None
    }

    /// The longest that this work can take, where that is less than its queue's timeout.
    fn time_of(&self, _work: &Self::Work) -> Duration {
        Duration::MAX
    }

    /// Runs one job, which is dropped when `within` is over.
    fn run(&self, job: &Job, work: Self::Work, within: Duration) -> impl Future<Output = Self::Done> + Send;

    /// Records how jobs ended, each fenced by its claim. Called again with the same jobs when the database was away.
    /// Gives the claims of jobs that only have to be ended: they ride on the next claim, in its round trip and commit.
    fn settle(
        &self,
        finished: &[Finished<Self::Done>],
    ) -> impl Future<Output = Result<Vec<Claim>, StoreError>> + Send;
}

#[derive(Debug)]
pub struct Finished<D> {
    pub job: Job,
    /// When it began, by the database's clock.
    pub started_at: Timestamp,
    pub took: Duration,
    pub end: End<D>,
}

#[derive(Debug)]
pub enum End<D> {
    Done(D),
    /// It had no place in time: nobody has begun it, and it is given back.
    NotBegun,
    /// Its subject is gone: there is nothing to do.
    Dropped,
    /// What it needs can't be read.
    Unreadable(String),
    /// What it needs was written by a newer release, whose workers can run it: it is put back for them.
    ForNewer(String),
    /// It did not end within this time.
    TimedOut(Duration),
    Panicked(String),
    /// It was claimed more often than it may run: its workers died, or lost the database. It did not run again.
    Spent,
}

impl<D> End<D> {
    /// Of a job whose work could not be read.
    fn unreadable(error: &StoreError) -> Self {
        let reason = error.to_string();
        if error.is_for_newer() { Self::ForNewer(reason) } else { Self::Unreadable(reason) }
    }

    /// Whether the claim counts as an attempt: one that was not run does not.
    pub fn counts(&self) -> bool {
        !matches!(self, Self::Spent | Self::ForNewer(_))
    }

    /// For an end without a result: what to write into the failed list.
    pub fn failure(&self, attempts: u32) -> Option<String> {
        match self {
            Self::Done(_) | Self::NotBegun | Self::Dropped => None,
            Self::Unreadable(reason) | Self::ForNewer(reason) => Some(reason.clone()),
            Self::TimedOut(after) => {
                Some(format!("did not end within {}", uptime_core::duration::format(*after)))
            }
            Self::Panicked(message) => Some(format!("panicked: {message}")),
            Self::Spent => {
                let before = attempts.saturating_sub(1);
                Some(format!("gave no sign of its end {before} times: its worker died, or lost the database"))
            }
        }
    }
}

#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The queue's settings, all layers together.
    pub settings: QueueSettings,
    /// How long what runs may go on after a stop.
    pub grace: Duration,
    pub max_jobs: Option<u64>,
    pub max_time: Option<Duration>,
    /// Stop when the process holds more memory than this, in bytes.
    pub max_memory: Option<usize>,
    pub stop_when_empty: bool,
    /// Claim nothing while this is true.
    pub paused: watch::Receiver<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerSummary {
    pub settled: u64,
    pub released: usize,
    /// Whether it ended because an operator asked for a restart.
    pub restart: bool,
}

/// Runs a queue's jobs until `stop`, or until the options say so. Errors are only those that an operator has to
/// mend; a database that is away is waited for.
pub async fn run<H: Handler>(
    store: Store,
    handler: Arc<H>,
    options: WorkerOptions,
    observer: Observer,
    stop: CancellationToken,
) -> Result<WorkerSummary, StoreError> {
    let wakes = Arc::new(Wakes::default());
    let listener = tokio::spawn(listen(store.clone(), handler.queue(), Arc::clone(&wakes)));
    let summary = Fetcher::new(store, handler, options, observer).run(&wakes, stop).await;
    // Ended where it is: its goodbye to the database may have no answer.
    listener.abort();
    summary
}

/// This machine's name, as the workers' heartbeats bear it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The work of each job by its subject. A job without one can't be read; one whose subject is gone is left out.
pub(crate) fn by_subject<W>(
    jobs: &[Job],
    mut take: impl FnMut(i64) -> Option<Result<W, StoreError>>,
) -> HashMap<JobId, Result<W, StoreError>> {
    let nothing = |id: JobId| StoreError::Row {
        column: "subject".into(),
        row: format!("job {id}"),
        reason: "there is none".into(),
    };
    let work_of = |job: &Job| match job.subject {
        Some(subject) => take(subject),
        None => Some(Err(nothing(job.claim.id))),
    };
    let with_id = |(id, work): (JobId, Option<_>)| work.map(|work| (id, work));
    jobs.iter().map(|job| job.claim.id).zip(jobs.iter().map(work_of)).filter_map(with_id).collect()
}

/// Puts a job back for a newer release's workers, as if nobody had tried it.
pub(crate) fn for_newer(claim: Claim, error: String) -> JobFailure {
    JobFailure { claim, retry_after: Some(FOR_NEWER), counts: false, error }
}

/// Says whose failure was not written because somebody else has the job by now.
pub(crate) fn warn_of_lost_leases<'a>(
    queue: &str,
    failures: impl IntoIterator<Item = &'a JobFailure>,
    ours: &HashSet<JobId>,
) {
    for job in failures.into_iter().map(|failure| failure.claim.id).filter(|job| !ours.contains(job)) {
        warn!(queue, job = job.0, "lease lost: failure not written");
    }
}

/// What the database says has happened. Each is remembered until it was looked at.
#[derive(Debug, Default)]
struct Wakes {
    jobs: Notify,
    control: Notify,
}

/// Turns what is announced for `queue` into wake-ups, as long as listening works; polling goes on in any case.
async fn listen(store: Store, queue: &'static str, wakes: Arc<Wakes>) {
    let mut told = false;
    loop {
        let Err(error) = pass_on(&store, queue, &wakes).await;
        if !std::mem::replace(&mut told, true) {
            info!(queue, %error, "no wake-ups from the database for now: polling");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn pass_on(store: &Store, queue: &str, wakes: &Wakes) -> Result<Infallible, StoreError> {
    let Some(mut wakeups) = store.wakeups().await? else { return std::future::pending().await };
    // What was committed before we listened was not heard.
    wakes.jobs.notify_one();
    loop {
        let (jobs, control) = match wakeups.next().await? {
            Wakeup::Jobs(of) => (of == queue, false),
            Wakeup::Control(of) => (false, of == queue),
            Wakeup::Anything => (true, true),
        };
        if jobs {
            wakes.jobs.notify_one();
        }
        if control {
            wakes.control.notify_one();
        }
    }
}
