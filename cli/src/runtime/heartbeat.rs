//! That the loops of a process turn. systemd's watchdog and `/healthz` count the same turns.
//!
//! The loops themselves feed the watchdog, through the observer, and only when each of them has turned since the last
//! ping: a process in which one of two loops stands still is killed and started again; one whose database is away is
//! not.
//! Without `NOTIFY_SOCKET` systemd is told nothing. `worker`, `schedule --every` and `up` use it. No child of ours can
//! speak for us: the embedded PostgreSQL is started with none of our environment.

use crate::env;
use crate::output::rfc3339;
use sd_notify::NotifyState;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uptime_core::liveness::STALE_LEAST;
use uptime_engine::liveness::Stalls;
use uptime_engine::{Activity, Observer};

/// How many pings there are in the watchdog's timeout: one may be late without harm.
const PINGS_PER_TIMEOUT: u32 = 4;

/// A loop that has not turned for so long stands still; the units that we print give the watchdog the same timeout.
const STANDS_STILL: Duration = Duration::from_mins(2);

/// The loops of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    loops: Arc<Mutex<Loops>>,
    /// The stalls of checks that this process knows of.
    pub stalls: Stalls,
    /// Whether there is a systemd to tell.
    systemd: bool,
}

impl Heartbeats {
    /// For a process of these loops, which is told to end by `stop`. Looks into the environment for systemd.
    pub fn new(loops: &[&'static str], stop: &CancellationToken) -> Self {
        let systemd = std::env::var_os(env::NOTIFY_SOCKET).is_some();
        if systemd {
            let stopped = stop.clone();
            tokio::spawn(async move {
                stopped.cancelled().await;
                notify(&[NotifyState::Stopping, NotifyState::Status("stopping: what runs may end")]);
            });
        }
        let timeout = systemd.then(sd_notify::watchdog_enabled).flatten();
        let loops = Loops::new(loops, timeout.map(|timeout| timeout / PINGS_PER_TIMEOUT));
        Self { loops: Arc::new(Mutex::new(loops)), stalls: Stalls::default(), systemd }
    }

    /// `observer`, with what it is told of the loops counted.
    pub fn watch(&self, observer: Observer) -> Observer {
        let heartbeats = self.clone();
        Arc::new(move |activity| {
            // Sent from here: the kernel keeps hundreds of such messages for a systemd that is busy.
            let word = heartbeats.lock().count(&activity, Instant::now()).filter(|_| heartbeats.systemd);
            match word {
                Some(Word::Ready) => notify(&[NotifyState::Ready, NotifyState::Status("running")]),
                Some(Word::Alive) => notify(&[NotifyState::Watchdog]),
                None => {}
            }
            observer(activity);
        })
    }

    /// The configuration is read again. It is ready again when all its loops turn again.
    pub fn reloading(&self) {
        self.lock().reload();
        if !self.systemd {
            return;
        }
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => warn!(%error, "systemd is not told of the reload: there is no clock"),
        }
    }

    /// A loop begins, perhaps again; or it has done what it was to do, and need not turn any more.
    pub fn set_ended(&self, name: &str, ended: bool) {
        self.lock().set_ended(name, ended);
    }

    /// What keeps this installation from being well: a loop of this process that stands still, a database that does not
    /// work, or checks without results.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble(Instant::now()).or_else(|| {
            let (queue, since) = self.stalls.first()?;
            Some(format!("the checks of `{queue}` have stalled: `stalled` was told at {}", rfc3339(since)))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Loops> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Ready,
    /// All loops have turned since the last word.
    Alive,
}

/// Which loops there are, and which have turned since the last word. Pure: `now` is given.
#[derive(Debug)]
struct Loops {
    all: Vec<Loop>,
    /// For which of them the database does not work, from when on that is trouble, and why.
    unable: HashMap<&'static str, (Instant, String)>,
    /// From one ping to the next; `None`: there is no watchdog.
    every: Option<Duration>,
    /// When the last word was; `None`: it is not ready yet.
    told_at: Option<Instant>,
}

#[derive(Debug)]
struct Loop {
    name: &'static str,
    turned_at: Option<Instant>,
    /// Since the last word.
    turned: bool,
    ended: bool,
}

impl Loops {
    fn new(loops: &[&'static str], every: Option<Duration>) -> Self {
        let begun = |name: &&'static str| Loop { name, turned_at: None, turned: false, ended: false };
        Self { all: loops.iter().map(begun).collect(), unable: HashMap::new(), every, told_at: None }
    }

    fn count(&mut self, activity: &Activity, now: Instant) -> Option<Word> {
        match activity {
            Activity::Turned { by } => return self.turned(by, now),
            Activity::DatabaseAway { queue, reason, needs_operator } => {
                // What passes by itself is trouble when checks without results are.
                let grace = if *needs_operator { Duration::ZERO } else { STALE_LEAST };
                self.unable.insert(queue, (now + grace, reason.clone()));
            }
            Activity::DatabaseBack { queue } => {
                self.unable.remove(queue);
            }
            _ => {}
        }
        None
    }

    fn turned(&mut self, by: &str, now: Instant) -> Option<Word> {
        for each in self.all.iter_mut().filter(|each| each.name == by) {
            (each.turned, each.turned_at) = (true, Some(now));
        }
        let word = match (self.told_at, self.every) {
            (None, _) => Word::Ready,
            (Some(told_at), Some(every)) if now.saturating_duration_since(told_at) >= every => Word::Alive,
            _ => return None,
        };
        if !self.all.iter().all(|each| each.turned || each.ended) {
            return None;
        }
        self.all.iter_mut().for_each(|each| each.turned = false);
        self.told_at = Some(now);
        Some(word)
    }

    /// It is not ready any more, until all its loops have turned.
    fn reload(&mut self) {
        self.told_at = None;
        self.all.iter_mut().for_each(|each| each.turned = false);
    }

    fn set_ended(&mut self, name: &str, ended: bool) {
        for each in self.all.iter_mut().filter(|each| each.name == name) {
            (each.turned, each.turned_at, each.ended) = (false, None, ended);
        }
        self.unable.retain(|other, _| !ended || *other != name);
    }

    fn trouble(&self, now: Instant) -> Option<String> {
        let is_stuck = |each: &&Loop| each.turned_at.is_some_and(|at| now - at > STANDS_STILL);
        let stuck =
            self.all.iter().find(is_stuck).map(|each| format!("the loop `{}` stands still", each.name));
        stuck.or_else(|| self.unable.values().find(|(from, _)| *from <= now).map(|(_, why)| why.clone()))
    }
}

/// What can't be told is told to the log: systemd will act on the silence, and somebody will ask why.
fn notify(words: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(words) {
        warn!(%error, "systemd can't be told how this process is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn two_loops() -> (Loops, Instant) {
        (Loops::new(&["checks", "notices"], Some(EVERY)), Instant::now())
    }

    #[test]
    fn it_is_ready_when_the_last_loop_turns() {
        let (mut loops, now) = two_loops();
        assert_eq!(loops.turned("checks", now), None);
        assert_eq!(loops.turned("checks", now + EVERY), None);
        assert_eq!(loops.turned("notices", now + EVERY), Some(Word::Ready));
        assert_eq!(loops.turned("checks", now + EVERY), None, "once");
    }

    #[test]
    fn one_loop_that_stands_still_starves_the_watchdog() {
        let (mut loops, now) = two_loops();
        loops.turned("checks", now);
        loops.turned("notices", now);
        for second in 1..1_000 {
            assert_eq!(loops.turned("checks", now + Duration::from_secs(second)), None);
        }
        assert_eq!(loops.turned("notices", now + Duration::from_secs(1_000)), Some(Word::Alive));
    }

    #[test]
    fn a_turn_counts_for_one_ping() {
        let (mut loops, now) = two_loops();
        loops.turned("checks", now);
        loops.turned("notices", now);
        loops.turned("notices", now + EVERY);
        assert_eq!(loops.turned("checks", now + EVERY), Some(Word::Alive));
        assert_eq!(loops.turned("checks", now + EVERY * 2), None, "the other has not turned since");
        assert_eq!(loops.turned("notices", now + EVERY * 2), Some(Word::Alive));
    }

    #[test]
    fn pings_are_rationed() {
        let mut loops = Loops::new(&["checks"], Some(EVERY));
        let now = Instant::now();
        let words = (0..=120).filter_map(|second| loops.turned("checks", now + Duration::from_secs(second)));
        assert_eq!(
            words.collect::<Vec<_>>(),
            [Word::Ready, Word::Alive, Word::Alive, Word::Alive, Word::Alive]
        );
    }

    #[test]
    fn a_loop_that_has_ended_is_not_waited_for_until_it_begins_again() {
        let (mut loops, now) = two_loops();
        loops.turned("checks", now);
        loops.turned("notices", now);
        loops.set_ended("notices", true);
        assert_eq!(loops.turned("checks", now + EVERY), Some(Word::Alive));
        loops.set_ended("notices", false);
        assert_eq!(loops.turned("checks", now + EVERY * 2), None);
        assert_eq!(loops.turned("notices", now + EVERY * 2), Some(Word::Alive));
    }

    #[test]
    fn after_a_reload_it_is_ready_when_all_loops_turn_again() {
        let (mut loops, now) = two_loops();
        loops.turned("checks", now);
        loops.turned("notices", now);
        loops.turned("checks", now);
        loops.reload();
        assert_eq!(loops.turned("notices", now), None);
        assert_eq!(loops.turned("checks", now), Some(Word::Ready));
    }

    #[test]
    fn without_a_watchdog_it_is_ready_and_nothing_more() {
        let mut loops = Loops::new(&["checks"], None);
        let now = Instant::now();
        assert_eq!(loops.turned("checks", now), Some(Word::Ready));
        assert_eq!(loops.turned("checks", now + EVERY * 100), None);
    }

    #[test]
    fn a_loop_that_has_not_turned_for_two_minutes_stands_still() {
        let (mut loops, now) = two_loops();
        loops.turned("checks", now);
        assert_eq!(loops.trouble(now + STANDS_STILL), None);
        let late = now + STANDS_STILL + Duration::from_secs(1);
        assert_eq!(loops.trouble(late).as_deref(), Some("the loop `checks` stands still"));
        loops.set_ended("checks", true);
        assert_eq!(loops.trouble(late), None);
    }

    #[test]
    fn a_database_that_stays_away_is_trouble_after_a_minute() {
        let (mut loops, now) = two_loops();
        let away = |needs_operator| Activity::DatabaseAway {
            queue: "notices",
            reason: "it can't be reached".into(),
            needs_operator,
        };
        loops.count(&away(true), now);
        assert_eq!(loops.trouble(now).as_deref(), Some("it can't be reached"));
        loops.count(&away(false), now);
        assert_eq!(loops.trouble(now), None);
        assert_eq!(loops.trouble(now + STALE_LEAST).as_deref(), Some("it can't be reached"));
        loops.count(&Activity::DatabaseBack { queue: "notices" }, now);
        assert_eq!(loops.trouble(now + STALE_LEAST), None);
    }
}
