//! From outcomes to incidents: the facts. Pure: `judge(state, policy, observation)` gives the next state and what changed.
//! Who is told of it, and when, is decided elsewhere ([`announcement`](crate::announcement)).
//!
//! ```text
//!                       recover times not down: Resolved
//!          ┌───────────────────────────────────────────────────────────────┐
//!          ▼                                                               │
//!  unknown, up ── confirm times in a row, or n of the last m: Opened ──▶ down ── for long: Escalated
//!      ▲   │                                                               ▲
//!      │   └── confirm times not well: Opened ──▶ degraded ── confirm times down: Worsened
//!      └───────── recover times up: Resolved ────────┘
//! ```
//!
//! Invariants: opened and resolved alternate; an incident starts at its first failure and ends at its first success; an
//! inconclusive outcome moves nothing; a slot that is not newer than the last judged one moves nothing, so a check that ran
//! twice counts once.

pub mod locations;
mod memory;

pub use memory::{Failures, Recent, State, Status};

use crate::check::{CheckReport, FailureClass, Outcome};
use crate::duration::elapsed;
use crate::event::Severity;
use crate::monitor::Policy;
use jiff::Timestamp;

#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The instant that the check was due.
    pub slot_at: Timestamp,
    pub started_at: Timestamp,
    pub report: &'a CheckReport,
}

/// What an outcome changed, beyond the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// An incident, from its first failure.
    Opened {
        /// Only [`Severity::Degraded`] or [`Severity::Down`].
        severity: Severity,
        started_at: Timestamp,
        failures: u32,
    },
    /// The degraded incident is an outage now.
    Worsened {
        /// The outage's first failure.
        started_at: Timestamp,
        failures: u32,
    },
    /// The outage lasts long. Once for each.
    Escalated {
        failures: u32,
    },
    /// The incident's end, at the first success.
    Resolved {
        /// The first failure; of the outage, if it was one.
        started_at: Timestamp,
        ended_at: Timestamp,
        failures: u32,
    },
    /// It goes up and down too often to tell each.
    FlappingBegan,
    FlappingEnded,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub state: State,
    /// What people may have to be told, in order.
    pub changes: Vec<StateChange>,
    /// Whether the outcome began or continued a streak that decides nothing yet, so that the next look should
    /// come after `retry_interval`, not after `interval`.
    pub recheck: bool,
}

/// How well a target is that could be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Up,
    Degraded,
    Down,
}

/// Of how many intervals' silence a streak does not survive.
const STREAK_GAP: u32 = 5;

/// At how many changes among the last [`Recent::CHANGES`] it begins to flap: 30 %.
const FLAPPING_FROM: u32 = 6;

/// Below how many it ends: 25 %.
const STEADY_BELOW: u32 = 5;

pub fn judge(state: State, policy: &Policy, seen: Observation<'_>) -> Judgement {
    // A last slot that lies ahead of this check's start was made by a clock that was wrong: it stands for nothing.
    let last_slot_at = state.last_slot_at.filter(|last| *last <= seen.started_at);
    let level = level(seen.report).filter(|_| last_slot_at.is_none_or(|last| seen.slot_at > last));
    let Some(level) = level else {
        return Judgement { state, changes: Vec::new(), recheck: false };
    };
    // "In a row" has an end: what failed before a long silence says nothing about now.
    let silence = last_slot_at.map(|last| elapsed(last, seen.slot_at)).unwrap_or_default();
    let mut state =
        if silence > policy.interval.saturating_mul(STREAK_GAP) { state.without_streaks() } else { state };
    state.last_slot_at = Some(seen.slot_at);
    state.recent.push(level == Level::Down);
    if policy.window.is_some() {
        state.window.push(level == Level::Down, seen.started_at);
    } else {
        // Of a policy that is no more. If it comes back, what failed long ago is not among the last checks.
        state.window = Failures::default();
    }
    let mut judging = Judging { state, policy, at: seen.started_at, changes: Vec::new() };
    let recheck = match judging.state.status {
        Status::Unknown | Status::Up => judging.while_up(level),
        Status::Degraded => judging.while_degraded(level),
        Status::Down => judging.while_down(level),
    };
    judging.flapping();
    Judgement { state: judging.state, changes: judging.changes, recheck }
}

/// `None`: it says nothing about the target.
fn level(report: &CheckReport) -> Option<Level> {
    match report.outcome() {
        Outcome::Inconclusive => None,
        Outcome::Down => Some(Level::Down),
        // A certificate that nears its end is told by itself, and makes no incident.
        Outcome::Up if report.warnings.iter().any(|warning| warning.class != FailureClass::Certificate) => {
            Some(Level::Degraded)
        }
        Outcome::Up => Some(Level::Up),
    }
}

/// One outcome on its way through the state. Each step says whether it decides nothing yet.
struct Judging<'p> {
    state: State,
    policy: &'p Policy,
    at: Timestamp,
    changes: Vec<StateChange>,
}

impl Judging<'_> {
    fn while_up(&mut self, level: Level) -> bool {
        if level == Level::Up {
            self.be_up(self.state.since.unwrap_or(self.at));
            return false;
        }
        let (troubled, troubled_since) = self.state.continue_streak(self.at);
        if level == Level::Down {
            if let Some((failures, started_at)) = self.outage() {
                self.open(Severity::Down, started_at, failures);
                return false;
            }
        } else {
            self.state.end_downs();
            if troubled >= self.policy.confirm.max(1) {
                self.open(Severity::Degraded, troubled_since, troubled);
                return false;
            }
        }
        true
    }

    fn while_degraded(&mut self, level: Level) -> bool {
        if level == Level::Up {
            self.state.end_downs();
            return self.recover();
        }
        self.state.end_streak();
        self.state.failures = self.state.failures.saturating_add(1);
        if level == Level::Degraded {
            self.state.end_downs();
            return false;
        }
        let Some((failures, started_at)) = self.outage() else { return true };
        self.worsen(started_at, failures);
        false
    }

    fn while_down(&mut self, level: Level) -> bool {
        if level == Level::Down {
            self.state.end_streak();
            self.state.failures = self.state.failures.saturating_add(1);
            self.escalate();
            return false;
        }
        let undecided = self.recover();
        if undecided || level == Level::Up {
            return undecided;
        }
        // No longer down, and not well: that has a confirmation of its own.
        self.while_up(level)
    }

    /// Counts one more down in a row. When that, or the window, makes an outage: its failures, and the first of them.
    fn outage(&mut self) -> Option<(u32, Timestamp)> {
        let (downs, downs_since) = self.state.continue_downs(self.at);
        if downs >= self.policy.confirm.max(1) {
            return Some((downs, downs_since));
        }
        let window = self.policy.window?;
        let (failures, since) = self.state.window.among_last(window.of);
        (failures >= window.failures.max(1)).then(|| (failures, since.unwrap_or(downs_since)))
    }

    fn open(&mut self, severity: Severity, started_at: Timestamp, failures: u32) {
        let status = if severity == Severity::Down { Status::Down } else { Status::Degraded };
        self.state.enter(status, severity, started_at, failures);
        self.changes.push(StateChange::Opened { severity, started_at, failures });
        self.escalate();
    }

    fn worsen(&mut self, started_at: Timestamp, failures: u32) {
        self.state.enter(Status::Down, Severity::Down, started_at, failures);
        self.changes.push(StateChange::Worsened { started_at, failures });
        self.escalate();
    }

    fn escalate(&mut self) {
        let State { severity, failures, since, .. } = &self.state;
        let lasted = since.map(|since| elapsed(since, self.at)).unwrap_or_default();
        let is_long = self.policy.critical_failures.is_some_and(|most| *failures >= most.max(1))
            || self.policy.critical_after.is_some_and(|most| lasted >= most);
        if *severity == Some(Severity::Down) && is_long {
            self.changes.push(StateChange::Escalated { failures: *failures });
            self.state.severity = Some(Severity::Critical);
        }
    }

    /// Counts one more success in a row, and ends the incident when they are enough.
    fn recover(&mut self) -> bool {
        let (successes, first) = self.state.continue_streak(self.at);
        if successes < self.policy.recover.max(1) {
            return true;
        }
        self.resolve(first);
        false
    }

    fn resolve(&mut self, ended_at: Timestamp) {
        let (started_at, failures) = (self.state.since.unwrap_or(ended_at), self.state.failures);
        self.changes.push(StateChange::Resolved { started_at, ended_at, failures });
        self.state.window = Failures::default();
        self.be_up(ended_at);
    }

    fn be_up(&mut self, since: Timestamp) {
        self.state.end_streak();
        self.state.end_downs();
        (self.state.status, self.state.since) = (Status::Up, Some(since));
        (self.state.severity, self.state.failures) = (None, 0);
    }

    fn flapping(&mut self) {
        let changes = self.state.recent.changes();
        let flaps =
            self.policy.flapping && changes >= if self.state.flapping { STEADY_BELOW } else { FLAPPING_FROM };
        if flaps != self.state.flapping {
            self.state.flapping = flaps;
            self.changes.push(if flaps { StateChange::FlappingBegan } else { StateChange::FlappingEnded });
        }
    }
}
