//! From what several locations see to how a monitor is. Pure.
//!
//! Each location has a judgement of its own, with its own confirmation and recovery ([`judge`](super::judge)). A monitor is down
//! while at least k of them are: its outage begins when the k-th began to fail, and ends when the first of those was well again.
//!
//! Nobody is in charge. Whoever records a check compares all that is known of the monitor then:
//! - A location that was silent for [`STREAK_GAP`] intervals does not count, nor towards k: with every other location gone, the
//!   last one decides alone, rather than nobody.
//! - One that was added a moment ago, or has confirmed nothing yet, counts as either: while it could turn the balance, all stays
//!   as it is.

use super::{Judgement, Judging, Level, STREAK_GAP, State, Status};
use crate::event::Severity;
use crate::monitor::{Location, Policy};
use jiff::Timestamp;
use std::time::Duration;

/// What is known of a monitor from one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalState {
    /// Which.
    pub location: Location,
    /// What the judgement remembers of it there.
    pub state: State,
    /// Since when the monitor is looked at from there.
    pub added_at: Timestamp,
}

/// The policy by which a monitor is judged in each of its locations: what concerns the monitor as a whole is decided of all of
/// them together.
#[must_use]
pub fn local(policy: &Policy) -> Policy {
    Policy { critical_failures: None, critical_after: None, flapping: false, ..policy.clone() }
}

/// Judges a monitor by its locations, after a check of the slot `slot_at` in one of them, which began at `at`.
pub fn judge_together(
    state: State,
    policy: &Policy,
    locations: &[LocalState],
    slot_at: Timestamp,
    at: Timestamp,
) -> Judgement {
    let balance = Balance::of(policy, locations, at);
    // As for a single judgement, a last slot that lies ahead was made by a clock that was wrong.
    let last_slot_at = state.last_slot_at.filter(|last| *last <= at);
    let is_new = last_slot_at.is_none_or(|last| slot_at > last);
    let Some(level) = balance.level().filter(|level| is_new || !is_at(state.status, *level)) else {
        let mut state = state;
        balance.doubt(&mut state);
        return Judgement { state, changes: Vec::new(), recheck: false };
    };
    let silence = last_slot_at.map(|last| slot_at.duration_since(last).unsigned_abs()).unwrap_or_default();
    let mut state = if silence > longest_silence(policy) { state.forgetful() } else { state };
    state.last_slot_at = last_slot_at.max(Some(slot_at));
    state.recent.push(level == Level::Down);
    let mut judging = Judging { state, policy, at, changes: Vec::new() };
    judging.follow(level, &balance);
    judging.flapping();
    balance.doubt(&mut judging.state);
    Judgement { state: judging.state, changes: judging.changes, recheck: false }
}

/// What they say, for people: `down in fra, nyc; up in sgp; nothing from syd`.
pub fn in_words(policy: &Policy, locations: &[LocalState], now: Timestamp) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> =
        ["down in", "degraded in", "up in", "undecided in", "nothing from"]
            .map(|words| (words, Vec::new()))
            .into();
    for local in locations {
        let group = match (standing(local, policy, now), local.state.status) {
            (Standing::Silent, _) => 4,
            (Standing::Undecided, _) => 3,
            (Standing::Decided, Status::Down) => 0,
            (Standing::Decided, Status::Degraded) => 1,
            (Standing::Decided, Status::Up | Status::Unknown) => 2,
        };
        groups[group].1.push(local.location.as_str());
    }
    let said = groups.into_iter().filter(|(_, names)| !names.is_empty());
    said.map(|(words, names)| format!("{words} {}", names.join(", "))).collect::<Vec<_>>().join("; ")
}

/// Of how many locations' word a monitor's outage is made, when nobody said so: more than half.
pub fn majority(locations: usize) -> u32 {
    u32::try_from(locations / 2 + 1).unwrap_or(u32::MAX)
}

fn longest_silence(policy: &Policy) -> Duration {
    policy.interval.saturating_mul(STREAK_GAP)
}

fn is_at(status: Status, level: Level) -> bool {
    matches!(
        (status, level),
        (Status::Up, Level::Up) | (Status::Degraded, Level::Degraded) | (Status::Down, Level::Down)
    )
}

/// What a location's word is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Decided,
    Undecided,
    Silent,
}

fn standing(local: &LocalState, policy: &Policy, now: Timestamp) -> Standing {
    let longest = longest_silence(policy);
    // One that lies ahead was made by a clock that was wrong, and counts as now.
    let is_fresh =
        |at: Timestamp| now.duration_since(at) <= longest.try_into().unwrap_or(jiff::SignedDuration::MAX);
    match local.state.last_slot_at {
        Some(last) if !is_fresh(last) => Standing::Silent,
        Some(_) if local.state.status != Status::Unknown => Standing::Decided,
        None if !is_fresh(local.added_at) => Standing::Silent,
        Some(_) | None => Standing::Undecided,
    }
}

/// What the locations say together.
struct Balance<'l> {
    decided: Vec<&'l State>,
    undecided: usize,
    /// So many make an outage.
    needed: usize,
}

impl<'l> Balance<'l> {
    fn of(policy: &Policy, locations: &'l [LocalState], now: Timestamp) -> Self {
        let of = |wanted: Standing| {
            locations
                .iter()
                .filter(move |local| standing(local, policy, now) == wanted)
                .map(|local| &local.state)
        };
        let (decided, undecided) =
            (of(Standing::Decided).collect::<Vec<_>>(), of(Standing::Undecided).count());
        let down_in = policy.down_in.unwrap_or_else(|| majority(locations.len())).max(1);
        let down_in = usize::try_from(down_in).unwrap_or(usize::MAX);
        Self { needed: down_in.min(decided.len() + undecided), decided, undecided }
    }

    fn count(&self, is: impl Fn(Status) -> bool) -> usize {
        self.decided.iter().filter(|state| is(state.status)).count()
    }

    /// `None`: not known.
    fn level(&self) -> Option<Level> {
        if self.decided.is_empty() {
            return None;
        }
        for (level, count) in [(Level::Down, self.count(is_down)), (Level::Degraded, self.count(is_troubled))]
        {
            if count >= self.needed {
                return Some(level);
            }
            if count + self.undecided >= self.needed {
                return None;
            }
        }
        Some(Level::Up)
    }

    /// Since when enough of them are `so`.
    fn since(&self, enough: usize, so: impl Fn(Status) -> bool) -> Option<Timestamp> {
        let mut since: Vec<Timestamp> =
            self.decided.iter().filter(|state| so(state.status)).filter_map(|state| state.since).collect();
        since.sort_unstable();
        since.get(enough.checked_sub(1)?).copied()
    }

    /// The most failures in a row in one of them.
    fn failures(&self) -> u32 {
        self.decided
            .iter()
            .filter(|state| is_troubled(state.status))
            .map(|state| state.failures)
            .max()
            .unwrap_or(0)
    }

    /// While it is not down, failures that decide nothing yet are a doubt for those that are reached through it.
    fn doubt(&self, state: &mut State) {
        let doubts = || self.decided.iter().filter(|local| local.downs > 0);
        state.end_downs();
        if state.status != Status::Down {
            state.downs = doubts().map(|local| local.downs).max().unwrap_or(0);
            state.downs_since = doubts().filter_map(|local| local.downs_since).min();
        }
    }
}

fn is_down(status: Status) -> bool {
    status == Status::Down
}

fn is_troubled(status: Status) -> bool {
    matches!(status, Status::Down | Status::Degraded)
}

impl Judging<'_> {
    fn follow(&mut self, level: Level, balance: &Balance<'_>) {
        let failures = balance.failures().max(1);
        let down_since = || balance.since(balance.needed, is_down).unwrap_or(self.at);
        let troubled_since = || balance.since(balance.needed, is_troubled).unwrap_or(self.at);
        // Fewer than `needed` fail from when so many don't.
        let enough = balance.decided.len() + balance.undecided + 1 - balance.needed;
        let not_down_since = || balance.since(enough, |status| !is_down(status));
        let well_since = || balance.since(enough, |status| !is_troubled(status));
        match (self.state.status, level) {
            (Status::Unknown | Status::Up, Level::Up) => {
                let since = self.state.since.or_else(well_since).unwrap_or(self.at);
                self.be_up(since);
            }
            (Status::Unknown | Status::Up, Level::Degraded) => {
                let since = troubled_since();
                self.open(Severity::Degraded, since, failures);
            }
            (Status::Unknown | Status::Up, Level::Down) => {
                let since = down_since();
                self.open(Severity::Down, since, failures);
            }
            (Status::Degraded, Level::Down) => {
                let since = down_since();
                self.worsen(since, failures);
            }
            (Status::Degraded, Level::Degraded) | (Status::Down, Level::Down) => {
                self.state.failures = self.state.failures.max(failures);
                self.escalate();
            }
            (Status::Degraded, Level::Up) => {
                let since = self.end(well_since());
                self.resolve(since);
            }
            (Status::Down, Level::Up) => {
                let since = self.end(not_down_since());
                self.resolve(since);
            }
            (Status::Down, Level::Degraded) => {
                let since = self.end(not_down_since());
                self.resolve(since);
                self.open(Severity::Degraded, since, failures);
            }
        }
    }

    /// The end of the open incident. Where it ends because a location no longer counts, nothing happened but this check.
    fn end(&self, since: Option<Timestamp>) -> Timestamp {
        since
            .filter(|since| self.state.since.is_none_or(|started_at| *since >= started_at))
            .unwrap_or(self.at)
    }
}
