//! Who lives, and what is fresh: workers and schedulers by their heartbeats, monitors by their results.
//!
//! ```text
//!  worker      live ──2 missed──▶ not counted ──3 missed──▶ dead (its jobs are free)
//!  scheduler   running ──3 periods of silence──▶ dead
//!  monitor     awaited ──result──▶ fresh ──3 intervals, at least a minute──▶ stale ──result──▶ fresh
//!              idle: disabled, or the queue of its checks is paused: no result is expected
//! ```
//! All instants are the database's.

use crate::duration::{self, elapsed};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::time::Duration;

pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

/// A worker that was not heard for so long, two heartbeats and some delay, is not counted as one.
pub const COUNTED_FOR: Duration = Duration::from_secs(12);

/// And after so long, three heartbeats, it is dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(15);

/// A heartbeat that comes so long after the one before is late: who was late itself declares nobody dead.
pub const STEADY_WITHIN: Duration = Duration::from_secs(8);

/// How much longer than a check's own timeout its lease is: the network probes are asked (5 s), it waits for its turn at its
/// host (5 s), and its result is written (5 s).
pub const CHECK_MARGIN: Duration = Duration::from_secs(15);

/// How many periods of silence mean that a scheduler is dead.
pub const SCHEDULER_PERIODS: u32 = 3;

/// From one run of cron to the next, at the least.
pub const CRON_PERIOD: Duration = Duration::from_mins(1);

/// After so many intervals without a result a monitor is stale …
pub const STALE_INTERVALS: u32 = 3;

/// … but not before this.
pub const STALE_LEAST: Duration = Duration::from_mins(1);

/// What is known of the results of a monitor, or of one of its locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Results {
    /// From one slot to the next.
    pub interval: Duration,
    pub enabled: bool,
    /// Whether the queue of its checks is paused.
    pub queue_paused: bool,
    pub last_at: Option<Timestamp>,
    /// Since when the next is awaited, whatever came before: it was added or changed, or its queue went on.
    pub awaited_since: Timestamp,
}

/// Whether what is shown of a monitor is still true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// A result came in time, or is not overdue.
    Fresh,
    /// None is expected: it is disabled, or its queue is paused.
    Idle,
    /// Nobody knows how it is: the last result, or the wait for the first, is from this instant.
    Stale(Timestamp),
}

/// Whether a monitor is stale at `now`.
pub fn freshness(results: &Results, now: Timestamp) -> Freshness {
    if !results.enabled || results.queue_paused {
        return Freshness::Idle;
    }
    let since = results.last_at.map_or(results.awaited_since, |last| last.max(results.awaited_since));
    // A clock that stepped back makes nothing old.
    let silent = elapsed(since, now);
    if silent >= stale_after(results.interval) { Freshness::Stale(since) } else { Freshness::Fresh }
}

/// The same of a monitor that is checked from several locations: one with results vouches for it. `None` without any.
pub fn of_locations(each: impl IntoIterator<Item = Freshness>) -> Option<Freshness> {
    each.into_iter().min_by_key(|freshness| match freshness {
        Freshness::Fresh => 0,
        Freshness::Stale(_) => 1,
        Freshness::Idle => 2,
    })
}

/// How long after its last result a monitor is stale.
fn stale_after(interval: Duration) -> Duration {
    interval.saturating_mul(STALE_INTERVALS).max(STALE_LEAST)
}

/// A scheduler, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduler {
    pub host: String,
    /// Its process; of cron the last one.
    pub pid: u32,
    /// Whether it is a loop; else cron runs it.
    pub is_loop: bool,
    /// From one heartbeat, or run, to the next.
    pub period: Duration,
    /// The last heartbeat, or run.
    pub seen_at: Timestamp,
}

impl Scheduler {
    /// Whether it is heard as often as it should be.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        let limit = self.period.saturating_mul(SCHEDULER_PERIODS);
        elapsed(self.seen_at, now) < limit
    }
}

/// Whether a scheduler runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// One at least is heard.
    Running,
    /// This one was heard last, too long ago.
    Dead(Scheduler),
    /// None has ever been heard, or the last one was stopped in order.
    None,
}

pub fn scheduling(schedulers: &[Scheduler], now: Timestamp) -> Scheduling {
    if schedulers.iter().any(|scheduler| scheduler.is_alive(now)) {
        return Scheduling::Running;
    }
    match schedulers.iter().max_by_key(|scheduler| scheduler.seen_at) {
        Some(last) => Scheduling::Dead(last.clone()),
        None => Scheduling::None,
    }
}

/// The checks of one queue, of which some are stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    pub queue: String,
    /// So many monitors are stale there …
    pub stale: usize,
    /// … of so many that are checked there.
    pub of: usize,
    /// The first of them, by name.
    pub names: Vec<String>,
    /// The workers of the queue that are heard and claim jobs.
    pub workers: i64,
}

pub const NAMES: usize = 5;

impl Stall {
    /// In words: how many, which, and why if that is known.
    pub fn in_words(&self, scheduling: &Scheduling, now: Timestamp) -> String {
        let Self { stale, of, names, .. } = self;
        let monitors = if *of == 1 { "monitor has" } else { "monitors have" };
        let mut words = format!("{stale} of {of} {monitors} had no result for {STALE_INTERVALS} intervals: ");
        words += &names.join(", ");
        if *stale > names.len() {
            let _ = write!(words, " and {} more", stale - names.len());
        }
        let why = match scheduling {
            Scheduling::Dead(last) => {
                let silent = Duration::from_secs(elapsed(last.seen_at, now).as_secs());
                let silent = duration::format(silent);
                format!("; the scheduler on {} was last heard {silent} ago", last.host)
            }
            Scheduling::None => "; no scheduler runs".to_owned(),
            Scheduling::Running if self.workers == 0 => format!("; no worker works on `{}`", self.queue),
            Scheduling::Running => String::new(),
        };
        words + &why
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLoad {
    /// Jobs that are due, and that nobody has claimed.
    pub ready: i64,
    /// How long the oldest of them has waited.
    pub oldest_wait: Option<Duration>,
    /// Workers that are heard and claim jobs.
    pub working: i64,
    /// Whether an operator has paused the queue.
    pub paused: bool,
}

/// Why a queue's jobs are not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// Jobs are ready, and nobody works.
    Idle,
    /// The oldest ready job has waited too long, whoever works.
    Waits(Duration),
}

impl QueueLoad {
    /// Whether, and why, the queue stands still. A queue that was paused is not idle, but what waits in it for too long is told.
    pub fn standstill(&self, max_wait: Duration) -> Option<Standstill> {
        if self.ready > 0 && self.working == 0 && !self.paused {
            return Some(Standstill::Idle);
        }
        self.oldest_wait.filter(|wait| self.ready > 0 && *wait >= max_wait).map(Standstill::Waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("an instant")
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn results(interval: u64, last: Option<i64>, awaited: i64) -> Results {
        Results {
            interval: s(interval),
            enabled: true,
            queue_paused: false,
            last_at: last.map(at),
            awaited_since: at(awaited),
        }
    }

    #[test]
    fn stale_is_three_intervals_and_at_least_a_minute() {
        for (interval, last, awaited, now, stale) in [
            (60, Some(0), -999, 179, None),
            (60, Some(0), -999, 180, Some(0)),
            // A minute at the least.
            (1, Some(0), -999, 59, None),
            (1, Some(0), -999, 60, Some(0)),
            // It has had no result at all.
            (60, None, 0, 179, None),
            (60, None, 0, 180, Some(0)),
            // It was changed, or its queue went on, after the last one.
            (60, Some(-5_000), 0, 179, None),
            (60, Some(-5_000), 0, 180, Some(0)),
            // The clock was set back.
            (60, Some(5_000), 0, 10, None),
        ] {
            let found = freshness(&results(interval, last, awaited), at(now));
            let wanted = stale.map_or(Freshness::Fresh, |since| Freshness::Stale(at(since)));
            assert_eq!(found, wanted, "{interval} {last:?} {awaited} {now}");
        }
    }

    #[test]
    fn nothing_is_expected_of_what_is_disabled_or_paused() {
        let long_ago = results(60, Some(-9_999), -9_999);
        for idle in [Results { enabled: false, ..long_ago }, Results { queue_paused: true, ..long_ago }] {
            assert_eq!(freshness(&idle, at(0)), Freshness::Idle);
        }
    }

    #[test]
    fn one_location_with_results_vouches_for_a_monitor() {
        use Freshness::{Fresh, Idle, Stale};
        let stale = Stale(at(0));
        for (each, whole) in [
            (vec![stale, Fresh, Idle], Some(Fresh)),
            (vec![Idle, stale], Some(stale)),
            (vec![Idle, Idle], Some(Idle)),
            (vec![], None),
        ] {
            assert_eq!(of_locations(each), whole);
        }
    }

    proptest! {
        /// A result makes fresh, time alone makes stale, and nothing but a result makes fresh again.
        #[test]
        fn only_a_result_ends_a_stall(interval in 1_u64..10_000, last in -20_000_i64..0, now in 0_i64..20_000, later in 0_i64..20_000) {
            let monitor = results(interval, Some(last), -99_999);
            if let Freshness::Stale(since) = freshness(&monitor, at(now)) {
                prop_assert_eq!(freshness(&monitor, at(now + later)), Freshness::Stale(since));
                let checked = Results { last_at: Some(at(now)), ..monitor };
                prop_assert_eq!(freshness(&checked, at(now)), Freshness::Fresh);
            }
        }
    }

    fn scheduler(is_loop: bool, seen: i64) -> Scheduler {
        let period = if is_loop { HEARTBEAT_EVERY } else { CRON_PERIOD };
        Scheduler { host: "a".into(), pid: 1, is_loop, period, seen_at: at(seen) }
    }

    #[test]
    fn one_scheduler_that_is_heard_is_enough() {
        let (alive, dead, cron) = (scheduler(true, -14), scheduler(true, -15), scheduler(false, -179));
        assert_eq!(scheduling(&[dead.clone(), alive], at(0)), Scheduling::Running);
        assert_eq!(scheduling(&[dead.clone(), cron], at(0)), Scheduling::Running);
        assert_eq!(scheduling(&[scheduler(true, -99), dead.clone()], at(0)), Scheduling::Dead(dead));
        assert_eq!(scheduling(&[], at(0)), Scheduling::None);
    }

    #[test]
    fn a_queue_stands_still_when_nobody_works_or_a_job_waits_too_long() {
        let load = |ready, wait, working, paused| QueueLoad {
            ready,
            oldest_wait: (ready > 0).then(|| s(wait)),
            working,
            paused,
        };
        for (load, found) in [
            (load(0, 0, 0, false), None),
            (load(1, 0, 0, false), Some(Standstill::Idle)),
            (load(1, 119, 1, false), None),
            (load(1, 120, 1, false), Some(Standstill::Waits(s(120)))),
            (load(1, 119, 0, true), None),
            (load(1, 120, 0, true), Some(Standstill::Waits(s(120)))),
        ] {
            assert_eq!(load.standstill(s(120)), found, "{load:?}");
        }
    }

    #[test]
    fn a_stall_says_how_many_and_why() {
        let stall = |stale: usize, of| Stall {
            queue: "monitor-checks".into(),
            stale,
            of,
            names: (0..stale.min(NAMES)).map(|n| format!("m{n}")).collect(),
            workers: 1,
        };
        let dead = Scheduling::Dead(scheduler(true, -130));
        assert_eq!(
            stall(2, 3).in_words(&dead, at(0)),
            "2 of 3 monitors have had no result for 3 intervals: m0, m1; the scheduler on a was last heard 2m10s ago"
        );
        assert_eq!(
            stall(1, 1).in_words(&Scheduling::Running, at(0)),
            "1 of 1 monitor has had no result for 3 intervals: m0"
        );
        assert_eq!(
            Stall { workers: 0, ..stall(7, 7) }.in_words(&Scheduling::Running, at(0)),
            "7 of 7 monitors have had no result for 3 intervals: m0, m1, m2, m3, m4 and 2 more; no worker works on `monitor-checks`"
        );
    }
}
