//! What the queue's own worker does with a handler that does nothing, on the database at `DATABASE_URL` (an empty one:
//! it is filled). Prints one line: how many jobs a second are enqueued, drained, how soon an idle worker picks one up,
//! and the CPU of this process for each job.
//!
//! ```sh
//! DATABASE_URL=postgres:///bench cargo run --release -p uptime-engine --example queue -- 200000
//! ```

use futures_util::future::ready;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uptime_core::config::QueueSettings;
use uptime_core::id::JobId;
use uptime_engine::Observer;
use uptime_engine::worker::{self, Finished, Handler, WorkerOptions};
use uptime_store::queue::{Claim, Job};
use uptime_store::{Store, StoreError};

const QUEUE: &str = "bench";

/// Jobs in one statement.
const BATCH: usize = 10_000;

/// The kernel counts CPU in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Does nothing, and remembers how long each job waited.
struct Nothing {
    store: Store,
    waits: Mutex<Vec<Duration>>,
}

impl Handler for Nothing {
    type Work = ();
    type Done = ();

    fn queue(&self) -> &'static str {
        QUEUE
    }

    async fn load(&self, jobs: &[Job]) -> Result<HashMap<JobId, Result<(), StoreError>>, StoreError> {
        Ok(jobs.iter().map(|job| (job.claim.id, Ok(()))).collect())
    }

    fn run(&self, job: &Job, (): (), _within: Duration) -> impl Future<Output = ()> + Send {
        let wait = job.claimed_at.duration_since(job.available_at).try_into().unwrap_or_default();
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).push(wait);
        ready(())
    }

    async fn settle(&self, finished: &[Finished<()>]) -> Result<(), StoreError> {
        let claims: Vec<Claim> = finished.iter().map(|finished| finished.job.claim).collect();
        self.store.complete(&claims).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("DATABASE_URL")?;
    let jobs: u32 = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let store = Store::open(&url, 4).await?;

    let enqueue = Instant::now();
    let batch = vec![serde_json::json!({}); BATCH];
    for _ in 0..jobs as usize / BATCH {
        store.enqueue(QUEUE, &batch).await?;
    }
    let enqueue_per_s = f64::from(jobs) / enqueue.elapsed().as_secs_f64();

    let handler = Arc::new(Nothing { store: store.clone(), waits: Mutex::default() });
    let options = WorkerOptions {
        settings: QueueSettings { concurrency: 1_000, ..QueueSettings::defaults(QUEUE) },
        grace: Duration::from_secs(5),
        max_jobs: None,
        max_time: None,
        stop_when_empty: true,
    };
    let observer: Observer = Arc::new(|_| ());
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let stop = CancellationToken::new();
    worker::run(store.clone(), Arc::clone(&handler), options.clone(), Arc::clone(&observer), stop.clone())
        .await?;
    let drain_per_s = f64::from(jobs) / began.elapsed().as_secs_f64();
    let cpu_us_per_job = (cpu_seconds() - cpu) * 1e6 / f64::from(jobs);

    // An idle worker, and one job every few milliseconds.
    handler.waits.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let options = WorkerOptions { stop_when_empty: false, ..options };
    let idle =
        tokio::spawn(worker::run(store.clone(), Arc::clone(&handler), options, observer, stop.clone()));
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_millis(7)).await;
        store.enqueue(QUEUE, &batch[..1]).await?;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    idle.await??;
    let mut waits = handler.waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
    waits.sort_unstable();
    let at = |percent: usize| {
        waits.get(waits.len() * percent / 100).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
    };
    writeln!(
        std::io::stdout(),
        "enqueue_per_s={enqueue_per_s:.0} drain_per_s={drain_per_s:.0} p50_ms={:.2} p99_ms={:.2} cpu_us_per_job={cpu_us_per_job:.1}",
        at(50),
        at(99)
    )?;
    Ok(())
}

/// CPU that this process has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}
