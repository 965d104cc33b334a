//! The database against the model: random histories of targets that go up, down and slow, through real workers that are
//! killed by `kill -9` in the middle, beside maintenance and people. Each notice that the model expects is there once, none
//! beside them, and each was sent, or sent again under the same delivery id.
//!
//! Slots are given by hand, one after the other: nothing here waits for an interval. The model is the core's own test's.
//! For a minute, with a seed of one's own:
//! `UPTIME_HISTORIES_SECONDS=60 UPTIME_HISTORIES_SEED=7 cargo test --release --workspace histories`.

#[expect(dead_code, reason = "the core's own tests use the rest")]
#[path = "../../host/core/tests/judgement/model.rs"]
mod model;
mod timeline;

use crate::installation::{Installation, Process};
use model::{Level, Rules};
use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};
use timeline::{Act, Timeline};
use uptime_tests::{DEADLINE, HttpTarget, Reply, Rng, Seed, WebhookSink};

/// Monitors by themselves, whose slots lie a little behind: silences, and slots that are not the newest, come as the script wants.
const ALONE: usize = 8;
/// Families of one parent and this many children, whose slots are now: the engine looks at a parent when it wants to.
const FAMILIES: usize = 2;
const CHILDREN: usize = 2;
/// A history ends with so many checks that find all well, at least as many as anything can take to be over.
const SETTLING: usize = 26;

/// How far the first slot is behind the clock, in tenths of seconds; the script's table says the same.
const BEHIND: i64 = 500;

/// Slower than this is degraded. What a busy machine makes of it is in the results, and the model goes by those.
const SLOW: Duration = Duration::from_millis(150);

const FILE: &str = "[queues.monitor-checks]\ntries = 0\ntimeout = \"5s\"\nretry_after = \"30s\"\nbackoff = \"10ms\"\n\n\
                    [queues.notifications]\ntries = 0\ntimeout = \"5s\"\nretry_after = \"30s\"\nbackoff = \"10ms\"\n\n";

/// A monitor and its target, which goes on as its temper has it.
struct Watched {
    name: String,
    target: HttpTarget,
    rules: Rules,
    /// The one above it, by its place.
    parent: Option<usize>,
    /// How likely it stays as it is, and else is down or degraded, in percent.
    temper: [u8; 3],
    level: Level,
    /// The last slot, in tenths of seconds after the first.
    slot: i64,
}

impl Watched {
    fn new(nth: usize, rng: &mut Rng) -> Self {
        let family = nth.checked_sub(ALONE).map(|nth| (nth / (1 + CHILDREN), nth % (1 + CHILDREN)));
        let (name, parent) = match family {
            None => (format!("alone-{nth}"), None),
            Some((family, 0)) => (format!("parent-{family}"), None),
            Some((family, child)) => {
                (format!("child-{family}-{child}"), Some(ALONE + family * (1 + CHILDREN)))
            }
        };
        let window = rng.bool().then(|| {
            let failures = rng.usize(1..=5);
            (failures, failures + rng.usize(..=6))
        });
        let rules = Rules {
            interval: if family.is_some() { 3600 } else { 1 } * timeline::SECOND,
            confirm: rng.usize(1..=3),
            recover: rng.usize(1..=3),
            window,
            critical_failures: rng.bool().then(|| rng.usize(2..9)),
            critical_after: None,
            remind: None,
            remind_most: 0,
            flapping: rng.bool(),
        };
        let temper = [rng.u8(20..90), rng.u8(20..80), rng.u8(..20)];
        Self { name, target: HttpTarget::start(), rules, parent, temper, level: Level::Up, slot: 0 }
    }

    /// Its part of the file.
    fn text(&self, all: &[Self]) -> String {
        let Rules { confirm, recover, window, critical_failures, flapping, .. } = self.rules;
        let interval = self.rules.interval / timeline::SECOND;
        let parent =
            self.parent.map(|parent| format!("parent = \"{}\"\n", all[parent].name)).unwrap_or_default();
        let window =
            window.map(|(failures, of)| format!("window = \"{failures} of {of}\"\n")).unwrap_or_default();
        let (name, slow, critical) = (&self.name, SLOW.as_millis(), critical_failures.unwrap_or(0));
        format!(
            "[monitors.{name}]\ntype = \"http\"\nurl = \"{}\"\ninterval = \"{interval}s\"\ntimeout = \"3s\"\nretry_interval = \"{interval}s\"\n\
             confirm = {confirm}\nrecover = {recover}\ncritical_failures = {critical}\nflapping = {flapping}\n{window}{parent}\n\
             [monitors.{name}.expect]\ndegraded_above = \"{slow}ms\"\n",
            self.target.url()
        )
    }

    /// How its target is found next.
    fn go_on(&mut self, rng: &mut Rng) {
        let [stays, down, degraded] = self.temper;
        if rng.u8(..100) >= stays {
            self.level = match rng.u8(..100) {
                luck if luck < down => Level::Down,
                luck if luck < down + degraded => Level::Degraded,
                _ => Level::Up,
            };
        }
    }

    /// Has it answer so, and gives the slot of the check that will hear it, in the words of the database.
    fn step(&mut self, rng: &mut Rng, since: Instant) -> String {
        self.target.answer(match self.level {
            Level::Up => Reply::ok(),
            Level::Degraded => Reply::ok().after(SLOW + Duration::from_millis(20)),
            Level::Down => Reply::status(503),
        });
        if self.parent.is_some() || self.rules.interval > timeline::SECOND {
            return "now()".to_owned();
        }
        // Slots stay behind the clock, or nobody would claim them, and not a minute behind, or they would be looked for last.
        let room = i64::try_from(since.elapsed().as_millis() / 100).expect("few") + BEHIND - self.slot;
        let step = match rng.u8(..100) {
            _ if room > BEHIND => 51,
            0..3 if room > 51 => 51,
            3..6 if room > 51 => 50,
            6..12 => 0,
            12..16 => -3,
            _ => i64::from(room > 1),
        };
        self.slot += step;
        let slot = format!("first + interval '{} milliseconds'", self.slot * 100);
        self.slot = self.slot.max(self.slot - step);
        slot
    }
}

/// A worker of each queue, started anew whenever it was killed.
struct Workers<'a> {
    installation: &'a Installation,
    running: HashMap<&'static str, Process>,
    killed: usize,
    /// When the first slot was so far behind.
    since: Instant,
}

impl<'a> Workers<'a> {
    fn start(installation: &'a Installation) -> Self {
        let mut workers = Self { installation, running: HashMap::new(), killed: 0, since: Instant::now() };
        for queue in ["monitor-checks", "notifications"] {
            workers.begin(queue);
        }
        workers
    }

    fn begin(&mut self, queue: &'static str) {
        self.running.insert(queue, self.installation.start(["worker", queue]));
    }

    /// `kill -9`. Nobody else works on this queue, so the leases that are left are of the dead, and need not run out.
    fn kill(&mut self, queue: &'static str) {
        self.running.remove(queue).expect("it runs").kill();
        self.killed += 1;
        self.installation.database.query(&format!(
            "UPDATE jobs SET reserved_until = now() - interval '1 second' WHERE queue = '{queue}' AND reserved_until IS NOT NULL"
        ));
        self.begin(queue);
    }
}

/// What is due now; re-checks of families are due in an hour.
fn due(queue: &str) -> String {
    format!(
        "SELECT count(*) FROM jobs WHERE queue = '{queue}' AND available_at < now() + interval '1 minute'"
    )
}

/// Checks of these, and nothing more is due in the end: whatever the engine wanted to look at beside them was looked at.
fn round(workers: &mut Workers<'_>, watched: &mut [Watched], chosen: &[usize], rng: &mut Rng, kill: bool) {
    let rows = chosen.iter().map(|nth| {
        let slot = watched[*nth].step(rng, workers.since);
        format!("('{}', {slot})", watched[*nth].name)
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    let database = &workers.installation.database;
    database.query(&format!(
        "WITH clock AS (SELECT first FROM script), wanted AS (SELECT v.* FROM clock, LATERAL (VALUES {rows}) v(name, slot_at))
         INSERT INTO jobs (queue, subject, available_at)
         SELECT 'monitor-checks', m.id, w.slot_at FROM wanted w JOIN monitors m USING (name)
         ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO UPDATE SET available_at = excluded.available_at;
         SELECT pg_notify('uptime_jobs', 'monitor-checks')"
    ));
    if kill {
        sleep(Duration::from_millis(rng.u64(..40)));
        workers.kill(if rng.u8(..3) == 0 { "notifications" } else { "monitor-checks" });
    }
    workers.installation.wait_for(&due("monitor-checks"), "0");
}

/// One of each family at a time, so that it is known what was known when.
fn choose(watched: &[Watched], rng: &mut Rng) -> Vec<usize> {
    let alone = (0..ALONE).filter(|_| rng.u8(..5) > 0).collect::<Vec<_>>();
    let of_families = (0..FAMILIES).map(|family| ALONE + family * (1 + CHILDREN) + rng.usize(..=CHILDREN));
    debug_assert_eq!(watched.len(), ALONE + FAMILIES * (1 + CHILDREN));
    alone.into_iter().chain(of_families).collect()
}

#[test]
fn histories_through_killed_workers_tell_what_the_model_tells() {
    let seed = Seed::of("histories", "UPTIME_HISTORIES_SEED");
    let text = std::env::var("UPTIME_HISTORIES_SECONDS").unwrap_or_default();
    let duration = Duration::from_secs(text.parse().unwrap_or(15));
    let mut rng = seed.rng();
    let mut watched: Vec<Watched> =
        (0..ALONE + FAMILIES * (1 + CHILDREN)).map(|nth| Watched::new(nth, &mut rng)).collect();
    let sink = WebhookSink::start();
    let text = watched.iter().map(|monitor| monitor.text(&watched)).collect::<String>();
    let text = format!("{FILE}{}{text}", timeline::channels(&sink));
    let installation = Installation::new();
    installation.apply(&text);
    // The scheduler never ran: nothing is due but what the script wants, and what the engine wants to be looked at.
    installation.database.query(
        "UPDATE monitor_states SET next_check_at = now();
         CREATE TABLE script AS SELECT now() - interval '50 seconds' AS first",
    );
    let mut timeline = Timeline::new(&installation, &text);
    let mut workers = Workers::start(&installation);
    let mut refused = 0;
    let until = Instant::now() + duration;
    while Instant::now() < until {
        for monitor in &mut watched {
            monitor.go_on(&mut rng);
        }
        if rng.u8(..4) == 0 {
            refused += 1;
            sink.answer_next([Reply::status(503)]);
        }
        let chosen = choose(&watched, &mut rng);
        let kill = rng.u8(..6) == 0;
        round(&mut workers, &mut watched, &chosen, &mut rng, kill);
        if rng.u8(..8) == 0 {
            let act = Act::any(&mut rng);
            timeline.act(act, &watched[rng.usize(..watched.len())].name);
        }
    }
    timeline.act(Act::Maintenance(false), "");
    for monitor in &mut watched {
        monitor.level = Level::Up;
    }
    for _ in 0..SETTLING {
        let alone: Vec<usize> = (0..ALONE).collect();
        round(&mut workers, &mut watched, &alone, &mut rng, false);
        for member in 0..=CHILDREN {
            let chosen: Vec<usize> =
                (0..FAMILIES).map(|family| ALONE + family * (1 + CHILDREN) + member).collect();
            round(&mut workers, &mut watched, &chosen, &mut rng, false);
        }
    }
    installation.wait_for_within(DEADLINE, &due("notifications"), "0");
    let killed = workers.killed;
    for (queue, process) in workers.running {
        assert_eq!(process.terminate(), 0, "{queue}");
    }
    // Who is killed has four messages of each channel on their way at most.
    let told = timeline.compare(&watched, &sink.received(), 4 * timeline::CHANNELS.len() * killed + refused);
    seed.say(&format!("{told}; {killed} workers killed, {refused} sends refused"));
}
