//! Notifications in the hands of people: lists, another try exactly once, or none.

use crate::{store, watch};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::event::EventType;
use uptime_core::id::{DeliveryId, IncidentId, NotificationId};
use uptime_core::notification::NotificationState as State;
use uptime_store::Store;
use uptime_store::by_operator::{Again, Discarded, Name, NotificationFilter, Selection};
use uptime_store::failed::Retried;
use uptime_tests::TestDatabase;
use uuid::Uuid;

const PUT_BACK: Again = Again::Retried(Retried::PutBack);
const SUPERSEDED: Again = Again::Retried(Retried::Superseded);

/// Notifications 1, 2, … of `states` for `ops`, each of an incident and a monitor of its own; those that failed have a failed job, those
/// that are queued a job.
async fn notifications(states: &[&str]) -> (TestDatabase, Store) {
    let (database, store) = store().await;
    let monitors: Vec<String> = (1..=states.len()).map(|n| format!("m{n}")).collect();
    watch(&store, &monitors.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (n, state) in states.iter().enumerate() {
        let n = n + 1;
        database.query(&format!(
            "INSERT INTO incidents (monitor_id, severity, class, cause, started_at, ended_at, failures)
             SELECT id, 'down', 'status', 'no', now(), now(), 3 FROM monitors WHERE name = 'm{n}';
             INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state)
             SELECT '00000000-0000-0000-0000-00000000000{n}', c.id, {n}, 'down', 0, '{{\"monitor\": {{\"name\": \"m{n}\"}}}}', '{state}'
             FROM channels c WHERE name = 'ops'"
        ));
    }
    database.query(
        "INSERT INTO failed_jobs (id, queue, subject, concurrency_key, order_key, payload, attempts, claims, errors, created_at)
         SELECT 1000 + id, 'notifications', id, channel_id,
                (SELECT i.monitor_id FROM incidents i WHERE i.id = incident_id) || ':' || channel_id, '{}', 3, 3, '[]', now()
         FROM notifications WHERE state = 'failed';
         INSERT INTO jobs (queue, subject, concurrency_key, order_key)
         SELECT 'notifications', id, channel_id, (SELECT i.monitor_id FROM incidents i WHERE i.id = incident_id) || ':' || channel_id
         FROM notifications WHERE state = 'queued'",
    );
    (database, store)
}

fn ids(range: std::ops::RangeInclusive<i64>) -> Vec<NotificationId> {
    range.map(NotificationId).collect()
}

async fn retry(store: &Store, ids: &[NotificationId]) -> Vec<Again> {
    let outcomes = store.retry_notifications(ids, false).await.expect("a retry");
    outcomes.into_iter().map(|(_, again)| again).collect()
}

async fn discard(store: &Store, ids: &[NotificationId]) -> Vec<Discarded> {
    let outcomes = store.discard_notifications(ids, "anna", false).await.expect("discarded");
    outcomes.into_iter().map(|(_, end)| end).collect()
}

fn states(database: &TestDatabase) -> String {
    database.value("SELECT string_agg(state, ' ' ORDER BY id) FROM notifications")
}

/// By subject: those with a job, then those with a failed one.
fn jobs(database: &TestDatabase) -> String {
    database.value(
        "SELECT concat_ws(' | ', (SELECT string_agg(subject::text, ' ' ORDER BY subject) FROM jobs WHERE queue = 'notifications'),
                          (SELECT string_agg(subject::text, ' ' ORDER BY subject) FROM failed_jobs))",
    )
}

#[tokio::test]
async fn a_list_is_every_condition_at_once_the_newest_first() {
    let (database, store) = notifications(&["delivered", "failed", "queued", "failed"]).await;
    database.query(
        "UPDATE notifications SET channel_id = (SELECT id FROM channels WHERE name = 'boss') WHERE id = 2",
    );
    database.query("UPDATE notifications SET event = 'up' WHERE id = 3");
    let of = async |filter, limit| {
        let found = store.notifications(filter, limit).await.expect("a list");
        found.into_iter().map(|found| found.id.0).collect::<Vec<_>>()
    };
    let all = NotificationFilter::default();
    assert_eq!(of(all, 3).await, [4, 3, 2]);
    assert_eq!(of(NotificationFilter { channel: Some("ops"), ..all }, 9).await, [4, 3, 1]);
    assert_eq!(
        of(NotificationFilter { channel: Some("ops"), state: Some(State::Failed), ..all }, 9).await,
        [4]
    );
    assert_eq!(of(NotificationFilter { incident: Some(IncidentId(2)), ..all }, 9).await, [2]);
    assert_eq!(of(NotificationFilter { event: Some(EventType::Up), ..all }, 9).await, [3]);
    // What waits for a channel that its provider told to wait is shown as that, as long as it lasts.
    let in_state = |state| NotificationFilter { state: Some(state), ..all };
    for (until, paused, queued) in [("1 h", vec![3], vec![]), ("-1 s", vec![], vec![3])] {
        database.query(&format!("UPDATE channels SET paused_until = now() + interval '{until}'"));
        assert_eq!(
            (of(in_state(State::Paused), 9).await, of(in_state(State::Queued), 9).await),
            (paused, queued)
        );
    }
    assert_eq!(database.value("SELECT count(*) FROM notifications WHERE state = 'paused'"), "0");
    let named = [
        Name::Id(NotificationId(2)),
        Name::Delivery(DeliveryId(Uuid::from_u128(4))),
        Name::Id(NotificationId(77)),
        Name::Delivery(DeliveryId(Uuid::from_u128(77))),
    ];
    let found = store.notifications_named(&named).await.expect("a query");
    assert_eq!(named.map(|name| found.get(&name).map(|id| id.0)), [Some(2), Some(4), None, None]);
}

#[tokio::test]
async fn what_failed_or_was_muted_gets_another_chance_and_the_rest_stays() {
    let states_before = ["failed", "muted", "failed", "delivered", "queued", "discarded"];
    let (database, store) = notifications(&states_before).await;
    // Somebody flushed the failed job of the third.
    database.query("DELETE FROM failed_jobs WHERE subject = 3");
    database.query("UPDATE channels SET paused_until = now() + interval '1 h' WHERE name = 'ops'");
    assert_eq!(
        retry(&store, &ids(1..=7)).await,
        [
            PUT_BACK,
            PUT_BACK,
            PUT_BACK,
            Again::Is(State::Delivered),
            Again::Is(State::Queued),
            Again::Is(State::Discarded)
        ]
    );
    assert_eq!(states(&database), "queued queued queued delivered queued discarded");
    assert_eq!(jobs(&database), "1 2 3 5");
    assert_eq!(
        database.value("SELECT concat_ws(' ', id, attempts, claims) FROM jobs WHERE subject = 1"),
        "1001 0 3",
        "the job that it was, and no old claim fits"
    );
    assert_eq!(
        database.value(
            "SELECT count(*) FROM jobs j JOIN notifications n ON n.id = j.subject
                        WHERE j.concurrency_key = n.channel_id AND j.order_key = (SELECT i.monitor_id FROM incidents i WHERE i.id = n.incident_id) || ':' || n.channel_id"
        ),
        "4"
    );
    assert_eq!(
        database.value("SELECT string_agg((available_at > now() + interval '59 min')::text, ' ' ORDER BY subject) FROM jobs WHERE subject IN (2, 3)"),
        "true true",
        "a channel that was told to wait waits"
    );
    assert_eq!(
        retry(&store, &ids(1..=2)).await,
        [Again::Is(State::Queued), Again::Is(State::Queued)],
        "once"
    );
    assert_eq!(jobs(&database), "1 2 3 5");
}

#[tokio::test]
async fn nobody_is_told_down_of_what_is_told_up() {
    let (database, store) = notifications(&["failed", "muted", "muted", "muted", "muted", "muted"]).await;
    // 1 and 2: an `up` was delivered since. 3: one waits. 4 and 5: both are tried again, in their order. 6: no other.
    database.query(
        "UPDATE notifications SET incident_id = 4, event = 'up' WHERE id = 5;
         INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state)
         SELECT gen_random_uuid(), channel_id, incident_id, 'up', 0, snapshot, CASE id WHEN 3 THEN 'queued' ELSE 'delivered' END
         FROM notifications WHERE id IN (1, 2, 3)",
    );
    let expected = [SUPERSEDED, SUPERSEDED, SUPERSEDED, PUT_BACK, PUT_BACK, PUT_BACK];
    let before = (states(&database), jobs(&database));
    let planned = store.retry_notifications(&ids(1..=6), true).await.expect("a dry run");
    assert_eq!(planned.into_iter().map(|(_, again)| again).collect::<Vec<_>>(), expected);
    assert_eq!((states(&database), jobs(&database)), before, "nothing was changed");
    assert_eq!(retry(&store, &ids(1..=6)).await, expected);
    assert_eq!(
        database.value(
            "SELECT string_agg(last_error, ', ' ORDER BY id) FROM notifications WHERE state = 'discarded'"
        ),
        "a newer notice of the same monitor was told, a newer notice of the same monitor was told, \
         a later notice of the same incident takes its place"
    );
    assert_eq!(jobs(&database), "4 5 6");
    assert_eq!(
        database.value("SELECT string_agg(subject::text, ' ' ORDER BY id) FROM jobs WHERE subject IN (4, 5)"),
        "4 5"
    );
    assert!(states(&database).starts_with("discarded discarded discarded queued"));
}

#[tokio::test]
async fn a_digest_and_its_members_are_one() {
    let (database, store) = notifications(&["failed", "failed", "failed"]).await;
    let digest = "UPDATE notifications SET digest_id = 3 WHERE id < 3;
                  UPDATE notifications SET incident_id = NULL WHERE id = 3;
                  DELETE FROM failed_jobs WHERE subject < 3";
    database.query(digest);
    assert_eq!(retry(&store, &ids(1..=1)).await, [PUT_BACK], "a member, and so all");
    assert_eq!((states(&database).as_str(), jobs(&database).as_str()), ("queued queued queued", "3"));
    assert_eq!(discard(&store, &ids(2..=2)).await, [Discarded::Done], "one alone");
    assert_eq!((states(&database).as_str(), jobs(&database).as_str()), ("queued discarded queued", "3"));
    let summaries = store.notifications(NotificationFilter::default(), 9).await.expect("a list");
    let shown: Vec<_> = summaries.iter().map(|one| (one.id.0, one.digest, one.members)).collect();
    assert_eq!(shown, [(3, None, 2), (2, Some(NotificationId(3)), 0), (1, Some(NotificationId(3)), 0)]);
    database.query("INSERT INTO delivery_attempts VALUES (3, 1, now(), 12, 'permanent', 400, 'no')");
    assert_eq!(store.tries_of(&ids(1..=1)).await.expect("tries").len(), 1, "its digest's");
    assert_eq!(discard(&store, &ids(3..=3)).await, [Discarded::Done]);
    assert_eq!((states(&database).as_str(), jobs(&database).as_str()), ("discarded discarded discarded", ""));
}

#[tokio::test]
async fn what_waits_or_failed_is_discarded_with_its_job_and_what_runs_is_left() {
    let (database, store) =
        notifications(&["queued", "failed", "queued", "queued", "delivered", "failed", "queued"]).await;
    database.query("UPDATE jobs SET reserved_until = now() + interval '1 min' WHERE subject = 3");
    database.query("UPDATE jobs SET reserved_until = now() - interval '1 min' WHERE subject = 4");
    assert_eq!(
        discard(&store, &ids(1..=5)).await,
        [Discarded::Done, Discarded::Done, Discarded::Runs, Discarded::Done, Discarded::Is(State::Delivered)]
    );
    assert_eq!(states(&database), "discarded discarded queued discarded delivered failed queued");
    assert_eq!(jobs(&database), "3 7 | 6");
    assert_eq!(database.value("SELECT last_error FROM notifications WHERE id = 1"), "discarded by anna");
    assert_eq!(discard(&store, &ids(1..=1)).await, [Discarded::Is(State::Discarded)]);
    assert_eq!(retry(&store, &ids(1..=1)).await, [Again::Is(State::Discarded)]);
}

#[tokio::test]
async fn what_a_worker_is_just_recording_is_passed_over() {
    let (database, store) = notifications(&["queued", "queued"]).await;
    // As a worker does: the job first, then the notification.
    let mut worker = database.session();
    worker
        .query("BEGIN; DELETE FROM jobs WHERE subject = 2; UPDATE notifications SET state = 'delivered' WHERE id = 2")
        .expect("recorded");
    let both = ids(1..=2);
    let discarded = discard(&store, &both);
    let discarded = uptime_tests::within(Duration::from_secs(5), discarded, || "no wait".into()).await;
    assert_eq!(discarded, [Discarded::Done, Discarded::Runs]);
    worker.query("COMMIT").expect("committed");
    assert_eq!(states(&database), "discarded delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_at_once_do_each_once() {
    const MANY: i64 = 2_000;
    let (database, store) = notifications(&["muted"]).await;
    database.query(&format!(
        "INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
         SELECT gen_random_uuid(), channel_id, 'down', 0, snapshot, CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'muted' END
         FROM notifications, generate_series(2, {MANY}) n;
         INSERT INTO failed_jobs (id, queue, subject, concurrency_key, payload, attempts, errors, created_at)
         SELECT 100000 + id, 'notifications', id, channel_id, '{{}}', 3, '[]', now() FROM notifications WHERE state = 'failed'"
    ));
    let which = async |store: Store, discards: bool| {
        let as_of = Timestamp::now() + Duration::from_mins(1);
        let (mut done, mut after) = (Vec::new(), None);
        loop {
            let states =
                if discards { &[State::Queued, State::Failed] } else { &[State::Failed, State::Muted] };
            let selection = Selection { channel: Some("ops"), states, as_of };
            let chunk = store.next_notifications(selection, after).await.expect("ids");
            let Some(last) = chunk.last() else { return done };
            after = Some(*last);
            if discards {
                let outcomes = store.discard_notifications(&chunk, "anna", false).await.expect("discarded");
                done.extend(
                    outcomes.into_iter().filter(|(_, end)| *end == Discarded::Done).map(|(id, _)| id.0),
                );
            } else {
                let outcomes = store.retry_notifications(&chunk, false).await.expect("a retry");
                done.extend(outcomes.into_iter().filter(|(_, again)| *again == PUT_BACK).map(|(id, _)| id.0));
            }
        }
    };
    let (one, other) =
        tokio::join!(tokio::spawn(which(store.clone(), false)), tokio::spawn(which(store.clone(), false)));
    let mut retried: Vec<i64> = [one, other].into_iter().flat_map(|done| done.expect("no panic")).collect();
    retried.sort_unstable();
    assert_eq!(retried, (1..=MANY).collect::<Vec<_>>(), "each once, and none left out");
    let counts = "SELECT concat_ws(' ', (SELECT count(*) FROM jobs), (SELECT count(*) FROM failed_jobs),
                  (SELECT count(*) FROM notifications WHERE state = 'queued'))";
    assert_eq!(database.value(counts), format!("{MANY} 0 {MANY}"));

    // One tries again what another discards: whatever comes of each, its job and its state agree.
    database.query(
        "UPDATE notifications SET state = 'failed' WHERE id % 2 = 0;
         INSERT INTO failed_jobs (id, queue, subject, concurrency_key, payload, attempts, errors, created_at)
         SELECT id, queue, subject, concurrency_key, payload, 3, '[]', now() FROM jobs WHERE subject % 2 = 0;
         DELETE FROM jobs WHERE subject % 2 = 0",
    );
    let (one, other) =
        tokio::join!(tokio::spawn(which(store.clone(), false)), tokio::spawn(which(store.clone(), true)));
    one.expect("no panic");
    other.expect("no panic");
    let agree = "SELECT count(*) FROM notifications n
                 WHERE (n.state = 'queued') <> EXISTS (SELECT FROM jobs j WHERE j.subject = n.id)
                    OR n.state NOT IN ('queued', 'discarded')";
    assert_eq!(database.value(agree), "0");
    assert_eq!(database.value("SELECT count(*) FROM failed_jobs"), "0");
}
