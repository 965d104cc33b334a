//! The judgement against a model that keeps the whole history and recounts it for every outcome.

use jiff::Timestamp;
use proptest::prelude::*;
use std::time::Duration;
use uptime_core::check::{CheckReport, Failure, FailureClass, Outcome};
use uptime_core::judgement::{Change, Observation, State, Status, judge};
use uptime_core::monitor::Policy;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a second of this century")
}

fn report(outcome: Outcome) -> CheckReport {
    let class = match outcome {
        Outcome::Up => None,
        Outcome::Down => Some(FailureClass::Status),
        Outcome::Inconclusive => Some(FailureClass::Permission),
    };
    CheckReport::new(class.map(|class| Failure::new(class, "as scripted")), Duration::from_millis(1))
}

/// The opposite way of doing it: all outcomes that count, in order, and a scan over them.
#[derive(Default)]
struct Model {
    /// Slot, start, whether up.
    counted: Vec<(i64, i64, bool)>,
    open_since: Option<i64>,
}

impl Model {
    fn observe(
        &mut self,
        slot: i64,
        start: i64,
        outcome: Outcome,
        policy: &Policy,
    ) -> Option<(i64, Option<i64>)> {
        if outcome == Outcome::Inconclusive || self.counted.last().is_some_and(|(last, ..)| slot <= *last) {
            return None;
        }
        self.counted.push((slot, start, outcome == Outcome::Up));
        let run =
            |up: bool| self.counted.iter().rev().take_while(|(.., was_up)| *was_up == up).collect::<Vec<_>>();
        match self.open_since {
            None => {
                let failures = run(false);
                if failures.len() < policy.confirm as usize {
                    return None;
                }
                let first = failures[policy.confirm as usize - 1].1;
                self.open_since = Some(first);
                Some((first, None))
            }
            Some(start) => {
                let successes = run(true);
                if successes.len() < policy.recover as usize {
                    return None;
                }
                let end = successes[policy.recover as usize - 1].1;
                self.open_since = None;
                Some((start, Some(end)))
            }
        }
    }
}

fn outcomes() -> impl Strategy<Value = Vec<(i64, Outcome)>> {
    let outcome =
        prop_oneof![4 => Just(Outcome::Up), 5 => Just(Outcome::Down), 1 => Just(Outcome::Inconclusive)];
    // A step of 0 or less is a check that ran twice, or one that a slow worker finished late.
    prop::collection::vec((-2i64..6, outcome), 0..60).prop_map(|steps| {
        let mut slot = 0;
        steps
            .into_iter()
            .map(|(step, outcome)| {
                slot += step;
                (slot, outcome)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn agrees_with_the_model(history in outcomes(), confirm in 1u32..5, recover in 1u32..4) {
        let policy = Policy { confirm, recover, ..Policy::default() };
        let mut model = Model::default();
        let mut state = State::default();
        // A check starts at its slot, or later than others that were due after it.
        let mut start = 0;
        for (slot, outcome) in history {
            start = slot.max(start);
            let report = report(outcome);
            let judged = judge(state, &policy, Observation { slot_at: at(slot), started_at: at(start), report: &report });
            let change = judged.change.map(|change| match change {
                Change::Opened { started_at, .. } => (started_at, None),
                Change::Resolved { started_at, ended_at, .. } => (started_at, Some(ended_at)),
            });
            let expected = model.observe(slot, start, outcome, &policy).map(|(start, end)| (at(start), end.map(at)));
            prop_assert_eq!(change, expected);
            prop_assert_eq!(judged.state.status == Status::Down, model.open_since.is_some());
            state = judged.state;
        }
    }
}

#[test]
fn a_streak_that_decides_nothing_asks_for_a_re_check() {
    let policy = Policy { confirm: 2, recover: 2, ..Policy::default() };
    let mut state = State::default();
    for (slot, outcome, recheck, status) in [
        (0, Outcome::Down, true, Status::Unknown),
        (1, Outcome::Inconclusive, false, Status::Unknown),
        (2, Outcome::Down, false, Status::Down),
        (3, Outcome::Up, true, Status::Down),
        (4, Outcome::Down, false, Status::Down),
        (5, Outcome::Up, true, Status::Down),
        (6, Outcome::Up, false, Status::Up),
        (7, Outcome::Down, true, Status::Up),
        (8, Outcome::Up, false, Status::Up),
    ] {
        let report = report(outcome);
        let judged =
            judge(state, &policy, Observation { slot_at: at(slot), started_at: at(slot), report: &report });
        assert_eq!((judged.recheck, judged.state.status), (recheck, status), "slot {slot}");
        state = judged.state;
    }
    assert_eq!(state.since, Some(at(5)), "an incident ends at its first success");
}

/// Judges outcomes at these slots and starts, in seconds, and says whether an incident is open.
fn is_down_after(policy: &Policy, checks: &[(i64, i64, Outcome)]) -> bool {
    let mut state = State::default();
    for (slot, start, outcome) in checks {
        let report = report(*outcome);
        let seen = Observation { slot_at: at(*slot), started_at: at(*start), report: &report };
        state = judge(state, policy, seen).state;
    }
    state.status == Status::Down
}

#[test]
fn failures_with_a_long_silence_between_are_not_in_a_row() {
    let policy = Policy { confirm: 2, interval: Duration::from_secs(10), ..Policy::default() };
    assert!(is_down_after(&policy, &[(0, 0, Outcome::Down), (50, 50, Outcome::Down)]));
    assert!(!is_down_after(&policy, &[(0, 0, Outcome::Down), (51, 51, Outcome::Down)]));
}

#[test]
fn a_clock_that_was_ahead_does_not_silence_the_judgement() {
    let policy = Policy { confirm: 1, ..Policy::default() };
    assert!(is_down_after(&policy, &[(9_000, 9_000, Outcome::Up), (10, 10, Outcome::Down)]));
    // Whereas a check that was merely slow says nothing new.
    assert!(!is_down_after(&policy, &[(20, 20, Outcome::Up), (10, 25, Outcome::Down)]));
}
