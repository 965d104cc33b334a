//! What the judgement remembers of a monitor from one outcome to the next: its state, and the last outcomes in a few bits.

use crate::event::Severity;
use crate::words::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words! {
    /// What is known of a monitor's target.
    #[derive(Default)]
    pub enum Status: "status" {
        /// Not checked yet, or a person ended the incident and nothing is confirmed since.
        #[default]
        Unknown = "unknown",
        Up = "up",
        /// Up, worse than it should be, and an incident is open.
        Degraded = "degraded",
        /// Down, and an incident is open.
        Down = "down",
    }
}

/// What the judgement remembers of a monitor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// How it is, as far as confirmed.
    pub status: Status,
    /// Since when: the first success, or the incident's first failure (of the outage, for one that began as degraded).
    /// `None` while unknown.
    pub since: Option<Timestamp>,
    /// Outcomes in a row that speak against `status`: not well while up or unknown, well while degraded, not down while
    /// down.
    pub streak: u32,
    /// The start of that streak's first check.
    pub streak_since: Option<Timestamp>,
    /// Failures in a row while it is not confirmed down.
    pub downs: u32,
    /// The start of the first of them.
    pub downs_since: Option<Timestamp>,
    /// Failures of the open incident so far; of the outage, for one that began as degraded.
    pub failures: u32,
    /// Of the open incident.
    pub severity: Option<Severity>,
    /// The last outcomes since the last incident, where the policy has a window.
    pub window: Failures,
    /// The last outcomes, for flapping.
    pub recent: Recent,
    /// Whether it goes up and down too often to tell each.
    pub flapping: bool,
    /// The slot of the last outcome that was judged.
    pub last_slot_at: Option<Timestamp>,
}

impl State {
    /// After a person ended the incident: only a fresh confirmation opens another one.
    #[must_use]
    pub fn ended_by_operator(self) -> Self {
        let Self { recent, flapping, last_slot_at, .. } = self;
        Self { recent, flapping, last_slot_at, ..Self::default() }
    }

    /// Without what happened in a row.
    pub(super) fn without_streaks(mut self) -> Self {
        self.end_streak();
        self.end_downs();
        (self.window, self.recent) = (Failures::default(), Recent::default());
        self
    }

    pub(super) fn enter(&mut self, status: Status, severity: Severity, since: Timestamp, failures: u32) {
        self.end_streak();
        self.end_downs();
        (self.status, self.severity) = (status, Some(severity));
        (self.since, self.failures) = (Some(since), failures);
    }

    /// The streak with the outcome of the check that began `at` in it, and its first check's start.
    pub(super) fn continue_streak(&mut self, at: Timestamp) -> (u32, Timestamp) {
        (self.streak, self.streak_since) = (self.streak.saturating_add(1), self.streak_since.or(Some(at)));
        (self.streak, self.streak_since.unwrap_or(at))
    }

    pub(super) fn end_streak(&mut self) {
        (self.streak, self.streak_since) = (0, None);
    }

    /// As [`Self::continue_streak`], of failures.
    pub(super) fn continue_downs(&mut self, at: Timestamp) -> (u32, Timestamp) {
        (self.downs, self.downs_since) = (self.downs.saturating_add(1), self.downs_since.or(Some(at)));
        (self.downs, self.downs_since.unwrap_or(at))
    }

    pub(super) fn end_downs(&mut self) {
        (self.downs, self.downs_since) = (0, None);
    }
}

/// The last outcomes, one bit each, 1 for down, behind a leading 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub struct Recent(u32);

impl From<u32> for Recent {
    fn from(bits: u32) -> Self {
        Self::from_bits(bits)
    }
}

impl From<Recent> for u32 {
    fn from(recent: Recent) -> Self {
        recent.bits()
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self(1)
    }
}

impl Recent {
    /// Among how many changes from one outcome to the next flapping is looked for.
    pub const CHANGES: u32 = 20;

    /// The outcomes as a number: behind a leading 1, the newest last.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// From such a number; any other is none.
    pub fn from_bits(bits: u32) -> Self {
        if bits == 0 || bits >> (Self::CHANGES + 2) != 0 { Self::default() } else { Self(bits) }
    }

    /// How many outcomes are in it, at most [`Self::CHANGES`] + 1.
    pub fn count(self) -> u32 {
        self.0.ilog2()
    }

    pub(super) fn push(&mut self, down: bool) {
        const OUTCOMES: u32 = Recent::CHANGES + 1;
        let outcomes = (self.0 << 1) | u32::from(down);
        let has = outcomes.ilog2();
        self.0 = if has > OUTCOMES { (outcomes & ((1 << OUTCOMES) - 1)) | (1 << OUTCOMES) } else { outcomes };
    }

    /// How often one outcome was another than the one before it.
    pub fn changes(self) -> u32 {
        let changed = self.0 ^ (self.0 >> 1);
        // Neither the leading 1 nor the first outcome, which has none before it.
        (changed & ((1 << self.count().saturating_sub(1)) - 1)).count_ones()
    }

    /// How many of the last `of` were down.
    pub fn downs_among_last(self, of: u32) -> u32 {
        let of = of.min(self.count());
        (self.0 & ((1 << of) - 1)).count_ones()
    }
}

/// The last outcomes, and when those began that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    pub recent: Recent,
    /// The starts of the failed checks among them, the newest last.
    pub failed_at: Vec<Timestamp>,
}

impl Failures {
    pub(super) fn push(&mut self, down: bool, at: Timestamp) {
        self.recent.push(down);
        if down {
            self.failed_at.push(at);
        }
        let kept = self.recent.downs_among_last(self.recent.count()) as usize;
        self.failed_at.drain(..self.failed_at.len().saturating_sub(kept));
    }

    /// How many of the last `of` failed, and when the first of those began.
    pub(super) fn among_last(&self, of: u32) -> (u32, Option<Timestamp>) {
        let failures = self.recent.downs_among_last(of);
        let first = self.failed_at.len().checked_sub(failures as usize);
        (failures, first.and_then(|first| self.failed_at.get(first).copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_outcomes_are_the_last_twenty_one() {
        let mut recent = Recent::default();
        assert_eq!((recent.count(), recent.changes(), recent.downs_among_last(9)), (0, 0, 0));
        for step in 0..100_u32 {
            recent.push(step % 2 == 0);
            assert_eq!(recent.count(), (step + 1).min(21));
            assert_eq!(recent.changes(), step.min(20), "after {step}");
            assert_eq!(Recent::from_bits(recent.bits()), recent);
        }
        assert_eq!(recent.downs_among_last(4), 2);
        assert_eq!(Recent::from_bits(0), Recent::default());
    }
}
