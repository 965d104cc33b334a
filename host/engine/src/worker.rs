//! The worker: one fetcher for a queue and the jobs that it runs.
//!
//! What a queue's jobs are is a [`Handler`]: how they are read, run and settled. The fetcher (`worker/fetcher.rs`) does the
//! rest. Jobs run as tasks, each under a deadline that ends before its lease; a panic or a timeout ends that job alone.
//!
//! On a stop it claims no more, gives what runs `grace` to end, settles each as it ends, and releases the rest without
//! counting the attempt. While the database is away it keeps what finished and tries again; the fence decides what still
//! counts. Nothing that it asks of the database is waited for without an end.

mod fetcher;

use crate::Observer;
use fetcher::Fetcher;
use jiff::Timestamp;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uptime_core::config::QueueSettings;
use uptime_core::id::JobId;
use uptime_store::queue::Job;
use uptime_store::{Store, StoreError};

/// How long after a lost connection to listen again.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// What one queue's jobs are.
pub trait Handler: Send + Sync + 'static {
    /// What a job needs to run, read for a whole batch at once.
    type Work: Send + 'static;
    /// What a job that ran to its end leaves to be settled.
    type Done: Send + 'static;

    /// The queue's name.
    fn queue(&self) -> &'static str;

    /// For a queue with lanes and an order: how many jobs of a lane may run at once in this process.
    fn per_lane(&self) -> Option<usize> {
        None
    }

    /// Reads what the jobs need. A job that is not in the answer has lost its subject and is dropped; one with an
    /// error fails alone.
    fn load(
        &self,
        jobs: &[Job],
    ) -> impl Future<Output = Result<HashMap<JobId, Result<Self::Work, StoreError>>, StoreError>> + Send;

    /// Runs one job, which is dropped when `within` is over.
    fn run(&self, job: &Job, work: Self::Work, within: Duration) -> impl Future<Output = Self::Done> + Send;

    /// Records how jobs ended, each fenced by its claim. Called again with the same jobs when the database was away.
    fn settle(
        &self,
        finished: &[Finished<Self::Done>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A job at its end.
#[derive(Debug)]
pub struct Finished<D> {
    /// The job.
    pub job: Job,
    /// When it began, by the database's clock.
    pub started_at: Timestamp,
    /// How long it ran.
    pub took: Duration,
    /// How it ended.
    pub end: End<D>,
}

/// How a job ended.
#[derive(Debug)]
pub enum End<D> {
    /// It ran to its end.
    Done(D),
    /// Its subject is gone: there is nothing to do.
    Dropped,
    /// What it needs can't be read.
    Unreadable(String),
    /// It did not end within this time.
    TimedOut(Duration),
    /// It panicked with this message.
    Panicked(String),
    /// It was claimed more often than it may run: its workers died, or lost the database. It did not run again.
    Spent,
}

impl<D> End<D> {
    /// For an end without a result: what to write into the failed list.
    pub fn failure(&self, attempts: u32) -> Option<String> {
        match self {
            Self::Done(_) | Self::Dropped => None,
            Self::Unreadable(reason) => Some(reason.clone()),
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

/// How a worker runs.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The queue's settings, all layers together.
    pub settings: QueueSettings,
    /// How long what runs may go on after a stop.
    pub grace: Duration,
    /// Stop after so many jobs.
    pub max_jobs: Option<u64>,
    /// Stop after so long.
    pub max_time: Option<Duration>,
    /// Stop when nothing is ready.
    pub stop_when_empty: bool,
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerSummary {
    /// Jobs that were settled.
    pub settled: u64,
    /// Jobs that were given back.
    pub released: usize,
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
    let (wake, woken) = mpsc::channel(1);
    let listener = tokio::spawn(listen(store.clone(), handler.queue(), wake));
    let summary = Fetcher::new(store, handler, options, observer).run(woken, stop).await;
    // Ended where it is: its goodbye to the database may have no answer.
    listener.abort();
    summary
}

/// Turns committed jobs of `queue` into wake-ups, as long as listening works; polling goes on in any case.
async fn listen(store: Store, queue: &'static str, wake: mpsc::Sender<()>) {
    let mut told = false;
    loop {
        let Err(error) = pass_on(&store, queue, &wake).await;
        if !std::mem::replace(&mut told, true) {
            info!(queue, %error, "no wake-ups from the database for now: polling");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn pass_on(store: &Store, queue: &str, wake: &mpsc::Sender<()>) -> Result<Infallible, StoreError> {
    let mut wakeups = store.wakeups().await?;
    loop {
        // After a gap anything may wait. A full channel means that a wake-up is on its way.
        if wakeups.next().await?.is_none_or(|announced| announced == queue) {
            let _ = wake.try_send(());
        }
    }
}
