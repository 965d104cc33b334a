//! Promise 3: all of it or nothing, and nothing without the claim.

use crate::{event, finished_checks, store, watch};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::announcement::Standing;
use uptime_core::check::{CheckReport, Echoes, Failure, FailureClass, RoundTrips};
use uptime_core::event::{EventType, Severity};
use uptime_core::id::MonitorId;
use uptime_core::judgement::{State, Status};
use uptime_store::Store;
use uptime_store::notifications::Notice;
use uptime_store::queue::Claim;
use uptime_store::results::{FinishedCheck, Judged, LockedState, ResultsTransaction};
use uptime_tests::TestDatabase;

const EVERYTHING: &str = "SELECT concat_ws(' ', (SELECT count(*) FROM check_results), (SELECT count(*) FROM incidents),
    (SELECT count(*) FROM notifications), (SELECT count(*) FROM jobs WHERE queue = 'notifications'),
    (SELECT count(*) FROM jobs WHERE queue = 'monitor-checks'), (SELECT count(*) FROM monitor_states WHERE status = 'down'))";

pub async fn begin(store: &Store, checks: &[FinishedCheck]) -> ResultsTransaction {
    let claims: Vec<Claim> = checks.iter().map(|check| check.claim).collect();
    let monitors: Vec<_> = checks.iter().map(|check| check.monitor.id).collect();
    store.begin_results(&claims, &monitors).await.expect("a transaction")
}

/// Records each check as one that opened an incident, told to each channel.
pub async fn record(transaction: &mut ResultsTransaction, checks: Vec<FinishedCheck>) {
    for check in checks {
        let Some(locked) = transaction.state_of(&check) else { continue };
        let cause = check.report.failure.clone().expect("it is down");
        let incident = transaction
            .open_incident(check.monitor.id, Severity::Down, check.started_at, 1, &cause)
            .await
            .expect("an incident");
        for channel in transaction.channels_of(check.monitor.id).await.expect("channels") {
            let event = event(EventType::Down, incident);
            transaction.notify(Notice { channel: channel.id, event, sequence: 0 });
        }
        let (status, severity) = (Status::Down, Some(Severity::Down));
        let since = Some(check.started_at);
        let standing = Standing { told: severity, ..locked.standing };
        let state = State { status, severity, since, failures: 1, ..locked.state };
        let judged = Judged { state, local: None, standing, incident: Some(incident), recheck_after: None };
        transaction.record(check, judged);
    }
}

fn unmoved(LockedState { state, standing, incident, .. }: LockedState) -> Judged {
    Judged { state, local: None, standing, incident, recheck_after: None }
}

async fn two_down() -> (TestDatabase, Store, Vec<FinishedCheck>) {
    let (database, store) = store().await;
    watch(&store, &["a", "b"]).await;
    let checks = finished_checks(&store, &database).await;
    assert_eq!(checks.len(), 2);
    (database, store, checks)
}

#[tokio::test]
async fn a_batch_is_written_whole() {
    let (database, store, checks) = two_down().await;
    let mut transaction = begin(&store, &checks).await;
    record(&mut transaction, checks).await;
    assert_eq!(database.value(EVERYTHING), "0 0 0 0 2 0", "nothing is seen before the commit");
    transaction.commit().await.expect("a commit");
    assert_eq!(database.value(EVERYTHING), "2 2 4 4 0 2");
}

#[tokio::test]
async fn trouble_is_kept_with_its_evidence_and_its_absence_without() {
    let (database, store, mut checks) = two_down().await;
    let warning = Failure::new(FailureClass::Certificate, "ends in 3 days").with("14 days", "3 days");
    checks[0].report.failure = None;
    checks[0].report.warnings.push(warning);
    checks[1].report.failure = None;
    let mut transaction = begin(&store, &checks).await;
    for check in checks {
        let locked = transaction.state_of(&check).expect("the lease is ours");
        let state = State { status: Status::Up, ..locked.state.clone() };
        transaction.record(check, Judged { state, ..unmoved(locked) });
    }
    transaction.commit().await.expect("a commit");
    let kept = "SELECT string_agg(concat_ws(' ', outcome, degraded, class, evidence->>'expected', evidence->'hops'->0->>'address'), '|'
                ORDER BY monitor_id) FROM check_results";
    assert_eq!(database.value(kept), "up t certificate 14 days 127.0.0.1|up f");
    let states: Vec<_> =
        store.monitor_summaries().await.expect("monitors").into_iter().map(|found| found.state).collect();
    assert_eq!(states, [Status::Degraded, Status::Up]);
}

#[tokio::test]
async fn a_row_that_can_not_be_read_fails_alone_and_says_what_it_is() {
    let (database, store) = store().await;
    watch(&store, &["a", "b", "c"]).await;
    database.query(
        "UPDATE monitors SET check_spec = '{\"type\": \"gopher\"}' WHERE name = 'b';
         UPDATE monitors SET policy = '7' WHERE name = 'c'; UPDATE monitor_states SET severity = 'odd' WHERE monitor_id = 3",
    );
    let monitors = store.monitors_by_id(&[1, 2, 3].map(MonitorId)).await.expect("a query");
    assert!(monitors[&MonitorId(1)].is_ok());
    let error = |id| monitors[&MonitorId(id)].as_ref().expect_err("it can't be read");
    assert!(error(2).is_for_newer() && !error(3).is_for_newer() && error(3).is_about_values());
    let says = |id, words: &str| assert!(error(id).to_string().starts_with(words), "{}", error(id));
    says(2, "`check_spec` of monitor `b` is of a newer `uptime`: unknown variant `gopher`");
    says(3, "`policy` of monitor `c` can't be read: invalid type");
    let error = store.begin_results(&[], &[MonitorId(3)]).await.expect_err("an unknown word");
    let said = "`severity` of the state of monitor 3 is of a newer `uptime`: `odd` is unknown here";
    assert_eq!(error.to_string(), said);
}

#[tokio::test]
async fn the_latency_that_is_kept_of_a_ping_is_its_mean_round_trip() {
    let (_database, store, mut checks) = two_down().await;
    let ms = Duration::from_millis;
    for (check, mean) in checks.iter_mut().zip([Some(ms(2)), None]) {
        let round_trips = mean.map(|mean| RoundTrips { min: ms(1), mean, max: ms(3), jitter: ms(1) });
        let echoes = Some(Echoes { sent: 3, received: 3, round_trips });
        check.report = CheckReport { echoes, ..CheckReport::new(None, ms(400)) };
    }
    let mut transaction = begin(&store, &checks).await;
    for check in checks {
        let locked = transaction.state_of(&check).expect("the lease is ours");
        transaction.record(check, unmoved(locked));
    }
    transaction.commit().await.expect("a commit");
    let monitors = store.monitor_summaries().await.expect("monitors");
    let latencies: Vec<_> = monitors.into_iter().map(|monitor| monitor.last_latency).collect();
    assert_eq!(latencies, [Some(ms(2)), None]);
}

#[tokio::test]
async fn a_batch_without_a_commit_has_not_happened() {
    let (database, store, checks) = two_down().await;
    let mut transaction = begin(&store, &checks).await;
    record(&mut transaction, checks).await;
    drop(transaction);
    store.close().await;
    assert_eq!(database.value(EVERYTHING), "0 0 0 0 2 0");
}

#[tokio::test]
async fn a_check_whose_lease_was_lost_writes_nothing_and_the_others_do() {
    let (database, store, checks) = two_down().await;
    // Somebody else has claimed the job of the first meanwhile.
    database.query(&format!("UPDATE jobs SET attempts = 2, claims = 2 WHERE id = {}", checks[0].claim.id));
    let mut transaction = begin(&store, &checks).await;
    assert!(transaction.state_of(&checks[0]).is_none());
    assert!(transaction.state_of(&checks[1]).is_some());
    record(&mut transaction, checks).await;
    transaction.commit().await.expect("a commit");
    assert_eq!(database.value(EVERYTHING), "1 1 2 2 1 1");
}

#[tokio::test]
async fn a_monitor_that_was_removed_meanwhile_writes_nothing() {
    let (database, store, checks) = two_down().await;
    database.query("DELETE FROM monitors WHERE name = 'a'");
    let mut transaction = begin(&store, &checks).await;
    record(&mut transaction, checks).await;
    transaction.commit().await.expect("a commit");
    assert_eq!(database.value(EVERYTHING), "1 1 2 2 0 1");
}

#[tokio::test]
async fn no_monitor_has_two_open_incidents() {
    let (_database, store, checks) = two_down().await;
    let mut transaction = begin(&store, &checks).await;
    let cause = checks[0].report.failure.clone().expect("it is down");
    let monitor = checks[0].monitor.id;
    transaction
        .open_incident(monitor, Severity::Down, Timestamp::UNIX_EPOCH, 1, &cause)
        .await
        .expect("the first");
    transaction
        .open_incident(monitor, Severity::Down, Timestamp::UNIX_EPOCH, 1, &cause)
        .await
        .expect_err("the second");
}

#[tokio::test]
async fn a_recheck_comes_before_the_next_slot_or_not_at_all() {
    let (database, store, checks) = two_down().await;
    database.query(&format!(
        "UPDATE monitor_states SET next_check_at = now() + CASE WHEN monitor_id = {} THEN interval '1 s' ELSE interval '1 h' END",
        checks[0].monitor.id
    ));
    let far = checks[1].monitor.id;
    let mut transaction = begin(&store, &checks).await;
    for check in checks {
        let judged = unmoved(transaction.state_of(&check).expect("ours"));
        transaction.record(check, Judged { recheck_after: Some(Duration::from_secs(10)), ..judged });
    }
    transaction.commit().await.expect("a commit");
    assert_eq!(database.value("SELECT string_agg(subject::text, ',') FROM jobs"), far.to_string());
    assert_eq!(
        database.value("SELECT available_at > now() + interval '5 s' AND available_at <= now() + interval '10 s' FROM jobs"),
        "t"
    );
}

#[tokio::test]
async fn a_chain_goes_on_until_its_end() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query("UPDATE monitor_states SET interval_ms = 1000, phase_ms = 0");
    let checks = finished_checks(&store, &database).await;
    for (until, waiting) in [("now() + interval '1 h'", "1"), ("now() - interval '1 h'", "0")] {
        database.query(&format!("UPDATE monitor_states SET chain_until = {until}"));
        database.query("DELETE FROM jobs");
        database.query(
            "INSERT INTO jobs (queue, subject) SELECT 'monitor-checks', monitor_id FROM monitor_states",
        );
        let job = crate::claim(&store, uptime_store::MONITOR_CHECKS, 1).await.remove(0);
        let check = FinishedCheck { claim: job.claim, ..checks[0].clone() };
        let mut transaction = begin(&store, std::slice::from_ref(&check)).await;
        let judged = unmoved(transaction.state_of(&check).expect("ours"));
        transaction.record(check, judged);
        transaction.commit().await.expect("a commit");
        assert_eq!(database.value("SELECT count(*) FROM jobs"), waiting, "chain until {until}");
        assert_eq!(
            database.value("SELECT count(*) FROM jobs j JOIN monitor_states s ON s.monitor_id = j.subject WHERE s.next_check_at <= j.available_at"),
            "0",
            "the next slot is behind the one that waits"
        );
    }
}
