//! The failed list: what is kept, what is told of it, and another chance or none.

use crate::{claim, store, watch};
use std::time::Duration;
use uptime_core::id::JobId;
use uptime_store::Store;
use uptime_store::failed::{Retried, Selection};
use uptime_store::operations::CHUNK;
use uptime_store::queue::JobFailure;
use uptime_tests::TestDatabase;

/// `count` failed jobs of the queue `q`, with the ids from 1001.
fn fail_many(database: &TestDatabase, count: usize) {
    database.query(&format!(
        "INSERT INTO failed_jobs (id, queue, subject, payload, attempts, errors, created_at)
         SELECT 1000 + n, 'q', n, '{{}}', 3, '[]', now() FROM generate_series(1, {count}) n"
    ));
}

async fn fail(store: &Store, queue: &str, error: &str) -> JobId {
    let job = claim(store, queue, 1).await.remove(0);
    let failure = JobFailure { claim: job.claim, retry_after: None, counts: true, error: error.into() };
    store.fail(&[failure]).await.expect("a query");
    job.claim.id
}

/// Puts back, chunk by chunk, what there is of `which`.
async fn retry_all(store: &Store, which: &Selection) -> Vec<(JobId, Retried)> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|(id, _)| *id);
        let chunk = store.retry_failed(which, after).await.expect("a retry");
        if chunk.is_empty() {
            return all;
        }
        all.extend(chunk);
    }
}

async fn delete_all(store: &Store, which: &Selection) -> Vec<JobId> {
    let mut all = Vec::new();
    loop {
        let chunk = store.delete_failed(which, all.last().copied()).await.expect("a deletion");
        if chunk.is_empty() {
            return all;
        }
        all.extend(chunk);
    }
}

#[tokio::test]
async fn failures_are_kept_and_a_retry_begins_anew_under_the_same_id() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue, subject) VALUES ('q', 7)");
    for attempt in 1..=2 {
        let job = claim(&store, "q", 1).await.remove(0);
        let retry_after = (attempt == 1).then_some(Duration::ZERO);
        let failure =
            JobFailure { claim: job.claim, retry_after, counts: true, error: format!("no {attempt}") };
        assert_eq!(store.fail(&[failure]).await.expect("a query").len(), 1);
    }
    assert!(claim(&store, "q", 1).await.is_empty());
    let failed = store.failed_jobs(None, 10).await.expect("a list").remove(0);
    assert_eq!((failed.attempts, failed.queue.as_str()), (2, "q"));
    assert_eq!(failed.errors.iter().map(|error| error.error.as_str()).collect::<Vec<_>>(), ["no 1", "no 2"]);

    let retried = retry_all(&store, &Selection::of([failed.id, JobId(999)])).await;
    assert_eq!(retried, [(failed.id, Retried::PutBack)]);
    let job = claim(&store, "q", 1).await.remove(0);
    assert_eq!((job.claim.id, job.claim.attempts, job.subject), (failed.id, 1, Some(7)));
}

#[tokio::test]
async fn a_retry_does_not_put_a_second_job_beside_one_that_waits() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue, subject) VALUES ('q', 7)");
    let id = fail(&store, "q", "no").await;
    database.query("INSERT INTO jobs (queue, subject) VALUES ('q', 7)");
    let retried = retry_all(&store, &Selection::default()).await;
    assert_eq!(retried, [(id, Retried::WaitsAlready)]);
    assert_eq!(database.value("SELECT count(*) FROM jobs"), "1");
}

#[tokio::test]
async fn a_retry_announces_its_queues() {
    let (database, store) = store().await;
    fail_many(&database, 3);
    let mut wakeups = store.wakeups().await.expect("a listener").expect("no pooler");
    retry_all(&store, &Selection::default()).await;
    let heard = uptime_tests::within(uptime_tests::DEADLINE, wakeups.next(), || "a wake-up".into()).await;
    assert_eq!(heard.expect("a wake-up"), uptime_store::Wakeup::Jobs("q".into()));
}

#[tokio::test]
async fn many_are_gone_through_in_chunks() {
    let (database, store) = store().await;
    fail_many(&database, 2_500);
    let first = store.retry_failed(&Selection::default(), None).await.expect("a retry");
    assert_eq!(i64::try_from(first.len()), Ok(CHUNK), "no more at once");
    assert_eq!(first.first().map(|(id, _)| *id), Some(JobId(1_001)), "by id");
    assert_eq!(database.value("SELECT count(*) FROM failed_jobs"), "1500");
    assert_eq!(retry_all(&store, &Selection::default()).await.len(), 1_500);
    assert_eq!(database.value("SELECT count(DISTINCT id) FROM jobs"), "2500");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_at_once_do_each_job_once() {
    let (database, store) = store().await;
    fail_many(&database, 4_000);
    let which = Selection::default();
    // Two retry all, one flushes.
    let (one, other, deleted) = tokio::join!(
        tokio::spawn({
            let (store, which) = (store.clone(), which.clone());
            async move { retry_all(&store, &which).await }
        }),
        tokio::spawn({
            let (store, which) = (store.clone(), which.clone());
            async move { retry_all(&store, &which).await }
        }),
        tokio::spawn({
            let (store, which) = (store.clone(), which.clone());
            async move { delete_all(&store, &which).await }
        }),
    );
    let retried: Vec<JobId> =
        [one, other].into_iter().flat_map(|done| done.expect("no panic")).map(|(id, _)| id).collect();
    let deleted = deleted.expect("no panic");
    let mut all: Vec<i64> = retried.iter().chain(&deleted).map(|id| id.0).collect();
    all.sort_unstable();
    assert_eq!(all, (1_001..=5_000).collect::<Vec<i64>>(), "each once, and none left out");
    assert_eq!(database.value("SELECT count(*) FROM jobs"), retried.len().to_string());
    assert_eq!(database.value("SELECT count(*) FROM failed_jobs"), "0");
}

#[tokio::test]
async fn a_selection_is_every_condition_at_once() {
    let (database, store) = store().await;
    fail_many(&database, 6);
    database.query("UPDATE failed_jobs SET queue = 'r' WHERE id = 1003");
    database.query("UPDATE failed_jobs SET failed_at = now() - interval '3 h' WHERE id IN (1002, 1003)");
    let ago = store.instant_before(Duration::from_hours(2)).await.expect("an instant");
    let range = Some(JobId(1_002)..=JobId(1_005));
    let of = |which: Selection| {
        let (database, store) = (&database, &store);
        async move {
            let counted = store.count_failed(&which).await.expect("a count");
            let found = delete_all(store, &which).await;
            assert_eq!(counted, found.len() as u64, "counted as it is done");
            fail_again(database, &found);
            found.into_iter().map(|id| id.0).collect::<Vec<_>>()
        }
    };
    assert_eq!(
        of(Selection { range: range.clone(), ..Selection::default() }).await,
        [1_002, 1_003, 1_004, 1_005]
    );
    assert_eq!(of(Selection { queue: Some("r".into()), ..Selection::default() }).await, [1_003]);
    let in_time = Selection { failed_by: Some(ago), ..Selection::default() };
    assert_eq!(of(in_time.clone()).await, [1_002, 1_003]);
    assert_eq!(of(Selection { queue: Some("q".into()), ..in_time.clone() }).await, [1_002]);
    let ids = Some(vec![JobId(1_003), JobId(1_006), JobId(1)]);
    assert_eq!(of(Selection { ids: ids.clone(), ..Selection::default() }).await, [1_003, 1_006]);
    assert_eq!(of(Selection { ids, range, ..in_time }).await, [1_003]);
}

/// Puts what a test deleted there again, as it was.
fn fail_again(database: &TestDatabase, ids: &[JobId]) {
    for JobId(id) in ids {
        let (queue, ago) = match id {
            1_003 => ("r", 3),
            1_002 => ("q", 3),
            _ => ("q", 0),
        };
        database.query(&format!(
            "INSERT INTO failed_jobs (id, queue, subject, payload, attempts, errors, created_at, failed_at)
             VALUES ({id}, '{queue}', {id}, '{{}}', 3, '[]', now(), now() - interval '{ago} h')"
        ));
    }
}

#[tokio::test]
async fn what_it_was_about_is_named_even_when_it_is_gone() {
    let (database, store) = store().await;
    watch(&store, &["a", "b"]).await;
    database.query(
        "INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
         SELECT '00000000-0000-0000-0000-000000000001', id, 'down', 0, '{\"monitor\": {\"name\": \"a\"}}', 'failed'
         FROM channels WHERE name = 'ops';
         INSERT INTO failed_jobs (id, queue, subject, concurrency_key, payload, attempts, errors, created_at, failed_at)
         SELECT 1, 'monitor-checks', m.id, NULL, '{}'::jsonb, 1, '[]'::jsonb, now(), now() FROM monitors m WHERE name = 'a'
         UNION ALL
         SELECT 2, 'notifications', n.id, n.channel_id, '{}', 3, '[]', now(), now() FROM notifications n
         UNION ALL SELECT 3, 'monitor-checks', 77, NULL, '{}', 1, '[]', now(), now()
         UNION ALL SELECT 4, 'notifications', 88, 99, '{}', 3, '[]', now(), now()
         UNION ALL SELECT 5, 'q', 7, NULL, '{}', 3, '[]', now(), now()",
    );
    let ids: Vec<JobId> = (1..=6).map(JobId).collect();
    let mut jobs = store.failed_jobs_by_id(&ids).await.expect("a query");
    jobs.sort_by_key(|job| job.id);
    assert_eq!(
        jobs.iter().map(|job| job.subject.as_str()).collect::<Vec<_>>(),
        ["monitor a", "channel ops", "monitor 77 (removed)", "channel 99 (removed)", "job 5"]
    );
    let told = jobs[1].notification.as_ref().expect("a notification");
    assert_eq!((told.event.as_str(), told.monitor.as_str(), told.incident), ("down", "a", None));
    assert_eq!(jobs.iter().filter(|job| job.notification.is_some()).count(), 1);
}
