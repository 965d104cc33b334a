//! From what several locations see to how a monitor is. Pure.
//!
//! Each location has a judgement of its own, with its own confirmation and recovery ([`judge`](super::judge)). A monitor is down
//! while at least k of them are: its outage begins when the k-th began to fail, and ends when the first of those was well again.
//!
//! Nobody is in charge. Whoever records a check compares all that is known of the monitor then:
//! - A location that was silent for [`STREAK_GAP`] intervals does not count, nor towards k: with every other location gone, the
//!   last one decides alone, rather than nobody. But while one still sees an outage, another that saw it and fell silent has not
//!   seen its end.
//! - One that is waited for ([`LocalState::awaited_since`]), or has confirmed nothing yet, counts as either: while it could turn
//!   the balance, all stays as it is. After a silence of the monitor itself all are waited for ([`restart_waiting`]).
//! - A check that found nothing wrong opens nothing, and one that says nothing about the target moves nothing.

use super::{Judgement, Judging, Level, Observation, STREAK_GAP, State, Status, level};
use crate::duration::elapsed;
use crate::event::Severity;
use crate::monitor::{Location, Policy};
use jiff::Timestamp;
use std::time::Duration;

/// What is known of a monitor from one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalState {
    pub location: Location,
    /// What the judgement remembers of it there.
    pub state: State,
    /// Since when its word is waited for: since it was added, or since the monitor began to be looked at again.
    pub awaited_since: Timestamp,
}

/// The policy by which a monitor is judged in each of its locations: what concerns the monitor as a whole is decided of all of
/// them together.
#[must_use]
pub fn local(policy: &Policy) -> Policy {
    Policy { critical_failures: None, critical_after: None, flapping: false, ..policy.clone() }
}

/// After a silence of the monitor itself nobody is to be blamed for his: each location is waited for from now on. To be asked
/// before a check is judged; says whether it was so.
pub fn restart_waiting(policy: &Policy, locations: &mut [LocalState], now: Timestamp) -> bool {
    let newest = locations.iter().filter_map(|local| local.state.last_slot_at).max();
    let was_silent = newest.is_some_and(|newest| !is_fresh(newest, policy, now));
    if was_silent {
        for local in locations.iter_mut() {
            local.awaited_since = now;
        }
    }
    was_silent
}

/// Judges a monitor by its locations after a check in one of them, which is in its [`LocalState`] already.
pub fn judge_together(
    state: State,
    policy: &Policy,
    locations: &[LocalState],
    seen: Observation<'_>,
    now: Timestamp,
) -> Judgement {
    let balance = Balance::of(policy, locations, state.status, now);
    let found = level(seen.report);
    // As for a single judgement, a last slot that lies ahead was made by a clock that was wrong.
    let last_slot_at = state.last_slot_at.filter(|last| *last <= now);
    let looked_at = balance.looked_at();
    let is_new = looked_at > last_slot_at;
    let together = balance.level().filter(|together| {
        let opens = *together != Level::Up && !is_at(state.status, *together);
        (is_new || !is_at(state.status, *together)) && (!opens || found != Some(Level::Up))
    });
    let Some(together) = together.filter(|_| found.is_some()) else {
        let mut state = state;
        balance.set_doubt(&mut state);
        return Judgement { state, changes: Vec::new(), recheck: false };
    };
    let silence = last_slot_at.map(|last| elapsed(last, seen.slot_at)).unwrap_or_default();
    let mut state = if silence > longest_silence(policy) { state.without_streaks() } else { state };
    state.last_slot_at = last_slot_at.max(looked_at);
    state.recent.push(together == Level::Down);
    let mut judging = Judging { state, policy, at: seen.started_at, changes: Vec::new() };
    judging.apply_level(together, &balance);
    judging.flapping();
    balance.set_doubt(&mut judging.state);
    Judgement { state: judging.state, changes: judging.changes, recheck: false }
}

/// What they say, for people: `down in fra, nyc; up in sgp; nothing from syd`.
pub fn in_words(policy: &Policy, locations: &[LocalState], now: Timestamp) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> =
        ["down in", "degraded in", "up in", "undecided in", "nothing from"]
            .map(|words| (words, Vec::new()))
            .into();
    for local in locations {
        let group = match (vote(local, policy, now), local.state.status) {
            (Vote::Silent, _) => 4,
            (Vote::Undecided, _) => 3,
            (Vote::Decided, Status::Down) => 0,
            (Vote::Decided, Status::Degraded) => 1,
            (Vote::Decided, Status::Up | Status::Unknown) => 2,
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
enum Vote {
    Decided,
    Undecided,
    Silent,
}

/// One that lies ahead was made by a clock that was wrong, and counts as now.
fn is_fresh(at: Timestamp, policy: &Policy, now: Timestamp) -> bool {
    elapsed(at, now) <= longest_silence(policy)
}

fn vote(local: &LocalState, policy: &Policy, now: Timestamp) -> Vote {
    let is_heard = local.state.last_slot_at.is_some_and(|last| is_fresh(last, policy, now));
    if is_heard && local.state.status != Status::Unknown {
        Vote::Decided
    } else if is_heard || is_fresh(local.awaited_since, policy, now) {
        Vote::Undecided
    } else {
        Vote::Silent
    }
}

/// What the locations say together.
struct Balance<'l> {
    decided: Vec<&'l State>,
    undecided: Vec<&'l State>,
    /// So many make an outage.
    needed: usize,
}

impl<'l> Balance<'l> {
    fn of(policy: &Policy, locations: &'l [LocalState], status: Status, now: Timestamp) -> Self {
        let of = |wanted: Vote| {
            let those = locations.iter().filter(move |local| vote(local, policy, now) == wanted);
            those.map(|local| &local.state)
        };
        let decided: Vec<&State> = of(Vote::Decided).collect();
        let goes_on = is_down(status) && decided.iter().any(|state| is_down(state.status));
        let saw_it = |state: &&State| goes_on && is_down(state.status);
        let undecided: Vec<&State> = of(Vote::Undecided).chain(of(Vote::Silent).filter(saw_it)).collect();
        let down_in = policy.down_in.unwrap_or_else(|| majority(locations.len())).max(1);
        let down_in = usize::try_from(down_in).unwrap_or(usize::MAX);
        Self { needed: down_in.min(decided.len() + undecided.len()), decided, undecided }
    }

    /// So many of them are enough to say that it is not down.
    fn quorum_up(&self) -> usize {
        self.decided.len() + self.undecided.len() + 1 - self.needed
    }

    /// The newest slot that so many have looked at.
    fn looked_at(&self) -> Option<Timestamp> {
        let all = self.decided.iter().chain(&self.undecided);
        let mut slots: Vec<Timestamp> = all.filter_map(|state| state.last_slot_at).collect();
        slots.sort_unstable();
        slots.len().checked_sub(self.quorum_up()).map(|place| slots[place])
    }

    fn count(&self, is: impl Fn(Status) -> bool) -> usize {
        self.decided.iter().filter(|state| is(state.status)).count()
    }

    fn level(&self) -> Option<Level> {
        if self.decided.is_empty() {
            return None;
        }
        for (level, count) in [(Level::Down, self.count(is_down)), (Level::Degraded, self.count(is_troubled))]
        {
            if count >= self.needed {
                return Some(level);
            }
            if count + self.undecided.len() >= self.needed {
                return None;
            }
        }
        Some(Level::Up)
    }

    /// Since when enough of them are `so`.
    fn since(&self, quorum_up: usize, so: impl Fn(Status) -> bool) -> Option<Timestamp> {
        let mut since: Vec<Timestamp> =
            self.decided.iter().filter(|state| so(state.status)).filter_map(|state| state.since).collect();
        since.sort_unstable();
        since.get(quorum_up.checked_sub(1)?).copied()
    }

    /// The most failures in a row in one of them.
    fn failures(&self) -> u32 {
        let troubled = self.decided.iter().filter(|state| is_troubled(state.status));
        troubled.map(|state| state.failures).max().unwrap_or(0)
    }

    /// While it is not down, failures that decide nothing yet are a doubt for those that are reached through it.
    fn set_doubt(&self, state: &mut State) {
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
    fn apply_level(&mut self, level: Level, balance: &Balance<'_>) {
        let (failures, at) = (balance.failures().max(1), self.at);
        let down_since = || balance.since(balance.needed, is_down).unwrap_or(at);
        let troubled_since = || balance.since(balance.needed, is_troubled).unwrap_or(at);
        // Fewer than `needed` fail from when so many don't.
        let quorum_up = balance.quorum_up();
        let not_down_since = || balance.since(quorum_up, |status| !is_down(status));
        let well_since = || balance.since(quorum_up, |status| !is_troubled(status));
        match (self.state.status, level) {
            (Status::Unknown | Status::Up, Level::Up) => {
                self.be_up(self.state.since.or_else(well_since).unwrap_or(at));
            }
            (Status::Unknown | Status::Up, Level::Degraded) => {
                self.open(Severity::Degraded, troubled_since(), failures);
            }
            (Status::Unknown | Status::Up, Level::Down) => self.open(Severity::Down, down_since(), failures),
            (Status::Degraded, Level::Down) => self.worsen(down_since(), failures),
            (Status::Degraded, Level::Degraded) | (Status::Down, Level::Down) => {
                self.state.failures = self.state.failures.max(failures);
                self.escalate();
            }
            (Status::Degraded, Level::Up) => self.resolve(self.end(well_since())),
            (Status::Down, Level::Up) => self.resolve(self.end(not_down_since())),
            (Status::Down, Level::Degraded) => {
                let since = self.end(not_down_since());
                self.resolve(since);
                self.open(Severity::Degraded, since, failures);
            }
        }
    }

    /// The end of the open incident. Where it ends because a location no longer counts, nothing happened but this check.
    fn end(&self, since: Option<Timestamp>) -> Timestamp {
        let is_after = |since: &Timestamp| self.state.since.is_none_or(|started_at| *since >= started_at);
        since.filter(is_after).unwrap_or(self.at)
    }
}
