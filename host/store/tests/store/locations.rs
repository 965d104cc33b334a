//! Each location has its own slots, re-checks and memory; what follows is judged elsewhere.

use crate::results::decide;
use crate::{claim, down, store, watch};
use std::time::Duration;
use uptime_core::decision::FinishedCheck;
use uptime_core::monitor::Location;
use uptime_store::Store;
use uptime_store::queue::Job;
use uptime_tests::TestDatabase;

const MINUTE: Duration = Duration::from_mins(1);
const JOBS: &str = "SELECT string_agg(queue, ' ' ORDER BY queue) FROM jobs WHERE reserved_until IS NULL";

/// One monitor with an interval of 10 s and a slot that is due, which is looked at from two places.
async fn one() -> (TestDatabase, Store) {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query("INSERT INTO monitor_locations (monitor_id, location) SELECT id, unnest('{fra,nyc}'::text[]) FROM monitors");
    database.query("UPDATE monitor_states SET interval_ms = 10000, phase_ms = 0, next_check_at = now()");
    (database, store)
}

async fn claim_from(store: &Store, location: &str) -> Job {
    claim(store, &format!("monitor-checks:{location}"), 1).await.pop().expect("a check")
}

/// Records that it was down there, and gives whether that was written.
async fn finish(store: &Store, job: &Job, location: &str, recheck_after: Option<Duration>) -> bool {
    let id = uptime_core::id::MonitorId(job.subject.expect("a monitor"));
    let monitor =
        store.monitors_by_id(&[id]).await.expect("a query").remove(&id).expect("there").expect("readable");
    let location: Location = location.parse().expect("a location");
    let check = FinishedCheck {
        claim: job.claim,
        monitor,
        location: Some(location),
        slot_at: job.available_at,
        started_at: job.claimed_at,
        late: Duration::ZERO,
        report: down(),
    };
    let (transaction, mut decisions) = decide(store, vec![check]).await;
    let Some(outcome) = decisions.outcomes.first_mut() else { return false };
    outcome.local.as_mut().expect("it ran somewhere").state.failures = 7;
    outcome.recheck_after = recheck_after;
    transaction.commit(&decisions).await.expect("a commit");
    true
}

#[tokio::test]
async fn a_slot_is_a_check_in_each_location() {
    let (database, store) = one().await;
    let due = store.due(Duration::ZERO).await.expect("a list");
    assert_eq!(due.len(), 1);
    let scheduled = store.schedule(Duration::ZERO).await.expect("scheduled");
    assert_eq!((scheduled.due, scheduled.enqueued), (1, 1));
    assert_eq!(database.value(JOBS), "monitor-checks:fra monitor-checks:nyc");
    assert_eq!(store.schedule(Duration::ZERO).await.expect("scheduled").enqueued, 0);
    assert_eq!(store.due(Duration::ZERO).await.expect("a list"), []);
}

#[tokio::test]
async fn each_location_goes_on_from_slot_to_slot_by_itself() {
    let (database, store) = one().await;
    store.schedule(MINUTE).await.expect("scheduled");
    let job = claim_from(&store, "fra").await;
    assert!(finish(&store, &job, "fra", None).await);
    // The other one still has the slot that was due; this one has the next.
    let slots = database.value(
        "SELECT string_agg(split_part(queue, ':', 2) || ' ' || (available_at > now()), ', ' ORDER BY queue) FROM jobs",
    );
    assert_eq!(slots, "fra true, nyc false");
    let grid = "SELECT bool_and(extract(epoch FROM available_at)::bigint % 10 = 0) FROM jobs WHERE available_at > now()";
    assert_eq!(database.value(grid), "t");
    assert_eq!(store.schedule(MINUTE).await.expect("scheduled").enqueued, 0, "a check of each is in flight");
    // A location that has lost its check gets the scheduler's next slot.
    database.query("DELETE FROM jobs WHERE queue = 'monitor-checks:nyc'");
    database.query("UPDATE monitor_states SET chain_until = NULL");
    assert_eq!(store.schedule(MINUTE).await.expect("scheduled").enqueued, 1);
    assert_eq!(database.value(JOBS), "monitor-checks:fra monitor-checks:nyc");
}

#[tokio::test]
async fn a_recheck_and_what_is_known_are_the_locations_own() {
    let (database, store) = one().await;
    store.schedule(Duration::ZERO).await.expect("scheduled");
    // In the last second before a slot the slot would come first.
    database.query("UPDATE monitor_states SET interval_ms = 86400000");
    let [fra, _nyc] = [claim_from(&store, "fra").await, claim_from(&store, "nyc").await];
    assert!(finish(&store, &fra, "fra", Some(Duration::from_secs(1))).await);
    assert_eq!(database.value(JOBS), "monitor-checks:fra");
    let known = "SELECT string_agg(concat_ws(' ', location, memory->>'status', memory->>'failures', last_outcome), ', ' ORDER BY location)
                 FROM monitor_locations";
    assert_eq!(database.value(known), "fra down 7 down, nyc");
    assert_eq!(database.value("SELECT location FROM check_results"), "fra");
    // What is asked for at once is asked of each: of one that waits it comes earlier, of one that runs it is in flight.
    store.check_now(&[uptime_core::id::MonitorId(fra.subject.expect("a monitor"))]).await.expect("woken");
    assert_eq!(database.value("SELECT count(*) FROM jobs WHERE available_at <= now()"), "2");
    assert_eq!(database.value(JOBS), "monitor-checks:fra");
}

#[tokio::test]
async fn a_check_from_where_nobody_looks_any_more_is_not_written() {
    let (database, store) = one().await;
    store.schedule(Duration::ZERO).await.expect("scheduled");
    let job = claim_from(&store, "fra").await;
    database.query("DELETE FROM monitor_locations WHERE location = 'fra'");
    assert!(!finish(&store, &job, "fra", None).await);
    assert_eq!(database.value("SELECT count(*) FROM check_results"), "0");
}
