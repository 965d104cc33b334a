//! The store on a real PostgreSQL, a database per test.

mod announcements;
mod by_operator;
mod deliveries;
mod digests;
mod failed;
mod golden;
mod incidents;
mod liveness;
mod locations;
mod maintenance;
mod operations;
mod own_network;
mod queue;
mod refusals;
mod results;
mod schedule;
mod schema;
mod unwatched;
mod who_hears;

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use uptime_core::channel::{Channel, ChannelFilter, Setting};
use uptime_core::check::{CheckReport, Failure, FailureClass, Hop, Phases};
use uptime_core::decision::{Decisions, FinishedCheck, KnownIncident, Watched};
use uptime_core::event::{Event, EventIncident, EventMonitor, EventOutcome, EventType, Severity};
use uptime_core::id::{DeliveryId, IncidentId, MonitorId};
use uptime_core::monitor::{Monitor, Policy};
use uptime_core::notifier::LimitChanges;
use uptime_core::route::DigestPolicy;
use uptime_core::secret::SecretRef;
use uptime_core::target;
use uptime_store::apply::{DesiredState, Removal, Source};
use uptime_store::notifications::{ChannelRow, Notice};
use uptime_store::queue::{ClaimFrom, ClaimRequest, Job};
use uptime_store::{MONITOR_CHECKS, Store};
use uptime_tests::TestDatabase;
use uuid::Uuid;

/// A lease that does not run out in a test.
const LEASE: Duration = Duration::from_secs(90);

/// Before each probe of a channel that fails.
const PAUSES: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(2)];

/// A migrated database and a store on it.
async fn store() -> (TestDatabase, Store) {
    let database = TestDatabase::from_template("store", async |url| {
        Store::open(&url, 2).await.expect("the schema is made").close().await;
    })
    .await;
    let store = Store::open(&database.url(), 8).await.expect("the store opens");
    (database, store)
}

/// Until so many sessions wait for a lock.
async fn until_wait(database: &TestDatabase, sessions: usize) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waited = async {
        while database.value(waiting) != sessions.to_string() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    uptime_tests::within(uptime_tests::DEADLINE, waited, || "those who wait".into()).await;
}

/// For jobs of a queue without concurrency keys, in nobody's name.
fn request(queue: &str, limit: usize) -> ClaimRequest<'_> {
    ClaimRequest { queue, done: &[], limit, worker: None, lease: LEASE, keys: None, from: ClaimFrom::Front }
}

async fn claim(store: &Store, queue: &str, limit: usize) -> Vec<Job> {
    store.claim(&request(queue, limit)).await.expect("a claim")
}

/// What a file with these channels and monitors says.
fn file<'w>(channels: &'w [Channel], monitors: &'w [Monitor], removal: Removal) -> DesiredState<'w> {
    DesiredState { source: Source::File, channels, monitors, maintenance: None, removal }
}

/// Monitors `a`, `b`, … with the channels `ops` and `boss`, applied.
async fn watch(store: &Store, names: &[&str]) {
    let channels = ["ops", "boss"].map(channel);
    let monitors: Vec<Monitor> = names.iter().map(|name| monitor(name)).collect();
    store.apply(file(&channels, &monitors, Removal::Keep), false).await.expect("applied");
}

fn channel(name: &str) -> Channel {
    Channel {
        name: name.into(),
        notifier: "webhook".into(),
        enabled: true,
        settings: BTreeMap::from([(
            "url".into(),
            Setting::Text(SecretRef::Literal("https://example.com/".into())),
        )]),
        filter: ChannelFilter::default(),
        digest_policy: DigestPolicy::default(),
        allow: Vec::new(),
        limits: LimitChanges::default(),
        proxy: None,
    }
}

async fn stored_channel(store: &Store, name: &str) -> ChannelRow {
    let channels = store.channels().await.expect("channels that can be read");
    channels.into_iter().find(|channel| channel.name == name).expect("it is there")
}

fn monitor(name: &str) -> Monitor {
    Monitor {
        name: name.into(),
        enabled: true,
        check: target::parse("tcp://127.0.0.1:9").expect("a target"),
        policy: Policy::default(),
        channels: vec!["ops".into(), "boss".into()],
        locations: Vec::new(),
        parent: None,
        group: None,
        tags: BTreeMap::new(),
    }
}

/// Commits notices as a batch of checks does.
async fn enqueue(store: &Store, notices: impl IntoIterator<Item = Notice>) {
    let (transaction, _) = store.begin_results(&[], &[]).await.expect("a transaction");
    let notices = notices.into_iter().collect();
    transaction.commit(&Decisions { notices, ..Decisions::default() }).await.expect("a commit");
}

/// An incident of each monitor, in the order of their names.
fn open_incidents(database: &TestDatabase) {
    database.query(
        "INSERT INTO incidents (monitor_id, severity, class, cause, started_at, failures)
         SELECT id, 'down', 'refused', 'refused', now(), 3 FROM monitors ORDER BY name",
    );
}

/// One that begins now.
fn outage() -> KnownIncident {
    let now = Timestamp::now();
    KnownIncident {
        cause: EventOutcome::new("refused", "refused"),
        severity: Severity::Down,
        started_at: now,
        down_at: None,
        opened_at: now,
        ended_at: None,
        failures: 1,
        acknowledged_by: None,
        is_handled: false,
    }
}

/// Schedules everything and claims it, as checks that found their targets down.
async fn finished_checks(store: &Store, database: &TestDatabase) -> Vec<FinishedCheck> {
    database.query("UPDATE monitor_states SET next_check_at = now()");
    store.schedule(Duration::ZERO).await.expect("scheduled");
    let mut checks = Vec::new();
    for job in claim(store, MONITOR_CHECKS, 100).await {
        let id = MonitorId(job.subject.expect("a monitor"));
        let monitor: Watched = store
            .monitors_by_id(&[id])
            .await
            .expect("a query")
            .remove(&id)
            .expect("it is there")
            .expect("it can be read");
        checks.push(FinishedCheck {
            claim: job.claim,
            monitor,
            location: None,
            slot_at: job.available_at,
            started_at: job.claimed_at,
            late: Duration::ZERO,
            report: down(),
        });
    }
    checks.sort_by_key(|check| check.monitor.id);
    checks
}

fn down() -> CheckReport {
    let failure = Failure::new(FailureClass::Refused, "connection refused").with("a connection", "refused");
    let phases = Phases { connect: Some(Duration::from_micros(120)), ..Phases::default() };
    let hop = Hop { address: "127.0.0.1".parse().ok(), phases, ..Hop::default() };
    CheckReport { hops: vec![hop], ..CheckReport::new(Some(failure), Duration::from_micros(150)) }
}

fn event(kind: EventType, incident: IncidentId) -> Event {
    let at = Timestamp::from_second(1_700_000_000).expect("an instant");
    Event {
        kind,
        delivery_id: DeliveryId(Uuid::new_v4()),
        at,
        monitor: EventMonitor {
            name: "a".into(),
            kind: "tcp".into(),
            target: "tcp://127.0.0.1:9".into(),
            group: None,
            tags: BTreeMap::new(),
        },
        incident: Some(EventIncident::new(incident, at, None, 3)),
        outcome: None,
        severity: Severity::Down,
    }
}
