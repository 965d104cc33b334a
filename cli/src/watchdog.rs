//! What systemd is told of a process that runs on: ready, reloading, stopping, and that it is alive.
//!
//! The loops themselves feed the watchdog, through the observer, and only when each of them has turned since the last time:
//! a process in which one of two loops stands still is killed and started again, one whose database is away is not.
//! Without `NOTIFY_SOCKET` nothing here does anything. `worker`, `schedule --every` and `up` use it. No child of ours can
//! speak for us: the embedded PostgreSQL is started with none of our environment.

use crate::env;
use sd_notify::NotifyState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uptime_engine::{Activity, Observer};

/// How many meals there are in the time that the watchdog waits: one may be late without harm.
const MEALS: u32 = 4;

/// This process, as systemd sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watchdog {
    /// `None`: there is nobody to tell.
    turns: Option<Arc<Mutex<Turns>>>,
}

impl Watchdog {
    /// For a process of these loops, which is told to end by `stop`. Looks into the environment for whom to tell.
    pub fn new(loops: &[&'static str], stop: &CancellationToken) -> Self {
        if std::env::var_os(env::NOTIFY_SOCKET).is_none() {
            return Self { turns: None };
        }
        let stopped = stop.clone();
        tokio::spawn(async move {
            stopped.cancelled().await;
            tell(&[NotifyState::Stopping, NotifyState::Status("stopping: what runs may end")]);
        });
        let every = sd_notify::watchdog_enabled().map(|patience| patience / MEALS);
        Self { turns: Some(Arc::new(Mutex::new(Turns::new(loops, every)))) }
    }

    /// `observer`, with the loops' turns told to systemd.
    pub fn watch(&self, observer: Observer) -> Observer {
        let Some(turns) = self.turns.clone() else { return observer };
        Arc::new(move |activity| {
            if let Activity::Turned { by } = activity {
                // Sent from here: the kernel keeps hundreds of such messages for a systemd that is busy.
                let word = lock(&turns).turned(by, Instant::now());
                match word {
                    Some(Word::Ready) => tell(&[NotifyState::Ready, NotifyState::Status("running")]),
                    Some(Word::Alive) => tell(&[NotifyState::Watchdog]),
                    None => {}
                }
            }
            observer(activity);
        })
    }

    /// The configuration is read again. It is ready again when all its loops turn again.
    pub fn reloading(&self) {
        let Some(turns) = &self.turns else { return };
        lock(turns).reload();
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => warn!(%error, "systemd is not told of the reload: there is no clock"),
        }
    }

    /// A loop begins, perhaps again.
    pub fn begins(&self, name: &str) {
        self.set_ended(name, false);
    }

    /// A loop has done what it was to do; it need not turn any more.
    pub fn ends(&self, name: &str) {
        self.set_ended(name, true);
    }

    fn set_ended(&self, name: &str, ended: bool) {
        if let Some(turns) = &self.turns {
            lock(turns).set_ended(name, ended);
        }
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
struct Turns {
    loops: Vec<Loop>,
    /// From one meal to the next; `None`: there is no watchdog.
    every: Option<Duration>,
    /// When the last word was; `None`: it is not ready yet.
    told_at: Option<Instant>,
}

#[derive(Debug)]
struct Loop {
    name: &'static str,
    turned: bool,
    ended: bool,
}

impl Turns {
    fn new(loops: &[&'static str], every: Option<Duration>) -> Self {
        let loops = loops.iter().map(|name| Loop { name, turned: false, ended: false }).collect();
        Self { loops, every, told_at: None }
    }

    fn turned(&mut self, by: &str, now: Instant) -> Option<Word> {
        self.loops.iter_mut().filter(|each| each.name == by).for_each(|each| each.turned = true);
        let word = match (self.told_at, self.every) {
            (None, _) => Word::Ready,
            (Some(told_at), Some(every)) if now.saturating_duration_since(told_at) >= every => Word::Alive,
            _ => return None,
        };
        if !self.loops.iter().all(|each| each.turned || each.ended) {
            return None;
        }
        self.loops.iter_mut().for_each(|each| each.turned = false);
        self.told_at = Some(now);
        Some(word)
    }

    /// It is not ready any more, until all its loops have turned.
    fn reload(&mut self) {
        self.told_at = None;
        self.loops.iter_mut().for_each(|each| each.turned = false);
    }

    fn set_ended(&mut self, name: &str, ended: bool) {
        for each in self.loops.iter_mut().filter(|each| each.name == name) {
            (each.turned, each.ended) = (false, ended);
        }
    }
}

fn lock(turns: &Mutex<Turns>) -> MutexGuard<'_, Turns> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What can't be told is told to the log: systemd will act on the silence, and somebody will ask why.
fn tell(words: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(words) {
        warn!(%error, "systemd can't be told how this process is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn two_loops() -> (Turns, Instant) {
        (Turns::new(&["checks", "notices"], Some(EVERY)), Instant::now())
    }

    #[test]
    fn it_is_ready_when_the_last_loop_turns() {
        let (mut turns, now) = two_loops();
        assert_eq!(turns.turned("checks", now), None);
        assert_eq!(turns.turned("checks", now + EVERY), None);
        assert_eq!(turns.turned("notices", now + EVERY), Some(Word::Ready));
        assert_eq!(turns.turned("checks", now + EVERY), None, "once");
    }

    #[test]
    fn one_loop_that_stands_still_starves_the_watchdog() {
        let (mut turns, now) = two_loops();
        turns.turned("checks", now);
        turns.turned("notices", now);
        for second in 1..1_000 {
            assert_eq!(turns.turned("checks", now + Duration::from_secs(second)), None);
        }
        assert_eq!(turns.turned("notices", now + Duration::from_secs(1_000)), Some(Word::Alive));
    }

    #[test]
    fn a_turn_counts_for_one_meal() {
        let (mut turns, now) = two_loops();
        turns.turned("checks", now);
        turns.turned("notices", now);
        turns.turned("notices", now + EVERY);
        assert_eq!(turns.turned("checks", now + EVERY), Some(Word::Alive));
        assert_eq!(turns.turned("checks", now + EVERY * 2), None, "the other has not turned since");
        assert_eq!(turns.turned("notices", now + EVERY * 2), Some(Word::Alive));
    }

    #[test]
    fn meals_are_rationed() {
        let mut turns = Turns::new(&["checks"], Some(EVERY));
        let now = Instant::now();
        let words = (0..=120).filter_map(|second| turns.turned("checks", now + Duration::from_secs(second)));
        assert_eq!(
            words.collect::<Vec<_>>(),
            [Word::Ready, Word::Alive, Word::Alive, Word::Alive, Word::Alive]
        );
    }

    #[test]
    fn a_loop_that_has_ended_is_not_waited_for_until_it_begins_again() {
        let (mut turns, now) = two_loops();
        turns.turned("checks", now);
        turns.turned("notices", now);
        turns.set_ended("notices", true);
        assert_eq!(turns.turned("checks", now + EVERY), Some(Word::Alive));
        turns.set_ended("notices", false);
        assert_eq!(turns.turned("checks", now + EVERY * 2), None);
        assert_eq!(turns.turned("notices", now + EVERY * 2), Some(Word::Alive));
    }

    #[test]
    fn after_a_reload_it_is_ready_when_all_loops_turn_again() {
        let (mut turns, now) = two_loops();
        turns.turned("checks", now);
        turns.turned("notices", now);
        turns.turned("checks", now);
        turns.reload();
        assert_eq!(turns.turned("notices", now), None);
        assert_eq!(turns.turned("checks", now), Some(Word::Ready));
    }

    #[test]
    fn without_a_watchdog_it_is_ready_and_nothing_more() {
        let mut turns = Turns::new(&["checks"], None);
        let now = Instant::now();
        assert_eq!(turns.turned("checks", now), Some(Word::Ready));
        assert_eq!(turns.turned("checks", now + EVERY * 100), None);
    }
}
