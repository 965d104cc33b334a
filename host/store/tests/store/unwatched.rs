//! Monitors and channels that are disabled or removed: what was open ends, once, and what was told stays.

use crate::incidents::{does, done, events, incident, notices};
use crate::results::record;
use crate::{channel, file, finished_checks, monitor, store, watch};
use uptime_core::id::NotificationId;
use uptime_core::incident::IncidentAction;
use uptime_core::notification::NotificationState;
use uptime_store::Store;
use uptime_store::apply::{Applied, Ended, Removal};
use uptime_store::by_operator::{Again, NotificationFilter};
use uptime_store::incidents::Outcome;
use uptime_store::summaries::IncidentFilter;
use uptime_tests::{Seed, TestDatabase};

/// Makes the database what a file with these says.
async fn apply(store: &Store, monitors: &[(&str, bool)], channels: &[&str], removal: Removal) -> Applied {
    try_apply(store, monitors, channels, removal, false).await.expect("applied")
}

async fn try_apply(
    store: &Store,
    monitors: &[(&str, bool)],
    channels: &[&str],
    removal: Removal,
    dry_run: bool,
) -> Result<Applied, uptime_store::StoreError> {
    let channels: Vec<_> = channels.iter().map(|name| channel(name)).collect();
    let monitors: Vec<_> = monitors
        .iter()
        .map(|(name, enabled)| {
            let mut monitor = monitor(name);
            monitor.enabled = *enabled;
            monitor.channels = channels.iter().map(|channel| channel.name.clone()).collect();
            monitor
        })
        .collect();
    store.apply(file(&channels, &monitors, removal), dry_run).await
}

const BOTH: &[&str] = &["ops", "boss"];

fn state(database: &TestDatabase) -> String {
    database.value(
        "SELECT concat_ws(' ', active, status, since, streak, streak_since, downs, downs_since, recent, flapping, window_recent,
                window_failed_at, failures, incident_id, severity, announced_severity, unannounced_ends, flapping_announced, reminders, last_slot_at IS NOT NULL)
         FROM monitor_states",
    )
}

const UNKNOWN: &str = "f unknown 0 0 1 f 1 0 f 0 t";

fn end(database: &TestDatabase) -> String {
    database.value(
        "SELECT concat_ws(' ', ended_at = resolved_at, unwatched, resolved_by, failures) FROM incidents",
    )
}

#[tokio::test]
async fn of_a_disabled_monitor_those_who_were_told_hear_once_that_nobody_looks_any_more() {
    let (database, store, id) = incident().await;
    let applied = apply(&store, &[("a", false)], BOTH, Removal::Keep).await;
    let channels_told = ["boss", "ops"].map(str::to_owned).to_vec();
    assert_eq!(applied.ended, [Ended { incident: id, monitor: "a".into(), channels_told }]);
    assert_eq!(notices(&database), "boss up 0, ops up 0", "and not who was not told of it");
    assert_eq!(end(&database), "t t 7");
    assert_eq!(events(&database), "unwatched the monitor was disabled");
    assert_eq!(state(&database), UNKNOWN);
    assert_eq!(
        database.value("SELECT DISTINCT snapshot->'outcome'->>'message' LIKE 'a is no longer watched; it was down since % UTC: answered 503'
                        FROM notifications WHERE event = 'up'"),
        "t"
    );
    let order = "SELECT count(DISTINCT order_key) FROM jobs WHERE concurrency_key = (SELECT id FROM channels WHERE name = 'boss')";
    assert_eq!(database.value(order), "1", "behind the opening");

    for enabled in [false, true, false] {
        let again = apply(&store, &[("a", enabled)], BOTH, Removal::Keep).await;
        assert_eq!(again.ended, []);
    }
    assert_eq!(notices(&database), "boss up 0, ops up 0");
    assert_eq!(state(&database), UNKNOWN);
    let listed = store.incidents(IncidentFilter::default(), 9).await.expect("a list");
    assert!(listed[0].unwatched && listed[0].resolved_by.is_none());
}

#[tokio::test]
async fn what_nobody_was_told_of_ends_in_silence_and_an_end_that_was_held_back_is_told() {
    let (database, store, id) = incident().await;
    // Held by maintenance: a second incident opened, and the first one's end is owed.
    database.query(
        "UPDATE incidents SET ended_at = now(), resolved_at = now();
         INSERT INTO incidents (monitor_id, severity, class, cause, started_at, failures) SELECT id, 'down', 'status', 'again', now(), 3 FROM monitors;
         UPDATE monitor_states SET incident_id = (SELECT max(id) FROM incidents), announced_severity = NULL, unannounced_ends = ARRAY[(SELECT min(id) FROM incidents)]",
    );
    let applied = apply(&store, &[("a", false)], BOTH, Removal::Disable).await;
    let ended =
        applied.ended.iter().map(|ended| (ended.incident.0, ended.channels_told.len())).collect::<Vec<_>>();
    assert_eq!(ended, [(id.0 + 1, 0)]);
    assert_eq!(notices(&database), "boss up 0, ops up 0");
    let channels_told = "SELECT string_agg(DISTINCT concat_ws(' ', incident_id, snapshot->'outcome'->>'message'), ',') FROM notifications WHERE event = 'up'";
    assert_eq!(database.value(channels_told), format!("{id} answered 503"));
    assert_eq!(
        database.value("SELECT string_agg(unwatched::text, ' ' ORDER BY id) FROM incidents"),
        "false true"
    );
    assert_eq!(state(&database), UNKNOWN);
}

#[tokio::test]
async fn what_was_told_outlives_the_monitor_and_the_channel() {
    let (database, store, id) = incident().await;
    let applied = apply(&store, &[], &["ops"], Removal::Remove).await;
    let ended = Ended { incident: id, monitor: "a".into(), channels_told: vec!["ops".into()] };
    assert_eq!(applied.ended, [ended], "boss is no more");
    assert_eq!(events(&database), "unwatched the monitor was removed");
    assert_eq!(end(&database), "t t 7");

    let listed = store.incidents(IncidentFilter { monitor: Some("a"), ..Default::default() }, 9).await;
    let listed = listed.expect("a list");
    assert_eq!((listed[0].monitor.as_str(), listed[0].target.as_str()), ("a", "tcp://127.0.0.1:9"));
    assert_eq!(store.monitor_names().await.expect("names"), ["a"]);
    let timeline = store.incident_timeline(id).await.expect("a query").expect("a timeline");
    assert_eq!(timeline.incident.id, id);
    let found = store.notifications(NotificationFilter::default(), 9).await.expect("a list");
    let shown: Vec<_> = found
        .iter()
        .map(|one| (one.channel.as_str(), one.event.as_str(), one.state.as_str(), one.last_error.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("ops", "up", "queued", None),
            ("ops", "degraded", "delivered", None),
            ("boss", "down", "discarded", Some("the channel was removed")),
        ]
    );
    let ids: Vec<NotificationId> = found.iter().map(|one| one.id).collect();
    let due = store.due_deliveries(&ids[..1]).await.expect("a query");
    assert!(due[&ids[0]].is_ok(), "it is told");
    assert_eq!(database.value("SELECT count(*) FROM jobs"), "1", "and nothing else is");
    let again = store.retry_notifications(&ids[2..], false).await.expect("a retry");
    assert_eq!(again, [(ids[2], Again::Is(NotificationState::Discarded))]);

    assert_eq!(does(&store, id, IncidentAction::Comment, "anna").await, done(&[]));
    assert!(matches!(does(&store, id, IncidentAction::Resolve, "anna").await, Outcome::Refused { .. }));

    // Whoever has its name later has neither its incidents nor its notices.
    watch(&store, &["a"]).await;
    assert_eq!(database.value("SELECT count(monitor_id) FROM incidents"), "0");
    assert_eq!(state(&database).replacen("t ", "f ", 1), UNKNOWN.replace(" t", " f"));
}

#[tokio::test]
async fn what_can_not_be_told_has_not_happened() {
    let (database, store, _) = incident().await;
    let everything = || {
        let rest = database.value("SELECT concat_ws(' ', (SELECT enabled FROM monitors), (SELECT count(*) FROM notifications), (SELECT count(*) FROM jobs))");
        format!("{} {} {rest}", state(&database), end(&database))
    };
    let before = everything();
    database.query("ALTER TABLE notifications ADD CONSTRAINT broken CHECK (event <> 'up')");
    for (monitors, removal) in [(&[("a", false)][..], Removal::Keep), (&[][..], Removal::Remove)] {
        try_apply(&store, monitors, BOTH, removal, false).await.expect_err("the last step fails");
        assert_eq!(everything(), before);
    }
    database.query("ALTER TABLE notifications DROP CONSTRAINT broken");
    let planned = try_apply(&store, &[("a", false)], BOTH, Removal::Keep, true).await.expect("a dry run");
    assert_eq!(everything(), before);
    assert_eq!(apply(&store, &[("a", false)], BOTH, Removal::Keep).await, planned, "as it was said");
    assert_ne!(everything(), before);
}

/// Whatever comes in which order, with checks in flight: no incident is open of what is not watched, and of each that was told
/// and has ended each channel hears the end once.
#[tokio::test]
async fn no_incident_is_open_of_what_nobody_watches() {
    let seed = Seed::of("no_incident_is_open_of_what_nobody_watches", "UPTIME_STORE_SEED");
    let (mut rng, (database, store)) = (seed.rng(), store().await);
    let names = ["a", "b", "c"];
    watch(&store, &names).await;
    for _ in 0..40 {
        let checks = finished_checks(&store, &database).await;
        let mut monitors: Vec<(&str, bool)> = names.iter().map(|name| (*name, rng.bool())).collect();
        let removal = [Removal::Keep, Removal::Disable, Removal::Remove][rng.usize(..3)];
        monitors.truncate(rng.usize(1..=3));
        let applies_first = rng.bool();
        if applies_first {
            apply(&store, &monitors, BOTH, removal).await;
        }
        record(&store, checks).await;
        if !applies_first {
            apply(&store, &monitors, BOTH, removal).await;
        }
        let open =
            "SELECT count(*) FROM incidents i LEFT JOIN monitors m ON m.id = i.monitor_id AND m.enabled
                    WHERE i.ended_at IS NULL AND m.id IS NULL";
        assert_eq!(database.value(open), "0");
        let unknown = "SELECT count(*) FROM monitor_states WHERE NOT active AND (status <> 'unknown' OR incident_id IS NOT NULL)";
        assert_eq!(database.value(unknown), "0");
        let ends = "SELECT count(*) FROM notifications o JOIN incidents i ON i.id = o.incident_id
                    WHERE o.event = 'down' AND (SELECT count(*) FROM notifications n WHERE n.incident_id = i.id
                      AND n.channel_id = o.channel_id AND n.event = 'up') <> (CASE WHEN i.ended_at IS NULL THEN 0 ELSE 1 END)";
        assert_eq!(database.value(ends), "0");
    }
    assert_ne!(database.value("SELECT count(*) FROM incidents WHERE unwatched"), "0");
}
