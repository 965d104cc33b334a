//! The queues: their names, and the settings of their workers.
//!
//! The file is one layer of settings: flags and the environment come on top of it, the defaults lie below. The layers
//! meet in [`QueueSettings`].

use crate::backoff::LEASE_RESERVE;
use crate::duration;
use crate::id::JobId;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The queues' names, as the file, the command line and the database have them.
pub const MONITOR_CHECKS: &str = "monitor-checks";
pub const NOTIFICATIONS: &str = "notifications";

/// What proves that a job is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub id: JobId,
    /// Which of the job's claims it is: no other ever has this number.
    pub number: u32,
    /// How many attempts it has had, this one included.
    pub attempts: u32,
}

/// A kind of queue. Another one is a row of [`QUEUES`], the handler of its jobs, and its `worker` command.
#[derive(Debug)]
pub struct QueueKind {
    pub name: &'static str,
    /// What happens to the jobs' subjects when what waits is deleted.
    pub clearing: &'static str,
    /// Whether its workers probe what fails.
    pub has_probes: bool,
    sleep: Duration,
    tries: u32,
    timeout: Duration,
    concurrency: u32,
}

pub static QUEUES: [QueueKind; 2] = [
    QueueKind {
        name: MONITOR_CHECKS,
        clearing: "; each monitor is checked again at its next slot",
        has_probes: false,
        sleep: SECOND,
        tries: 1,
        timeout: Duration::from_secs(30),
        concurrency: 100,
    },
    QueueKind {
        name: NOTIFICATIONS,
        clearing: ", which nobody will be told",
        has_probes: true,
        sleep: Duration::from_secs(3),
        tries: 3,
        timeout: Duration::from_mins(1),
        concurrency: 32,
    },
];

/// The names of all queues, but those of locations.
pub fn names() -> [&'static str; QUEUES.len()] {
    QUEUES.each_ref().map(|kind| kind.name)
}

/// Whether a queue's jobs are checks: of monitors without locations, or of one [location](crate::monitor::Location).
pub fn is_checks(queue: &str) -> bool {
    kind(queue).is_some_and(|kind| kind.name == MONITOR_CHECKS)
}

/// The kind of the queue of this name, a location's too.
pub fn kind(queue: &str) -> Option<&'static QueueKind> {
    place(queue).map(|place| &QUEUES[place])
}

fn place(queue: &str) -> Option<usize> {
    let name = queue.split_once(':').map_or(queue, |(kind, _)| kind);
    QUEUES.iter().position(|kind| kind.name == name)
}

/// What the file says of each kind of queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues(pub [QueueSection; QUEUES.len()]);

impl Queues {
    /// What the file says of the queue `name`.
    pub fn section(&self, name: &str) -> Option<&QueueSection> {
        place(name).map(|place| &self.0[place])
    }

    /// What holds for the queue `name`: the file over the defaults.
    pub fn settings(&self, name: &str) -> QueueSettings {
        self.section(name).into_iter().fold(QueueSettings::defaults(name), QueueSettings::with)
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
    /// Polling interval when the queue is empty and nothing wakes the worker.
    pub sleep: Duration,
    /// Attempts before a job moves to the failed list; 0 means no limit.
    pub tries: u32,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// From a failed attempt to the next: the first after the first, and so on; the last one stays.
    pub backoff: Vec<Duration>,
    /// Lease of a claimed job: when it ends, another worker may claim the job. Longer than `timeout`.
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
        let QueueKind { sleep, tries, timeout, concurrency, .. } = *kind(name).unwrap_or(&QUEUES[1]);
        let (backoff, retry_after) = (vec![5 * SECOND], 90 * SECOND);
        let probe = [1, 2, 4, 8, 16, 32, 60].map(Duration::from_mins).into();
        Self { sleep, tries, timeout, backoff, retry_after, concurrency, probe }
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
