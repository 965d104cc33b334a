//! The schema: made once however many come at once, and as cheap to write as it was meant to be.

use crate::{claim, request, store};
use std::time::{Duration, Instant};
use uptime_store::queue::{Claim, ClaimRequest};
use uptime_store::{Store, StoreError};
use uptime_tests::{DEADLINE, TestDatabase};

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_make_one_schema() {
    let database = TestDatabase::empty().await;
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move { Store::open(&url, 2).await })
        })
        .collect();
    for opened in opening {
        let store = opened.await.expect("no panic").expect("each of them opens");
        assert_eq!(store.version().await.expect("a version"), Store::known_version());
    }
}

/// What is said of a database of this version, by who may change it and who only reads.
async fn refusals(version: i64) -> [StoreError; 2] {
    let (database, store) = store().await;
    store.close().await;
    database.query(&format!("UPDATE _sqlx_migrations SET version = {version}"));
    let tables = "SELECT string_agg(relname, ' ' ORDER BY oid) FROM pg_class";
    let before = database.value(tables);
    let refused = [
        Store::open(&database.url(), 2).await.expect_err("it is refused"),
        Store::open_existing(&database.url(), 2).await.expect_err("it is refused"),
    ];
    assert_eq!(database.value(tables), before, "it stays as it is");
    refused
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    for refused in refusals(9999).await {
        assert!(matches!(refused, StoreError::Newer { found: 9999, .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_schema_of_before_the_first_release_is_refused() {
    for refused in refusals(7).await {
        assert!(matches!(refused, StoreError::Unreleased { found: 7 }), "{refused:?}");
        assert!(refused.hint().contains("`DATABASE_URL`"), "{}", refused.hint());
    }
}

#[tokio::test]
async fn functions_can_be_made_again() {
    let (database, _store) = store().await;
    database.query(include_str!("../../../../migrations/functions.sql"));
}

/// What PostgreSQL has counted, once it is so much: the counters of a connection are sent when it ends, and arrive a little
/// later.
async fn counted(database: &TestDatabase, sql: &str, least: u32) -> u32 {
    let began = Instant::now();
    loop {
        let count: u32 = database.value(sql).parse().expect("a number");
        if count >= least {
            return count;
        }
        assert!(began.elapsed() < DEADLINE, "{count} instead of at least {least} of `{sql}`");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_claim_touches_no_index() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue) SELECT 'q' FROM generate_series(1, 200)");
    assert_eq!(claim(&store, "q", 200).await.len(), 200);
    store.close().await;
    counted(&database, "SELECT pg_stat_get_tuples_updated('jobs'::regclass)", 200).await;
    let hot = counted(&database, "SELECT pg_stat_get_tuples_hot_updated('jobs'::regclass)", 0).await;
    // Not all: the last rows of a page that is claimed whole in one statement no longer fit beside their successors.
    assert!(hot >= 180, "{hot} of 200 claims were HOT updates");
}

/// What statistics may say of a queue: that it is empty, that it has pages and no rows (as after vacuum of one that was worked
/// off), that nobody looked, that it is huge.
const STATISTICS: [&str; 4] = [
    "reltuples = 0, relpages = 0",
    "reltuples = 0, relpages = 5000",
    "reltuples = -1, relpages = 0",
    "reltuples = 1e9, relpages = 1",
];

/// A planner that believes them would read and sort a sudden backlog whole, for every claim and every end.
#[tokio::test]
async fn a_turn_reads_no_more_of_a_sudden_backlog_than_it_takes() {
    for statistics in STATISTICS {
        let (database, store) = store().await;
        database.query(
            "INSERT INTO jobs (queue, concurrency_key) SELECT 'q', n % 7 FROM generate_series(1, 20000) n",
        );
        database.query(&format!(
            "UPDATE pg_class SET {statistics} WHERE oid = 'jobs'::regclass
             OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'jobs'::regclass)"
        ));
        let turn = async |done: &[Claim], keys| {
            let request = ClaimRequest { done, keys, ..request("q", 10) };
            let jobs = store.claim(&request).await.expect("a claim");
            assert_eq!(jobs.len(), 10);
            jobs.into_iter().map(|job| job.claim).collect::<Vec<_>>()
        };
        let done = turn(&[], None).await;
        let done = turn(&done, None).await;
        turn(&done, Some((4, &[]))).await;
        assert!(store.next_ready_in("q").await.expect("a query").is_none());
        store.close().await;
        let read = async |index: &str, least| {
            let sql = format!("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = '{index}'");
            counted(&database, &sql, least).await
        };
        let (ready, by_id) = (read("jobs_ready", 30).await, read("jobs_pkey", 20).await);
        // The claim by key ranks the first two thousand.
        assert!(ready < 5_000, "{ready} of 20,000 entries read for three claims of 10 ({statistics})");
        assert!(by_id < 5_000, "{by_id} of 20,000 entries read by id ({statistics})");
        assert_eq!(
            database.value("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'jobs'"),
            "0",
            "scans of it all ({statistics})"
        );
    }
}

#[tokio::test]
async fn results_of_today_and_of_the_coming_days_have_a_partition() {
    let (database, store) = store().await;
    store.make_result_partitions().await.expect("partitions");
    assert_eq!(
        database.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'check_results'::regclass"),
        "5"
    );
}

/// No partitions, and rows of today in the net: as after days in which nobody made any.
const AFTER_A_GAP: &str = "DO $$ DECLARE p regclass; BEGIN
    FOR p IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'check_results'::regclass
             AND inhrelid <> 'check_results_default'::regclass LOOP EXECUTE 'DROP TABLE ' || p; END LOOP; END $$;
    INSERT INTO check_results (monitor_id, slot_at, started_at, outcome, degraded, total_us, late_us)
    SELECT n, now(), now(), 'up', false, 1, 0 FROM generate_series(1, 3) n";

#[tokio::test]
async fn results_that_the_net_caught_move_into_their_partition() {
    let (database, store) = store().await;
    database.query(AFTER_A_GAP);
    store.make_result_partitions().await.expect("partitions");
    assert_eq!(database.value("SELECT count(*) FROM check_results"), "3");
    assert_eq!(database.value("SELECT count(*) FROM check_results_default"), "0");
    assert_eq!(
        database.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'check_results'::regclass"),
        "5"
    );
}

#[tokio::test]
async fn a_backup_that_reads_for_long_holds_up_nobody() {
    let (database, store) = store().await;
    database.query(AFTER_A_GAP);
    // What pg_dump holds for as long as it runs.
    let pool = sqlx::PgPool::connect(&database.url()).await.expect("a connection");
    let mut backup = pool.begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE check_results IN ACCESS SHARE MODE").execute(&mut *backup).await.expect("a lock");
    let began = Instant::now();
    store.make_result_partitions().await.expect("not now, and that is no error");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(database.value("SELECT count(*) FROM check_results"), "3", "nothing was lost");
    backup.rollback().await.expect("the backup ends");
    store.make_result_partitions().await.expect("partitions");
    assert_eq!(database.value("SELECT count(*) FROM check_results_default"), "0");
}
