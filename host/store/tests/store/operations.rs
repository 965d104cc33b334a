//! What operators see of the queues and say to them.

use crate::{claim, event, outage, request, store, watch};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::decision::Needs;
use uptime_core::duration::elapsed;
use uptime_core::event::{Event, EventType};
use uptime_core::id::{IncidentId, MonitorId};
use uptime_store::operations::QueueSize;
use uptime_store::operations::busy::{BusyMoment, Told};
use uptime_store::operations::control::Cleared;
use uptime_store::operations::vacuum::Holder;
use uptime_store::queue::{ClaimRequest, JobFailure};
use uptime_store::{NOTIFICATIONS, Store, Wakeup};
use uptime_tests::{DEADLINE, TestDatabase, within};

/// A queue that is over its limit is told again after this.
const AGAIN_AFTER: Duration = Duration::from_hours(1);

async fn size(store: &Store, queue: &str) -> QueueSize {
    store.queue_sizes(&[queue.to_owned()]).await.expect("sizes").remove(0)
}

/// A row as a worker writes it, with a heartbeat so many seconds ago.
fn worker(database: &TestDatabase, queue: &str, seen_s_ago: u32) {
    database.query(&format!(
        "INSERT INTO workers (id, queue, host, pid, version, started_at, seen_at, running)
         VALUES (gen_random_uuid(), '{queue}', 'h', 1, '0', now() - interval '1 h', now() - interval '{seen_s_ago} s', 0)"
    ));
}

#[tokio::test]
async fn sizes_tell_ready_delayed_reserved_and_failed_apart() {
    let (database, store) = store().await;
    database.query(
        "INSERT INTO jobs (queue, available_at) VALUES ('q', now() - interval '90 s'), ('q', now() - interval '60 s'),
           ('q', now() - interval '60 s'), ('q', now() + interval '1 h')",
    );
    claim(&store, "q", 1).await;
    let job = claim(&store, "q", 1).await.remove(0);
    store
        .fail(&[JobFailure { claim: job.claim, retry_after: None, counts: true, error: "no".into() }])
        .await
        .expect("a query");
    let counted = size(&store, "q").await;
    assert_eq!((counted.ready, counted.delayed, counted.reserved, counted.failed), (1, 1, 1, 1));
    assert!(counted.oldest_wait_ms.is_some_and(|ms| (60_000..90_000).contains(&ms)), "{counted:?}");

    // What waits behind another of its order is not ready: behind one that is, that runs, or that waits for its backoff.
    database.query(
        "INSERT INTO jobs (queue, subject, order_key, available_at, reserved_until) VALUES
           ('o', 1, 'a', now() - interval '1 min', NULL), ('o', 2, 'a', now() - interval '2 min', NULL), ('o', 3, 'a', now() + interval '1 h', NULL),
           ('o', 4, 'b', now(), now() + interval '1 min'), ('o', 5, 'b', now(), NULL),
           ('o', 6, 'c', now() + interval '1 min', NULL), ('o', 7, 'c', now() - interval '9 min', NULL), ('o', 8, 'c', now(), NULL),
           ('o', NULL, NULL, now(), NULL), ('o', NULL, NULL, now(), NULL)",
    );
    let ordered = size(&store, "o").await;
    assert_eq!((ordered.ready, ordered.delayed, ordered.reserved, ordered.size()), (3, 6, 1, 10));
    assert!(ordered.oldest_wait_ms.is_some_and(|ms| (120_000..150_000).contains(&ms)), "{ordered:?}");

    // Nobody holds a job whose lease ran out.
    database
        .query("UPDATE jobs SET reserved_until = now() - interval '1 s' WHERE reserved_until IS NOT NULL");
    let counted = size(&store, "q").await;
    assert_eq!((counted.ready, counted.delayed, counted.reserved), (2, 1, 0));
    assert!(counted.oldest_wait_ms.is_some_and(|ms| ms >= 90_000), "{counted:?}");
}

#[tokio::test]
async fn a_queue_is_known_by_its_jobs_its_failures_its_workers_and_its_pause() {
    let (database, store) = store().await;
    let standard = ["monitor-checks", "notifications"];
    assert_eq!(store.known_queues().await.expect("queues"), standard);
    database.query("INSERT INTO jobs (queue) VALUES ('b'), ('b'), ('c')");
    database.query(
        "INSERT INTO failed_jobs (id, queue, payload, attempts, errors, created_at) VALUES (9, 'a', '{}', 1, '[]', now())",
    );
    for (queue, ago) in [("w", 0), ("w", 11), ("w", 13), ("dead", 13)] {
        worker(&database, queue, ago);
    }
    store.pause_queue("p").await.expect("paused");
    store.pause_queue("resumed").await.expect("paused");
    store.resume_queue("resumed").await.expect("resumed");
    let expected = ["a", "b", "c", "monitor-checks", "notifications", "p", "w"];
    assert_eq!(store.known_queues().await.expect("queues"), expected);
    let sizes = store.queue_sizes(&[]).await.expect("sizes");
    assert_eq!(sizes.iter().map(|size| size.queue.as_str()).collect::<Vec<_>>(), expected);
    let of = |queue: &str| sizes.iter().find(|size| size.queue == queue).expect("it is there");
    assert_eq!((of("b").ready, of("b").size(), of("c").ready, of("a").failed), (2, 2, 1, 1));
    assert_eq!((of("w").workers, of("b").workers), (2, 0), "those that live");
    assert!(of("p").paused_at.is_some() && of("b").paused_at.is_none());
}

#[tokio::test]
async fn a_paused_queue_gives_nothing_until_it_is_resumed() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue, concurrency_key) VALUES ('q', 1), ('r', 1)");
    let mut wakeups = store.wakeups().await.expect("a listener").expect("no pooler");
    let claim_by_key = async || {
        let request = ClaimRequest { keys: Some((4, &[])), ..request("q", 9) };
        store.claim(&request).await.expect("a claim").len()
    };
    assert!(store.pause_queue("q").await.expect("paused"));
    let since = size(&store, "q").await.paused_at;
    assert!(!store.pause_queue("q").await.expect("paused"), "it was so already");
    assert_eq!(size(&store, "q").await.paused_at, since, "since when, too");
    assert_eq!((claim(&store, "q", 9).await.len(), claim_by_key().await), (0, 0));
    assert_eq!(claim(&store, "r", 9).await.len(), 1, "the others go on");

    assert!(store.resume_queue("q").await.expect("resumed"));
    assert!(!store.resume_queue("q").await.expect("resumed"), "it goes on already");
    assert_eq!(claim_by_key().await, 1);
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(within(DEADLINE, wakeups.next(), || format!("more than {heard:?}")).await.expect("heard"));
    }
    let control = || Wakeup::Control("q".into());
    assert_eq!(heard, [control(), Wakeup::Jobs("q".into()), control()], "each change, and nothing else");
}

#[tokio::test]
async fn a_restart_reaches_the_workers_that_live() {
    let (database, store) = store().await;
    for (queue, ago) in [("q", 0), ("q", 3), ("q", 40), ("r", 0)] {
        worker(&database, queue, ago);
    }
    let mut wakeups = store.wakeups().await.expect("a listener").expect("no pooler");
    assert_eq!(store.restart_workers("q").await.expect("asked"), 2);
    assert_eq!(store.restart_workers("none").await.expect("asked"), 0);
    let heard = within(DEADLINE, wakeups.next(), || "an announcement".into()).await.expect("heard");
    assert_eq!(heard, Wakeup::Control("q".into()));
    let asked =
        "SELECT string_agg(queue, ',') FROM queue_controls WHERE restart_asked_at > now() - interval '1 min'";
    assert_eq!(database.value(asked), "q,none");
    database.query("UPDATE queue_controls SET restart_asked_at = now() - interval '1 h'");
    store.restart_workers("q").await.expect("asked again");
    assert_eq!(database.value(asked), "q");
}

async fn clear(store: &Store, queue: &str, as_of: Timestamp) -> Cleared {
    let (mut all, mut position) = (Cleared::default(), None);
    while let Some((cleared, reached)) = store.clear_queue(queue, as_of, position).await.expect("cleared") {
        all.ready += cleared.ready;
        all.delayed += cleared.delayed;
        position = Some(reached);
    }
    all
}

#[tokio::test]
async fn clearing_leaves_what_runs_and_what_comes_after_the_question() {
    let (database, store) = store().await;
    database.query(
        "INSERT INTO jobs (queue, available_at, reserved_until) VALUES
           ('q', now() - interval '5 s', now() + interval '1 min'), ('q', now() - interval '4 s', now() - interval '1 s'),
           ('q', now() - interval '3 s', NULL), ('q', now() + interval '1 h', NULL), ('r', now(), NULL)",
    );
    let as_of = store.instant_before(Duration::ZERO).await.expect("an instant");
    database.query("INSERT INTO jobs (queue) VALUES ('q')");
    assert_eq!(clear(&store, "q", as_of).await, Cleared { ready: 2, delayed: 1 });
    assert_eq!(
        database.value(
            "SELECT string_agg(concat(queue, (reserved_until IS NOT NULL)::text), ',' ORDER BY id) FROM jobs"
        ),
        "qtrue,rfalse,qfalse"
    );
}

#[tokio::test]
async fn a_job_that_is_just_being_claimed_is_not_cleared() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue) VALUES ('q'), ('q')");
    let as_of = store.instant_before(Duration::ZERO).await.expect("an instant");
    let mut claiming = database.session();
    let claim = "BEGIN; UPDATE jobs SET reserved_until = now() + interval '1 min' WHERE id = (SELECT min(id) FROM jobs)";
    claiming.query(claim).expect("a claim");
    let cleared =
        within(DEADLINE, clear(&store, "q", as_of), || "a clearing that does not wait for it".into());
    assert_eq!(cleared.await, Cleared { ready: 1, delayed: 0 });
    claiming.query("COMMIT").expect("a commit");
    assert_eq!(database.value("SELECT count(*) FROM jobs WHERE reserved_until > now()"), "1");
}

#[tokio::test]
async fn notifications_that_are_cleared_say_so() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    for state in ["queued", "failed"] {
        database.query(&format!(
            "WITH n AS (INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
                        SELECT gen_random_uuid(), id, 'down', 0, '{{}}', '{state}' FROM channels RETURNING id, channel_id)
             INSERT INTO jobs (queue, subject, concurrency_key) SELECT 'notifications', id, channel_id FROM n"
        ));
    }
    // One is in delivery, and another queue has jobs about the same numbers.
    database.query(
        "UPDATE jobs SET reserved_until = now() + interval '1 min' WHERE id = (SELECT min(id) FROM jobs)",
    );
    database.query("INSERT INTO jobs (queue, subject) SELECT 'q', id FROM notifications");
    let as_of = store.instant_before(Duration::ZERO).await.expect("an instant");
    assert_eq!(clear(&store, "q", as_of).await, Cleared { ready: 4, delayed: 0 });
    let states = || database.value("SELECT string_agg(state, ',' ORDER BY id) FROM notifications");
    assert_eq!(states(), "queued,queued,failed,failed");
    assert_eq!(clear(&store, NOTIFICATIONS, as_of).await, Cleared { ready: 3, delayed: 0 });
    assert_eq!(states(), "queued,discarded,failed,failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_two_clear_and_one_works_on_loses_each_job_once() {
    let (database, store) = store().await;
    database.query("INSERT INTO jobs (queue) SELECT 'q' FROM generate_series(1, 5000)");
    let as_of = store.instant_before(Duration::ZERO).await.expect("an instant");
    let clearing = || {
        let store = store.clone();
        tokio::spawn(async move { clear(&store, "q", as_of).await.ready })
    };
    let (one, other) = (clearing(), clearing());
    let working = tokio::spawn({
        let store = store.clone();
        async move {
            let mut ended = 0;
            loop {
                let jobs = claim(&store, "q", 20).await;
                if jobs.is_empty() {
                    return ended;
                }
                let claims: Vec<_> = jobs.iter().map(|job| job.claim).collect();
                let ours = store.complete(&claims).await.expect("a query").len();
                assert_eq!(ours, claims.len(), "what is claimed is no longer there to be cleared");
                ended += i64::try_from(ours).expect("a number");
            }
        }
    });
    let done = [one.await, other.await, working.await].map(|done| done.expect("no panic"));
    assert_eq!(done.iter().sum::<i64>(), 5_000, "{done:?}");
    assert_eq!(database.value("SELECT count(*) FROM jobs"), "0");
}

/// What `queue monitor` does when the queue `q` is over its limit; the channel `boss` does not want to hear of it.
async fn enqueue(store: &Store, limit: i64) -> (Told, Option<BusyMoment>) {
    let moment = std::sync::Mutex::new(None);
    let busy = |at: BusyMoment| {
        *moment.lock().expect("no panic") = Some(at);
        Event { incident: None, ..event(EventType::QueueBusy, IncidentId(0)) }
    };
    let told = store.enqueue_busy("q", limit, AGAIN_AFTER, busy).await.expect("told");
    (told, moment.into_inner().expect("no panic"))
}

fn ops() -> Told {
    Told::Channels(vec!["ops".into()])
}

fn boss_is_deaf(database: &TestDatabase) {
    database.query("UPDATE channels SET filter = '{\"events\": [\"down\", \"up\"]}' WHERE name = 'boss'");
}

#[tokio::test]
async fn a_busy_queue_is_told_once_again_after_an_hour_and_anew_when_it_was_below() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    boss_is_deaf(&database);
    assert_eq!(enqueue(&store, 5).await.0, ops());
    assert_eq!(enqueue(&store, 5).await.0, Told::Already);
    assert_eq!(
        database.value(
            "SELECT concat_ws(' ', c.name, n.event, n.state, j.queue, j.concurrency_key = c.id, j.order_key IS NULL, n.incident_id IS NULL)
             FROM notifications n JOIN channels c ON c.id = n.channel_id JOIN jobs j ON j.subject = n.id"
        ),
        "ops queue-busy queued notifications t t t"
    );

    database.query("UPDATE queue_controls SET busy_since = now() - interval '2 h', busy_told_at = now() - interval '59 min'");
    assert_eq!(enqueue(&store, 5).await.0, Told::Already);
    database.query("UPDATE queue_controls SET busy_told_at = now() - interval '61 min'");
    let (told, moment) = enqueue(&store, 5).await;
    assert_eq!(told, ops());
    let moment = moment.expect("an event was asked for");
    assert_eq!(elapsed(moment.since, moment.now).as_secs() / 3_600, 2, "it has been so all the time");
    assert_eq!(enqueue(&store, 5).await.0, Told::Already);

    let below = size(&store, "q").await;
    store.forget_busy(&[&below]).await.expect("forgotten");
    assert_eq!(enqueue(&store, 5).await.0, ops());
    assert_eq!(database.value("SELECT count(*) FROM notifications"), "3");
}

#[tokio::test]
async fn a_look_with_a_higher_limit_does_not_forget_what_was_told_about_a_lower_one() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query("INSERT INTO jobs (queue) SELECT 'q' FROM generate_series(1, 7)");
    assert!(matches!(enqueue(&store, 5).await.0, Told::Channels(_)));
    store.forget_busy(&[&size(&store, "q").await]).await.expect("not forgotten");
    assert_eq!(enqueue(&store, 5).await.0, Told::Already);
    database.query("DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE queue = 'q' LIMIT 3)");
    store.forget_busy(&[&size(&store, "q").await]).await.expect("forgotten");
    assert!(matches!(enqueue(&store, 5).await.0, Told::Channels(_)));
}

#[tokio::test]
async fn what_nobody_wants_to_hear_is_told_to_the_first_who_does() {
    let (database, store) = store().await;
    assert_eq!(enqueue(&store, 5).await.0, Told::Nobody, "there is no channel");
    watch(&store, &["a"]).await;
    database.query("UPDATE channels SET enabled = false WHERE name = 'ops'");
    boss_is_deaf(&database);
    assert_eq!(enqueue(&store, 5).await.0, Told::Nobody);
    assert_eq!(database.value("SELECT count(*) FROM notifications"), "0");
    database.query("UPDATE channels SET enabled = true");
    assert_eq!(enqueue(&store, 5).await.0, ops());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_looks_at_once_one_tells() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    for _ in 0..10 {
        let looks: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { enqueue(&store, 5).await.0 })
            })
            .collect();
        let mut telling = 0;
        for look in looks {
            telling += usize::from(look.await.expect("no panic") != Told::Already);
        }
        assert_eq!(telling, 1);
        database.query("DELETE FROM queue_controls");
    }
    assert_eq!(database.value("SELECT count(*) FROM notifications"), "20", "ten times two channels");
}

#[tokio::test]
async fn it_goes_before_the_backlog_that_it_is_about_but_not_before_a_provider_allows_it() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query(
        "INSERT INTO jobs (queue, concurrency_key, available_at) SELECT 'notifications', 0, now() - interval '1 h' FROM generate_series(1, 9)",
    );
    database.query("UPDATE channels SET paused_until = now() + interval '5 min' WHERE name = 'boss'");
    assert_eq!(enqueue(&store, 5).await.0, Told::Channels(vec!["boss".into(), "ops".into()]));
    let request = ClaimRequest { keys: Some((1, &[])), ..request(NOTIFICATIONS, 1) };
    let first = store.claim(&request).await.expect("a claim").remove(0);
    let ops = database.value("SELECT id FROM channels WHERE name = 'ops'");
    assert_eq!(first.concurrency_key.map(|key| key.to_string()), Some(ops));
    assert_eq!(
        database.value(
            "SELECT count(*) FROM jobs j JOIN channels c ON c.id = j.concurrency_key AND c.name = 'boss' AND j.available_at = c.paused_until"
        ),
        "1"
    );
}

#[tokio::test]
async fn who_keeps_dead_rows_is_named() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query("INSERT INTO jobs (queue) SELECT 'q' FROM generate_series(1, 50)");
    assert_eq!(store.dead_rows().await.expect("a look").oldest, None, "nobody, and not the one who asks");
    let (mut transaction, _) = store.begin_results(&[], &[]).await.expect("a transaction");
    let monitor = MonitorId(database.value("SELECT id FROM monitors").parse().expect("an id"));
    let writes = Needs { opened: vec![(monitor, outage())], ..Needs::default() };
    transaction.surroundings(writes).await.expect("it writes");
    let oldest = store.dead_rows().await.expect("a look").oldest.expect("there is one");
    let Holder::Session { pid, application, state } = &oldest.holder else { panic!("{oldest:?}") };
    assert_eq!((application.as_str(), state.as_str()), ("uptime", "idle in transaction"));
    assert_eq!(
        database.value(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND xact_start IS NOT NULL"
        )),
        "1"
    );
    assert!(oldest.age.is_some_and(|age| age < DEADLINE), "{oldest:?}");
}
