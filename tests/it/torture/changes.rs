//! Workers that die take no alert with them: three check workers, of which one is killed every half second, and 30 monitors at
//! 1 s whose targets change every 4 to 12 s. At least nine of ten changes are told within 5 s, none wrongly, and what comes twice
//! bears the same delivery id.

use super::{Crew, installation};
use crate::notices::{WORKER, WORKER_HEADER, monitor, webhook};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use uptime_tests::{HttpTarget, Received, Rng, Seed, TestServer, WebhookSink};

const MONITORS: usize = 30;

/// How long after a change its message may come.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

const KILLED_EVERY: Duration = Duration::from_millis(500);

/// A target that went down or came back.
#[derive(Clone, Copy, Debug)]
struct TargetChange {
    at: Instant,
    is_down: bool,
}

fn file(targets: &[HttpTarget], sink: &WebhookSink) -> String {
    let channel = webhook("ops", sink, "digest_after = 0\n");
    let watched = |(n, target): (usize, &HttpTarget)| {
        let keys = "interval = \"1s\"\nconfirm = 2\nflapping = false\nretry_interval = \"500ms\"\n";
        let keys = format!("{keys}headers = {{ {WORKER_HEADER} = {{ env = \"{WORKER}\" }} }}\n");
        monitor(&format!("m{n}"), &target.url(), &keys)
    };
    targets.iter().enumerate().map(watched).fold(channel, |file, watched| file + &watched)
}

/// Each target changes every 4 to 12 s.
fn change(targets: &[HttpTarget], mut rng: Rng, until: Instant) -> Vec<Vec<TargetChange>> {
    let mut pause = || Duration::from_millis(rng.u64(4_000..=12_000));
    let mut next: Vec<Instant> = targets.iter().map(|_| Instant::now() + pause()).collect();
    let mut changes: Vec<Vec<TargetChange>> = vec![Vec::new(); targets.len()];
    while Instant::now() < until {
        for (n, target) in
            targets.iter().enumerate().filter(|(n, _)| next[*n] <= Instant::now()).collect::<Vec<_>>()
        {
            let is_down = changes[n].len().is_multiple_of(2);
            changes[n].push(TargetChange { at: Instant::now(), is_down });
            if is_down {
                target.down();
            } else {
                target.up();
            }
            next[n] = Instant::now() + pause();
        }
        sleep(Duration::from_millis(10));
    }
    changes
}

/// The messages of each monitor in the order in which they came, without those that came again.
fn heard(received: &[Received]) -> BTreeMap<usize, Vec<TargetChange>> {
    let (mut told, mut seen) = (BTreeMap::<usize, Vec<TargetChange>>::new(), HashSet::new());
    for received in received {
        let event = received.json();
        if !seen.insert(event["delivery_id"].to_string()) {
            continue;
        }
        let name = event["monitor"]["name"].as_str().expect("a name");
        let monitor = name.trim_start_matches('m').parse().expect("a number");
        let is_down = match event["type"].as_str() {
            Some("down") => true,
            Some("up") => false,
            other => panic!("{other:?} was told of {name}"),
        };
        told.entry(monitor).or_default().push(TargetChange { at: received.at, is_down });
    }
    told
}

pub(super) fn torture(seed: &Seed, mut rng: Rng, duration: Duration) {
    let server = Arc::new(TestServer::start());
    let sink = WebhookSink::start();
    let targets: Vec<HttpTarget> = (0..MONITORS).map(|_| HttpTarget::start()).collect();
    let installation = installation(&server, &file(&targets, &sink));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let _notifications = installation.start(["worker", "notifications"]);
    let worker: &[&str] = &["worker", "monitor-checks"];
    let roles = [worker, worker, worker];
    let mut crew = Crew::start(&installation, &roles);
    let checked = format!("SELECT count(*) = {MONITORS} FROM monitor_states WHERE status = 'up'");
    installation.wait_for(&checked, "t");

    let began = Instant::now();
    let mut crashes = super::Crashes::default();
    let of_targets = rng.fork();
    let changes = std::thread::scope(|scope| {
        let changes = scope.spawn(|| change(&targets, of_targets, began + duration));
        for kill in 1.. {
            let at = began + KILLED_EVERY * kill;
            if at >= began + duration {
                break;
            }
            sleep(at.saturating_duration_since(Instant::now()));
            crew.kill(rng.usize(..roles.len()), &mut crashes);
        }
        changes.join().expect("the targets changed")
    });
    // The last ones have their time, too.
    sleep(TOLD_WITHIN);
    let told = heard(&sink.received());
    crew.terminate();

    let (mut all, mut in_time, mut slowest) = (0, 0, Duration::ZERO);
    for (monitor, changes) in changes.iter().enumerate() {
        let none = Vec::new();
        let told = told.get(&monitor).unwrap_or(&none);
        for (nth, message) in told.iter().enumerate() {
            assert_eq!(message.is_down, nth % 2 == 0, "m{monitor}: {told:?}");
            let so_far = |changes: &[TargetChange]| {
                changes
                    .iter()
                    .filter(|change| change.is_down == message.is_down && change.at <= message.at)
                    .count()
            };
            assert!(so_far(told) <= so_far(changes), "m{monitor}: told {told:?} of {changes:?}");
        }
        for change in changes {
            all += 1;
            let message =
                told.iter().find(|message| message.is_down == change.is_down && message.at >= change.at);
            if let Some(took) = message.map(|message| message.at.duration_since(change.at)) {
                in_time += usize::from(took <= TOLD_WITHIN);
                slowest = slowest.max(took);
            }
        }
    }
    seed.say(&format!(
        "{in_time} of {all} changes told within {TOLD_WITHIN:?}, the slowest of those that were told after {slowest:?}; {} killed",
        crashes.workers.len()
    ));
    assert!(all > 0 && in_time * 10 >= all * 9, "{in_time} of {all} changes told in time");
}
