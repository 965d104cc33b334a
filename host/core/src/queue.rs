//! The queues: their names, and the settings of their workers.
//!
//! The file is one layer of settings: flags and the environment come on top of it, the defaults lie below. The layers
//! meet in [`QueueSettings`].

use crate::backoff::LEASE_RESERVE;
use crate::duration;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The queues' names, as the file, the command line and the database have them.
pub const MONITOR_CHECKS: &str = "monitor-checks";
pub const NOTIFICATIONS: &str = "notifications";

/// Whether a queue's jobs are checks: of monitors without locations, or of one [location](crate::monitor::Location).
pub fn is_checks(queue: &str) -> bool {
    kind(queue) == MONITOR_CHECKS
}

/// By what a queue's jobs are worked on.
pub(crate) fn kind(queue: &str) -> &str {
    queue.split_once(':').map_or(queue, |(kind, _)| kind)
}

/// What the file says of both queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    pub monitor_checks: QueueSection,
    pub notifications: QueueSection,
}

impl Queues {
    /// What the file says of the queue `name`.
    pub fn section(&self, name: &str) -> Option<&QueueSection> {
        match kind(name) {
            MONITOR_CHECKS => Some(&self.monitor_checks),
            NOTIFICATIONS => Some(&self.notifications),
            _ => None,
        }
    }
}

/// What the file says of one queue; `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSection {
    pub sleep: Option<Duration>,
    pub tries: Option<u32>,
    pub timeout: Option<Duration>,
    pub backoff: Option<Vec<Duration>>,
    pub retry_after: Option<Duration>,
    pub concurrency: Option<u32>,
    pub probe: Option<Vec<Duration>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// From one look at an empty queue to the next, when nothing wakes the worker earlier.
    pub sleep: Duration,
    /// Attempts, the first one too, before a job goes to the failed list; 0 is unlimited.
    pub tries: u32,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// From a failed attempt to the next: the first after the first, and so on; the last one stays.
    pub backoff: Vec<Duration>,
    /// A claimed job of which nothing is heard for so long is claimed again. Longer than `timeout`.
    pub retry_after: Duration,
    pub concurrency: u32,
    /// Of `notifications`: pauses before a failing channel is tried again; the last one repeats.
    pub probe: Vec<Duration>,
}

/// A `timeout` that is not [`LEASE_RESERVE`] below `retry_after`: a job that is still worked on would be claimed a
/// second time, or its outcome could not be recorded any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a `timeout` of `{}` is not {} below the `retry_after` of `{}`",
    duration::format(*.timeout), duration::format(LEASE_RESERVE), duration::format(*.retry_after)
)]
pub struct TimeoutConflict {
    pub timeout: Duration,
    pub retry_after: Duration,
}

impl TimeoutConflict {
    pub fn hint(&self) -> String {
        let longer = duration::format(self.timeout + Duration::from_secs(30));
        format!(
            "a job still worked on would be claimed again: shorten `timeout`, or write `retry_after = \"{longer}\"`"
        )
    }
}

impl QueueSettings {
    /// What holds for the queue `name` when nobody says anything. A name that is not one of ours gets the
    /// settings of [`NOTIFICATIONS`], the careful ones.
    pub fn defaults(name: &str) -> Self {
        let notifications = Self {
            sleep: 3 * SECOND,
            tries: 3,
            timeout: 60 * SECOND,
            backoff: vec![5 * SECOND],
            retry_after: 90 * SECOND,
            concurrency: 32,
            probe: [1, 2, 4, 8, 16, 32, 60].map(Duration::from_mins).into(),
        };
        match kind(name) {
            MONITOR_CHECKS => {
                Self { sleep: SECOND, tries: 1, timeout: 30 * SECOND, concurrency: 100, ..notifications }
            }
            _ => notifications,
        }
    }

    /// These, where `section` says nothing.
    #[must_use]
    pub fn with(self, section: &QueueSection) -> Self {
        Self {
            sleep: section.sleep.unwrap_or(self.sleep),
            tries: section.tries.unwrap_or(self.tries),
            timeout: section.timeout.unwrap_or(self.timeout),
            backoff: section.backoff.clone().unwrap_or(self.backoff),
            retry_after: section.retry_after.unwrap_or(self.retry_after),
            concurrency: section.concurrency.unwrap_or(self.concurrency),
            probe: section.probe.clone().unwrap_or(self.probe),
        }
    }

    /// Whether the limits of an attempt and of a claim can live together. To be asked of the settings that all
    /// layers make together.
    pub fn check(&self) -> Result<(), TimeoutConflict> {
        let Self { timeout, retry_after, .. } = *self;
        let fits = timeout.saturating_add(LEASE_RESERVE) <= retry_after;
        if fits { Ok(()) } else { Err(TimeoutConflict { timeout, retry_after }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_section_comes_on_top_of_the_defaults() {
        // The other defaults are those that the starter's file says.
        assert_eq!(QueueSettings::defaults(MONITOR_CHECKS).retry_after, 90 * SECOND);
        let section =
            QueueSection { tries: Some(9), backoff: Some(vec![SECOND, HOUR]), ..QueueSection::default() };
        let defaults = QueueSettings::defaults(NOTIFICATIONS);
        let expected = QueueSettings { tries: 9, backoff: vec![SECOND, HOUR], ..defaults.clone() };
        assert_eq!(defaults.with(&section), expected);
    }

    #[test]
    fn an_attempt_ends_before_its_claim_does() {
        let settings = |timeout| QueueSettings { timeout, ..QueueSettings::defaults(NOTIFICATIONS) };
        assert_eq!(settings(85 * SECOND).check(), Ok(()));
        for (timeout, message) in [
            (86, "a `timeout` of `1m26s` is not 5s below the `retry_after` of `1m30s`"),
            (120, "a `timeout` of `2m` is not 5s below the `retry_after` of `1m30s`"),
        ] {
            let conflict = settings(timeout * SECOND).check().expect_err("a conflict");
            assert_eq!(conflict.to_string(), message);
        }
    }
}
