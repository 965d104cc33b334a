//! What signals do to a worker: it ends in order, gives back what it has, pauses and goes on; and one that was stopped
//! beyond its lease and let go on writes nothing. For more moments, with a seed of one's own:
//! `UPTIME_TORTURE_STOPS=200 UPTIME_TORTURE_SEED=7 cargo test --release --workspace stop_at_any_moment`.

use crate::installation::{Installation, Process};
use crate::notices::{self, Notice, WORKER, WORKER_HEADER, monitor};
use rustix::process::Signal;
use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, Instant};
use uptime_tests::{HttpTarget, Reply, Rng, Seed, WebhookSink, block_on};

/// Leases that run out within a test's patience.
const SHORT_LEASES: &str = "[queues.monitor-checks]\ntries = 3\ntimeout = \"2s\"\nretry_after = \"7s\"\n\
                            [queues.notifications]\ntimeout = \"2s\"\nretry_after = \"7s\"\nsleep = \"1s\"\n\n";

/// All that work leaves behind.
fn traces(installation: &Installation) -> Vec<String> {
    let tables =
        "check_results monitor_states incidents notifications delivery_attempts channels jobs failed_jobs";
    let rows = tables.split(' ').map(|table| format!("SELECT '{table} ' || t::text FROM {table} t"));
    let rows = rows.collect::<Vec<_>>().join(" UNION ALL ");
    installation.database.query(&format!("{rows} ORDER BY 1")).concat().into_iter().flatten().collect()
}

fn worker(installation: &Installation, name: &str, args: &[&str]) -> Process {
    installation.start_as(name, &[&["worker"], args].concat(), &[(WORKER, name)])
}

const HOURLY: &str = "interval = \"1h\"\ntimeout = \"1500ms\"\nconfirm = 1\n";

/// A check for each monitor that has none. Gives how many.
fn enqueue_checks(installation: &Installation) -> usize {
    let sql = "INSERT INTO jobs (queue, subject) SELECT 'monitor-checks', id FROM monitors
               ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING RETURNING id";
    installation.database.query(sql).len()
}

/// Commits so many notices to `ops`.
fn notify(installation: &Installation, count: usize) {
    let notices: Vec<_> = (0..count).map(|_| Notice::new(&mut Rng::new(), "ops")).collect();
    installation.database.query(&notices::enqueue(&notices));
}

/// A notice to `ops`, whose sink answers so.
fn with_a_notice(queues: &str, answer: Reply) -> (WebhookSink, Installation) {
    let (sink, installation) = (WebhookSink::start(), Installation::new());
    sink.answer(answer);
    installation.apply(&format!("{queues}{}", notices::channel("ops", &sink)));
    notify(&installation, 1);
    (sink, installation)
}

// ── at any moment ───────────────────────────────────────────────────────────────────────────────────────────

const CHANNELS: [&str; 4] = ["a", "b", "c", "d"];

/// What one of the installations saw.
#[derive(Default)]
struct Seen {
    moments: usize,
    /// Processes that were not yet listening to signals.
    unborn: usize,
    released: usize,
    longest: Duration,
}

#[test]
fn a_stop_at_any_moment_leaves_no_lease_behind_and_counts_no_attempt() {
    const THREADS: usize = 4;
    let seed = Seed::of("stops at any moment", "UPTIME_TORTURE_SEED");
    let text = std::env::var("UPTIME_TORTURE_STOPS").unwrap_or_default();
    let stops: usize = text.parse().unwrap_or(40);
    let mut rng = seed.rng();
    let rngs: Vec<Rng> = (0..THREADS).map(|_| rng.fork()).collect();
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let threads: Vec<_> = rngs
            .into_iter()
            .map(|rng| scope.spawn(move || stop_often(stops.div_ceil(THREADS), rng)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it has seen no fault")).collect()
    });
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    let released = sum(|seen| seen.released);
    seed.say(&format!(
        "{} stops, {released} jobs given back; {} died before they listened; the longest took {:?}",
        sum(|seen| seen.moments),
        sum(|seen| seen.unborn),
        seen.iter().map(|seen| seen.longest).max().unwrap_or_default(),
    ));
    assert!(released > 0, "no moment had a job in hand: this shows nothing");
}

fn stop_often(stops: usize, mut rng: Rng) -> Seen {
    let sink = WebhookSink::start();
    let installation = Installation::new();
    let channels = CHANNELS.iter().map(|name| notices::channel(name, &sink));
    let monitors = (0..40).map(|n| monitor(&format!("m{n}"), &sink.origin(), HOURLY));
    installation.apply(&channels.chain(monitors).collect::<String>());
    let (mut seen, mut checks, mut told) = (Seen::default(), 0, HashSet::new());
    while seen.moments < stops {
        // Always more than it can do.
        checks += enqueue_checks(&installation);
        if installation.database.value("SELECT count(*) < 100 FROM jobs WHERE queue = 'notifications'") == "t"
        {
            let more: Vec<_> =
                (0..100).map(|n| Notice::new(&mut rng, CHANNELS[n % CHANNELS.len()])).collect();
            installation.database.query(&notices::enqueue(&more));
            told.extend(more.into_iter().map(|notice| notice.delivery_id));
        }
        sink.answer(Reply::ok().after(Duration::from_millis(rng.u64(..300))));
        stop_once(&installation, &mut rng, &mut seen);
    }

    sink.answer(Reply::ok());
    assert_eq!(worker(&installation, "last", &["all", "--stop-when-empty"]).wait(), 0);
    installation.holds("SELECT count(*) FROM jobs", "0");
    assert_eq!(installation.database.value("SELECT count(*) FROM check_results"), checks.to_string());
    let delivered = "SELECT count(*) FROM notifications WHERE state = 'delivered'";
    assert_eq!(installation.database.value(delivered), told.len().to_string());
    let received = sink.received();
    let heard: HashSet<_> = received.iter().filter_map(|received| received.header("webhook-id")).collect();
    assert_eq!(heard, told.iter().map(String::as_str).collect());
    seen
}

/// A worker begins, and is stopped at some moment of its first half second.
fn stop_once(installation: &Installation, rng: &mut Rng, seen: &mut Seen) {
    let queue = ["notifications", "monitor-checks", "all"][rng.usize(..3)];
    let grace = [0, 50, 20_000][rng.usize(..3)];
    let (signal, number) =
        [(Signal::TERM, 15), (Signal::TERM, 15), (Signal::INT, 2), (Signal::QUIT, 3)][rng.usize(..4)];
    let name = format!("{}-{}", queue, seen.moments + seen.unborn);
    let mut process = worker(installation, &name, &[queue, "--grace", &format!("{grace}ms")]);
    sleep(Duration::from_millis(rng.u64(..500)));
    process.signal(signal);
    let asked = Instant::now();
    let code = process.exit_code();
    let took = asked.elapsed();
    if code == -number && process.log().is_empty() {
        seen.unborn += 1;
        assert!(seen.unborn < 10 + seen.moments, "workers die of their signals");
    } else {
        assert_eq!(code, 0, "{name}, stopped by {signal:?}:\n{}", process.log());
        let patience = Duration::from_millis(grace) + Duration::from_secs(5);
        assert!(took < patience, "{name} took {took:?} to stop:\n{}", process.log());
        seen.moments += 1;
        seen.longest = seen.longest.max(took);
        seen.released += released(&process.log());
    }
    // Leases, attempts, failed jobs.
    let left = "SELECT concat_ws(' ', count(reserved_until), coalesce(sum(attempts), 0),
                                 (SELECT count(*) FROM failed_jobs)) FROM jobs";
    assert_eq!(installation.database.value(left), "0 0 0", "{name} left this behind:\n{}", process.log());
}

/// How many jobs a worker says that it gave back.
fn released(log: &str) -> usize {
    log.split("released=")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next()?.parse::<usize>().ok())
        .sum()
}

// ── one by one ──────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_second_signal_ends_a_worker_at_once() {
    let (sink, installation) = with_a_notice("", Reply::ok().held());
    let mut process = worker(&installation, "asked-twice", &["notifications"]);
    block_on(sink.wait_for(1));
    let began = Instant::now();
    let code = loop {
        // Two that come together are one.
        process.signal(Signal::TERM);
        match process.ended() {
            Some(code) => break code,
            None => sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(code, 128 + 15);
    assert!(began.elapsed() < Duration::from_secs(10), "it waited for its grace all the same");
    // Its lease heals it.
    installation.holds("SELECT count(*) FROM jobs WHERE reserved_until > now()", "1");
}

#[test]
fn a_worker_that_is_paused_by_a_signal_claims_nothing_until_it_may_go_on() {
    const EACH: usize = 20;
    let sink = WebhookSink::start();
    let installation = Installation::new();
    installation.apply(&notices::channel("ops", &sink));
    let tell_all = |so_far: usize| -> Vec<String> {
        notify(&installation, EACH);
        let received = block_on(sink.wait_for(so_far + EACH));
        let by = received[so_far..].iter().filter_map(|received| received.header(WORKER_HEADER));
        by.map(str::to_owned).collect()
    };
    let first = worker(&installation, "first", &["notifications"]);
    assert_eq!(tell_all(0), ["first"; EACH]);

    first.signal(Signal::USR2);
    first.wait_for_log("paused");
    // Both are woken, and only one comes.
    let second = worker(&installation, "second", &["notifications"]);
    assert_eq!(tell_all(EACH), ["second"; EACH]);
    assert_eq!(second.terminate(), 0);

    first.signal(Signal::CONT);
    first.wait_for_log("going on");
    assert_eq!(tell_all(2 * EACH), ["first"; EACH]);
    first.signal(Signal::USR2);
    assert_eq!(first.terminate(), 0, "a worker that is paused stops as any other");
}

// ── stopped, and let go on ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn workers_stopped_beyond_their_leases_and_let_go_on_write_nothing_and_hold_nobody_up() {
    // Side by side: each waits for a lease to run out.
    let each: [(&str, fn()); 3] = [
        ("a check", stopped_check),
        ("a delivery", stopped_delivery),
        ("a transaction", stopped_transaction),
    ];
    std::thread::scope(|scope| {
        let stopped = each.map(|(name, stopped)| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn_scoped(scope, stopped).expect("a thread begins")
        });
        for stopped in stopped {
            stopped.join().expect("it wrote nothing, and held nobody up");
        }
    });
}

fn stopped_check() {
    let target = HttpTarget::start();
    let installation = Installation::new();
    installation.apply(&format!(
        "{SHORT_LEASES}{}[channels.ops]\nnotifier = \"webhook\"\nurl = \"https://ops.invalid/\"\n",
        monitor("shop", &target.url(), HOURLY)
    ));
    // To the one it will say that all is well, when the other has seen that it is not.
    target.answer_next([Reply::ok().held(), Reply::status(503)]);
    enqueue_checks(&installation);
    let stopped = worker(&installation, "stopped", &["monitor-checks"]);
    block_on(target.wait_for_requests(1));
    stopped.stop();
    let other = worker(&installation, "other", &["monitor-checks"]);
    installation.wait_for("SELECT count(*) FROM incidents", "1");
    assert_eq!(other.terminate(), 0);
    let before = traces(&installation);

    target.let_go();
    stopped.signal(Signal::CONT);
    stopped.wait_for_log("lease lost");
    assert_eq!(stopped.terminate(), 0);
    assert_eq!(traces(&installation), before);
    installation.holds("SELECT string_agg(outcome, ',') FROM check_results", "down");
}

/// The other still has the job in hand when the one goes on.
fn stopped_delivery() {
    let (sink, installation) = with_a_notice(SHORT_LEASES, Reply::ok().held());
    let stopped = worker(&installation, "stopped", &["notifications"]);
    block_on(sink.wait_for(1));
    stopped.stop();
    // With a lease that lasts.
    installation.write(&notices::channel("ops", &sink));
    let other = worker(&installation, "other", &["notifications"]);
    block_on(sink.wait_for(2));
    let before = traces(&installation);

    stopped.signal(Signal::CONT);
    stopped.wait_for_log("lease lost");
    assert_eq!(stopped.terminate(), 0);
    assert_eq!(traces(&installation), before);
    sink.let_go();
    installation.wait_for("SELECT state FROM notifications", "delivered");
    assert_eq!(other.terminate(), 0);
    let tries = "SELECT string_agg(outcome, ',') FROM delivery_attempts";
    installation.holds(tries, "delivered");
}

#[test]
fn an_answer_that_comes_when_somebody_else_has_the_job_is_not_recorded() {
    let (sink, installation) = with_a_notice("", Reply::ok());
    sink.answer_next([Reply::ok().held()]);
    let worker = worker(&installation, "late", &["notifications"]);
    block_on(sink.wait_for(1));
    // As another worker claims it, for whose clock the lease has run out.
    let claim = "UPDATE jobs SET attempts = attempts + 1, claims = claims + 1, reserved_until = now() + interval '1 minute'";
    installation.database.query(claim);
    let before = traces(&installation);
    sink.let_go();
    worker.wait_for_log("lease lost");
    assert_eq!(traces(&installation), before);

    // That one has died, and it comes once more.
    installation.database.query(
        "UPDATE jobs SET reserved_until = now() - interval '1 second'; SELECT pg_notify('uptime_jobs', queue) FROM jobs",
    );
    installation.wait_for("SELECT state FROM notifications", "delivered");
    assert_eq!(worker.terminate(), 0);
    installation.holds("SELECT attempts FROM notifications", "1");
    assert_eq!(sink.received().len(), 2);
}

/// What a worker has locked when it is stopped, or its host is cut off, is nobody's after a while.
fn stopped_transaction() {
    let (sink, installation) = with_a_notice(SHORT_LEASES, Reply::ok());
    // It has ended its job, and comes no further for somebody who holds the notification.
    let mut somebody = installation.database.session();
    somebody.query("BEGIN; SELECT FROM notifications FOR UPDATE").expect("a lock");
    let stopped = worker(&installation, "stopped", &["notifications"]);
    installation.wait_for(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        "1",
    );
    stopped.stop();
    somebody.query("COMMIT").expect("the lock is given back");

    let other = worker(&installation, "other", &["notifications"]);
    installation.wait_for("SELECT state FROM notifications", "delivered");
    assert_eq!(other.terminate(), 0);
    installation.holds("SELECT count(*) FROM delivery_attempts", "1");

    // And goes on as if nothing had been.
    stopped.signal(Signal::CONT);
    notify(&installation, 1);
    let received = block_on(sink.wait_for(3));
    let by: Vec<_> = received.iter().filter_map(|received| received.header(WORKER_HEADER)).collect();
    assert_eq!(by, ["stopped", "other", "stopped"]);
    installation.wait_for("SELECT count(*) FROM notifications WHERE state <> 'delivered'", "0");
    assert_eq!(stopped.terminate(), 0);
}
