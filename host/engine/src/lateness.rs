//! Whether a worker keeps up: how late checks begin, over a while.
//!
//! Pure but for the clock that [`watch`] reads: [`Lateness`] counts a window of checks, and says when falling behind begins
//! and when it is over. Two windows in a row must be late, so that the backlog after a pause is no alarm.

use crate::{Activity, Observer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::{info, warn};

const WINDOW: Duration = Duration::from_secs(30);

/// A check that begins later than this is late.
const LATE: Duration = Duration::from_secs(5);

/// Of a hundred checks so many may be late.
const MAY_BE_LATE: u64 = 1;

/// Late windows in a row that are falling behind.
const WINDOWS: u32 = 2;

/// How late the checks of one window began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub checks: u64,
    pub late: u64,
    pub worst: Duration,
}

impl Window {
    /// Whether the hundredth part of the checks, or more, was late: the 99th percentile is beyond the limit.
    fn is_late(self) -> bool {
        self.late > 0 && self.late * 100 >= self.checks * MAY_BE_LATE
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Checks begin late, and have for a while.
    Behind(Window),
    Keeping(Window),
}

#[derive(Debug)]
pub struct Lateness {
    window: Window,
    since: Instant,
    late_windows: u32,
    behind: bool,
}

impl Lateness {
    pub fn new(now: Instant) -> Self {
        Self { window: Window::default(), since: now, late_windows: 0, behind: false }
    }

    pub fn checked(&mut self, late: Duration, now: Instant) -> Option<Pace> {
        let change =
            if now.saturating_duration_since(self.since) >= WINDOW { self.next_window(now) } else { None };
        self.window.checks += 1;
        self.window.late += u64::from(late > LATE);
        self.window.worst = self.window.worst.max(late);
        change
    }

    fn next_window(&mut self, now: Instant) -> Option<Pace> {
        self.since = now;
        let window = std::mem::take(&mut self.window);
        if !window.is_late() {
            self.late_windows = 0;
            return std::mem::take(&mut self.behind).then_some(Pace::Keeping(window));
        }
        self.late_windows += 1;
        if self.late_windows < WINDOWS || std::mem::replace(&mut self.behind, true) {
            return None;
        }
        Some(Pace::Behind(window))
    }
}

/// `observer`, which is also told when the worker falls behind and when it keeps up again.
pub fn watch(observer: Observer) -> Observer {
    let lateness = Mutex::new(Lateness::new(Instant::now()));
    Arc::new(move |activity| {
        let late = if let Activity::Checked { late, .. } = &activity { Some(*late) } else { None };
        observer(activity);
        let Some(late) = late else { return };
        let change = lateness.lock().unwrap_or_else(PoisonError::into_inner).checked(late, Instant::now());
        match change {
            None => {}
            Some(Pace::Behind(window)) => {
                warn!(
                    late = window.late,
                    of = window.checks,
                    worst_ms = window.worst.as_millis(),
                    hint = "raise `--concurrency`, or start another worker like this one",
                    "falling behind: checks begin more than {} s after their time",
                    LATE.as_secs()
                );
                observer(Activity::FallingBehind {
                    late: window.late,
                    of: window.checks,
                    worst: window.worst,
                });
            }
            Some(Pace::Keeping(window)) => {
                info!(checks = window.checks, worst_ms = window.worst.as_millis(), "keeping up again");
                observer(Activity::KeepingUp);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of a hundred checks, of which so many are late; what each changed, when the next one begins.
    fn windows(late: &[u64]) -> Vec<Option<Pace>> {
        let start = Instant::now();
        let mut lateness = Lateness::new(start);
        let mut changes = Vec::new();
        for (nth, late) in (0_u32..).zip(late) {
            for check in 0..100 {
                let lateness_of = if check < *late { LATE * 2 } else { LATE / 2 };
                let change = lateness.checked(lateness_of, start + WINDOW * nth);
                if check == 0 && nth > 0 {
                    changes.push(change);
                } else {
                    assert_eq!(change, None);
                }
            }
        }
        changes
    }

    fn window(late: u64) -> Window {
        Window { checks: 100, late, worst: if late > 0 { LATE * 2 } else { LATE / 2 } }
    }

    #[test]
    fn two_late_windows_are_behind_and_one_that_is_not_ends_it() {
        let (behind, keeping) = (Some(Pace::Behind(window(3))), Some(Pace::Keeping(window(0))));
        assert_eq!(windows(&[0, 3, 3, 3, 0, 0]), [None, None, behind, None, keeping]);
    }

    #[test]
    fn a_backlog_that_is_worked_off_is_no_alarm() {
        assert_eq!(windows(&[100, 0, 100, 0, 0]), [None; 4]);
    }
}
