//! Promise 2 to the letter: workers are killed by `kill -9` every 50 to 500 ms, PostgreSQL crashes and comes back in the
//! middle, and all that was committed ends as done or in the failed list, all the same.
//!
//! Everything follows from a seed, but for what the machine makes of it. For a minute, with a seed of one's own:
//! `UPTIME_TORTURE_SECONDS=60 UPTIME_TORTURE_SEED=7 cargo test --release --workspace torture`.
//!
//! The words: an *effect* is a request that arrived at a target or a sink. It is *recorded* when what came of it was
//! committed. A crash *hits* a job when it may have kept an effect of the job from being recorded: its worker was killed
//! within a lease after it, or the server was down between the job's first and last effect. So no job has more effects
//! than those recorded and one for each crash that hit it.

mod changes;
mod checks;
mod notifications;

use crate::installation::{Installation, Process};
use crate::notices::{WORKER, WORKER_HEADER};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use uptime_tests::{Received, Rng, Seed, TestDatabase, TestServer, block_on};

/// A job whose worker died is claimed again after that.
const LEASE: Duration = Duration::from_secs(6);

/// Written in the transactions that enqueue and end jobs, by the database itself.
const LEDGER: &str = "
  CREATE TABLE ledger (what text, job bigint, queue text, subject bigint, attempts integer, errors jsonb);
  CREATE FUNCTION keep_ledger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN INSERT INTO ledger VALUES ('enqueued', NEW.id, NEW.queue, NEW.subject);
    ELSE INSERT INTO ledger VALUES ('ended', OLD.id, OLD.queue, OLD.subject, OLD.attempts, coalesce(OLD.errors, '[]'));
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER keep_ledger AFTER INSERT OR DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION keep_ledger()";

#[test]
fn torture_loses_nothing() {
    let (seed, duration) = (Seed::of("torture", "UPTIME_TORTURE_SEED"), duration());
    let mut rng = seed.rng();
    let (of_notifications, of_checks) = (rng.fork(), rng.fork());
    // Side by side, each with a server of its own.
    std::thread::scope(|scope| {
        let notifications = scope.spawn(|| notifications::torture(&seed, of_notifications, duration));
        let checks = scope.spawn(|| checks::torture(&seed, of_checks, duration));
        notifications.join().expect("no notification was lost");
        checks.join().expect("no check was lost");
    });
}

#[test]
fn workers_that_die_take_no_alert_with_them() {
    let seed = Seed::of("told", "UPTIME_TORTURE_SEED");
    changes::torture(&seed, seed.rng(), duration());
}

fn duration() -> Duration {
    let text = std::env::var("UPTIME_TORTURE_SECONDS").unwrap_or_default();
    Duration::from_secs(text.parse().unwrap_or(12))
}

/// From a crash to the next start.
#[derive(Clone, Copy, Debug)]
struct Outage {
    from: Instant,
    until: Instant,
}

#[derive(Debug, Default)]
struct Crashes {
    /// Each worker by its name: it dies once.
    workers: HashMap<String, Instant>,
    server: Vec<Outage>,
    /// Processes that found no database when they began, and ended.
    turned_away: usize,
}

impl Crashes {
    /// How many hit a job with these effects.
    fn that_hit(&self, effects: &[Effect]) -> usize {
        let (Some(first), Some(last)) = (effects.first(), effects.last()) else { return 0 };
        let killed = effects.iter().filter(|effect| {
            self.workers.get(&effect.worker).is_some_and(|at| at.saturating_duration_since(effect.at) < LEASE)
        });
        let workers: HashSet<&String> = killed.map(|effect| &effect.worker).collect();
        let servers = self.server.iter().filter(|down| down.from <= last.at && first.at <= down.until);
        workers.len() + servers.count()
    }
}

impl fmt::Display for Crashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (workers, servers) = (self.workers.len(), self.server.len());
        let turned_away = self.turned_away;
        write!(f, "{workers} workers killed, {turned_away} turned away, PostgreSQL killed {servers} times")
    }
}

/// A request that came, and the worker that sent it.
#[derive(Clone, Debug)]
struct Effect {
    at: Instant,
    worker: String,
}

impl Effect {
    /// The requests that bear the same key, in the order in which they came.
    fn by(key: impl Fn(&Received) -> &str, received: &[Received]) -> BTreeMap<String, Vec<Self>> {
        let mut effects = BTreeMap::<_, Vec<_>>::new();
        for received in received {
            let worker = received.header(WORKER_HEADER).expect("each request names its worker").to_owned();
            effects.entry(key(received).to_owned()).or_default().push(Self { at: received.at, worker });
        }
        effects
    }
}

/// Processes that are kept running, as under supervisor.
struct Crew<'a> {
    installation: &'a Installation,
    roles: &'a [&'a [&'a str]],
    running: Vec<(String, Process)>,
    begun: usize,
}

impl<'a> Crew<'a> {
    fn start(installation: &'a Installation, roles: &'a [&'a [&'a str]]) -> Self {
        let mut crew = Self { installation, roles, running: Vec::new(), begun: 0 };
        for role in roles {
            let begun = crew.begin(role);
            crew.running.push(begun);
        }
        crew
    }

    fn begin(&mut self, role: &[&str]) -> (String, Process) {
        self.begun += 1;
        let name = format!("{}-{}", role[..2].join("-"), self.begun);
        let process = self.installation.start_as(&name, role, &[(WORKER, name.as_str())]);
        (name, process)
    }

    /// Kills one every 50 to 500 ms, and starts it anew, until it is time; beside it the server goes down `outages` times,
    /// and `meanwhile` goes on.
    fn torment<T: Send>(
        &mut self,
        server: &TestServer,
        duration: Duration,
        rng: &mut Rng,
        meanwhile: impl FnOnce(Rng, Instant) -> T + Send,
    ) -> (Crashes, T) {
        let outages = u32::try_from(duration.as_secs() / 15).unwrap_or(u32::MAX).max(2);
        let began = Instant::now();
        let until = began + duration;
        let (mut of_server, of_meanwhile) = (rng.fork(), rng.fork());
        std::thread::scope(|scope| {
            let server = scope.spawn(move || {
                let crash = |nth| {
                    let jitter = duration.mul_f64(of_server.f64() / f64::from(4 * (outages + 1)));
                    let at = began + duration * nth / (outages + 1) + jitter;
                    sleep(at.saturating_duration_since(Instant::now()));
                    let from = Instant::now();
                    server.kill();
                    sleep(Duration::from_millis(of_server.u64(..800)));
                    server.start_again();
                    Outage { from, until: Instant::now() }
                };
                (1..=outages).map(crash).collect()
            });
            let meanwhile = scope.spawn(move || meanwhile(of_meanwhile, until));
            let mut crashes = Crashes::default();
            while Instant::now() < until {
                sleep(Duration::from_millis(rng.u64(50..=500)));
                self.revive(&mut crashes);
                self.kill(rng.usize(..self.running.len()), &mut crashes);
            }
            crashes.server = server.join().expect("the server went down and came back");
            let meanwhile = meanwhile.join().expect("what went on meanwhile did");
            self.revive(&mut crashes);
            (crashes, meanwhile)
        })
    }

    fn kill(&mut self, nth: usize, crashes: &mut Crashes) {
        let anew = self.begin(self.roles[nth]);
        let (name, process) = std::mem::replace(&mut self.running[nth], anew);
        process.kill();
        crashes.workers.insert(name, Instant::now());
    }

    /// Starts those anew that had no database to begin with. Nothing else ends a process here.
    fn revive(&mut self, crashes: &mut Crashes) {
        for nth in 0..self.running.len() {
            let (name, process) = &mut self.running[nth];
            let Some(code) = process.ended() else { continue };
            assert_eq!(code, 69, "{name} ended by itself:\n{}", process.log());
            crashes.turned_away += 1;
            self.running[nth] = self.begin(self.roles[nth]);
        }
    }

    /// SIGTERM to each, in the order of the roles.
    fn terminate(self) {
        for (name, process) in self.running {
            assert_eq!(process.terminate(), 0, "{name}");
        }
    }
}

/// An installation on a server of its own, with a ledger.
fn installation(server: &Arc<TestServer>, text: &str) -> Installation {
    let installation = Installation::on(block_on(TestDatabase::empty_on(server)));
    installation.apply(text);
    installation.database.query(LEDGER);
    installation
}

fn count(installation: &Installation, sql: &str) -> usize {
    installation.database.value(sql).parse().expect("a count is a number")
}
