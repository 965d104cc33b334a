//! Which slots become jobs, and which stay for the worker that has a check in flight.

use crate::{claim, store, watch};
use std::time::Duration;
use uptime_store::{MONITOR_CHECKS, Store};
use uptime_tests::TestDatabase;

const MINUTE: Duration = Duration::from_mins(1);

/// One monitor with an interval of 10 s, whose next slot is at `next`.
async fn one(next: &str) -> (TestDatabase, Store) {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query(&format!(
        "UPDATE monitor_states SET interval_ms = 10000, phase_ms = 0, next_check_at = {next}"
    ));
    (database, store)
}

/// From now to the instant, in whole seconds.
fn seconds_to(database: &TestDatabase, instant: &str, table: &str) -> f64 {
    database
        .value(&format!("SELECT extract(epoch FROM {instant} - now()) FROM {table}"))
        .parse()
        .expect("a number")
}

#[tokio::test]
async fn runs_that_come_again_swallow_no_slot() {
    let (database, store) = one("now() + interval '5 s'").await;
    for run in 1..=3 {
        let scheduled = store.schedule(MINUTE).await.expect("scheduled");
        assert_eq!(scheduled.enqueued, i64::from(run == 1), "run {run}");
    }
    let next = seconds_to(&database, "next_check_at", "monitor_states");
    assert!((5.0..=15.0).contains(&next), "the slot after the one that waits is {next} s ahead");
    assert!(seconds_to(&database, "chain_until", "monitor_states") > 50.0);
}

#[tokio::test]
async fn a_check_in_hand_is_followed_by_the_next_slot() {
    let (database, store) = one("now()").await;
    store.schedule(Duration::ZERO).await.expect("scheduled");
    claim(&store, MONITOR_CHECKS, 1).await;
    let before = seconds_to(&database, "next_check_at", "monitor_states");
    // Cron comes while the check runs.
    assert_eq!(store.schedule(MINUTE).await.expect("scheduled").enqueued, 0);
    let after = seconds_to(&database, "next_check_at", "monitor_states");
    assert!((before - after).abs() < 2.0, "the slot ahead stays: {before} s, then {after} s");
    assert_eq!(
        database.value("SELECT chain_until > now() FROM monitor_states"),
        "t",
        "the worker may go on to it"
    );
}

#[tokio::test]
async fn a_past_slot_with_a_check_in_hand_moves_on() {
    let (database, store) = one("now()").await;
    store.schedule(Duration::ZERO).await.expect("scheduled");
    database.query("UPDATE monitor_states SET next_check_at = now() - interval '1 s'");
    assert_eq!(store.schedule(Duration::ZERO).await.expect("scheduled").enqueued, 0);
    assert!(seconds_to(&database, "next_check_at", "monitor_states") > 0.0, "or a loop would never sleep");
    assert_eq!(database.value("SELECT count(*) FROM jobs"), "1");
}

#[tokio::test]
async fn a_slot_of_a_clock_that_was_ahead_is_brought_back() {
    let (database, store) = one("now() + interval '3 days'").await;
    assert_eq!(store.schedule(Duration::ZERO).await.expect("scheduled").enqueued, 1);
    assert!(seconds_to(&database, "next_check_at", "monitor_states") <= 10.0);
    assert!(seconds_to(&database, "available_at", "jobs") <= 0.0);
}
