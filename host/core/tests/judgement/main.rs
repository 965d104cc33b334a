//! The judgement and the announcement: as tables here, and over random histories against a model.

mod histories;
mod locations;
mod model;
mod promises;

use jiff::Timestamp;
use std::time::Duration;
use uptime_core::announcement::{Facts, Hold, Standing, announce};
use uptime_core::check::{CheckReport, Failure, FailureClass};
use uptime_core::event::Severity;
use uptime_core::id::IncidentId;
use uptime_core::judgement::{Change, Judgement, Observation, State, Status, judge};
use uptime_core::monitor::{Policy, Window};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Up,
    /// Up, and its certificate nears its end.
    CertificateEnds,
    Degraded,
    Down,
    Inconclusive,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a second of this century")
}

fn report(found: Found) -> CheckReport {
    let (failure, warnings) = match found {
        Found::Up => (None, vec![]),
        Found::CertificateEnds => (None, vec![FailureClass::Certificate]),
        Found::Degraded => (None, vec![FailureClass::Certificate, FailureClass::Latency]),
        Found::Down => (Some(FailureClass::Status), vec![]),
        Found::Inconclusive => (Some(FailureClass::Permission), vec![]),
    };
    let failure_of = |class| Failure::new(class, "as scripted");
    let mut report = CheckReport::new(failure.map(failure_of), Duration::from_millis(1));
    report.warnings = warnings.into_iter().map(failure_of).collect();
    report
}

#[test]
fn a_streak_that_decides_nothing_asks_for_a_re_check() {
    let policy = Policy { confirm: 2, recover: 2, ..Policy::default() };
    let mut state = State::default();
    for (slot, found, recheck, status) in [
        (0, Found::Down, true, Status::Unknown),
        (1, Found::Inconclusive, false, Status::Unknown),
        (2, Found::Down, false, Status::Down),
        (3, Found::CertificateEnds, true, Status::Down),
        (4, Found::Down, false, Status::Down),
        (5, Found::Up, true, Status::Down),
        (6, Found::Up, false, Status::Up),
        (7, Found::Degraded, true, Status::Up),
        (8, Found::Up, false, Status::Up),
        (9, Found::Degraded, true, Status::Up),
        (10, Found::Degraded, false, Status::Degraded),
        (11, Found::Down, true, Status::Degraded),
        (12, Found::Down, false, Status::Down),
        (13, Found::Degraded, true, Status::Down),
        // No longer down; and the last of them is the first of a trouble of its own.
        (14, Found::Degraded, true, Status::Up),
        (15, Found::Degraded, false, Status::Degraded),
    ] {
        let judged = judge_at(state, &policy, slot, slot, found);
        assert_eq!((judged.recheck, judged.state.status), (recheck, status), "slot {slot}");
        state = judged.state;
        if slot == 8 {
            assert_eq!(state.since, Some(at(5)), "an incident ends at its first success");
        }
    }
}

/// The judgement of what a check at this slot and start, in seconds, found.
fn judge_at(state: State, policy: &Policy, slot: i64, start: i64, found: Found) -> Judgement {
    let report = report(found);
    judge(state, policy, Observation { slot_at: at(slot), started_at: at(start), report: &report })
}

/// Judges outcomes at these slots and starts, in seconds, and says whether an incident is open.
fn is_down_after(policy: &Policy, checks: &[(i64, i64, Found)]) -> bool {
    let mut state = State::default();
    for (slot, start, found) in checks {
        state = judge_at(state, policy, *slot, *start, *found).state;
    }
    state.status == Status::Down
}

#[test]
fn failures_with_a_long_silence_between_are_not_in_a_row() {
    let policy = Policy { confirm: 2, interval: Duration::from_secs(10), ..Policy::default() };
    assert!(is_down_after(&policy, &[(0, 0, Found::Down), (50, 50, Found::Down)]));
    assert!(!is_down_after(&policy, &[(0, 0, Found::Down), (51, 51, Found::Down)]));
}

#[test]
fn a_clock_that_was_ahead_does_not_silence_the_judgement() {
    let policy = Policy { confirm: 1, ..Policy::default() };
    assert!(is_down_after(&policy, &[(9_000, 9_000, Found::Up), (10, 10, Found::Down)]));
    // Whereas a check that was merely slow says nothing new.
    assert!(!is_down_after(&policy, &[(20, 20, Found::Up), (10, 25, Found::Down)]));
}

#[test]
fn a_clock_that_went_back_makes_nothing_last_long() {
    let policy = Policy {
        confirm: 1,
        critical_failures: None,
        critical_after: Some(Duration::from_mins(15)),
        remind: Some(Duration::from_mins(10)),
        ..Policy::default()
    };
    let opened = judge_at(State::default(), &policy, 3_600, 3_600, Found::Down);
    assert!(matches!(opened.changes[..], [Change::Opened { .. }]), "{opened:?}");
    let later = judge_at(opened.state, &policy, 5, 5, Found::Down);
    assert_eq!(later.changes, [], "five seconds are no quarter of an hour");
    let facts = Facts {
        now: at(5),
        open: Some((IncidentId(1), Severity::Down)),
        since: later.state.since,
        ended: None,
        flapping: false,
        in_hand: false,
        hold: Hold::Nothing,
    };
    let told = Standing { told: Some(Severity::Down), ..Standing::default() };
    assert_eq!(announce(told, &facts, &policy).1, [], "nor is it time for a reminder");
}

#[test]
fn a_window_that_was_taken_away_and_given_again_begins_anew() {
    let without = Policy { confirm: 9, ..Policy::default() };
    let with = Policy { window: Some(Window { failures: 2, of: 5 }), ..without.clone() };
    let mut state = State::default();
    for (slot, policy, found) in
        [(0, &with, Found::Down), (1, &without, Found::Up), (2, &with, Found::Up), (3, &with, Found::Down)]
    {
        state = judge_at(state, policy, slot, slot, found).state;
    }
    assert_eq!(state.status, Status::Up, "the first failure is of another time");
}
