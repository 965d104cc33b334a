//! Heartbeats: whose jobs are free when a worker is dead, who schedules, and which checks have stalled.

use crate::{LEASE, claim, request, store, watch};
use std::time::Duration;
use uptime_core::event::{Event, EventType};
use uptime_core::liveness::{CHECK_MARGIN, HEARTBEAT_EVERY, Scheduling};
use uptime_store::liveness::SchedulerHeartbeat;
use uptime_store::queue::{ClaimRequest, Job};
use uptime_store::workers::Heartbeat;
use uptime_store::{MONITOR_CHECKS, Store};
use uptime_tests::TestDatabase;
use uuid::Uuid;

fn beat(worker: u128) -> Heartbeat {
    Heartbeat {
        worker: Uuid::from_u128(worker),
        queue: "q",
        host: "h".into(),
        pid: u32::try_from(worker).expect("a small number"),
        process_space: Some("here".into()),
        version: "0",
        started_at: None,
        running: 1,
        paused: false,
        finished: 0,
    }
}

/// A worker's claim of one job.
async fn claim_as(store: &Store, worker: i32) -> Vec<Job> {
    let request = ClaimRequest { worker: Some(worker), ..request("q", 1) };
    store.claim(&request).await.expect("a claim")
}

/// Two workers, 1 and 2, of which 1 has a job; both have been heard for a minute.
async fn two_workers(database: &TestDatabase, store: &Store) -> Job {
    let first = store.heartbeat(&beat(1)).await.expect("heard");
    let second = store.heartbeat(&beat(2)).await.expect("heard");
    assert_eq!(second.neighbours, [(Uuid::from_u128(1), 1)], "the other process of its space");
    database.query("INSERT INTO jobs (queue) VALUES ('q')");
    database.query("UPDATE workers SET steady_since = now() - interval '1 min'");
    claim_as(store, first.number).await.remove(0)
}

async fn move_to_failed(store: &Store, gone: &[Uuid]) -> (i64, i64) {
    store.remove_workers(Uuid::from_u128(2), gone).await.expect("a query")
}

#[tokio::test]
async fn the_jobs_of_a_worker_that_missed_three_heartbeats_are_free() {
    let (database, store) = store().await;
    let job = two_workers(&database, &store).await;
    database.query("UPDATE workers SET seen_at = now() - interval '14 s' WHERE pid = 1");
    assert!(!store.heartbeat(&beat(2)).await.expect("heard").missing);
    assert_eq!(move_to_failed(&store, &[]).await, (0, 0), "it missed two");
    database.query("UPDATE workers SET seen_at = now() - interval '15 s' WHERE pid = 1");
    assert!(store.heartbeat(&beat(2)).await.expect("heard").missing);
    assert_eq!(move_to_failed(&store, &[]).await, (1, 1));
    assert_eq!(move_to_failed(&store, &[]).await, (0, 0), "once");

    let again = claim(&store, "q", 9).await;
    assert_eq!((again.len(), again[0].claim.id, again[0].claim.attempts), (1, job.claim.id, 2));
    assert!(store.complete(&[job.claim]).await.expect("a query").is_empty(), "the fence holds");
    // It lives after all: with a new number, and what others claimed meanwhile is theirs.
    store.heartbeat(&beat(1)).await.expect("heard");
    assert_eq!(database.value("SELECT count(*) FROM workers"), "2");
    assert_eq!(move_to_failed(&store, &[Uuid::from_u128(1)]).await, (1, 0));
    assert_eq!(store.complete(&[again[0].claim]).await.expect("a query").len(), 1);
}

#[tokio::test]
async fn whoever_was_late_itself_declares_nobody_dead() {
    let (database, store) = store().await;
    two_workers(&database, &store).await;
    // The database was away for both.
    database.query("UPDATE workers SET seen_at = now() - interval '20 s'");
    store.heartbeat(&beat(2)).await.expect("heard");
    assert_eq!(move_to_failed(&store, &[]).await, (0, 0), "the other may be about to say that it lives");
    database.query("UPDATE workers SET steady_since = now() - interval '15 s' WHERE pid = 2");
    assert_eq!(move_to_failed(&store, &[]).await, (1, 1));
}

#[tokio::test]
async fn the_jobs_of_a_process_that_is_gone_are_free_at_once() {
    let (database, store) = store().await;
    let job = two_workers(&database, &store).await;
    assert_eq!(move_to_failed(&store, &[Uuid::from_u128(1)]).await, (1, 1));
    assert_eq!(claim(&store, "q", 9).await[0].claim.id, job.claim.id);
}

#[tokio::test]
async fn a_job_that_was_claimed_anew_is_not_taken_from_its_new_worker() {
    let (database, store) = store().await;
    two_workers(&database, &store).await;
    // Its lease ran out, and the other worker has it.
    database.query("UPDATE jobs SET reserved_until = now() - interval '1 s'");
    let number = store.heartbeat(&beat(2)).await.expect("heard").number;
    assert_eq!(claim_as(&store, number).await.len(), 1);
    assert_eq!(move_to_failed(&store, &[Uuid::from_u128(1)]).await, (1, 0));
    assert!(claim(&store, "q", 9).await.is_empty());
}

#[tokio::test]
async fn a_check_is_leased_for_its_own_time() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query("UPDATE monitor_states SET next_check_at = now()");
    store.schedule(Duration::ZERO).await.expect("scheduled");
    let job = claim(&store, MONITOR_CHECKS, 9).await.remove(0);
    let own = uptime_core::monitor::Policy::default().timeout + CHECK_MARGIN;
    assert_eq!(job.lease, own);
    let lease = "SELECT extract(epoch FROM reserved_until - now()) BETWEEN 20 AND 25 FROM jobs";
    assert_eq!(database.value(lease), "t");
    // The next one is enqueued by the worker that ended this one, or by hand.
    database.query("DELETE FROM jobs");
    store.check_now(&[uptime_core::id::MonitorId(job.subject.expect("a monitor"))]).await.expect("asked");
    assert_eq!(claim(&store, MONITOR_CHECKS, 9).await.remove(0).lease, own);
    // Other jobs have their queue's.
    database.query("INSERT INTO jobs (queue) VALUES ('q')");
    assert_eq!(claim(&store, "q", 9).await.remove(0).lease, LEASE);
}

async fn scheduler(store: &Store, id: Option<u128>) -> Scheduling {
    let beat = SchedulerHeartbeat {
        id: id.map(Uuid::from_u128),
        host: "h".into(),
        pid: 7,
        version: "0",
        period: if id.is_some() { HEARTBEAT_EVERY } else { Duration::from_mins(1) },
    };
    store.scheduler_heartbeat(&beat).await.expect("heard");
    scheduling(store).await
}

async fn scheduling(store: &Store) -> Scheduling {
    store.liveness().await.expect("a query").scheduling
}

#[tokio::test]
async fn a_scheduler_is_dead_after_three_periods_and_gone_when_it_was_stopped() {
    let (database, store) = store().await;
    assert_eq!(scheduling(&store).await, Scheduling::None);
    assert_eq!(scheduler(&store, Some(1)).await, Scheduling::Running);
    database.query("UPDATE schedulers SET seen_at = now() - interval '15 s'");
    assert!(matches!(scheduling(&store).await, Scheduling::Dead(last) if last.is_loop && last.host == "h"));
    assert_eq!(scheduler(&store, Some(1)).await, Scheduling::Running);
    store.scheduler_sign_off(Uuid::from_u128(1)).await.expect("a query");
    assert_eq!(scheduling(&store).await, Scheduling::None);
    // Of cron's runs a host has one row.
    for _ in 0..2 {
        assert_eq!(scheduler(&store, None).await, Scheduling::Running);
    }
    database.query("UPDATE schedulers SET seen_at = now() - interval '179 s'");
    assert_eq!(scheduling(&store).await, Scheduling::Running);
    database.query("UPDATE schedulers SET seen_at = now() - interval '180 s'");
    assert!(matches!(scheduling(&store).await, Scheduling::Dead(last) if !last.is_loop));
    assert_eq!(database.value("SELECT count(*) FROM schedulers"), "1");
}

/// The queues that have stalled: how many monitors of how many, and which.
async fn stalls(store: &Store) -> Vec<(String, usize, usize, Vec<String>)> {
    let stalls = store.liveness().await.expect("a query").stalls;
    stalls.into_iter().map(|stall| (stall.queue, stall.stale, stall.of, stall.names)).collect()
}

#[tokio::test]
async fn monitors_without_results_are_stale_in_their_queue() {
    let (database, store) = store().await;
    watch(&store, &["a", "b", "c"]).await;
    assert_eq!(stalls(&store).await, [], "their first results are awaited");
    // Three intervals of a minute.
    database.query("UPDATE monitor_states SET awaited_since = now() - interval '1 h', last_check_at = now() - interval '179 s'");
    assert_eq!(stalls(&store).await, []);
    database.query("UPDATE monitor_states SET last_check_at = now() - interval '181 s' WHERE monitor_id <> (SELECT id FROM monitors WHERE name = 'b')");
    let found = [(MONITOR_CHECKS.to_owned(), 2, 3, vec!["a".to_owned(), "c".to_owned()])];
    assert_eq!(stalls(&store).await, found);
    // As a list shows them.
    let listed = store.monitor_summaries().await.expect("monitors");
    let stale = |name: &str| {
        let found = listed.iter().find(|monitor| monitor.name == name).expect("it is there");
        matches!(found.freshness, uptime_core::liveness::Freshness::Stale(_))
    };
    assert_eq!(["a", "b", "c"].map(stale), [true, false, true]);

    store.pause_queue(MONITOR_CHECKS).await.expect("paused");
    assert_eq!(stalls(&store).await, [], "nothing is expected");
    store.resume_queue(MONITOR_CHECKS).await.expect("resumed");
    assert_eq!(stalls(&store).await, [], "and not at once");
    database.query("UPDATE queue_controls SET resumed_at = resumed_at - interval '181 s'");
    assert_eq!(stalls(&store).await, found);
    database.query("UPDATE monitor_states SET active = false");
    assert_eq!(stalls(&store).await, [], "disabled");
}

#[tokio::test]
async fn a_location_without_results_is_stale_by_itself() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query(
        "INSERT INTO monitor_locations (monitor_id, location, last_check_at)
         SELECT id, l, now() - CASE l WHEN 'fra' THEN interval '181 s' ELSE interval '1 s' END FROM monitors, unnest('{fra,nyc}'::text[]) l;
         UPDATE monitor_states SET awaited_since = now() - interval '1 h', last_check_at = now()",
    );
    let found = [("monitor-checks:fra".to_owned(), 1, 1, vec!["a".to_owned()])];
    assert_eq!(stalls(&store).await, found);
    let listed = store.monitor_summaries().await.expect("monitors").remove(0);
    assert_eq!(listed.freshness, uptime_core::liveness::Freshness::Fresh, "nyc vouches for it");
    assert!(matches!(listed.locations[0].freshness, uptime_core::liveness::Freshness::Stale(_)));
}

async fn stalled(store: &Store, again_after: Duration) -> Option<Vec<String>> {
    let told = store.enqueue_stalled("q", again_after, |now| {
        Event::about_checks(EventType::Stalled, "q", "words".into(), now)
    });
    told.await.expect("a query")
}

async fn running(store: &Store) -> Option<Vec<String>> {
    let told = store
        .enqueue_running("q", |now, _| Event::about_checks(EventType::Running, "q", "words".into(), now));
    told.await.expect("a query").map(|(_, channels)| channels)
}

#[tokio::test]
async fn a_stall_is_told_once_and_its_end_to_those_who_heard_of_it() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database
        .query("UPDATE channels SET filter = '{\"events\": [\"down\", \"running\"]}' WHERE name = 'boss'");
    assert_eq!(running(&store).await, None);
    // Whoever has just begun waits, and a look that finds results forgets.
    let minute = Duration::from_mins(1);
    assert_eq!(stalled(&store, minute).await, None);
    store.forget_overdue(&[]).await.expect("a query");
    assert_eq!(stalled(&store, minute).await, None);
    database.query("UPDATE check_stalls SET overdue_since = overdue_since - interval '59 s'");
    store.forget_overdue(&["q"]).await.expect("a query");
    assert_eq!(stalled(&store, minute).await, None);
    database.query("UPDATE check_stalls SET overdue_since = overdue_since - interval '1 s'");
    assert_eq!(stalled(&store, minute).await, Some(vec!["ops".into()]));
    assert_eq!(stalled(&store, Duration::ZERO).await, None, "once");
    assert_eq!(store.announced_stalls().await.expect("a query").len(), 1);
    assert_eq!(running(&store).await, Some(vec!["ops".into()]), "boss did not hear of it");
    assert_eq!(running(&store).await, None);
    assert_eq!(stalled(&store, Duration::ZERO).await, Some(vec!["ops".into()]));
    let told =
        "SELECT string_agg(n.event, ',' ORDER BY n.id) FROM notifications n JOIN jobs j ON j.subject = n.id
                WHERE j.order_key = 'stall of q:' || n.channel_id";
    assert_eq!(database.value(told), "stalled,running,stalled", "in one order");
}

#[tokio::test]
async fn one_of_all_looks_for_stalls() {
    let (_database, store) = store().await;
    assert_eq!([look(&store).await.is_some(), look(&store).await.is_some()], [true, false]);
}

/// When the database was back after some minutes, or a machine had slept, "checks have stalled" was told before the first check
/// could end.
#[tokio::test]
async fn looks_are_steady_for_as_long_as_none_was_late() {
    let (database, store) = store().await;
    let passes = |seconds: u32| {
        database.query(&format!(
            "UPDATE stall_looks SET looked_at = looked_at - interval '{seconds} s', steady_since = steady_since - interval '{seconds} s'"
        ));
    };
    let steady = async || look(&store).await.expect("its turn").as_secs();
    assert_eq!(steady().await, 0);
    for seconds in [20, 40, 60] {
        passes(20);
        assert_eq!(steady().await, seconds);
    }
    passes(31);
    assert_eq!(steady().await, 0);
}

async fn look(store: &Store) -> Option<Duration> {
    let (every, late) = (Duration::from_secs(5), Duration::from_secs(30));
    store.may_look_for_stalls(every, late).await.expect("a query")
}
