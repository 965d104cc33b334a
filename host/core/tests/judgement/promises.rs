//! What must hold of every history, said without the model: thresholds, what alternates, and that whoever was told of a
//! beginning is told of its end, once.

use crate::Finding;
use crate::model::{Held, Notice, Severity, flaps, told_of};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use std::collections::BTreeMap;
use uptime_core::event;
use uptime_core::judgement::{StateChange, Status};
use uptime_core::monitor::Policy;

/// All that was found out, became of it, and was told, of one monitor.
#[derive(Default)]
pub struct Promises {
    policy: Policy,
    /// It was another one before: then nothing is exact, for what was nearly enough may be enough and more.
    was_another: bool,
    last_slot: Option<i64>,
    /// Since the last silence, or end by hand.
    counted: Vec<Finding>,
    /// Of the open incident.
    open: Option<event::Severity>,
    status: Status,
    /// Since the last silence: whether it was down.
    downs: Vec<bool>,
    flapping: bool,
    notices: Vec<Notice>,
    incidents: usize,
    tally: BTreeMap<&'static str, u64>,
}

impl Promises {
    /// What a run must have met.
    pub const KINDS: &str = "opened, opened in the window, degraded, worsened, escalated, resolved, ended by hand, \
        flapping begun, told when critical already, ends owed, reminders, never told, critical told";

    pub fn new(policy: &Policy) -> Self {
        Self { policy: policy.clone(), ..Self::default() }
    }

    /// From now on another policy holds.
    pub fn apply(&mut self, policy: &Policy) {
        self.policy = policy.clone();
        self.was_another = true;
    }

    pub fn tally(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.tally.iter().map(|(what, times)| (*what, *times))
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// Opened and resolved alternate; it worsens and escalates at most once between them.
    pub fn changed(&mut self, changes: &[StateChange]) -> TestCaseResult {
        for change in changes {
            match *change {
                StateChange::Opened { severity, failures, .. } => {
                    prop_assert_eq!(self.open, None, "an incident is open twice");
                    self.open = Some(severity);
                    self.incidents += 1;
                    self.count("opened");
                    if severity == event::Severity::Degraded {
                        self.count("degraded");
                        prop_assert!(failures >= self.policy.confirm, "{} failures", failures);
                    } else if failures != self.policy.confirm && !self.was_another {
                        let window = self.policy.window.expect("or it is as many as confirm says");
                        prop_assert_eq!(failures, window.failures, "of a window");
                        self.count("opened in the window");
                    }
                }
                StateChange::Worsened { .. } => {
                    prop_assert_eq!(self.open, Some(event::Severity::Degraded));
                    self.open = Some(event::Severity::Down);
                    self.count("worsened");
                }
                StateChange::Escalated { .. } => {
                    prop_assert_eq!(self.open, Some(event::Severity::Down));
                    self.open = Some(event::Severity::Critical);
                    self.count("escalated");
                }
                StateChange::Resolved { started_at, ended_at, .. } => {
                    prop_assert!(self.open.take().is_some(), "what is not open ended");
                    prop_assert!(started_at <= ended_at, "it ended before it began");
                    self.count("resolved");
                }
                StateChange::FlappingBegan => {
                    prop_assert!(self.policy.flapping && !self.flapping);
                    self.flapping = true;
                    self.count("flapping begun");
                }
                StateChange::FlappingEnded => {
                    prop_assert!(self.flapping);
                    self.flapping = false;
                }
            }
        }
        Ok(())
    }

    /// After so many of a kind in a row it is so, whatever was before.
    pub fn judged(&mut self, slot: i64, start: i64, found: Finding, status: Status) -> TestCaseResult {
        let silence = 5 * i64::try_from(self.policy.interval.as_secs()).expect("few");
        if self.last_slot.is_some_and(|last| last <= start && slot - last > silence) {
            self.counted.clear();
            self.downs.clear();
        }
        self.downs.push(found == Finding::Down);
        self.is_steady_or_flaps()?;
        self.last_slot = Some(slot);
        self.counted.push(found);
        let (confirm, recover) = (self.policy.confirm as usize, self.policy.recover as usize);
        let row =
            |such: fn(Finding) -> bool| self.counted.iter().rev().take_while(|found| such(**found)).count();
        let (downs, degraded) =
            (row(|found| found == Finding::Down), row(|found| found == Finding::Degraded));
        let (ups, not_down) = (row(is_up), row(|found| found != Finding::Down));
        prop_assert!(downs < confirm || status == Status::Down, "{} downs, and it is {:?}", downs, status);
        // The first of them may have been needed to end an outage.
        let late = degraded >= confirm + recover - 1;
        let is_late = late && !self.was_another && status != Status::Degraded;
        prop_assert!(!is_late, "{degraded} degraded, and it is {status:?}");
        prop_assert!(not_down < recover || status != Status::Down, "{} not down, and it is down", not_down);
        prop_assert!(ups < recover || status == Status::Up, "{} ups, and it is {:?}", ups, status);
        // And not before.
        let was = std::mem::replace(&mut self.status, status);
        match (was, status) {
            _ if self.was_another => {}
            (Status::Down, Status::Up | Status::Degraded) => prop_assert_eq!(not_down, recover),
            (Status::Degraded, Status::Up) => prop_assert_eq!(ups, recover),
            (_, Status::Down) if was != Status::Down && self.policy.window.is_none() => {
                prop_assert_eq!(downs, confirm);
            }
            (Status::Up | Status::Unknown, Status::Degraded) => {
                prop_assert!(row(|found| !is_up(found)) >= confirm && found == Finding::Degraded);
            }
            _ => {}
        }
        Ok(())
    }

    /// Six changes in the last twenty begin it, fewer than five end it, and nothing else does.
    fn is_steady_or_flaps(&self) -> TestCaseResult {
        let last: Vec<bool> = self.downs.iter().rev().take(21).copied().collect();
        let changes = last.windows(2).filter(|two| two[0] != two[1]).count();
        prop_assert!(changes < 6 || self.flapping || !self.policy.flapping, "{} changes and steady", changes);
        prop_assert!(changes >= 5 || !self.flapping, "{} changes and it flaps", changes);
        Ok(())
    }

    fn was_told(&self, notice: Notice) -> bool {
        self.notices.contains(&notice)
    }

    /// The severities that were told of an incident, in order.
    fn severities(&self, incident: usize) -> Vec<Severity> {
        told_of(&self.notices, incident).collect()
    }

    /// Nothing that is held is told, and nothing is told twice or out of turn.
    pub fn announced(
        &mut self,
        notices: &[Notice],
        held: Held,
        flapping: bool,
        is_handled: bool,
    ) -> TestCaseResult {
        prop_assert!(!held.maintenance || notices.is_empty(), "told during maintenance: {:?}", notices);
        let is_quiet = notices.iter().all(|notice| *notice == Notice::FlappingStart);
        prop_assert!(!flapping || is_quiet, "told while it flaps: {notices:?}");
        for notice in notices {
            let flaps = flaps(&self.notices);
            match *notice {
                Notice::FlappingStart => prop_assert_ne!(flaps, Some(true), "told to flap twice"),
                Notice::FlappingEnd { open } => {
                    prop_assert_eq!(flaps, Some(true), "told to be steady twice");
                    prop_assert!(open.is_none() || !held.by_parent, "told of what is held");
                }
                Notice::End(incident) => {
                    prop_assert!(!self.severities(incident).is_empty(), "the end of what nobody knows");
                    prop_assert!(!self.was_told(*notice), "an end is told twice");
                    prop_assert!(incident + 1 < self.incidents || self.open.is_none(), "told to be over");
                    if incident + 1 < self.incidents {
                        self.count("ends owed");
                    }
                }
                Notice::Opening(incident, _) => {
                    prop_assert!(!held.by_parent, "told of what is held");
                    prop_assert_eq!(incident + 1, self.incidents, "told of what is over");
                    prop_assert!(self.severities(incident).is_empty(), "an opening is told twice");
                    if self.open == Some(event::Severity::Critical) {
                        self.count("told when critical already");
                    }
                }
                Notice::Worse(incident) | Notice::Critical(incident) => {
                    prop_assert!(!held.by_parent, "told of what is held");
                    let worst = self.severities(incident).into_iter().max();
                    let is_critical = matches!(notice, Notice::Critical(_));
                    let now = if is_critical { Severity::Critical } else { Severity::Down };
                    prop_assert!(worst.is_some_and(|worst| worst < now), "{:?} after {:?}", notice, worst);
                    prop_assert!(!is_critical || !is_handled, "critical, and somebody takes care");
                    if is_critical {
                        self.count("critical told");
                    }
                }
                Notice::Reminder(incident, number) => {
                    prop_assert_eq!(notices.len(), 1, "a reminder comes alone");
                    prop_assert!(!held.by_parent && !is_handled, "a reminder that nobody wants");
                    prop_assert!(!self.severities(incident).is_empty(), "a reminder of what nobody knows");
                    prop_assert!(number <= self.policy.remind_most && self.policy.remind.is_some());
                    let was_told = |number| self.was_told(Notice::Reminder(incident, number));
                    let is_late = (number..=self.policy.remind_most).any(was_told);
                    prop_assert!(!is_late, "a reminder comes behind a later one");
                    self.count("reminders");
                }
            }
            self.notices.push(*notice);
        }
        Ok(())
    }

    pub fn ended_by_operator(&mut self, notice: Option<Notice>) -> TestCaseResult {
        prop_assert!(self.open.take().is_some(), "what is not open ended");
        self.counted.clear();
        self.status = Status::Unknown;
        self.count("ended by hand");
        self.notices.extend(notice);
        Ok(())
    }

    /// Once nothing is held and all is steady, whoever was told of a beginning was told of its end, and of nothing else
    /// that is over.
    pub fn in_the_end(&mut self) -> TestCaseResult {
        for incident in 0..self.incidents {
            let (severities, is_open) =
                (self.severities(incident), incident + 1 == self.incidents && self.open.is_some());
            prop_assert!(
                severities.is_sorted() && severities.len() <= 3,
                "{:?} was told of {}",
                severities,
                incident
            );
            if severities.is_empty() {
                self.count("never told");
            }
            let ends = self.notices.iter().filter(|notice| **notice == Notice::End(incident)).count();
            let due = usize::from(!severities.is_empty() && !is_open);
            prop_assert_eq!(ends, due, "ends of {}: {:?}", incident, self.notices);
            prop_assert!(!is_open || !severities.is_empty(), "an incident is open and nobody knows");
        }
        // Whoever heard that it is steady and down hears that it is over.
        for notice in &self.notices {
            if let Notice::FlappingEnd { open: Some(incident) } = notice {
                prop_assert!(!self.severities(*incident).is_empty(), "steady and down, and then silence");
            }
        }
        Ok(())
    }
}

fn is_up(found: Finding) -> bool {
    matches!(found, Finding::Up | Finding::CertificateEnds)
}
