//! From outcomes to incidents. Pure: `judge(state, policy, observation)` gives the next state and the change.
//!
//! ```text
//!             success                          failure: 1 ‥ confirm-1, re-check soon
//! unknown ─────────────▶ up ◀──────────────┐  ┌──┐
//!    │                   └──────failure────┴──┘  │
//!    │ confirm failures in a row                 │ confirm failures in a row: Opened
//!    ▼                                           ▼
//!   down ◀────────────────────────────────────  down ── success: 1 ‥ recover-1, re-check soon
//!    └── recover successes in a row: Resolved ──▶ up
//! ```
//!
//! Invariants: opened and resolved alternate; an incident starts at its first failure and ends at its first
//! success; an inconclusive outcome moves nothing; a slot that is not newer than the last judged one moves nothing,
//! so a check that ran twice counts once.

use crate::check::{CheckReport, Outcome};
use crate::monitor::Policy;
use jiff::Timestamp;

/// What is known of a monitor's target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not checked yet.
    #[default]
    Unknown,
    /// No incident.
    Up,
    /// An incident is open.
    Down,
}

impl Status {
    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Unknown, Self::Up, Self::Down].into_iter().find(|status| status.as_str() == word).ok_or(())
    }
}

/// What the judgement remembers of a monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Up or down, as far as confirmed.
    pub status: Status,
    /// Since when: the first success, or the first failure of the incident. `None` while unknown.
    pub since: Option<Timestamp>,
    /// Outcomes in a row that speak against `status`: failures while up or unknown, successes while down.
    pub streak: u32,
    /// The start of that streak's first check.
    pub streak_since: Option<Timestamp>,
    /// Failures of the open incident so far.
    pub failures: u32,
    /// The slot of the last outcome that was judged.
    pub last_slot_at: Option<Timestamp>,
}

/// One outcome, to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The instant that the check was due.
    pub slot_at: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// What it found.
    pub report: &'a CheckReport,
}

/// What an outcome changed, beyond the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Enough failures in a row: an incident, from the first of them.
    Opened {
        /// The first failure.
        started_at: Timestamp,
        /// How many in a row.
        failures: u32,
    },
    /// Enough successes in a row: its end, at the first of them.
    Resolved {
        /// The incident's first failure.
        started_at: Timestamp,
        /// The first success.
        ended_at: Timestamp,
        /// Failures in all.
        failures: u32,
    },
}

/// The verdict on one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What is known now.
    pub state: State,
    /// What people may have to be told.
    pub change: Option<Change>,
    /// Whether the outcome began or continued a streak that decides nothing yet, so that the next look should
    /// come after `retry_interval`, not after `interval`.
    pub recheck: bool,
}

/// Of how many intervals' silence a streak does not survive.
const STREAK_GAP: u32 = 5;

/// Judges one outcome.
pub fn judge(state: State, policy: &Policy, seen: Observation<'_>) -> Judgement {
    let unmoved = Judgement { state, change: None, recheck: false };
    // A last slot that lies ahead of this check's start was made by a clock that was wrong: it stands for nothing.
    let last_slot_at = state.last_slot_at.filter(|last| *last <= seen.started_at);
    if last_slot_at.is_some_and(|last| seen.slot_at <= last) {
        return unmoved;
    }
    // "In a row" has an end: what failed before a long silence says nothing about now.
    let silence =
        last_slot_at.map(|last| seen.slot_at.duration_since(last).unsigned_abs()).unwrap_or_default();
    let state = if silence > policy.interval.saturating_mul(STREAK_GAP) {
        State { streak: 0, streak_since: None, ..state }
    } else {
        state
    };
    match (state.status, seen.report.outcome()) {
        (_, Outcome::Inconclusive) => unmoved,
        (Status::Unknown | Status::Up, Outcome::Up) => {
            let since = state.since.unwrap_or(seen.started_at);
            let state = State {
                status: Status::Up,
                since: Some(since),
                last_slot_at: Some(seen.slot_at),
                ..State::default()
            };
            Judgement { state, change: None, recheck: false }
        }
        (Status::Unknown | Status::Up, Outcome::Down) => {
            let (streak, first) = continued(state, seen);
            if streak < policy.confirm.max(1) {
                let state =
                    State { streak, streak_since: Some(first), last_slot_at: Some(seen.slot_at), ..state };
                return Judgement { state, change: None, recheck: true };
            }
            let state = State {
                status: Status::Down,
                since: Some(first),
                streak: 0,
                streak_since: None,
                failures: streak,
                last_slot_at: Some(seen.slot_at),
            };
            Judgement {
                state,
                change: Some(Change::Opened { started_at: first, failures: streak }),
                recheck: false,
            }
        }
        (Status::Down, Outcome::Down) => {
            let state = State {
                streak: 0,
                streak_since: None,
                failures: state.failures.saturating_add(1),
                last_slot_at: Some(seen.slot_at),
                ..state
            };
            Judgement { state, change: None, recheck: false }
        }
        (Status::Down, Outcome::Up) => {
            let (streak, first) = continued(state, seen);
            if streak < policy.recover.max(1) {
                let state =
                    State { streak, streak_since: Some(first), last_slot_at: Some(seen.slot_at), ..state };
                return Judgement { state, change: None, recheck: true };
            }
            let started_at = state.since.unwrap_or(first);
            let change = Change::Resolved { started_at, ended_at: first, failures: state.failures };
            let state = State {
                status: Status::Up,
                since: Some(first),
                last_slot_at: Some(seen.slot_at),
                ..State::default()
            };
            Judgement { state, change: Some(change), recheck: false }
        }
    }
}

/// The streak with this outcome in it, and its first check's start.
fn continued(state: State, seen: Observation<'_>) -> (u32, Timestamp) {
    match state.streak_since {
        Some(first) => (state.streak.saturating_add(1), first),
        None => (1, seen.started_at),
    }
}
