//! Leases, fences and what follows from a failure.

use crate::{claim, request, store};
use std::collections::HashSet;
use std::time::Duration;
use uptime_store::failed::Selection;
use uptime_store::queue::{ClaimRequest, JobFailure, KeyLoad};

#[tokio::test(flavor = "multi_thread")]
async fn each_job_is_claimed_once_by_many_at_once() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue) SELECT 'q' FROM generate_series(1, 2000)");
    let claiming: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let jobs = claim(&store, "q", 50).await;
                    if jobs.is_empty() {
                        return mine;
                    }
                    mine.extend(jobs.into_iter().map(|job| job.claim.id));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimed in claiming {
        all.extend(claimed.await.expect("no panic"));
    }
    assert_eq!(all.len(), 2000);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 2000);
}

#[tokio::test]
async fn who_lost_the_lease_ends_nothing() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue) VALUES ('q')");
    let slow = claim(&store, "q", 1).await.remove(0);
    assert!(claim(&store, "q", 1).await.is_empty(), "a lease holds");
    database.query("UPDATE jobs SET reserved_until = now() - interval '1 second'");
    let quick = claim(&store, "q", 1).await.remove(0);
    assert_eq!((slow.claim.attempts, quick.claim.attempts), (1, 2));

    assert!(store.complete(&[slow.claim]).await.expect("a query").is_empty());
    let failure = |claim, retry_after| JobFailure { claim, retry_after, counts: true, error: "no".into() };
    assert!(store.fail(&[failure(slow.claim, None)]).await.expect("a query").is_empty());
    assert!(store.fail(&[failure(slow.claim, Some(Duration::ZERO))]).await.expect("a query").is_empty());
    store.release(&[slow.claim]).await.expect("a query");
    assert_eq!(
        database.value("SELECT attempts FROM jobs WHERE reserved_until > now()"),
        "2",
        "the other's claim stands"
    );

    assert_eq!(store.complete(&[quick.claim]).await.expect("a query").len(), 1);
    assert_eq!(database.value("SELECT count(*) FROM jobs"), "0");
}

#[tokio::test]
async fn a_release_does_not_count() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue) VALUES ('q')");
    let job = claim(&store, "q", 1).await.remove(0);
    store.release(&[job.claim]).await.expect("a query");
    assert_eq!(claim(&store, "q", 1).await[0].claim.attempts, 1);
}

#[tokio::test]
async fn a_key_is_bounded_and_an_order_is_kept() {
    let (database, store) = store().await;
    // Key 1 has ten jobs, key 2 two; the jobs of key 2 have an order.
    database.query(
        "INSERT INTO jobs (queue, concurrency_key, order_key) SELECT 'q', 1, NULL FROM generate_series(1, 10);
         INSERT INTO jobs (queue, subject, concurrency_key, order_key) VALUES ('q', 2, 2, 'x'), ('q', 1, 2, 'x')",
    );
    let claim_by_key = async |load: &[KeyLoad]| {
        let request = ClaimRequest { keys: Some((4, load)), ..request("q", 100) };
        store.claim(&request).await.expect("a claim")
    };
    let first = claim_by_key(&[]).await;
    let of_key = |key| first.iter().filter(|job| job.concurrency_key == Some(key)).count();
    assert_eq!((of_key(1), of_key(2)), (4, 1), "four of a key, and one of an order");
    assert!(
        claim_by_key(&[
            KeyLoad { concurrency_key: 1, running: 4 },
            KeyLoad { concurrency_key: 2, running: 1 }
        ])
        .await
        .is_empty()
    );
    assert_eq!(
        claim_by_key(&[
            KeyLoad { concurrency_key: 1, running: 1 },
            KeyLoad { concurrency_key: 2, running: 1 }
        ])
        .await
        .len(),
        3
    );

    let ordered = first.iter().find(|job| job.concurrency_key == Some(2)).expect("one of key 2");
    // A failure that will be tried again still comes first.
    let again = JobFailure {
        claim: ordered.claim,
        retry_after: Some(Duration::from_mins(1)),
        counts: true,
        error: "no".into(),
    };
    store.fail(&[again]).await.expect("a query");
    assert!(claim_by_key(&[KeyLoad { concurrency_key: 1, running: 4 }]).await.is_empty());
    database.query("DELETE FROM jobs WHERE order_key = 'x' AND available_at > now()");
    assert_eq!(claim_by_key(&[KeyLoad { concurrency_key: 1, running: 4 }]).await.len(), 1);
    // What is sent again is older than what runs: it waits for that to end, and so does a probe.
    database.query(
        "INSERT INTO jobs (queue, subject, concurrency_key, order_key, payload)
         VALUES ('q', 0, 2, 'x', '{}'), ('q', -1, 2, 'x', '{\"probe\": true}')",
    );
    assert!(claim_by_key(&[KeyLoad { concurrency_key: 1, running: 4 }]).await.is_empty());
    database.query("UPDATE jobs SET reserved_until = NULL WHERE order_key = 'x'");
    let next = claim_by_key(&[KeyLoad { concurrency_key: 1, running: 4 }]).await;
    assert_eq!(
        next.iter().map(|job| job.subject).collect::<Vec<_>>(),
        [Some(0)],
        "the oldest, and no probe beside it"
    );
    // A probe that waits holds nobody up, and one that runs does.
    for (due, lease, claimed) in
        [("now()", "now() + interval '1 min'", 0), ("now() + interval '1 min'", "NULL", 1)]
    {
        database.query(&format!(
            "DELETE FROM jobs WHERE order_key = 'x' AND payload = '{{}}';
             UPDATE jobs SET available_at = {due}, reserved_until = {lease} WHERE order_key = 'x';
             INSERT INTO jobs (queue, subject, concurrency_key, order_key) VALUES ('q', 3, 2, 'x')"
        ));
        assert_eq!(claim_by_key(&[KeyLoad { concurrency_key: 1, running: 4 }]).await.len(), claimed, "{due}");
    }
}

#[tokio::test]
async fn the_next_due_instant_is_known() {
    let (database, store) = store().await;
    assert_eq!(store.next_ready_in("q").await.expect("a query"), None);
    database.query("INSERT INTO jobs (queue, available_at) VALUES ('q', now() + interval '10 s'), ('q', now() + interval '1 h')");
    let next = store.next_ready_in("q").await.expect("a query").expect("there is one");
    assert!(next > Duration::from_secs(5) && next <= Duration::from_secs(10), "{next:?}");
}

/// Neither a retry by hand, which begins at no attempts again, nor a release, which takes its attempt back, makes an old claim
/// fit once more.
#[tokio::test]
async fn an_old_claim_never_fits_again() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue) VALUES ('q')");
    let asleep = claim(&store, "q", 1).await.remove(0);
    database.query("UPDATE jobs SET reserved_until = now() - interval '1 second'");
    let removed = claim(&store, "q", 1).await.remove(0);
    let failure = |claim, retry_after| JobFailure { claim, retry_after, counts: true, error: "no".into() };
    assert_eq!(store.fail(&[failure(removed.claim, None)]).await.expect("a query").len(), 1);
    store.retry_failed(&Selection::default(), None).await.expect("a retry");
    let released = claim(&store, "q", 1).await.remove(0);
    assert_eq!(released.claim.attempts, asleep.claim.attempts, "it begins anew");
    store.release(&[released.claim]).await.expect("a query");
    let held = claim(&store, "q", 1).await.remove(0);

    for old in [asleep.claim, removed.claim, released.claim] {
        assert!(store.complete(&[old]).await.expect("a query").is_empty(), "{old:?}");
        assert!(store.fail(&[failure(old, None)]).await.expect("a query").is_empty(), "{old:?}");
        assert!(
            store.fail(&[failure(old, Some(Duration::ZERO))]).await.expect("a query").is_empty(),
            "{old:?}"
        );
        store.release(&[old]).await.expect("a query");
    }
    assert_eq!(database.value("SELECT count(*) FROM jobs WHERE reserved_until > now()"), "1");
    assert_eq!(store.complete(&[held.claim]).await.expect("a query").len(), 1);
}

#[tokio::test]
async fn what_is_put_back_is_put_back_once() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue) VALUES ('q')");
    let claim = claim(&store, "q", 1).await.remove(0).claim;
    let failure =
        JobFailure { claim, retry_after: Some(Duration::from_mins(1)), counts: true, error: "no".into() };
    assert_eq!(store.fail(std::slice::from_ref(&failure)).await.expect("a query").len(), 1);
    assert!(store.fail(&[failure]).await.expect("said again, its answer was lost").is_empty());
    assert_eq!(database.value("SELECT jsonb_array_length(errors) FROM jobs"), "1");
}

/// A number that no float holds: PostgreSQL keeps it, and the job that has it fails alone.
#[tokio::test]
async fn a_payload_that_cannot_be_read_is_its_own_job_s_trouble() {
    let (database, store) = store().await;
    database.query(r#"INSERT INTO jobs (queue, payload) VALUES ('q', '{"n": 1e400}'), ('q', '{"n": 1}')"#);
    let jobs = claim(&store, "q", 10).await;
    assert!(jobs[0].payload.is_err(), "{:?}", jobs[0].payload);
    assert_eq!(jobs[1].payload, Ok(serde_json::json!({"n": 1})));
}
