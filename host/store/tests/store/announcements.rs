//! What a channel is still to be told after deliveries to it failed, and what goes first to one that was told to wait.

use crate::deliveries::{claim_in_order, delivered, record, tried};
use crate::{PAUSES, enqueue, event, open_incidents, store, stored_channel, watch};
use std::time::Duration;
use uptime_core::event::{Event, EventType};
use uptime_core::id::{IncidentId, NotificationId};
use uptime_store::Store;
use uptime_store::by_operator::Again;
use uptime_store::failed::{Retried, Selection};
use uptime_store::notifications::{DeliveryEnd, Notice, Untried};
use uptime_store::queue::JobFailure;
use uptime_tests::TestDatabase;

/// The monitors `a`, `b`, `c`, of which each has an incident (1, 2, 3), and the channel `ops`.
async fn incidents() -> (TestDatabase, Store) {
    let (database, store) = store().await;
    watch(&store, &["a", "b", "c"]).await;
    database.query("DELETE FROM channels WHERE name <> 'ops'");
    open_incidents(&database);
    (database, store)
}

async fn enqueue_notice(store: &Store, kind: EventType, incident: i64, monitor: &str) {
    let mut event = event(kind, IncidentId(incident));
    event.monitor.name = monitor.to_owned();
    let channel = stored_channel(store, "ops").await.id;
    enqueue(store, [Notice { channel, event, sequence: 0 }]).await;
}

fn away() -> DeliveryEnd {
    DeliveryEnd::Failed { error: "503".into(), channel_broken: true }
}

/// Delivers what is ready, each with this end; what it was: `event of monitor`, with a `?` for a probe.
async fn deliver(store: &Store, end: impl Fn() -> DeliveryEnd) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let claimed = claim_in_order(store).await;
        if claimed.is_empty() {
            return all;
        }
        for (job, due) in claimed {
            let probe = if job.is_probe() { "?" } else { "" };
            all.push(format!("{} of {}{probe}", due.event.kind, due.event.monitor.name));
            assert!(record(store, &tried(&job, &due, end())).await);
        }
    }
}

fn let_probe_go(database: &TestDatabase) {
    database.query("UPDATE jobs SET available_at = now() WHERE payload ? 'probe'");
}

/// In how many seconds the probe is due, how many jobs there are, and how many failed ones.
fn jobs(database: &TestDatabase) -> String {
    database.value(
        "SELECT concat_ws(' ', (SELECT round(extract(epoch FROM available_at - now()) / 10) * 10 FROM jobs WHERE payload ? 'probe'),
                          (SELECT count(*) FROM jobs WHERE queue = 'notifications'), (SELECT count(*) FROM failed_jobs))",
    )
}

fn states(database: &TestDatabase) -> String {
    database.value("SELECT string_agg(event || ' ' || state, ', ' ORDER BY id) FROM notifications")
}

#[tokio::test]
async fn a_failing_channel_is_probed_with_its_oldest_notice_and_told_the_rest_when_it_works() {
    let (database, store) = incidents().await;
    for (incident, monitor) in [(1, "a"), (2, "b"), (3, "c")] {
        enqueue_notice(&store, EventType::Down, incident, monitor).await;
    }
    assert_eq!(deliver(&store, away).await, ["down of a", "down of b", "down of c"]);
    assert_eq!(jobs(&database), "60 1 3", "one probe for all, and the failed list has all");
    let counts = store.outstanding().await.expect("a query");
    assert_eq!(counts.by_channel.values().collect::<Vec<_>>(), [&3]);
    assert_eq!(counts.by_incident[&IncidentId(2)], 1);

    let_probe_go(&database);
    assert_eq!(deliver(&store, away).await, ["down of a?"]);
    assert_eq!(jobs(&database), "120 1 3", "the next one waits for longer");
    let errors = database.value("SELECT jsonb_array_length(errors) FROM failed_jobs WHERE subject = 1");
    assert_eq!(errors, "2");

    // What is no longer so is not what a channel is tried with, and who was told nothing hears of it in one message.
    database.query("UPDATE incidents SET ended_at = now(), resolved_at = now() WHERE id = 1");
    enqueue_notice(&store, EventType::Up, 1, "a").await;
    assert_eq!(states(&database), "down failed, down failed, down failed, up queued");
    assert_eq!(deliver(&store, away).await, ["up of a"]);
    assert_eq!(jobs(&database), "120 1 4");
    let_probe_go(&database);
    assert_eq!(deliver(&store, delivered).await, ["down of b?", "down of c", "up of a"]);
    assert_eq!(jobs(&database), "0 0");
    assert_eq!(states(&database), "down discarded, down delivered, down delivered, up delivered");
    assert_eq!(store.outstanding().await.expect("a query").by_channel.len(), 0);
}

#[tokio::test]
async fn a_test_by_hand_that_gets_through_releases_what_is_outstanding() {
    let (database, store) = incidents().await;
    enqueue_notice(&store, EventType::Down, 1, "a").await;
    enqueue_notice(&store, EventType::Down, 2, "b").await;
    assert_eq!(deliver(&store, away).await, ["down of a", "down of b"]);
    let channel = || async { stored_channel(&store, "ops").await };
    assert!(channel().await.broken_at.is_some());
    store.channel_delivered(channel().await.id).await.expect("noted");
    let now = channel().await;
    assert_eq!((now.broken_at, now.failing_since), (None, None));
    assert_eq!(jobs(&database), "2 0", "no probe, and none that failed");
    assert_eq!(deliver(&store, delivered).await, ["down of a", "down of b"]);
}

#[tokio::test]
async fn what_a_host_sees_keeps_its_order_as_a_probe_and_when_it_is_told_again() {
    let (database, store) = incidents().await;
    let about = |kind| move |_| Event { incident: None, ..event(kind, IncidentId(0)) };
    store.enqueue_blind("h", Duration::ZERO, about(EventType::Blind)).await.expect("told");
    assert_eq!(deliver(&store, away).await, ["blind of a"]);
    let in_order = "SELECT concat_ws(' ', count(*), bool_or(payload ? 'probe')) FROM jobs WHERE order_key = 'network of h:' || concurrency_key";
    assert_eq!(database.value(in_order), "1 t");
    store.channel_delivered(stored_channel(&store, "ops").await.id).await.expect("noted");
    assert_eq!(database.value(in_order), "1 f");
}

#[tokio::test]
async fn what_is_told_of_a_removed_monitors_incident_has_an_order() {
    let (database, store) = incidents().await;
    database.query("UPDATE incidents SET monitor_id = NULL WHERE id = 1");
    enqueue_notice(&store, EventType::Up, 1, "a").await;
    assert_eq!(database.value("SELECT order_key = 'incident-1:' || concurrency_key FROM jobs"), "t");
}

#[tokio::test]
async fn the_end_of_an_incident_goes_before_the_next_one_of_its_monitor() {
    let (database, store) = incidents().await;
    enqueue_notice(&store, EventType::Down, 1, "a").await;
    assert_eq!(deliver(&store, delivered).await, ["down of a"]);
    database.query(
        "UPDATE incidents SET ended_at = now(), resolved_at = now() WHERE id = 1;
         INSERT INTO incidents (monitor_id, severity, class, cause, started_at, failures)
         SELECT monitor_id, 'down', 'refused', 'refused', now(), 3 FROM incidents WHERE id = 1",
    );
    enqueue_notice(&store, EventType::Up, 1, "a").await;
    assert_eq!(deliver(&store, away).await, ["up of a"]);
    enqueue_notice(&store, EventType::Down, 4, "a").await;
    assert_eq!(jobs(&database), "2 0", "no probe: both wait in their order");
    assert_eq!(deliver(&store, delivered).await, ["up of a", "down of a"]);
}

#[tokio::test]
async fn a_message_that_is_refused_is_not_sent_again_with_each_that_gets_through() {
    let (database, store) = incidents().await;
    let refused = || DeliveryEnd::Failed { error: "400".into(), channel_broken: false };
    enqueue_notice(&store, EventType::Down, 1, "a").await;
    assert_eq!(deliver(&store, refused).await, ["down of a"]);
    assert_eq!(database.value("SELECT count(*) FROM channels WHERE failing_since IS NOT NULL"), "0");
    enqueue_notice(&store, EventType::Down, 2, "b").await;
    assert_eq!(deliver(&store, delivered).await, ["down of b"]);
    assert_eq!(jobs(&database), "60 1 1");
    for _ in 0..30 {
        let_probe_go(&database);
        deliver(&store, refused).await;
    }
    assert_eq!(jobs(&database), "0 1", "and in the end no more");
}

#[tokio::test]
async fn a_probe_that_only_a_newer_worker_can_run_is_put_back() {
    let (database, store) = incidents().await;
    enqueue_notice(&store, EventType::Down, 1, "a").await;
    deliver(&store, away).await;
    let_probe_go(&database);
    let (job, due) = claim_in_order(&store).await.remove(0);
    let failure = JobFailure {
        claim: job.claim,
        retry_after: Some(Duration::from_secs(10)),
        counts: false,
        error: "unknown here".into(),
    };
    let untried = Untried {
        notification: due.notification,
        failure,
        channel: Some(due.channel.id),
        channel_broken: false,
        is_hopeless: false,
        is_probe: true,
    };
    store.fail_notifications(&[untried], &PAUSES).await.expect("recorded");
    assert_eq!(jobs(&database), "10 1 1");
    assert_eq!(states(&database), "down failed");
    assert_eq!(database.value("SELECT setbacks FROM notifications"), "0");
}

#[tokio::test]
async fn what_is_told_again_goes_the_way_of_what_waits_already_and_before_it() {
    let (database, store) = incidents().await;
    database.query(r#"UPDATE channels SET digest_policy = '{"digest_after": 1, "digest_within": 86400000}'"#);
    enqueue_notice(&store, EventType::Down, 1, "a").await;
    enqueue_notice(&store, EventType::Down, 2, "b").await;
    database.query("UPDATE jobs SET available_at = now()");
    assert_eq!(deliver(&store, away).await.len(), 2, "a notice and a digest");
    database.query(
        "UPDATE incidents SET ended_at = now() WHERE id = 2;
         INSERT INTO incidents (monitor_id, severity, class, cause, started_at, failures)
         SELECT id, 'down', 'refused', 'refused', now(), 3 FROM monitors WHERE name = 'b';
         UPDATE channels SET tokens = NULL",
    );
    enqueue_notice(&store, EventType::Down, 4, "b").await;
    database.query("UPDATE jobs SET available_at = now()");
    deliver(&store, delivered).await;
    let told = "SELECT string_agg(incident_id::text, ' ' ORDER BY delivered_at) FROM notifications
                WHERE state = 'delivered' AND incident_id IN (2, 4)";
    assert_eq!(database.value(told), "2 4");
}

#[tokio::test]
async fn no_way_of_sending_again_overtakes() {
    for by_queue in [true, false] {
        let (database, store) = incidents().await;
        enqueue_notice(&store, EventType::Down, 1, "a").await;
        assert_eq!(deliver(&store, away).await, ["down of a"]);
        // A newer incident of the same monitor was told, and the channel was not reconciled.
        database.query(
            "UPDATE incidents SET ended_at = now() WHERE id = 1;
             INSERT INTO incidents (monitor_id, severity, class, cause, started_at, failures)
             SELECT monitor_id, 'down', 'refused', 'refused', now(), 3 FROM incidents WHERE id = 1;
             INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state, delivered_at)
             SELECT gen_random_uuid(), channel_id, 4, 'down', 0, snapshot, 'delivered', now() FROM notifications",
        );
        if by_queue {
            let retried = store.retry_failed(&Selection::default(), None).await.expect("a retry");
            assert_eq!(
                retried.iter().map(|(_, retried)| *retried).collect::<Vec<_>>(),
                [Retried::Superseded]
            );
        } else {
            let retried = store.retry_notifications(&[NotificationId(1)], false).await.expect("a retry");
            assert_eq!(retried, [(NotificationId(1), Again::Retried(Retried::Superseded))]);
        }
        assert_eq!(states(&database), "down discarded, down delivered");
    }
}

#[tokio::test]
async fn an_operators_retry_sends_a_probe_now_and_once() {
    let (database, store) = incidents().await;
    enqueue_notice(&store, EventType::Down, 1, "a").await;
    assert_eq!(deliver(&store, away).await, ["down of a"]);
    let retried = store.retry_failed(&Selection::default(), None).await.expect("a retry");
    assert_eq!(retried.iter().map(|(_, retried)| *retried).collect::<Vec<_>>(), [Retried::PutBack]);
    assert_eq!(states(&database), "down queued");
    assert_eq!(deliver(&store, delivered).await, ["down of a"]);
    assert_eq!(jobs(&database), "0 0");
}

#[tokio::test]
async fn a_cleared_queue_gets_its_probe_back() {
    let (database, store) = incidents().await;
    enqueue_notice(&store, EventType::Down, 1, "a").await;
    deliver(&store, away).await;
    database.query("DELETE FROM jobs; DELETE FROM failed_jobs");
    store.ensure_probes().await.expect("asked");
    assert_eq!(deliver(&store, delivered).await, ["down of a?"]);
    store.ensure_probes().await.expect("asked");
    assert_eq!(jobs(&database), "0 0");
}

/// Of more failed notices than are compared at once the last were never sent.
#[tokio::test]
async fn what_is_left_when_a_channel_works_is_probed() {
    let (database, store) = incidents().await;
    enqueue_notice(&store, EventType::Down, 1, "a").await;
    deliver(&store, away).await;
    database.query("DELETE FROM jobs; UPDATE channels SET failing_since = NULL, probes = 0, probe_id = NULL");
    store.ensure_probes().await.expect("asked");
    assert_eq!(deliver(&store, delivered).await, ["down of a?"]);
    assert_eq!(jobs(&database), "0 0");
}

#[tokio::test]
async fn after_a_pause_one_goes_first_in_all_processes_and_the_rest_once_it_got_through() {
    let (database, store) = incidents().await;
    for (incident, monitor) in [(1, "a"), (2, "b"), (3, "c")] {
        enqueue_notice(&store, EventType::Down, incident, monitor).await;
    }
    database.query("UPDATE channels SET paused_until = now() - interval '1 s'");
    let first = claim_in_order(&store).await;
    assert_eq!(first.len(), 1);
    assert_eq!(claim_in_order(&store).await.len(), 0, "nor another process");
    let (job, due) = &first[0];
    let retry = |error: &str| DeliveryEnd::Retry {
        after: Duration::ZERO,
        error: error.into(),
        counts: true,
        pause: None,
        channel_broken: false,
    };
    assert!(record(&store, &tried(job, due, retry("503"))).await);
    let (job, due) = claim_in_order(&store).await.remove(0);
    assert_eq!(claim_in_order(&store).await.len(), 0);
    assert!(record(&store, &tried(&job, &due, delivered())).await);
    assert_eq!(claim_in_order(&store).await.len(), 2);
}

#[tokio::test]
async fn what_announces_an_incident_is_the_same_in_the_database() {
    let (database, _store) = store().await;
    for event in EventType::ALL {
        let announces = database.value(&format!("SELECT announces_incident('{event}')"));
        assert_eq!(announces == "t", EventType::HEARD_BY.contains(event), "{event}");
    }
}
