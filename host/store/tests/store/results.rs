//! Promise 3: all of it or nothing, and nothing without the claim.

use crate::{finished_checks, outage, store, watch};
use std::time::Duration;
use uptime_core::check::{CheckReport, Echoes, Failure, FailureClass, RoundTrips};
use uptime_core::decision::{Decisions, FinishedCheck, Needs, judge};
use uptime_core::id::{DeliveryId, MonitorId};
use uptime_core::judgement::Status;
use uptime_store::Store;
use uptime_store::queue::Claim;
use uptime_store::results::ResultsTransaction;
use uptime_tests::TestDatabase;
use uuid::Uuid;

const EVERYTHING: &str = "SELECT concat_ws(' ', (SELECT count(*) FROM check_results), (SELECT count(*) FROM incidents),
    (SELECT count(*) FROM notifications), (SELECT count(*) FROM jobs WHERE queue = 'notifications'),
    (SELECT count(*) FROM jobs WHERE queue = 'monitor-checks'), (SELECT count(*) FROM monitor_states WHERE status = 'down'))";

/// Does what a worker does with finished checks, but for the commit. One failure opens an incident.
pub async fn decide(store: &Store, mut checks: Vec<FinishedCheck>) -> (ResultsTransaction, Decisions) {
    for check in &mut checks {
        check.monitor.policy.confirm = 1;
    }
    let claims: Vec<Claim> = checks.iter().map(|check| check.claim).collect();
    let monitors: Vec<_> = checks.iter().map(|check| check.monitor.id).collect();
    let (mut transaction, known) = store.begin_results(&claims, &monitors).await.expect("a transaction");
    let judged = judge(known, checks);
    let around = transaction.surroundings(judged.needs()).await.expect("what the events happen in");
    (transaction, judged.announce(around, &mut || DeliveryId(Uuid::new_v4())))
}

pub async fn record(store: &Store, checks: Vec<FinishedCheck>) {
    let (transaction, decisions) = decide(store, checks).await;
    transaction.commit(&decisions).await.expect("a commit");
}

fn up(check: FinishedCheck) -> FinishedCheck {
    FinishedCheck { report: CheckReport::new(None, Duration::ZERO), ..check }
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
    let (transaction, decisions) = decide(&store, checks).await;
    assert_eq!(database.value(EVERYTHING), "0 0 0 0 2 0", "nothing is seen before the commit");
    transaction.commit(&decisions).await.expect("a commit");
    assert_eq!(database.value(EVERYTHING), "2 2 4 4 0 2");
}

#[tokio::test]
async fn trouble_is_kept_with_its_evidence_and_its_absence_without() {
    let (database, store, mut checks) = two_down().await;
    let warning = Failure::new(FailureClass::Certificate, "ends in 3 days").with("14 days", "3 days");
    checks[0].report.failure = None;
    checks[0].report.warnings.push(warning);
    checks[1].report.failure = None;
    record(&store, checks).await;
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
    says(2, "`check_spec` of monitor `b` was written by a newer `uptime`: unknown variant `gopher`");
    says(3, "`policy` of monitor `c` can't be read: invalid type");
    let error = store.begin_results(&[], &[MonitorId(3)]).await.expect_err("an unknown word");
    let said = "`severity` of the state of monitor 3 was written by a newer `uptime`: `odd` is unknown here";
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
    record(&store, checks).await;
    let monitors = store.monitor_summaries().await.expect("monitors");
    let latencies: Vec<_> = monitors.into_iter().map(|monitor| monitor.last_latency).collect();
    assert_eq!(latencies, [Some(ms(2)), None]);
}

#[tokio::test]
async fn a_batch_without_a_commit_has_not_happened() {
    let (database, store, checks) = two_down().await;
    drop(decide(&store, checks).await);
    store.close().await;
    assert_eq!(database.value(EVERYTHING), "0 0 0 0 2 0");
}

#[tokio::test]
async fn a_check_whose_lease_was_lost_writes_nothing_and_the_others_do() {
    let (database, store, checks) = two_down().await;
    // Somebody else has claimed the job of the first meanwhile.
    database.query(&format!("UPDATE jobs SET attempts = 2, claims = 2 WHERE id = {}", checks[0].claim.id));
    let other = checks[1].monitor.id;
    let (transaction, decisions) = decide(&store, checks).await;
    let decided: Vec<_> = decisions.outcomes.iter().map(|outcome| outcome.check.monitor.id).collect();
    assert_eq!(decided, [other]);
    transaction.commit(&decisions).await.expect("a commit");
    assert_eq!(database.value(EVERYTHING), "1 1 2 2 1 1");
}

#[tokio::test]
async fn a_monitor_that_was_removed_meanwhile_writes_nothing() {
    let (database, store, checks) = two_down().await;
    database.query("DELETE FROM monitors WHERE name = 'a'");
    record(&store, checks).await;
    assert_eq!(database.value(EVERYTHING), "1 1 2 2 0 1");
}

#[tokio::test]
async fn no_monitor_has_two_open_incidents() {
    let (_database, store, checks) = two_down().await;
    let (mut transaction, _) = store.begin_results(&[], &[]).await.expect("a transaction");
    let opens = || Needs { opened: vec![(checks[0].monitor.id, outage())], ..Needs::default() };
    transaction.surroundings(opens()).await.expect("the first");
    transaction.surroundings(opens()).await.expect_err("the second");
}

#[tokio::test]
async fn a_recheck_comes_before_the_next_slot_or_not_at_all() {
    let (database, store, checks) = two_down().await;
    database.query(&format!(
        "UPDATE monitor_states SET next_check_at = now() + CASE WHEN monitor_id = {} THEN interval '1 s' ELSE interval '1 h' END",
        checks[0].monitor.id
    ));
    let far = checks[1].monitor.id;
    let (transaction, mut decisions) = decide(&store, checks.into_iter().map(up).collect()).await;
    for outcome in &mut decisions.outcomes {
        outcome.recheck_after = Some(Duration::from_secs(10));
    }
    transaction.commit(&decisions).await.expect("a commit");
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
        record(&store, vec![up(check)]).await;
        assert_eq!(database.value("SELECT count(*) FROM jobs"), waiting, "chain until {until}");
        assert_eq!(
            database.value("SELECT count(*) FROM jobs j JOIN monitor_states s ON s.monitor_id = j.subject WHERE s.next_check_at <= j.available_at"),
            "0",
            "the next slot is behind the one that waits"
        );
    }
}

#[tokio::test]
async fn outcomes_of_one_monitor_are_decided_in_order_and_each_sees_the_one_before() {
    let (database, store, checks) = two_down().await;
    let a = checks[0].clone();
    let later = |check: &FinishedCheck, s: i64| FinishedCheck {
        slot_at: check.slot_at + jiff::SignedDuration::from_secs(s),
        started_at: check.started_at + jiff::SignedDuration::from_secs(s),
        ..check.clone()
    };
    record(&store, vec![a.clone(), up(later(&a, 1)), later(&a, 2)]).await;
    let told = "SELECT string_agg(concat_ws(' ', incident_id, event, (snapshot->'incident'->>'ended_at') IS NULL), ', ' ORDER BY n.id)
                FROM notifications n JOIN channels c ON c.id = n.channel_id WHERE c.name = 'ops'";
    assert_eq!(database.value(told), "1 down t, 1 up f, 2 down t");
    let kept = "SELECT concat_ws(' ', (SELECT count(*) FROM check_results), status, incident_id, announced_severity) FROM monitor_states ORDER BY monitor_id LIMIT 1";
    assert_eq!(database.value(kept), "3 down 2 down");
    let events =
        "SELECT string_agg(concat_ws(' ', incident_id, kind), ', ' ORDER BY id) FROM incident_events";
    assert_eq!(database.value(events), "1 opened, 1 resolved, 2 opened");
}
