//! What is stored is read for ever: `tests/golden/rows.json` has rows of each table as the program of schema version 9, the
//! first that is read for ever, wrote them, made of `tests/golden/file.toml` by [`written`]. They are never written again. Rows
//! of a newer form get a file of their own beside them.

mod written;

use crate::{claim, request, store};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::time::Duration;
use uptime_core::channel::Setting;
use uptime_core::decision::{Decisions, Needs};
use uptime_core::event::{EventMonitor, EventType};
use uptime_core::id::{IncidentId, JobId, MonitorId, NotificationId};
use uptime_core::monitor::Location;
use uptime_core::secret::SecretRef;
use uptime_store::by_operator::NotificationFilter;
use uptime_store::queue::ClaimRequest;
use uptime_store::summaries::IncidentFilter;
use uptime_store::{NOTIFICATIONS, Store};
use uptime_tests::TestDatabase;

const ROWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rows.json");

fn golden() -> Map<String, Value> {
    serde_json::from_slice(&std::fs::read(ROWS).expect("the file")).expect("it is JSON")
}

/// A database with the golden rows.
async fn stored() -> (TestDatabase, Store) {
    let (database, store) = store().await;
    for (table, rows) in golden() {
        let columns: Vec<&String> = rows[0].as_object().expect("a row").keys().collect();
        let columns = columns.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ");
        // The one column that holds JSON's null.
        let values = columns.replace("proxy", "coalesce(proxy, 'null')");
        // Without the triggers of references: rows of two tables name each other.
        database.query(&format!(
            "SET session_replication_role = replica;
             INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
             SELECT {values} FROM jsonb_populate_recordset(NULL::{table}, $golden${rows}$golden$)"
        ));
    }
    for table in ["channels", "monitors", "jobs", "incidents", "notifications", "incident_events"] {
        database.query(&format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1000) FROM {table} HAVING count(*) > 0"
        ));
    }
    (database, store)
}

#[tokio::test]
async fn stored_monitors_are_what_the_file_says() {
    let (database, store) = stored().await;
    let config = written::config();
    let ids = database.query("SELECT id FROM monitors");
    let ids: Vec<MonitorId> = ids
        .iter()
        .map(|row| MonitorId(row[0].as_deref().expect("an id").parse().expect("a number")))
        .collect();
    let stored = store.monitors_by_id(&ids).await.expect("a query");
    let enabled: Vec<_> = config.monitors.iter().filter(|monitor| monitor.enabled).collect();
    assert_eq!(stored.len(), enabled.len());
    for row in stored.into_values() {
        let row = row.expect("a row that can be read");
        let monitor =
            enabled.iter().find(|monitor| monitor.name == row.about.name).expect("it is in the file");
        assert_eq!(row.check, monitor.check);
        let EventMonitor { kind, target, group, tags, .. } = row.about;
        assert_eq!((kind.as_str(), row.policy), (monitor.check.kind(), monitor.policy.clone()));
        assert_eq!(
            (target, group, tags),
            (monitor.check.target(), monitor.group.clone(), monitor.tags.clone())
        );
        assert_eq!(row.parent.is_some(), monitor.parent.is_some());
    }
    assert_eq!(store.monitor_summaries().await.expect("summaries").len(), config.monitors.len());
    assert_eq!(store.locations().await.expect("locations").len(), 3);
    let windows = store.maintenance_windows().await.expect("windows");
    for (name, window) in &config.maintenance {
        let row = windows.iter().find(|row| row.name == *name).expect("it is there");
        assert_eq!(&row.window, window);
    }
}

#[tokio::test]
async fn stored_channels_are_what_the_file_says() {
    let (_database, store) = stored().await;
    let stored = store.channels().await.expect("channels that can be read");
    let config = written::config();
    assert_eq!(stored.len(), config.channels.len());
    for (row, channel) in stored.into_iter().zip(&config.channels) {
        let mut settings = channel.settings.clone();
        if row.name == "plain" {
            // What a provider has replaced.
            settings.insert("text".into(), Setting::Text(SecretRef::Literal("moved".into())));
        }
        assert_eq!((&row.name, row.settings), (&channel.name, settings));
        assert_eq!((row.notifier, row.enabled), (channel.notifier.clone(), channel.enabled));
        assert_eq!((row.filter, row.allow), (channel.filter.clone(), channel.allow.clone()));
        assert_eq!((row.limits, row.proxy), (channel.limits.clone(), channel.proxy.clone()));
    }
}

#[tokio::test]
async fn stored_notices_are_delivered() {
    let (database, store) = stored().await;
    let all = store.notifications(NotificationFilter::default(), 1_000).await.expect("notifications");
    let ids: Vec<NotificationId> = all.iter().map(|notification| notification.id).collect();
    let due = store.due_deliveries(&ids).await.expect("a query");
    let mut kinds = HashSet::new();
    let mut members = 0;
    for due in due.into_values() {
        let due = due.expect("a notice that can be read");
        kinds.insert(due.event.kind);
        let snapshot = serde_json::to_value(&due.event).expect("an event serializes");
        let stored =
            database.value(&format!("SELECT snapshot FROM notifications WHERE id = {}", due.notification));
        assert_holds("snapshot", &serde_json::from_str(&stored).expect("JSON"), &snapshot);
        members += due.members.unwrap_or_default().len();
    }
    assert_eq!(kinds, EventType::ALL.iter().copied().collect());
    assert!(members > 0);
    assert!(store.tries_of(&ids).await.expect("tries").len() > 1);
    let request = ClaimRequest { keys: Some((100, &[])), ..request(NOTIFICATIONS, 1_000) };
    database.query("UPDATE jobs SET available_at = now(), reserved_until = NULL");
    assert!(!store.claim(&request).await.expect("jobs").is_empty());
}

#[tokio::test]
async fn stored_incidents_and_failed_jobs_are_shown() {
    let (_database, store) = stored().await;
    let incidents = store.incidents(IncidentFilter::default(), 100).await.expect("incidents");
    assert_eq!(incidents.len(), golden()["incidents"].as_array().expect("rows").len());
    for incident in incidents {
        let timeline = store.incident_timeline(incident.id).await.expect("a timeline").expect("it is there");
        assert!(!timeline.entries.is_empty(), "{timeline:?}");
    }
    let failed = store.failed_jobs(None, 100).await.expect("failed jobs");
    assert!(failed.len() > 1 && failed.iter().all(|job| !job.errors.is_empty()), "{failed:?}");
    assert!(failed.iter().any(|job| job.notification.is_some()), "{failed:?}");
}

#[tokio::test]
async fn stored_checks_go_on() {
    let (database, store) = stored().await;
    database.query("UPDATE jobs SET available_at = now(), reserved_until = NULL");
    let mut claims = claim(&store, uptime_store::MONITOR_CHECKS, 100).await;
    claims.extend(claim(&store, "monitor-checks:nyc", 100).await);
    let monitors: Vec<MonitorId> = database
        .query("SELECT id FROM monitors")
        .iter()
        .map(|row| MonitorId(row[0].as_deref().expect("an id").parse().expect("a number")))
        .collect();
    let claims: Vec<_> = claims.iter().map(|job| job.claim).collect();
    let (mut transaction, known) =
        store.begin_results(&claims, &monitors).await.expect("states that can be read");
    assert_eq!(known.incidents[&IncidentId(1)].cause.class, "status", "the open incident");
    let http =
        MonitorId(database.value("SELECT id FROM monitors WHERE name = 'http'").parse().expect("a number"));
    let fra: Location = "fra".parse().expect("a location");
    let local = known.monitors[&http].locations.iter().find(|local| local.location == fra);
    assert_eq!(local.expect("it is looked at from there").state, written::state());
    let needs = Needs { channels_of: [http].into(), ..Needs::default() };
    assert!(!transaction.surroundings(needs).await.expect("channels").channels_of[&http].is_empty());
    transaction.commit(&Decisions::default()).await.expect("committed");
    assert!(store.schedule(Duration::ZERO).await.is_ok());
    let failed = database.value("SELECT min(id) FROM failed_jobs").parse().expect("a number");
    assert_eq!(store.failed_jobs_by_id(&[JobId(failed)]).await.expect("a query").len(), 1);
}

/// The program may write more than it did, and nothing of it in another way.
#[tokio::test]
async fn what_is_written_today_has_what_was_written_then() {
    let written = written::rows().await;
    for (table, then) in golden() {
        let now = written.get(&table).unwrap_or_else(|| panic!("{table} has rows"));
        let (then, now) = (steady(then), steady(now.clone()));
        let now = now.as_array().expect("rows");
        for (nth, row) in then.as_array().expect("rows").iter().enumerate() {
            let same = |other: &&Value| other["id"] == row["id"];
            let found = if row["id"].is_null() { now.get(nth) } else { now.iter().find(same) };
            assert_holds(&table, row, found.unwrap_or_else(|| panic!("{table} has no {row}")));
        }
    }
}

#[tokio::test]
#[ignore = "was run once, by the program that the rows are of"]
async fn write() {
    let rows = serde_json::to_string_pretty(&written::rows().await).expect("rows serialize");
    std::fs::write(ROWS, rows + "\n").expect("written");
}

/// Whether all that is in `then` is in `now`.
fn assert_holds(place: &str, then: &Value, now: &Value) {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            for (key, value) in then {
                let place = format!("{place}.{key}");
                assert_holds(&place, value, now.get(key).unwrap_or_else(|| panic!("{place} is not there")));
            }
        }
        (Value::Array(then), Value::Array(now)) => {
            assert_eq!(then.len(), now.len(), "{place}: {then:?} was, {now:?} is");
            for (number, (then, now)) in then.iter().zip(now).enumerate() {
                assert_holds(&format!("{place}[{number}]"), then, now);
            }
        }
        _ => assert_eq!(then, now, "{place}"),
    }
}

/// Without instants of the run that wrote it (those that were chosen are of 2023 and 2030), and without chance.
fn steady(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .filter(|(column, _)| {
                    !["tokens", "phase_ms", "late_us", "duration_s", "last_latency_us"]
                        .contains(&column.as_str())
                })
                .map(|(key, value)| (key, steady(value)))
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.into_iter().map(steady).collect()),
        Value::String(text) => {
            let is_instant = text.len() > 18 && text.as_bytes()[4] == b'-' && text.as_bytes()[10] == b'T';
            let is_ours = ["2023-", "2030-", "00000000-"].iter().any(|begin| text.starts_with(begin));
            let is_id = text.len() == 36 && text.matches('-').count() == 4;
            Value::String(if (is_instant || is_id) && !is_ours { "chance".into() } else { text })
        }
        other => other,
    }
}
