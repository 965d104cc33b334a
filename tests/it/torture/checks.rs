//! The queue `monitor-checks`, with a scheduler in the middle, while targets go down and come back: a check's result, its
//! monitor's state, the incident's change and the notifications it causes are there together or not at all.

use super::{Crashes, Crew, Effect, LEASE, count, installation};
use crate::installation::Installation;
use crate::notices::{WORKER, WORKER_HEADER};
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use uptime_tests::{Reply, Rng, Seed, TestServer, WebhookSink};

const MONITORS: usize = 60;

/// Each of these finds nothing, or a promise is broken.
const BROKEN: [(&str, &str); 9] = [
    (
        "a job is as often ended or still there as it was enqueued",
        "SELECT count(*) FROM ledger l WHERE what = 'enqueued'
         AND 1 <> (SELECT count(*) FROM ledger e WHERE e.what = 'ended' AND e.job = l.job)
                + (SELECT count(*) FROM jobs j WHERE j.id = l.job)",
    ),
    (
        "a check that ended has a result, or is in the failed list",
        "SELECT count(*) FROM monitors m
         WHERE (SELECT count(*) FROM ledger WHERE what = 'ended' AND queue = 'monitor-checks' AND subject = m.id)
            <> (SELECT count(*) FROM check_results WHERE monitor_id = m.id)
             + (SELECT count(*) FROM failed_jobs WHERE queue = 'monitor-checks' AND subject = m.id)",
    ),
    (
        "no slot has two results",
        "SELECT count(*) - count(DISTINCT (monitor_id, slot_at)) FROM check_results",
    ),
    (
        "a monitor has at most one waiting job",
        "SELECT count(*) - count(DISTINCT subject) FROM jobs WHERE queue = 'monitor-checks'",
    ),
    ("no lease is left behind", "SELECT count(*) FROM jobs WHERE reserved_until IS NOT NULL"),
    (
        "a state names its monitor's open incident",
        "SELECT count(*) FROM monitor_states s WHERE incident_id IS DISTINCT FROM
           (SELECT i.id FROM incidents i WHERE i.monitor_id = s.monitor_id AND i.ended_at IS NULL)",
    ),
    (
        "an incident's opening is told once",
        "SELECT count(*) FROM incidents i WHERE 1 <>
           (SELECT count(*) FROM notifications n WHERE n.incident_id = i.id AND n.event = 'down')",
    ),
    (
        "and its end once it has ended",
        "SELECT count(*) FROM incidents i WHERE (CASE WHEN i.ended_at IS NULL THEN 0 ELSE 1 END) <>
           (SELECT count(*) FROM notifications n WHERE n.incident_id = i.id AND n.event = 'up')",
    ),
    (
        "each notification has its job",
        "SELECT count(*) FROM notifications n WHERE NOT EXISTS
           (SELECT FROM jobs j WHERE j.queue = 'notifications' AND j.subject = coalesce(n.digest_id, n.id))",
    ),
];

/// The file: monitors that are checked every second at one target, whose requests tell monitor and worker, and a channel
/// on which nobody works.
fn file(target: &WebhookSink) -> String {
    let origin = target.origin();
    let monitor = |n| {
        format!(
            "[monitors.m{n}]\ntype = \"http\"\nurl = \"{origin}/m{n}\"\ninterval = \"1s\"\ntimeout = \"500ms\"\nconfirm = 2\nflapping = false\n\
             retry_interval = \"200ms\"\nchannels = [\"ops\"]\nheaders = {{ {WORKER_HEADER} = {{ env = \"{WORKER}\" }} }}\n\n"
        )
    };
    let queue = "[queues.monitor-checks]\ntries = 2\ntimeout = \"1s\"\nretry_after = \"6s\"\nbackoff = \"50ms\"\n\n\
                 [channels.ops]\nnotifier = \"webhook\"\nurl = \"https://ops.invalid/\"\n\n";
    (0..MONITORS).fold(queue.to_owned(), |file, n| file + &monitor(n))
}

/// The target is down and up for 100 to 700 ms each, and then up.
fn go_down_and_up(target: &WebhookSink, mut rng: Rng, until: Instant) {
    while Instant::now() < until {
        for status in [503, 200] {
            target.answer(Reply::status(status).after(Duration::from_millis(rng.u64(..100))));
            sleep(Duration::from_millis(rng.u64(100..700)));
        }
    }
    target.answer(Reply::ok());
}

/// Every monitor is still watched, and every state is whole.
pub(super) fn torture(seed: &Seed, mut rng: Rng, duration: Duration) {
    let server = Arc::new(TestServer::start());
    let target = WebhookSink::start();
    let installation = installation(&server, &file(&target));
    // The scheduler first: it is the first to end, and then nothing is enqueued any more.
    let worker: &[&str] = &["worker", "monitor-checks"];
    let roles: [&[&str]; 3] = [&["schedule", "--every", "200ms"], worker, worker];
    let mut crew = Crew::start(&installation, &roles);
    let (crashes, ()) =
        crew.torment(&server, duration, &mut rng, |rng, until| go_down_and_up(&target, rng, until));

    let quiet = installation.database.value("SELECT now()");
    installation.wait_for(
        &format!(
            "SELECT count(*) FROM monitors m WHERE NOT EXISTS
               (SELECT FROM check_results r WHERE r.monitor_id = m.id AND r.started_at > '{quiet}')"
        ),
        "0",
    );
    installation.wait_for("SELECT count(*) FROM monitor_states WHERE status <> 'up'", "0");
    crew.terminate();

    let results = results(&installation);
    seed.say(&format!(
        "checks: {} jobs: {} results, {} failed; {} effects; {} incidents; {crashes}",
        count(
            &installation,
            "SELECT count(*) FROM ledger WHERE what = 'enqueued' AND queue = 'monitor-checks'"
        ),
        results.values().sum::<usize>(),
        count(&installation, "SELECT count(*) FROM failed_jobs"),
        target.received().len(),
        count(&installation, "SELECT count(*) FROM incidents"),
    ));
    for (promise, sql) in BROKEN {
        assert_eq!(count(&installation, sql), 0, "{promise}: {sql}");
    }
    for (monitor, effects) in Effect::by(|received| received.path.trim_matches('/'), &target.received()) {
        let recorded = results.get(&monitor).copied().unwrap_or(0);
        let hits = crashes_that_hit(&crashes, &effects);
        assert!(
            effects.len() <= recorded + hits,
            "{monitor}: {recorded} recorded, {hits} crashes hit it, and there are {} effects",
            effects.len()
        );
    }
}

fn results(installation: &Installation) -> HashMap<String, usize> {
    let rows = installation.database.query(
        "SELECT m.name, count(*) FROM check_results r JOIN monitors m ON m.id = r.monitor_id GROUP BY m.name",
    );
    let result = |row: Vec<Option<String>>| Some((row[0].clone()?, row[1].as_deref()?.parse().ok()?));
    rows.into_iter().filter_map(result).collect()
}

/// A monitor's checks come one after the other, so a crash hits at most one of them: a worker's last one when it was
/// killed within a lease after it, and with the server the one that ran then.
fn crashes_that_hit(crashes: &Crashes, effects: &[Effect]) -> usize {
    let last: HashMap<&String, Instant> = effects.iter().map(|effect| (&effect.worker, effect.at)).collect();
    let killed = |(worker, at): &(&String, Instant)| {
        crashes.workers.get(*worker).is_some_and(|killed| killed.saturating_duration_since(*at) < LEASE)
    };
    last.into_iter().filter(killed).count() + crashes.server.len()
}
