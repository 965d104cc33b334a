//! What the product's own worker does with the notifier `webhook` and a sink on loopback. Prints one line:
//!
//! ```text
//! deliveries_per_s=… cpu_us_per_delivery=… took_ms=… memory_mb=…
//! ```
//!
//! Deliveries a second from the first claim to the last commit; CPU for each, the database's included when it runs on this
//! host, the sink's not; the largest resident memory of this process. The sink is a process of its own, on the same cores.
//!
//! ```sh
//! cargo bench --workspace --bench deliveries -- --deliveries 20000
//! cargo bench --workspace --bench deliveries -- --deliveries 1000 --channels 1000 --delay-ms 1000
//! ```
//!
//! The database at `DATABASE_URL` must be an empty one: it is filled. Without, the embedded PostgreSQL runs in a temporary
//! directory, with its durable settings. The plugin host alone is measured by `--bench plugins`.

mod measured;

use clap::Parser;
use measured::{Failure, cpu_seconds};
use sqlx::{Connection, Executor, PgConnection};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uptime_core::event::EventType;
use uptime_core::queue::QueueSettings;
use uptime_core::samples;
use uptime_core::secret::access::Access;
use uptime_engine::Observer;
use uptime_engine::deliveries::Deliveries;
use uptime_engine::worker::{self, WorkerOptions};
use uptime_notifier::{HostOptions, NotifierHost};
use uptime_store::{NOTIFICATIONS, Store};
use uptime_tests::{Reply, ServerProcess, WebhookSink, serve_until_released};

#[derive(Parser)]
struct Options {
    /// Number of notifications delivered
    #[arg(long, default_value_t = 20_000)]
    deliveries: u32,
    /// Channels that they are for, in turn
    #[arg(long, default_value_t = 500)]
    channels: u32,
    /// How long the sink waits before it answers
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Deliveries that the worker runs at once
    #[arg(long, default_value_t = 1_000)]
    concurrency: u32,
    /// Be the sink of another process
    #[arg(long, hide = true)]
    sink: bool,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    if options.sink {
        let sink = WebhookSink::start();
        sink.answer(Reply::ok().after(Duration::from_millis(options.delay_ms)));
        serve_until_released(&sink.origin(), || sink.received().len().to_string());
        return Ok(());
    }
    let sink = ServerProcess::start(&["--sink", "--delay-ms", &options.delay_ms.to_string()]);
    let measured = measured::with_database(async |url| measure(url, &options, sink).await).await?;
    writeln!(std::io::stdout(), "{measured}")?;
    Ok(())
}

async fn measure(url: &str, options: &Options, sink: ServerProcess) -> Result<String, Failure> {
    let store = Store::open(url, 8).await?;
    let mut observed = PgConnection::connect(url).await?;
    fill(&mut observed, options, sink.address()).await?;
    let cache = tempfile::tempdir()?;
    let notifiers = NotifierHost::new(HostOptions {
        cache_dir: Some(cache.path().join("plugins")),
        ..HostOptions::default()
    })?;
    notifiers.describe("webhook").await?;

    let observer: Observer = Arc::new(|_| ());
    let settings = QueueSettings::defaults(NOTIFICATIONS);
    let access = Access::operator();
    let handler = Deliveries::new(store.clone(), notifiers, access, Arc::clone(&observer), &settings)?;
    let worker = WorkerOptions {
        settings: QueueSettings {
            concurrency: options.concurrency,
            ..QueueSettings::defaults(NOTIFICATIONS)
        },
        grace: Duration::from_secs(20),
        max_jobs: Some(options.deliveries.into()),
        max_time: None,
        max_memory: None,
        stop_when_empty: false,
        paused: watch::channel(false).1,
    };
    let (memory, watching) = watch_memory();
    let cpu = cpu_seconds(&mut observed).await?;
    let began = Instant::now();
    worker::run(store.clone(), Arc::new(handler), worker, observer, CancellationToken::new()).await?;
    let took = began.elapsed();
    let cpu_us = (cpu_seconds(&mut observed).await? - cpu) * 1e6 / f64::from(options.deliveries);
    watching.abort();
    let delivered: i64 = sqlx::query_scalar("SELECT count(*) FROM notifications WHERE state = 'delivered'")
        .fetch_one(&mut observed)
        .await?;
    let arrived: u32 = sink.finish().trim().parse()?;
    if delivered != i64::from(options.deliveries) || arrived != options.deliveries {
        return Err(
            format!("{arrived} arrived and {delivered} are recorded of {}", options.deliveries).into()
        );
    }
    store.close().await;
    Ok(format!(
        "deliveries_per_s={:.0} cpu_us_per_delivery={cpu_us:.0} took_ms={} memory_mb={}",
        f64::from(options.deliveries) / took.as_secs_f64(),
        took.as_millis(),
        memory.load(Relaxed) >> 20,
    ))
}

/// Makes the channels and a notification and its job for each delivery.
async fn fill(database: &mut PgConnection, options: &Options, origin: &str) -> Result<(), Failure> {
    let event = samples::event(EventType::Down);
    sqlx::query(
        "INSERT INTO channels (name, notifier, enabled, settings, filter, allow, source)
         SELECT 'sink-' || n, 'webhook', true, jsonb_build_object('url', $2 || '/'), '{}', ARRAY[$2], 'file'
         FROM generate_series(1, $1) n",
    )
    .bind(i64::from(options.channels.max(1)))
    .bind(origin)
    .execute(&mut *database)
    .await?;
    sqlx::query(
        "WITH c AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS nth, count(*) OVER () AS all FROM channels),
         n AS (INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
               SELECT id, c_id, 'down', 0, jsonb_set($2, '{delivery_id}', to_jsonb(id)), 'queued'
               FROM (SELECT gen_random_uuid() AS id, c.id AS c_id FROM generate_series(1, $1) s JOIN c ON c.nth = s % c.all) d
               RETURNING id, channel_id)
         INSERT INTO jobs (queue, subject, concurrency_key) SELECT 'notifications', id, channel_id FROM n",
    )
    .bind(i64::from(options.deliveries))
    .bind(serde_json::to_value(&event)?)
    .execute(&mut *database)
    .await?;
    database.execute("ANALYZE").await?;
    Ok(())
}

/// The largest resident memory of this process while it is watched, in bytes.
fn watch_memory() -> (Arc<AtomicU64>, tokio::task::JoinHandle<()>) {
    let largest = Arc::new(AtomicU64::new(0));
    let kept = Arc::clone(&largest);
    let watching = tokio::spawn(async move {
        loop {
            if let Some(stats) = memory_stats::memory_stats() {
                kept.fetch_max(stats.physical_mem as u64, Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (largest, watching)
}
