//! Guests that compute without end take no time from the rest of the process, and little from each other.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uptime_core::queue::QueueSettings;
use uptime_core::secret::access::Access;
use uptime_engine::Observer;
use uptime_engine::deliveries::Deliveries;
use uptime_engine::worker::{self, WorkerOptions};
use uptime_notifier::{HostOptions, NotifierHost, PluginSource};
use uptime_store::{NOTIFICATIONS, Store};
use uptime_tests::{TestDatabase, WebhookSink};

const LOOPING: usize = 8;

/// What a tick of 10 ms may be late by, and what the good channel may have to wait: both were seconds when guests ran on the
/// threads of everybody.
const LATE_MOST: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(1);

/// Computes as soon as it is asked what it is.
const LOOP: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
  (func (export "uptime:notifier/notifier@0.1.0#describe") (result i32) (loop (br 0)) (unreachable))
  (func (export "uptime:notifier/notifier@0.1.0#validate") (param i32 i32) (result i32) (unreachable))
  (func (export "uptime:notifier/notifier@0.1.0#notify") (param i32) (result i32) (unreachable)))"#;

fn component() -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/notifier/0.1.0");
    let (package, _) = resolve.push_dir(folder).expect("the WIT");
    let world = resolve.select_world(&[package], Some("notifier-plugin")).expect("the world");
    let mut module = wat::parse_str(LOOP).expect("valid WAT");
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).expect("metadata");
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .expect("a component")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_that_compute_delay_neither_the_process_nor_the_good_channel() {
    let database = TestDatabase::from_template("store", async |url| {
        Store::open(&url, 2).await.expect("the schema is made").close().await;
    })
    .await;
    let store = Store::open(&database.url(), 8).await.expect("the store opens");
    let sink = WebhookSink::start();
    let component = component();
    let plugins = (0..LOOPING).map(|n| PluginSource::of_bytes(format!("loop-{n}"), component.clone()));
    let notifiers = NotifierHost::with_plugins(HostOptions::default(), plugins).expect("a host");
    notifiers.describe("webhook").await.expect("it is compiled");
    let looping: Vec<String> = (0..LOOPING)
        .map(|n| format!("('loop-{n}', 'loop-{n}', true, '{{}}', '{{}}', '{{}}', 'file')"))
        .collect();
    database.query(&format!(
        "INSERT INTO channels (name, notifier, enabled, settings, filter, allow, source) VALUES
           {}, ('good', 'webhook', true, '{{\"url\": \"{}\"}}', '{{}}', '{{{}}}', 'file');
         INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
         SELECT d.id, c.id, 'test', 0, jsonb_build_object('type', 'test', 'delivery_id', d.id, 'at', '2024-01-01T00:00:00Z',
           'monitor', '{{\"name\": \"m\", \"type\": \"http\", \"target\": \"\", \"tags\": {{}}}}'::jsonb, 'severity', 'info'), 'queued'
         FROM channels c, LATERAL (SELECT gen_random_uuid() AS id WHERE c.id > 0) d;
         INSERT INTO jobs (queue, subject, concurrency_key) SELECT 'notifications', id, channel_id FROM notifications ORDER BY channel_id",
        looping.join(", "),
        sink.url(),
        sink.origin(),
    ));
    let settings =
        QueueSettings { sleep: Duration::from_millis(50), ..QueueSettings::defaults(NOTIFICATIONS) };
    let observer: Observer = Arc::new(|_| ());
    let (access, observing) = (Access::operator(), Arc::clone(&observer));
    let handler = Deliveries::new(store.clone(), notifiers, access, observing, &settings).expect("threads");
    let (_pause, paused) = watch::channel(false);
    let options = WorkerOptions {
        settings,
        grace: Duration::from_millis(100),
        max_jobs: None,
        max_time: None,
        max_memory: None,
        stop_when_empty: false,
        paused,
    };
    let stop = CancellationToken::new();
    let began = Instant::now();
    let worker = tokio::spawn(worker::run(store, Arc::new(handler), options, observer, stop.clone()));
    let mut late = Duration::ZERO;
    // For as long as the guests may compute, and not only until the good one is through.
    while began.elapsed() < Duration::from_secs(3) {
        let slept = Instant::now();
        tokio::time::sleep(Duration::from_millis(10)).await;
        late = late.max(slept.elapsed().saturating_sub(Duration::from_millis(10)));
    }
    let told = sink.wait_for(1).await[0].at.saturating_duration_since(began);
    stop.cancel();
    worker.await.expect("no panic").expect("it worked");
    assert!(late < LATE_MOST, "a tick was late by {late:?}");
    assert!(told < SOON, "the good channel was told after {told:?}");
}
