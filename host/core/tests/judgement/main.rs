//! The judgement and the announcement: as tables here, and over random histories against a model.

mod histories;
mod locations;
mod model;
mod promises;

use jiff::Timestamp;
use std::time::Duration;
use uptime_core::announcement::{Announced, Facts, Suppression, announce};
use uptime_core::check::{CheckReport, Failure, FailureClass};
use uptime_core::event::Severity;
use uptime_core::id::IncidentId;
use uptime_core::judgement::{Judgement, Observation, State, StateChange, Status, judge};
use uptime_core::monitor::{Policy, Window};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
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

fn report(found: Finding) -> CheckReport {
    let (failure, warnings) = match found {
        Finding::Up => (None, vec![]),
        Finding::CertificateEnds => (None, vec![FailureClass::Certificate]),
        Finding::Degraded => (None, vec![FailureClass::Certificate, FailureClass::Latency]),
        Finding::Down => (Some(FailureClass::Status), vec![]),
        Finding::Inconclusive => (Some(FailureClass::Permission), vec![]),
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
        (0, Finding::Down, true, Status::Unknown),
        (1, Finding::Inconclusive, false, Status::Unknown),
        (2, Finding::Down, false, Status::Down),
        (3, Finding::CertificateEnds, true, Status::Down),
        (4, Finding::Down, false, Status::Down),
        (5, Finding::Up, true, Status::Down),
        (6, Finding::Up, false, Status::Up),
        (7, Finding::Degraded, true, Status::Up),
        (8, Finding::Up, false, Status::Up),
        (9, Finding::Degraded, true, Status::Up),
        (10, Finding::Degraded, false, Status::Degraded),
        (11, Finding::Down, true, Status::Degraded),
        (12, Finding::Down, false, Status::Down),
        (13, Finding::Degraded, true, Status::Down),
        // No longer down; and the last of them is the first of a trouble of its own.
        (14, Finding::Degraded, true, Status::Up),
        (15, Finding::Degraded, false, Status::Degraded),
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
fn judge_at(state: State, policy: &Policy, slot: i64, start: i64, found: Finding) -> Judgement {
    let report = report(found);
    judge(state, policy, Observation { slot_at: at(slot), started_at: at(start), report: &report })
}

/// Judges outcomes at these slots and starts, in seconds, and says whether an incident is open.
fn is_down_after(policy: &Policy, checks: &[(i64, i64, Finding)]) -> bool {
    let mut state = State::default();
    for (slot, start, found) in checks {
        state = judge_at(state, policy, *slot, *start, *found).state;
    }
    state.status == Status::Down
}

#[test]
fn failures_with_a_long_silence_between_are_not_in_a_row() {
    let policy = Policy { confirm: 2, interval: Duration::from_secs(10), ..Policy::default() };
    assert!(is_down_after(&policy, &[(0, 0, Finding::Down), (50, 50, Finding::Down)]));
    assert!(!is_down_after(&policy, &[(0, 0, Finding::Down), (51, 51, Finding::Down)]));
}

#[test]
fn a_clock_that_was_ahead_does_not_silence_the_judgement() {
    let policy = Policy { confirm: 1, ..Policy::default() };
    assert!(is_down_after(&policy, &[(9_000, 9_000, Finding::Up), (10, 10, Finding::Down)]));
    // Whereas a check that was merely slow says nothing new.
    assert!(!is_down_after(&policy, &[(20, 20, Finding::Up), (10, 25, Finding::Down)]));
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
    let opened = judge_at(State::default(), &policy, 3_600, 3_600, Finding::Down);
    assert!(matches!(opened.changes[..], [StateChange::Opened { .. }]), "{opened:?}");
    let later = judge_at(opened.state, &policy, 5, 5, Finding::Down);
    assert_eq!(later.changes, [], "five seconds are no quarter of an hour");
    let facts = Facts {
        now: at(5),
        open: Some((IncidentId(1), Severity::Down)),
        since: later.state.since,
        ended: None,
        flapping: false,
        is_handled: false,
        suppression: Suppression::Nothing,
    };
    let announced_severity = Announced { announced_severity: Some(Severity::Down), ..Announced::default() };
    assert_eq!(announce(announced_severity, &facts, &policy).1, [], "nor is it time for a reminder");
}

#[test]
fn a_window_that_was_taken_away_and_given_again_begins_anew() {
    let without = Policy { confirm: 9, ..Policy::default() };
    let with = Policy { window: Some(Window { failures: 2, of: 5 }), ..without.clone() };
    let mut state = State::default();
    for (slot, policy, found) in [
        (0, &with, Finding::Down),
        (1, &without, Finding::Up),
        (2, &with, Finding::Up),
        (3, &with, Finding::Down),
    ] {
        state = judge_at(state, policy, slot, slot, found).state;
    }
    assert_eq!(state.status, Status::Up, "the first failure is of another time");
}
