//! The worker on a real PostgreSQL, with jobs that say what they do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uptime_core::id::JobId;
use uptime_core::queue::QueueSettings;
use uptime_engine::Observer;
use uptime_engine::worker::{self, Finished, Handler, WorkerOptions, WorkerSummary};
use uptime_store::queue::{Claim, Job, JobFailure};
use uptime_store::{Store, StoreError};
use uptime_tests::{DEADLINE, TestDatabase, within};

const QUEUE: &str = "q";

/// Does what a job's payload says.
struct Scripted {
    store: Store,
    database: Arc<TestDatabase>,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Handler for Scripted {
    type Work = ();
    type Done = ();

    fn queue(&self) -> &'static str {
        QUEUE
    }

    async fn load(&self, jobs: &[Job]) -> Result<HashMap<JobId, Result<(), StoreError>>, StoreError> {
        Ok(jobs.iter().map(|job| (job.claim.id, Ok(()))).collect())
    }

    async fn run(&self, job: &Job, (): (), _within: Duration) {
        let at_once = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        match job.payload.as_ref().ok().and_then(|payload| payload["do"].as_str()) {
            Some("panic") => panic!("as it was told"),
            Some("hang") => std::future::pending().await,
            Some("enqueue an old one") => {
                self.database
                    .query("INSERT INTO jobs (queue, available_at) VALUES ('q', now() - interval '1 hour')");
            }
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    async fn settle(&self, finished: &[Finished<()>]) -> Result<Vec<Claim>, StoreError> {
        let mut done = Vec::new();
        for finished in finished {
            let claim = finished.job.claim;
            match finished.end.failure(claim.attempts) {
                None => done.push(claim),
                Some(error) => {
                    let failure =
                        JobFailure { claim, retry_after: None, counts: finished.end.counts(), error };
                    self.store.fail(&[failure]).await?;
                }
            }
        }
        Ok(done)
    }
}

struct Setup {
    database: Arc<TestDatabase>,
    store: Store,
    handler: Arc<Scripted>,
}

impl Setup {
    async fn with_jobs(payloads: &[&str]) -> Self {
        let database = TestDatabase::from_template("store", async |url| {
            Store::open(&url, 2).await.expect("the schema is made").close().await;
        })
        .await;
        let database = Arc::new(database);
        let store = Store::open(&database.url(), 8).await.expect("the store opens");
        database.query(&format!(
            "INSERT INTO jobs (queue, payload)
             SELECT 'q', jsonb_build_object('do', what) FROM unnest(string_to_array('{}', ',')) what",
            payloads.join(",")
        ));
        let handler = Arc::new(Scripted {
            store: store.clone(),
            database: Arc::clone(&database),
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        Self { database, store, handler }
    }

    async fn work(&self, options: WorkerOptions) -> WorkerSummary {
        let observer: Observer = Arc::new(|_| ());
        let (store, handler) = (self.store.clone(), Arc::clone(&self.handler));
        let working = worker::run(store, handler, options, observer, CancellationToken::new());
        within(DEADLINE, working, || "the worker's end".into()).await.expect("no error")
    }

    fn left(&self) -> String {
        self.database.value("SELECT count(*) FROM jobs")
    }
}

fn until_empty() -> WorkerOptions {
    WorkerOptions {
        settings: QueueSettings {
            timeout: Duration::from_secs(1),
            retry_after: Duration::from_mins(1),
            tries: 1,
            ..QueueSettings::defaults(QUEUE)
        },
        grace: Duration::from_secs(5),
        max_jobs: None,
        max_time: None,
        max_memory: None,
        stop_when_empty: true,
        paused: watch::channel(false).1,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_and_a_timeout_end_their_own_job_alone() {
    let setup = Setup::with_jobs(&["panic", "hang", "nothing", "nothing"]).await;
    let summary = setup.work(until_empty()).await;
    assert_eq!((summary.settled, summary.released), (4, 0));
    assert_eq!(setup.left(), "0");
    let failed = setup.store.failed_jobs(None, 10).await.expect("a list");
    let mut errors: Vec<_> = failed.iter().map(|job| job.errors[0].error.as_str()).collect();
    errors.sort_unstable();
    assert_eq!(errors, ["did not end within 1s", "panicked: as it was told"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_are_in_hand_than_there_are_slots() {
    let setup = Setup::with_jobs(&["nothing"; 200]).await;
    let options = until_empty();
    let settings = QueueSettings { concurrency: 7, ..options.settings.clone() };
    let summary = setup.work(WorkerOptions { settings, ..options }).await;
    assert_eq!((summary.settled, setup.left().as_str()), (200, "0"));
    let most = setup.handler.most_at_once.load(Ordering::SeqCst);
    assert!((2..=7).contains(&most), "{most} at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_is_what_is_empty_from_its_front_on() {
    // With one slot each claim is a full one, and the next begins where it began.
    let setup = Setup::with_jobs(&["nothing", "nothing", "enqueue an old one"]).await;
    let options = until_empty();
    let settings = QueueSettings { concurrency: 1, ..options.settings.clone() };
    setup.work(WorkerOptions { settings, ..options }).await;
    assert_eq!(setup.left(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_after_so_many_jobs() {
    let setup = Setup::with_jobs(&["nothing"; 10]).await;
    let summary = setup.work(WorkerOptions { max_jobs: Some(3), ..until_empty() }).await;
    assert_eq!((summary.settled, setup.left().as_str()), (3, "7"));
    assert_eq!(setup.database.value("SELECT count(*) FROM jobs WHERE attempts > 0"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_by_itself_when_it_holds_too_much_memory() {
    let setup = Setup::with_jobs(&[]).await;
    let began = std::time::Instant::now();
    setup.work(WorkerOptions { max_memory: Some(1), stop_when_empty: false, ..until_empty() }).await;
    assert!(began.elapsed().as_secs() < 20);
    setup.work(WorkerOptions { max_memory: Some(1 << 40), ..until_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_gives_nothing_until_it_goes_on() {
    let setup = Setup::with_jobs(&["nothing"; 3]).await;
    setup.store.pause_queue(QUEUE).await.expect("paused");
    assert_eq!(setup.work(until_empty()).await.settled, 0);
    assert_eq!(setup.left(), "3");
    setup.store.resume_queue(QUEUE).await.expect("resumed");
    assert_eq!(setup.work(until_empty()).await.settled, 3);
}

/// Its sleep is from one look for jobs to the next; a heartbeat comes in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_sleeps_for_long_is_seen_and_hears_of_a_restart_without_a_wake_up() {
    let setup = Setup::with_jobs(&[]).await;
    let options = WorkerOptions { stop_when_empty: false, ..until_empty() };
    let settings = QueueSettings { sleep: Duration::from_hours(1), ..options.settings.clone() };
    let asking = async {
        let signed = "SELECT count(*) FROM workers WHERE seen_at > started_at";
        let seen = async {
            while setup.database.value(signed) == "0" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within(DEADLINE, seen, || "a second heartbeat".into()).await;
        setup.database.query("INSERT INTO queue_controls (queue, restart_asked_at) VALUES ('q', now())");
    };
    let (summary, ()) = tokio::join!(setup.work(WorkerOptions { settings, ..options }), asking);
    assert!(summary.restart);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reaches_those_that_work_and_none_that_begin_afterwards() {
    let setup = Setup::with_jobs(&["nothing"]).await;
    let endless = WorkerOptions { stop_when_empty: false, ..until_empty() };
    let asking = async {
        within(
            DEADLINE,
            async {
                while setup.database.value("SELECT count(*) FROM workers") == "0" {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            || "a heartbeat".into(),
        )
        .await;
        setup.store.restart_workers(QUEUE).await.expect("asked")
    };
    let (summary, asked) = tokio::join!(setup.work(endless), asking);
    assert_eq!((summary.restart, asked), (true, 1));
    assert_eq!(setup.database.value("SELECT count(*) FROM workers"), "0", "it has signed off");
    assert!(!setup.work(until_empty()).await.restart);
}
