//! What the product's own worker does with a handler that does nothing. Prints one line:
//!
//! ```text
//! enqueue_per_s=… drain_per_s=… p50_ms=… p99_ms=… cpu_us_per_job=…
//! ```
//!
//! Jobs enqueued and drained a second; how long a committed job waits for its run, when the workers are idle; CPU for each job drained, the database's included when it runs on this host.
//!
//! ```sh
//! cargo bench --workspace --bench queue -- --jobs 500000
//! DATABASE_URL=postgres:///bench cargo bench --workspace --bench queue -- --backlog 1000000
//! cargo bench --workspace --bench queue -- --dead-rows 300000
//! ```
//!
//! The database at `DATABASE_URL` must be an empty one: it is filled. Without, the embedded PostgreSQL runs in a temporary
//! directory, with its durable settings.

mod measured;

use clap::Parser;
use futures_util::future::{ready, try_join_all};
use measured::{Failure, cpu_seconds};
use sqlx::{Connection, Executor, PgConnection};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uptime_core::id::JobId;
use uptime_core::queue::QueueSettings;
use uptime_engine::Observer;
use uptime_engine::worker::{self, Finished, Handler, WorkerOptions};
use uptime_store::queue::{Claim, Job};
use uptime_store::{Store, StoreError};

const QUEUE: &str = "bench";

/// Jobs in one statement.
const BATCH: usize = 10_000;

/// Between two jobs for an idle worker: long enough for it to be idle again.
const IDLE_EVERY: Duration = Duration::from_millis(7);

#[derive(Parser)]
struct Options {
    /// Jobs enqueued and drained
    #[arg(long, default_value_t = 200_000)]
    jobs: u64,
    /// Jobs that wait behind those, and still wait at the end
    #[arg(long, default_value_t = 0)]
    backlog: u64,
    /// Finished jobs before those, which no vacuum can remove: somebody holds an old snapshot
    #[arg(long, default_value_t = 0)]
    dead_rows: u64,
    /// Workers in this process
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Jobs that one worker runs at once
    #[arg(long, default_value_t = 1_000)]
    concurrency: u32,
    /// Number of connections that enqueue
    #[arg(long, default_value_t = 2)]
    enqueuers: usize,
    /// Jobs for the idle workers
    #[arg(long, default_value_t = 500)]
    idle: usize,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Does nothing, and notes when a job ran that says which one it is.
struct Nothing {
    ran: Mutex<HashMap<u64, Instant>>,
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
        if let Some(number) = job.payload.as_ref().ok().and_then(|payload| payload.get("number")?.as_u64()) {
            self.ran.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Instant::now());
        }
        ready(())
    }

    async fn settle(&self, finished: &[Finished<()>]) -> Result<Vec<Claim>, StoreError> {
        Ok(finished.iter().map(|finished| finished.job.claim).collect())
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let measured = measured::with_database(async |url| measure(url, &options).await).await;
    writeln!(std::io::stdout(), "{}", measured?)?;
    Ok(())
}

async fn measure(url: &str, options: &Options) -> Result<String, Failure> {
    let store = Store::open(url, 8).await?;
    let mut observed = PgConnection::connect(url).await?;
    let handler = Arc::new(Nothing { ran: Mutex::default() });
    let workers = Workers { store: store.clone(), handler: Arc::clone(&handler), options };

    let mut old_snapshot = PgConnection::connect(url).await?;
    if options.dead_rows > 0 {
        old_snapshot.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobs").await?;
        enqueue(url, options.dead_rows, options.enqueuers).await?;
        workers.drain(options.dead_rows).await?;
    }

    let began = Instant::now();
    enqueue(url, options.jobs, options.enqueuers).await?;
    let enqueue_per_s = per_second(options.jobs, began.elapsed());
    enqueue(url, options.backlog, options.enqueuers).await?;

    let cpu = cpu_seconds(&mut observed).await?;
    let began = Instant::now();
    workers.drain(options.jobs).await?;
    let drain_per_s = per_second(options.jobs, began.elapsed());
    let cpu_us_per_job = (cpu_seconds(&mut observed).await? - cpu) * 1e6 / count(options.jobs);

    // Idle workers find a table as autovacuum leaves it within a minute.
    observed.execute("DELETE FROM jobs").await?;
    observed.execute("VACUUM jobs").await?;
    let (p50, p99) = pickup(&workers, &mut observed).await?;
    old_snapshot.close().await?;
    store.close().await;
    Ok(format!(
        "enqueue_per_s={enqueue_per_s:.0} drain_per_s={drain_per_s:.0} p50_ms={p50:.2} p99_ms={p99:.2} \
         cpu_us_per_job={cpu_us_per_job:.1}"
    ))
}

/// Enqueues so many jobs over some connections at once.
async fn enqueue(url: &str, jobs: u64, connections: usize) -> Result<(), Failure> {
    let left = Arc::new(Mutex::new(jobs));
    let batch = Arc::new(vec![serde_json::json!({}); BATCH]);
    let enqueuing = (0..connections.max(1)).map(|_| {
        let (url, left, batch) = (url.to_owned(), Arc::clone(&left), Arc::clone(&batch));
        tokio::spawn(async move {
            let mut connection = PgConnection::connect(&url).await?;
            loop {
                let size = {
                    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                    let size = usize::try_from(*left).unwrap_or(usize::MAX).min(BATCH);
                    *left -= size as u64;
                    size
                };
                if size == 0 {
                    return Ok::<(), sqlx::Error>(());
                }
                enqueue_batch(&mut connection, &batch[..size]).await?;
            }
        })
    });
    for ended in try_join_all(enqueuing).await? {
        ended?;
    }
    Ok(())
}

async fn enqueue_batch(connection: &mut PgConnection, payloads: &[serde_json::Value]) -> sqlx::Result<()> {
    let sql = "WITH added AS (INSERT INTO jobs (queue, payload) SELECT $1, p FROM unnest($2::jsonb[]) p RETURNING 1)
               SELECT CASE WHEN count(*) > 0 THEN pg_notify('uptime_jobs', $1) IS NULL END FROM added";
    sqlx::query(sql).bind(QUEUE).bind(payloads).execute(connection).await.map(drop)
}

struct Workers<'a> {
    store: Store,
    handler: Arc<Nothing>,
    options: &'a Options,
}

impl Workers<'_> {
    /// Works off so many jobs, each worker its share.
    async fn drain(&self, jobs: u64) -> Result<(), Failure> {
        let count = self.options.workers.max(1) as u64;
        let shares = (0..count).map(|nth| jobs / count + u64::from(nth < jobs % count));
        let running = shares.map(|share| self.start(Some(share), CancellationToken::new()));
        for ended in try_join_all(running).await? {
            ended?;
        }
        Ok(())
    }

    fn start(
        &self,
        max_jobs: Option<u64>,
        stop: CancellationToken,
    ) -> tokio::task::JoinHandle<Result<worker::WorkerSummary, StoreError>> {
        let options = WorkerOptions {
            settings: QueueSettings {
                concurrency: self.options.concurrency,
                ..QueueSettings::defaults(QUEUE)
            },
            grace: Duration::from_secs(5),
            max_jobs,
            max_time: None,
            max_memory: None,
            stop_when_empty: false,
            paused: watch::channel(false).1,
        };
        let observer: Observer = Arc::new(|_| ());
        tokio::spawn(worker::run(self.store.clone(), Arc::clone(&self.handler), options, observer, stop))
    }
}

/// Milliseconds from the commit of a job, as its enqueuer sees it, to its run by an idle worker: the median and the 99th percentile.
async fn pickup(workers: &Workers<'_>, connection: &mut PgConnection) -> Result<(f64, f64), Failure> {
    let stop = CancellationToken::new();
    let running: Vec<_> =
        (0..workers.options.workers.max(1)).map(|_| workers.start(None, stop.clone())).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut called = Vec::new();
    for number in 0..workers.options.idle {
        tokio::time::sleep(IDLE_EVERY).await;
        enqueue_batch(connection, &[serde_json::json!({ "number": number })]).await?;
        called.push(Instant::now());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.cancel();
    for ended in try_join_all(running).await? {
        ended?;
    }
    let ran = workers.handler.ran.lock().unwrap_or_else(PoisonError::into_inner);
    if ran.len() != called.len() {
        return Err(format!("{} jobs were enqueued and {} ran", called.len(), ran.len()).into());
    }
    let mut waits: Vec<f64> = (0_u64..)
        .zip(&called)
        .filter_map(|(number, called)| {
            Some(ran.get(&number)?.saturating_duration_since(*called).as_secs_f64() * 1e3)
        })
        .collect();
    waits.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or(f64::NAN);
    Ok((at(50), at(99)))
}

fn per_second(jobs: u64, took: Duration) -> f64 {
    count(jobs) / took.as_secs_f64()
}

fn count(jobs: u64) -> f64 {
    u32::try_from(jobs).map_or(f64::NAN, f64::from)
}
