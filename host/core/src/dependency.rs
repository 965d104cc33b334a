//! What a monitor's parents say of its incident. Pure.
//!
//! A parent and its children fail in the same second, and a child may be sure first. So a parent that is in doubt, or was not
//! looked at since the child's first failure, makes the child's notice wait until it is decided; for a while, so that a parent
//! which nobody can check holds back nothing for ever.

use crate::duration::elapsed;
use crate::judgement::{State, Status};
use crate::monitor::Policy;
use jiff::Timestamp;
use std::time::Duration;

/// A monitor above another one, at any distance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    pub status: Status,
    /// Its failures in a row that decide nothing yet.
    pub downs: u32,
    pub downs_since: Option<Timestamp>,
    /// The slot of the last check that said something about it.
    pub looked_at: Option<Timestamp>,
    pub policy: Policy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// They are well: it is the monitor's own trouble.
    OwnTrouble,
    /// Nobody knows yet. They are to be looked at now.
    Undecided,
    /// One of them is down.
    ParentDown,
}

/// Beside what its confirmation takes, how long a parent is waited for.
const PARENT_WAIT: Duration = Duration::from_secs(10);

impl Ancestor {
    pub fn new(state: &State, policy: &Policy) -> Self {
        let State { status, downs, downs_since, last_slot_at: looked_at, .. } = *state;
        Self { status, downs, downs_since, looked_at, policy: policy.clone() }
    }

    /// What it says of an incident that began at `started_at` and was noticed at `opened_at`. Of several, the worst counts.
    pub fn verdict(&self, started_at: Timestamp, opened_at: Timestamp, now: Timestamp) -> Verdict {
        if self.status == Status::Down {
            return Verdict::ParentDown;
        }
        let Policy { confirm, retry_interval, timeout, .. } = &self.policy;
        let parent_wait = (*retry_interval + *timeout).saturating_mul(*confirm).saturating_add(PARENT_WAIT);
        let is_well = matches!(self.status, Status::Up | Status::Degraded) && self.downs == 0;
        let is_decided = is_well && self.looked_at.is_some_and(|looked_at| looked_at >= started_at);
        // What began to be in doubt only now has its time from now.
        let doubted = self.downs_since.or(self.looked_at.filter(|_| self.status == Status::Unknown));
        // One that lies ahead was made by a clock that was wrong.
        let from =
            doubted.filter(|doubted| *doubted <= now).map_or(opened_at, |doubted| doubted.max(opened_at));
        // So was an opening that lies ahead, and nothing is held back for as long as that takes.
        if is_decided || opened_at > now || elapsed(from, now) >= parent_wait {
            Verdict::OwnTrouble
        } else {
            Verdict::Undecided
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("an instant")
    }

    fn ancestor(status: Status, downs: u32, looked_at: Option<i64>) -> Ancestor {
        let policy = Policy {
            confirm: 2,
            retry_interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            ..Policy::default()
        };
        let downs_since = looked_at.filter(|_| downs > 0).map(at);
        Ancestor { status, downs, downs_since, looked_at: looked_at.map(at), policy }
    }

    /// Of an incident that began at 0 and was noticed at 1.
    fn verdict(ancestors: &[Ancestor], now: i64) -> Verdict {
        let verdicts = ancestors.iter().map(|ancestor| ancestor.verdict(at(0), at(1), at(now)));
        verdicts.max().unwrap_or(Verdict::OwnTrouble)
    }

    #[test]
    fn a_child_waits_for_a_parent_in_doubt_and_not_for_ever() {
        let fine = || ancestor(Status::Up, 0, Some(0));
        for (ancestors, now, verdict_of_them) in [
            (vec![], 1, Verdict::OwnTrouble),
            (vec![fine()], 1, Verdict::OwnTrouble),
            (vec![fine(), ancestor(Status::Down, 0, Some(-9))], 1, Verdict::ParentDown),
            (vec![ancestor(Status::Up, 1, Some(1))], 1, Verdict::Undecided),
            // What was seen before the child failed says nothing about now.
            (vec![ancestor(Status::Up, 0, Some(-1))], 1, Verdict::Undecided),
            // Nor does a person's end of its incident, and one that answered once has another confirmation.
            (vec![ancestor(Status::Unknown, 0, Some(90))], 100, Verdict::Undecided),
            (vec![ancestor(Status::Up, 1, Some(90))], 100, Verdict::Undecided),
            (vec![ancestor(Status::Up, 1, Some(70))], 100, Verdict::OwnTrouble),
            (vec![ancestor(Status::Unknown, 0, None)], 30, Verdict::Undecided),
            (vec![ancestor(Status::Unknown, 0, None)], 31, Verdict::OwnTrouble),
            (
                vec![ancestor(Status::Unknown, 0, None), ancestor(Status::Down, 0, None)],
                99,
                Verdict::ParentDown,
            ),
        ] {
            assert_eq!(verdict(&ancestors, now), verdict_of_them, "{ancestors:?} at {now}");
        }
    }

    #[test]
    fn a_clock_that_went_back_holds_nothing_back() {
        let in_doubt = ancestor(Status::Unknown, 0, None);
        assert_eq!(in_doubt.verdict(at(3_600), at(3_601), at(2)), Verdict::OwnTrouble);
    }
}
