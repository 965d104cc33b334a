//! What people do with incidents: each action, what is kept and told of it, and two people at once.

use crate::{store, until_wait, watch};
use std::time::Duration;
use uptime_core::id::IncidentId;
use uptime_core::incident::{ActionRefused, By, IncidentAction};
use uptime_store::Store;
use uptime_store::incidents::Outcome;
use uptime_store::incidents::timeline::What;
use uptime_store::summaries::IncidentFilter;
use uptime_tests::TestDatabase;

const ACKNOWLEDGE: IncidentAction = IncidentAction::Acknowledge { lasting: None };

/// An incident of `a` that is 2 minutes old and was told to `ops` (delivered) and `boss` (waits), and not to `late`.
pub async fn incident() -> (TestDatabase, Store, IncidentId) {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query(
        "INSERT INTO channels (name, notifier, enabled, settings, filter, allow, source)
         SELECT 'late', notifier, enabled, settings, filter, allow, source FROM channels WHERE name = 'ops';
         INSERT INTO monitor_channels SELECT m.id, c.id FROM monitors m, channels c WHERE c.name = 'late';
         INSERT INTO incidents (monitor_id, severity, class, cause, expected, got, started_at, opened_at, failures)
         SELECT id, 'down', 'status', 'answered 503', '2xx', '503', now() - interval '2 min', now() - interval '1 min', 3 FROM monitors;
         UPDATE monitor_states SET status = 'down', since = now() - interval '2 min', streak = 1, streak_since = now(), failures = 7,
           last_slot_at = now(), incident_id = (SELECT id FROM incidents), downs = 2, downs_since = now(), recent = 21,
           window_recent = 13, window_failed_at = ARRAY[now()], severity = 'down', announced_severity = 'down', reminders = 2;
         INSERT INTO incident_events (incident_id, at, kind) SELECT id, opened_at, 'opened' FROM incidents;
         INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state, created_at)
         SELECT gen_random_uuid(), c.id, i.id, CASE c.name WHEN 'ops' THEN 'degraded' ELSE 'down' END, 0, '{\"monitor\": {\"name\": \"a\"}}',
           CASE c.name WHEN 'ops' THEN 'delivered' ELSE 'queued' END, i.opened_at
         FROM channels c, incidents i WHERE c.name <> 'late' ORDER BY c.name;
         INSERT INTO jobs (queue, subject, concurrency_key, order_key)
         SELECT 'notifications', id, channel_id, (SELECT i.monitor_id FROM incidents i WHERE i.id = incident_id) || ':' || channel_id
         FROM notifications WHERE state = 'queued'",
    );
    let id = database.value("SELECT id FROM incidents").parse().expect("an id");
    (database, store, IncidentId(id))
}

pub async fn does(store: &Store, id: IncidentId, action: IncidentAction, who: &str) -> Outcome {
    store.do_to_incident(id, action, By { who, note: Some("because") }).await.expect("an action")
}

pub fn done(channels_told: &[&str]) -> Outcome {
    Outcome::Done {
        monitor: "a".into(),
        channels_told: channels_told.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn refused(refusal: ActionRefused) -> Outcome {
    Outcome::Refused { monitor: "a".into(), refusal }
}

/// The notices after the openings.
pub fn notices(database: &TestDatabase) -> String {
    database.value(
        "SELECT coalesce(string_agg(concat_ws(' ', c.name, n.event, n.sequence, n.snapshot->'incident'->>'acknowledged_by'), ', ' ORDER BY n.sequence, c.name), '')
         FROM notifications n JOIN channels c ON c.id = n.channel_id WHERE n.event NOT IN ('down', 'degraded')",
    )
}

pub fn events(database: &TestDatabase) -> String {
    database.value(
        "SELECT string_agg(concat_ws(' ', kind, who, note), ', ' ORDER BY id) FROM incident_events WHERE kind <> 'opened'",
    )
}

#[tokio::test]
async fn an_acknowledgement_is_told_to_those_who_were_told_of_the_incident_each_time() {
    let (database, store, id) = incident().await;
    assert_eq!(does(&store, id, ACKNOWLEDGE, "anna").await, done(&["boss", "ops"]));
    let taken = ActionRefused::Acknowledged { by: "anna".into() };
    assert_eq!(does(&store, id, ACKNOWLEDGE, "bob").await, refused(taken.clone()));
    assert_eq!(does(&store, id, ACKNOWLEDGE, "anna").await, refused(taken));
    let acknowledged = "SELECT concat_ws(' ', acknowledged_by, acknowledged_at = now(), acknowledged_until IS NULL) FROM incidents";
    assert_eq!(database.value(acknowledged), "anna f t");
    // Whoever heard who takes care of it hears that too, whatever else it wants.
    database.query(
        "UPDATE channels SET filter = '{\"events\": [\"down\", \"acknowledged\"]}' WHERE name = 'boss'",
    );
    assert_eq!(does(&store, id, IncidentAction::Unacknowledge, "bob").await, done(&["boss", "ops"]));
    assert_eq!(
        does(&store, id, IncidentAction::Unacknowledge, "bob").await,
        refused(ActionRefused::NotAcknowledged)
    );
    assert_eq!(database.value(acknowledged), "t");
    assert_eq!(does(&store, id, ACKNOWLEDGE, "bob").await, done(&["boss", "ops"]));
    assert_eq!(
        notices(&database),
        "boss reminder -1, ops reminder -1, boss acknowledged 0 anna, ops acknowledged 0 anna, boss acknowledged 1 bob, ops acknowledged 1 bob"
    );
    assert_eq!(
        events(&database),
        "acknowledged anna because, unacknowledged bob because, acknowledged bob because"
    );
    assert_eq!(
        database.value("SELECT count(*) FROM jobs j JOIN notifications n ON n.id = j.subject
                        WHERE j.queue = 'notifications' AND j.order_key = (SELECT i.monitor_id FROM incidents i WHERE i.id = n.incident_id) || ':' || n.channel_id"),
        "7",
        "each behind the opening"
    );
    let event = "SELECT concat_ws(' | ', snapshot->>'type', snapshot->'monitor'->>'name', snapshot->'monitor'->>'type',
                 snapshot->'outcome'->>'message', snapshot->'incident'->>'failures', snapshot->>'severity', snapshot->'incident'->>'ended_at')
                 FROM notifications WHERE event = 'acknowledged' LIMIT 1";
    assert_eq!(database.value(event), "acknowledged | a | tcp | answered 503; anna says: because | 7 | down");
}

#[tokio::test]
async fn an_acknowledgement_with_an_end_holds_until_then() {
    let (database, store, id) = incident().await;
    let for_an_hour = IncidentAction::Acknowledge { lasting: Some(Duration::from_hours(1)) };
    assert_eq!(does(&store, id, for_an_hour, "anna").await, done(&["boss", "ops"]));
    assert_eq!(
        database.value("SELECT acknowledged_until - acknowledged_at = interval '1 h' FROM incidents"),
        "t"
    );
    let by = |incidents: Vec<uptime_store::summaries::IncidentSummary>| {
        incidents[0].acknowledged.as_ref().map(|mark| mark.by.clone())
    };
    let all = IncidentFilter::default();
    assert_eq!(by(store.incidents(all, 9).await.expect("a list")).as_deref(), Some("anna"));
    database.query("UPDATE incidents SET acknowledged_until = now()");
    assert_eq!(by(store.incidents(all, 9).await.expect("a list")), None, "her time has run out");
    assert_eq!(does(&store, id, ACKNOWLEDGE, "bob").await, done(&["boss", "ops"]));
    assert_eq!(database.value("SELECT acknowledged_until IS NULL FROM incidents"), "t");
}

#[tokio::test]
async fn an_end_by_hand_begins_the_judgement_anew_and_is_told_to_those_who_were_told() {
    let (database, store, id) = incident().await;
    database.query("UPDATE channels SET filter = '{\"events\": [\"down\"]}' WHERE name = 'boss'");
    assert_eq!(
        does(&store, id, IncidentAction::Resolve, "anna").await,
        done(&["ops"]),
        "boss wants no such events"
    );
    assert_eq!(notices(&database), "ops up 0");
    assert_eq!(
        database.value("SELECT concat_ws(' ', ended_at = resolved_at, ended_at > started_at, resolved_by, failures) FROM incidents"),
        "t t anna 7"
    );
    assert_eq!(
        database.value("SELECT concat_ws(' ', status, since, streak, streak_since, failures, incident_id, downs, downs_since, window_recent,
                        window_failed_at, severity, announced_severity, reminders, recent, last_slot_at IS NOT NULL) FROM monitor_states"),
        "unknown 0 0 0 1 0 21 t",
        "and the flapping history and the last slot stay"
    );
    assert_eq!(
        database.value("SELECT concat_ws(' | ', snapshot->'outcome'->>'message', snapshot->'incident'->>'duration_s', snapshot->>'severity')
                        FROM notifications WHERE event = 'up'"),
        "resolved by anna, and no check has seen it up; anna says: because; it was: answered 503 | 120 | info"
    );
    assert_eq!(
        database.value("SELECT string_agg(state, ',' ORDER BY state) FROM notifications WHERE event <> 'up'"),
        "delivered,queued",
        "nothing is dropped"
    );
    let ended = refused(ActionRefused::Ended { by: Some("anna".into()) });
    for action in [
        ACKNOWLEDGE,
        IncidentAction::Unacknowledge,
        IncidentAction::Mute,
        IncidentAction::Unmute,
        IncidentAction::Resolve,
    ] {
        assert_eq!(does(&store, id, action, "bob").await, ended, "{action:?}");
    }
    assert_eq!(does(&store, id, IncidentAction::Comment, "bob").await, done(&[]));
    assert_eq!(events(&database), "resolved anna because, commented bob because");
    assert_eq!(does(&store, IncidentId(id.0 + 1), IncidentAction::Comment, "bob").await, Outcome::Unknown);
}

#[tokio::test]
async fn of_a_muted_incident_nobody_will_be_told() {
    let (database, store, id) = incident().await;
    assert_eq!(does(&store, id, IncidentAction::Unmute, "anna").await, refused(ActionRefused::NotMuted));
    assert_eq!(does(&store, id, IncidentAction::Mute, "anna").await, done(&[]));
    assert_eq!(
        does(&store, id, IncidentAction::Mute, "bob").await,
        refused(ActionRefused::Muted { by: "anna".into() })
    );
    assert_eq!(
        database.value("SELECT concat_ws(' ', muted_by, muted_at IS NOT NULL) FROM incidents"),
        "anna t"
    );
    assert_eq!(does(&store, id, ACKNOWLEDGE, "bob").await, done(&[]), "enqueued, and muted at delivery");
    assert_eq!(does(&store, id, IncidentAction::Unmute, "bob").await, done(&[]));
    assert_eq!(database.value("SELECT concat(muted_by, muted_at) FROM incidents"), "");
    assert_eq!(does(&store, id, IncidentAction::Resolve, "bob").await, done(&["boss", "ops"]));
}

/// Both wait for the state's lock, then go on together.
async fn at_once(
    database: &TestDatabase,
    store: &Store,
    id: IncidentId,
    actions: [(IncidentAction, &'static str); 2],
) -> Vec<Outcome> {
    let mut session = database.session();
    session.query("BEGIN; SELECT FROM monitor_states FOR UPDATE").expect("locked");
    let people: Vec<_> = actions
        .into_iter()
        .map(|(action, who)| {
            let store = store.clone();
            tokio::spawn(async move { does(&store, id, action, who).await })
        })
        .collect();
    until_wait(database, 2).await;
    session.query("COMMIT").expect("let go");
    let mut outcomes = Vec::new();
    for person in people {
        outcomes.push(person.await.expect("no panic"));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_at_once_one_does_it_and_the_other_hears_so() {
    for action in [ACKNOWLEDGE, IncidentAction::Mute, IncidentAction::Resolve] {
        let (database, store, id) = incident().await;
        let outcomes = at_once(&database, &store, id, [(action, "anna"), (action, "bob")]).await;
        let refusal = |by: &str| match action {
            IncidentAction::Resolve => ActionRefused::Ended { by: Some(by.into()) },
            IncidentAction::Mute => ActionRefused::Muted { by: by.into() },
            _ => ActionRefused::Acknowledged { by: by.into() },
        };
        let first = usize::from(matches!(outcomes[0], Outcome::Refused { .. }));
        let quicker = ["anna", "bob"][first];
        assert!(matches!(outcomes[first], Outcome::Done { .. }), "{action:?}: {outcomes:?}");
        assert_eq!(outcomes[1 - first], refused(refusal(quicker)), "{action:?}");
        let word = action.as_str();
        assert_eq!(events(&database), format!("{word} {quicker} because"));
        let channels_told =
            database.value("SELECT count(*) FROM notifications WHERE event IN ('acknowledged', 'up')");
        assert_eq!(
            channels_told,
            if action == IncidentAction::Mute { "0" } else { "2" },
            "{action:?}: each channel once"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_after_the_end_is_refused() {
    let (database, store, id) = incident().await;
    let outcomes =
        at_once(&database, &store, id, [(IncidentAction::Resolve, "anna"), (ACKNOWLEDGE, "bob")]).await;
    assert!(matches!(outcomes[0], Outcome::Done { .. }), "an end is never refused here: {outcomes:?}");
    let bob = &outcomes[1];
    let before = matches!(bob, Outcome::Done { .. });
    assert!(before || *bob == refused(ActionRefused::Ended { by: Some("anna".into()) }), "{bob:?}");
    let order =
        if before { "acknowledged bob because, resolved anna because" } else { "resolved anna because" };
    assert_eq!(events(&database), order);
}

#[tokio::test]
async fn a_story_has_all_that_happened_in_order() {
    let (database, store, id) = incident().await;
    // 3 failures, the opening, 2 more of them, 1 of another kind, 2 that were inconclusive, 1 success.
    database.query(
        "INSERT INTO check_results (monitor_id, slot_at, started_at, outcome, degraded, class, message, total_us, late_us)
         SELECT i.monitor_id, i.started_at + s * interval '1 s', i.started_at + s * interval '1 s', v.outcome, false, v.class, v.message, 1, 1
         FROM incidents i, (VALUES (-10, 'up', NULL, NULL), (0, 'down', 'status', 'answered 503'), (10, 'down', 'status', 'answered 503'),
           (20, 'down', 'status', 'answered 502'), (70, 'down', 'status', 'answered 503'), (71, 'down', 'status', 'answered 503'),
           (72, 'down', 'refused', 'no'), (73, 'inconclusive', 'network', 'blind'), (74, 'inconclusive', 'network', 'blind'),
           (75, 'up', NULL, NULL)) v(s, outcome, class, message)",
    );
    database.query(
        "INSERT INTO delivery_attempts (notification_id, attempt, started_at, duration_ms, outcome, status_code, message)
         SELECT n.id, a, i.opened_at + a * interval '1 s', 12, CASE a WHEN 1 THEN 'transient' ELSE 'delivered' END, 500, 'words'
         FROM notifications n, incidents i, generate_series(1, 2) a WHERE n.state = 'delivered'",
    );
    does(&store, id, IncidentAction::Comment, "anna").await;
    does(&store, id, IncidentAction::Resolve, "bob").await;
    let timeline = store.incident_timeline(id).await.expect("a query").expect("a timeline");
    let lines: Vec<String> = timeline
        .entries
        .iter()
        .map(|entry| match &entry.what {
            What::Checks { count, outcome, message, last_message, .. } => {
                format!("{count} {outcome} {:?} {:?}", message.as_deref(), last_message.as_deref())
            }
            What::Event { kind, who, note } => format!("{kind} {:?} {:?}", who.as_deref(), note.as_deref()),
            What::Notice(notice) => format!("{} {} {}", notice.channel, notice.event, notice.state),
            What::Try { notice, tried } => {
                format!("{} {} {} {:?}", notice.channel, tried.attempt, tried.outcome, tried.status)
            }
        })
        .collect();
    assert_eq!(
        lines,
        [
            r#"3 down Some("answered 503") Some("answered 502")"#,
            "opened None None",
            "boss down queued",
            "ops degraded delivered",
            "ops 1 transient Some(500)",
            "ops 2 delivered Some(500)",
            r#"2 down Some("answered 503") Some("answered 503")"#,
            r#"1 down Some("no") Some("no")"#,
            r#"2 inconclusive Some("blind") Some("blind")"#,
            "1 up None None",
            r#"commented Some("anna") Some("because")"#,
            r#"resolved Some("bob") Some("because")"#,
            "ops up queued",
            "boss up queued",
        ]
    );
    assert_eq!(timeline.checks_left_out, 0);
    assert_eq!(store.incident_timeline(IncidentId(id.0 + 1)).await.expect("a query"), None);
    // Of an incident from before its events were kept.
    database.query("DELETE FROM incident_events");
    let timeline = store.incident_timeline(id).await.expect("a query").expect("a timeline");
    let kinds = timeline.entries.iter().filter_map(|entry| match &entry.what {
        What::Event { kind, who, .. } => Some((kind.as_str(), who.as_deref())),
        _ => None,
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [("opened", None), ("resolved", Some("bob"))]);
}
