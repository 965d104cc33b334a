//! Rows of each table, written by the program.

use super::super::{claim, enqueue, file, outage, request, store, stored_channel};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use uptime_core::channel::Setting;
use uptime_core::check::{
    Certificate, CheckReport, Echoes, Failure, FailureClass, Hop, Phases, RoundTrips, TlsEvidence,
};
use uptime_core::config::{self, Config};
use uptime_core::decision::{Decisions, FinishedCheck, KnownIncident, Needs, Surroundings, judge};
use uptime_core::event::{Event, EventIncident, EventMonitor, EventOutcome, EventType, Severity};
use uptime_core::id::{ChannelId, DeliveryId, IncidentId, MonitorId, NotificationId};
use uptime_core::incident::{By, IncidentAction};
use uptime_core::judgement::{Failures, Recent, State, Status};
use uptime_core::maintenance::Maintenance;
use uptime_core::monitor::{HttpVersion, Location, TlsVersion};
use uptime_core::notifier::{Description, Field, FieldKind};
use uptime_core::secret::SecretRef;
use uptime_store::apply::{DesiredState, Removal};
use uptime_store::liveness::SchedulerHeartbeat;
use uptime_store::notifications::{DeliveryEnd, DeliveryTry, Notice};
use uptime_store::own_network::BlindMoment;
use uptime_store::queue::{Claim, ClaimRequest, Job, JobFailure};
use uptime_store::workers::Heartbeat;
use uptime_store::{MONITOR_CHECKS, NOTIFICATIONS, Store};
use uptime_tests::TestDatabase;
use uuid::Uuid;

const TABLES: [&str; 20] = [
    "channels",
    "monitors",
    "monitor_channels",
    "monitor_states",
    "monitor_locations",
    "maintenance_windows",
    "incidents",
    "incident_events",
    "notifications",
    "delivery_attempts",
    "certificate_notices",
    "jobs",
    "failed_jobs",
    "workers",
    "queue_controls",
    "queue_throughput",
    "host_network",
    "schedulers",
    "check_stalls",
    "check_results",
];

pub(super) fn config() -> Config {
    let kinds = [
        ("text", FieldKind::Text),
        ("text_elsewhere", FieldKind::Text),
        ("url", FieldKind::Url),
        ("secret", FieldKind::Secret),
        ("secrets", FieldKind::Secret),
        ("number", FieldKind::Integer),
        ("switch", FieldKind::Boolean),
        ("choice", FieldKind::Choice),
        ("headers", FieldKind::Map),
        ("map", FieldKind::Map),
    ];
    let field = |(key, kind): (&str, FieldKind)| Field {
        key: key.into(),
        help: "a setting".into(),
        kind,
        required: key == "url",
        default: None,
        choices: if kind == FieldKind::Choice { vec!["red".into(), "green".into()] } else { Vec::new() },
        places: Vec::new(),
    };
    let described = Description {
        name: "rehearsed".into(),
        version: "1.0.0".into(),
        summary: "every kind of setting".into(),
        fields: kinds.map(field).into(),
        hosts: vec!["https://example.com".into()],
        digests: true,
    };
    let summaries = config::read(include_str!("../../golden/file.toml"), std::slice::from_ref(&described));
    summaries.config.unwrap_or_else(|| panic!("the file is right: {:?}", summaries.diagnostics))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("an instant")
}

/// What the judgement remembers, with everything that it can.
pub(super) fn state() -> State {
    State {
        status: Status::Down,
        since: Some(at(1)),
        streak: 1,
        streak_since: Some(at(2)),
        downs: 2,
        downs_since: Some(at(3)),
        failures: 7,
        severity: Some(Severity::Critical),
        window: Failures { recent: Recent::from(0b1011), failed_at: vec![at(4), at(5)] },
        recent: Recent::from(0b110),
        flapping: true,
        last_slot_at: Some(at(6)),
    }
}

pub(super) async fn rows() -> Map<String, Value> {
    let (database, store) = store().await;
    // While there is no channel that could hear of it.
    let blind =
        |moment: BlindMoment| Event::about_network(EventType::Blind, "host", "away".into(), moment.now);
    store.enqueue_blind("host", Duration::from_secs(1), blind).await.expect("it is blind");
    let stalled = |now| Event::about_checks(EventType::Stalled, MONITOR_CHECKS, "silent".into(), now);
    store.enqueue_stalled(MONITOR_CHECKS, Duration::ZERO, stalled).await.expect("it has stalled");
    let config = config();
    let wanted = DesiredState {
        maintenance: Some(&config.maintenance),
        ..file(&config.channels, &config.monitors, Removal::Keep)
    };
    store.apply(wanted, false).await.expect("applied");
    let by_operator = Maintenance { monitors: vec!["ping".into()], ..config.maintenance[0].1.clone() };
    store.add_maintenance("by-hand", &by_operator).await.expect("a window");
    checks(&store, &database).await;
    notices(&store).await;
    deliveries(&store).await;
    for action in [
        IncidentAction::Acknowledge { lasting: Some(Duration::from_hours(1)) },
        IncidentAction::Comment,
        IncidentAction::Mute,
        IncidentAction::Unmute,
        IncidentAction::Unacknowledge,
    ] {
        let by = By { who: "ada", note: Some("a note") };
        store.do_to_incident(IncidentId(1), action, by).await.expect("it is done");
    }
    let by = By { who: "ada", note: None };
    store.do_to_incident(IncidentId(3), IncidentAction::Resolve, by).await.expect("it is over");
    let worker = Heartbeat {
        worker: Uuid::from_u128(7),
        queue: NOTIFICATIONS,
        host: "host".into(),
        pid: 42,
        process_space: None,
        version: "0.0.1",
        started_at: None,
        running: 3,
        paused: false,
        finished: 4,
    };
    store.heartbeat(&worker).await.expect("it lives");
    store.pause_queue("a-queue").await.expect("paused");
    store.restart_workers("another").await.expect("asked");
    let scheduler = SchedulerHeartbeat {
        id: Some(Uuid::from_u128(8)),
        host: "host".into(),
        pid: 43,
        version: "0.0.1",
        period: Duration::from_secs(5),
    };
    store.scheduler_heartbeat(&scheduler).await.expect("it lives");
    TABLES
        .iter()
        .map(|table| {
            let rows = database.value(&format!(
                "SELECT jsonb_agg(to_jsonb(t) ORDER BY coalesce((to_jsonb(t)->>'id'), '')::text COLLATE \"C\", to_jsonb(t)::text COLLATE \"C\") FROM {table} t"
            ));
            let rows: Vec<Value> = serde_json::from_str(&rows).unwrap_or_else(|_| panic!("{table} has rows"));
            ((*table).to_owned(), Value::Array(rows))
        })
        .collect()
}

/// One check of each kind, with all that it can see; jobs that failed and run again, or do not.
async fn checks(store: &Store, database: &TestDatabase) {
    database.query("UPDATE monitor_states SET next_check_at = now()");
    store.schedule(Duration::from_mins(1)).await.expect("scheduled");
    let here = claim(store, MONITOR_CHECKS, 100).await;
    let [again, never, rest @ ..] = here.as_slice() else { panic!("there are checks: {here:?}") };
    let failure = |claim: Claim, retry_after| JobFailure {
        claim,
        retry_after,
        counts: true,
        error: "the worker died".into(),
    };
    store.fail(&[failure(again.claim, Some(Duration::ZERO))]).await.expect("put back");
    let again = claim(store, MONITOR_CHECKS, 1).await.pop().expect("it runs again");
    let lasting = Some(Duration::from_hours(1));
    store.fail(&[failure(again.claim, lasting), failure(never.claim, None)]).await.expect("recorded");
    let reports =
        [hop_report(true), inconclusive(), degraded(), echoes(), CheckReport::new(None, Duration::ZERO)];
    for (job, report) in rest.iter().zip(reports) {
        record(store, job, None, report).await;
    }
    let fra = claim(store, "monitor-checks:fra", 1).await.pop().expect("a check");
    record(store, &fra, Some("fra"), hop_report(false)).await;
}

async fn record(store: &Store, job: &Job, location: Option<&str>, report: CheckReport) {
    let id = MonitorId(job.subject.expect("a monitor"));
    let monitor = store.monitors_by_id(&[id]).await.expect("a query").remove(&id).expect("it is there");
    let location: Option<Location> = location.map(|name| name.parse().expect("a location"));
    let check = FinishedCheck {
        claim: job.claim,
        monitor: monitor.expect("it can be read"),
        location: location.clone(),
        slot_at: at(10),
        started_at: at(11),
        late: Duration::from_millis(1),
        report,
    };
    let failure = check.report.failure.clone();
    let (mut transaction, known) = store.begin_results(&[job.claim], &[id]).await.expect("a transaction");
    let mut decisions =
        judge(known, vec![check]).announce(Surroundings::default(), &mut || DeliveryId(Uuid::nil()));
    assert_eq!(decisions.outcomes.len(), 1, "it is ours");
    let mut state =
        State { status: Status::Up, since: Some(at(1)), last_slot_at: Some(at(10)), ..State::default() };
    let mut incident = None;
    if let Some(failure) = failure {
        let (ended_at, failures) = if location.is_some() { (Some(at(20)), 9) } else { (None, 7) };
        let open = KnownIncident {
            cause: (&failure).into(),
            severity: Severity::Critical,
            started_at: at(1),
            down_at: Some(at(2)),
            ended_at,
            failures,
            ..outage()
        };
        let needs = Needs { opened: vec![(id, open)], ..Needs::default() };
        let open = transaction.surroundings(needs).await.expect("opened").opened[0];
        let cause = Some(failure.message);
        let mut happened = vec![
            ("opened", cause.clone()),
            ("worsened", cause),
            ("escalated", None),
            ("held", Some("maintenance `once`".to_owned())),
        ];
        happened.extend(location.is_some().then_some(("resolved", None)));
        let timeline = happened.into_iter().map(|(word, note)| (open, word, note)).collect();
        let certificates = vec![(id, "ab12".to_owned(), 21)];
        decisions =
            Decisions { timeline, certificates, outcomes: decisions.outcomes, ..Decisions::default() };
        incident = location.is_none().then_some(open);
        state = self::state();
    }
    let outcome = &mut decisions.outcomes[0];
    if let Some(local) = &mut outcome.local {
        local.state = state.clone();
    }
    (outcome.state, outcome.incident, outcome.recheck_after) = (state, incident, None);
    transaction.commit(&decisions).await.expect("a commit");
}

/// HTTP with everything that it can see.
fn hop_report(untrusted: bool) -> CheckReport {
    let failure = Failure::new(FailureClass::Status, "the answer is 503")
        .with("2xx", "503")
        .with_excerpt("<h1>Unavailable</h1>", 0);
    let certificate = |subject: &str| Certificate {
        subject: subject.into(),
        issuer: "CN=Authority".into(),
        names: vec!["example.com".into(), "192.0.2.1".into()],
        not_before: at(-100),
        not_after: at(100),
        sha256: "ab".repeat(32),
        counts: true,
    };
    let tls = TlsEvidence {
        version: Some(TlsVersion::Tls13),
        trust_failure: untrusted.then(|| Failure::new(FailureClass::TlsExpired, "it ended yesterday")),
        chain: vec![certificate("CN=example.com"), certificate("CN=Authority")],
        asks_for_client: true,
        authority: None,
    };
    let hop = Hop {
        url: Some("https://example.com/".into()),
        address: "2001:db8::1".parse().ok(),
        status_code: Some(503),
        body_bytes: Some(1_234),
        http_version: Some(HttpVersion::Http11),
        tls: Some(tls),
        phases: Phases {
            dns: Some(Duration::from_micros(100)),
            connect: Some(Duration::from_micros(200)),
            tls: Some(Duration::from_micros(300)),
            first_byte: Some(Duration::from_micros(400)),
            transfer: Some(Duration::from_micros(500)),
        },
        ..Hop::default()
    };
    CheckReport {
        hops: vec![Hop::default(), hop],
        ..CheckReport::new(Some(failure), Duration::from_millis(2))
    }
}

fn inconclusive() -> CheckReport {
    CheckReport::new(
        Some(Failure::new(FailureClass::Resolver, "our resolver is silent")),
        Duration::from_secs(1),
    )
}

fn degraded() -> CheckReport {
    let warning = Failure::new(FailureClass::Latency, "slow").with("500 ms", "900 ms");
    CheckReport { warnings: vec![warning], ..CheckReport::new(None, Duration::from_millis(900)) }
}

fn echoes() -> CheckReport {
    let ms = Duration::from_millis;
    let round_trips = RoundTrips { min: ms(1), mean: ms(2), max: ms(3), jitter: Duration::from_micros(500) };
    let echoes = Echoes { sent: 5, received: 2, round_trips: Some(round_trips) };
    let failure = Failure::new(FailureClass::Loss, "3 of 5 are lost").with("all", "2");
    CheckReport { echoes: Some(echoes), ..CheckReport::new(Some(failure), ms(400)) }
}

/// One notice for each event type.
async fn notices(store: &Store) {
    let channel = stored_channel(store, "plain").await;
    let notice =
        |(number, kind): (_, &_)| Notice { channel: channel.id, event: event(*kind, number), sequence: 1 };
    enqueue(store, (1..).zip(EventType::ALL).map(notice)).await;
}

fn event(kind: EventType, number: u8) -> Event {
    let delivery_id = DeliveryId(Uuid::from_u128(number.into()));
    if kind == EventType::ChannelBroken {
        return Event::channel_broken("all", "rehearsed", "the chat is gone", at(30)).sent_as(delivery_id);
    }
    let of_incident = |id| EventIncident::new(IncidentId(id), at(1), None, 7);
    let ended = || EventIncident::new(IncidentId(2), at(1), Some(at(20)), 7);
    let incident = match kind {
        EventType::Down | EventType::Critical | EventType::Reminder => Some(of_incident(1)),
        EventType::Up => Some(ended()),
        EventType::Degraded | EventType::FlappingStart | EventType::FlappingEnd => Some(of_incident(3)),
        EventType::Acknowledged => {
            Some(EventIncident { acknowledged_by: Some("ada".into()), ..of_incident(1) })
        }
        _ => None,
    };
    let outcome = EventOutcome {
        class: "status".into(),
        expected: Some("2xx".into()),
        got: Some("503".into()),
        message: "the answer is 503".into(),
    };
    Event {
        kind,
        delivery_id,
        at: at(30),
        monitor: EventMonitor {
            name: "http".into(),
            kind: "http".into(),
            target: "https://example.com:8443/path".into(),
            group: Some("web".into()),
            tags: BTreeMap::from([("team".into(), "web".into())]),
        },
        incident,
        outcome: (kind != EventType::Test).then_some(outcome),
        severity: if kind == EventType::Up { Severity::Info } else { Severity::Down },
    }
}

async fn deliveries(store: &Store) {
    let request = ClaimRequest { keys: Some((100, &[])), ..request(NOTIFICATIONS, 5) };
    let learned = BTreeMap::from([("text".into(), Setting::Text(SecretRef::Literal("moved".into())))]);
    let mut ends = vec![
        DeliveryEnd::Delivered { remote_id: Some("message 7".into()), learned, pause: None },
        DeliveryEnd::Retry {
            after: Duration::from_hours(1),
            error: "502".into(),
            counts: true,
            pause: Some(Duration::from_mins(1)),
            channel_broken: false,
        },
        DeliveryEnd::Muted { reason: "nobody wants it any more" },
        DeliveryEnd::Waits { for_so_long: Duration::from_hours(1), reason: "outside of its hours".into() },
        // The last: what is delivered after it has it told again.
        DeliveryEnd::Failed { error: "no such chat".into(), channel_broken: true },
    ];
    let jobs = store.claim(&request).await.expect("jobs");
    assert_eq!(jobs.len(), ends.len());
    for job in jobs {
        let end = ends.remove(0);
        let outcome = match end {
            DeliveryEnd::Delivered { .. } => "delivered",
            DeliveryEnd::Muted { .. } => "muted",
            _ => "transient",
        };
        let tried = DeliveryTry {
            claim: job.claim,
            notification: NotificationId(job.subject.expect("a notification")),
            channel: ChannelId(job.concurrency_key.expect("a channel")),
            started_at: at(40).saturating_add(SignedDuration::from_secs(1)).expect("an instant"),
            took: Duration::from_millis(120),
            status: Some(200),
            message: Some("its words".into()),
            outcome,
            end,
            progress: None,
            sent_event: None,
            muted: Vec::new(),
            is_probe: false,
        };
        store.record_deliveries(&[&tried], &[Duration::from_mins(1)]).await.expect("recorded");
    }
}
