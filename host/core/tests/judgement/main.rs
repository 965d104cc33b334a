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
use uptime_core::judgement::{Judgement, Observation, State, StateChange, judge};
use uptime_core::monitor::Policy;

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

/// The judgement of what a check at this slot and start, in seconds, found.
fn judge_at(state: State, policy: &Policy, slot: i64, start: i64, found: Finding) -> Judgement {
    let report = report(found);
    judge(state, policy, Observation { slot_at: at(slot), started_at: at(start), report: &report })
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
    let announced = Announced { announced_severity: Some(Severity::Down), ..Announced::default() };
    assert_eq!(announce(announced, &facts, &policy).1, [], "nor is it time for a reminder");
}
