//! A batch of checks, judged one after the other within the transaction that records them: first what is so (incidents), then
//! what is told of it (notices), by what holds notices back.

use super::{events, trouble};
use crate::Activity;
use jiff::Timestamp;
use std::borrow::Cow;
use uptime_core::announcement::{Facts, Hold, Standing, announce};
use uptime_core::check::{CheckReport, Failure, FailureClass};
use uptime_core::dependency::{self, Ancestor, Verdict};
use uptime_core::duration::elapsed;
use uptime_core::id::{IncidentId, MonitorId};
use uptime_core::judgement::locations::{self, LocalState};
use uptime_core::judgement::{Change, Judgement, Observation, State, judge};
use uptime_store::StoreError;
use uptime_store::results::{FinishedCheck, Judged, LockedState, ResultsTransaction};

pub(super) struct Batch {
    transaction: ResultsTransaction,
    followed: Followed,
}

/// What is to be done once the batch has happened.
#[derive(Default)]
pub(super) struct Followed {
    pub(super) activities: Vec<Activity>,
    /// Monitors to be looked at now: parents in doubt, and children that waited for one.
    pub(super) wake: Vec<MonitorId>,
}

/// What became of a monitor's incidents by one check.
#[derive(Default)]
struct Changed {
    open: Option<IncidentId>,
    ended: Option<IncidentId>,
    /// Whether the open one is new.
    is_new: bool,
    /// Whether it became critical.
    is_escalated: bool,
}

/// What holds a monitor's notices back, and for how long.
#[derive(Default)]
struct Held {
    hold: Hold,
    /// In words, for the incident's timeline.
    why: Option<String>,
    /// When to look again.
    until: Option<Timestamp>,
    /// Parents that have to be looked at first.
    undecided: Vec<MonitorId>,
}

impl Batch {
    pub(super) fn new(transaction: ResultsTransaction) -> Self {
        Self { transaction, followed: Followed::default() }
    }

    /// Whether the check's claim still holds and its monitor is there.
    pub(super) fn is_ours(&self, check: &FinishedCheck) -> bool {
        self.transaction.state_of(check).is_some()
    }

    pub(super) async fn commit(self) -> Result<Followed, StoreError> {
        self.transaction.commit().await?;
        Ok(self.followed)
    }

    /// Judges one check that is ours, and keeps what follows from it.
    pub(super) async fn judge(&mut self, check: FinishedCheck) -> Result<(), StoreError> {
        let LockedState { state: before, standing, incident, .. } =
            self.transaction.state_of(&check).unwrap_or_default();
        let mut locations = self.transaction.locations_of(check.monitor.id).to_vec();
        if locations::await_all(&check.monitor.policy, &mut locations, self.transaction.now()) {
            self.transaction.await_locations(check.monitor.id).await?;
        }
        let streak_before = (before.status, before.streak > 0);
        let (judgement, local) = self.judgement_of(before, &check, locations);
        self.followed.activities.push(Activity::Checked {
            monitor: check.monitor.name.clone(),
            report: check.report.clone(),
            late: check.late,
            is_news: streak_before != (judgement.state.status, judgement.state.streak > 0),
        });
        let seen = local.as_ref().map(|local| self.seen(&check, local));
        let said = in_words(&check, seen.as_deref());
        let changed = self.write_changes(&said, incident, &judgement.changes).await?;
        let (standing, again_at) =
            self.tell(&said, &judgement.state, standing, &changed, seen.as_deref()).await?;
        drop(said);
        if check.monitor.is_parent && check.report.failure.is_none() {
            self.followed.wake.extend(self.transaction.held_below(check.monitor.id).await?);
        }
        let Judgement { state, recheck, .. } = judgement;
        let retry = recheck.then_some(check.monitor.policy.retry_interval);
        let again = again_at.map(|at| elapsed(self.transaction.now(), at));
        let recheck_after = retry.into_iter().chain(again).min();
        self.transaction
            .record(check, Judged { state, local, standing, incident: changed.open, recheck_after });
        Ok(())
    }

    /// What the check means for its monitor; and, where that has locations, for the one that the check ran from.
    fn judgement_of(
        &self,
        before: State,
        check: &FinishedCheck,
        mut all: Vec<LocalState>,
    ) -> (Judgement, Option<LocalState>) {
        let policy = &check.monitor.policy;
        let seen =
            Observation { slot_at: check.slot_at, started_at: check.started_at, report: &check.report };
        let here = all.iter_mut().find(|local| Some(&local.location) == check.location.as_ref());
        let Some(here) = here else { return (judge(before, policy, seen), None) };
        let Judgement { state, recheck, .. } =
            judge(std::mem::take(&mut here.state), &locations::local(policy), seen);
        here.state = state;
        let local = here.clone();
        let together = locations::judge_together(before, policy, &all, seen, self.transaction.now());
        (Judgement { recheck, ..together }, Some(local))
    }

    /// What all locations of the check's monitor say, in words.
    fn seen(&self, check: &FinishedCheck, local: &LocalState) -> String {
        let mut all = self.transaction.locations_of(check.monitor.id).to_vec();
        for other in all.iter_mut().filter(|other| other.location == local.location) {
            *other = local.clone();
        }
        locations::in_words(&check.monitor.policy, &all, self.transaction.now())
    }

    /// Makes the incidents what the judgement says.
    async fn write_changes(
        &mut self,
        check: &FinishedCheck,
        incident: Option<IncidentId>,
        changes: &[Change],
    ) -> Result<Changed, StoreError> {
        let mut changed = Changed { open: incident, ..Changed::default() };
        let monitor = &check.monitor.name;
        for change in changes {
            match (*change, changed.open) {
                (Change::Opened { severity, started_at, failures }, _) => {
                    let cause = cause(check);
                    let opened = self
                        .transaction
                        .open_incident(check.monitor.id, severity, started_at, failures, &cause)
                        .await?;
                    (changed.open, changed.is_new) = (Some(opened), true);
                    self.followed.activities.push(Activity::Opened {
                        monitor: monitor.clone(),
                        incident: opened,
                        severity,
                        started_at,
                        cause: Some(cause),
                    });
                }
                (Change::Worsened { started_at, failures }, Some(incident)) => {
                    let cause = cause(check);
                    self.transaction.worsen_incident(incident, started_at, failures, &cause).await?;
                }
                (Change::Escalated { failures }, Some(incident)) => {
                    self.transaction.escalate_incident(incident, failures).await?;
                    changed.is_escalated = true;
                }
                (Change::Resolved { started_at, ended_at, failures }, Some(incident)) => {
                    self.transaction.resolve_incident(incident, ended_at, failures).await?;
                    (changed.open, changed.ended) = (None, Some(incident));
                    self.followed.activities.push(Activity::Resolved {
                        monitor: monitor.clone(),
                        incident,
                        started_at,
                        ended_at,
                    });
                }
                // Of an incident that is no longer there, nothing can be said.
                (Change::Worsened { .. } | Change::Escalated { .. } | Change::Resolved { .. }, None)
                | (Change::FlappingBegan | Change::FlappingEnded, _) => {}
            }
        }
        Ok(changed)
    }

    /// Tells what is to be told. Gives what was told by now, and when to look again before the next slot.
    async fn tell(
        &mut self,
        check: &FinishedCheck,
        state: &State,
        standing: Standing,
        changed: &Changed,
        seen: Option<&str>,
    ) -> Result<(Standing, Option<Timestamp>), StoreError> {
        let open = changed.open.zip(state.severity);
        let is_behind = changed.ended.is_some()
            || standing.is_behind(open.map(|(_, severity)| severity))
            || state.flapping != standing.flapping_told
            || (open.is_some() && check.monitor.policy.remind.is_some());
        let nears_end = events::certificates(check, self.transaction.now());
        if !is_behind && nears_end.is_empty() {
            return Ok((standing, None));
        }
        let mut held = self.held(check, state, open.map(|(incident, _)| incident)).await?;
        if trouble(check).is_none() {
            // That it is down is no news at a moment when it answers, or when we can't tell.
            held.hold = held.hold.max(Hold::Openings);
        }
        if held.hold == Hold::Nothing && !state.flapping {
            events::tell_certificates(&mut self.transaction, check, nears_end).await?;
        }
        let facts = Facts {
            open,
            ended: changed.ended,
            since: state.since,
            flapping: state.flapping,
            in_hand: open.is_some_and(|(id, _)| self.transaction.incident(id).is_some_and(|row| row.in_hand)),
            hold: held.hold,
            now: self.transaction.now(),
        };
        let (standing, notices) = announce(standing, &facts, &check.monitor.policy);
        let why = match held.why {
            _ if state.flapping => "it goes up and down too often".to_owned(),
            None if facts.in_hand => "somebody takes care of it".to_owned(),
            why => why.unwrap_or_else(|| "nobody is told yet".to_owned()),
        };
        let is_told = standing.told == open.map(|(_, severity)| severity);
        let held_open = changed.open.filter(|_| (changed.is_new || changed.is_escalated) && !is_told);
        let held_end = changed.ended.filter(|ended| standing.owed.contains(ended));
        for incident in held_open.into_iter().chain(held_end) {
            self.transaction.note_held(incident, &why).await?;
        }
        events::tell(&mut self.transaction, check, state, open, &notices, seen).await?;
        self.followed.wake.extend(held.undecided);
        Ok((standing, held.until))
    }

    async fn held(
        &mut self,
        check: &FinishedCheck,
        state: &State,
        open: Option<IncidentId>,
    ) -> Result<Held, StoreError> {
        if let Some((name, until)) = self.transaction.maintenance_of(&check.monitor).await? {
            let why = format!("the maintenance `{name}` lasts until {until:.0}");
            return Ok(Held { hold: Hold::All, why: Some(why), until: Some(until), undecided: Vec::new() });
        }
        let (Some(parent), Some(incident)) = (check.monitor.parent, open) else {
            return Ok(Held::default());
        };
        let now = self.transaction.now();
        let opened_at = self.transaction.incident(incident).map_or(now, |row| row.opened_at);
        let ancestors = self.transaction.ancestors_from(parent).await?;
        let started_at = state.since.unwrap_or(opened_at);
        Ok(match verdict_of(&ancestors, started_at, opened_at, now) {
            (Verdict::OwnTrouble, _) => Held::default(),
            (Verdict::Undecided, undecided) => Held {
                hold: Hold::Openings,
                why: Some("what it is reached through is looked at first".into()),
                until: now.checked_add(check.monitor.policy.retry_interval).ok(),
                undecided,
            },
            (Verdict::ParentDown, _) => Held {
                hold: Hold::Openings,
                why: Some("what it is reached through is down".into()),
                ..Held::default()
            },
        })
    }
}

/// The check as people are told of it: with what the monitor's locations say.
fn in_words<'c>(check: &'c FinishedCheck, seen: Option<&str>) -> Cow<'c, FinishedCheck> {
    let Some(seen) = seen.filter(|_| check.report.trouble().is_some()) else { return Cow::Borrowed(check) };
    let mut said = check.clone();
    let CheckReport { failure, warnings, .. } = &mut said.report;
    for trouble in failure.iter_mut().chain(warnings) {
        trouble.message = format!("{} ({seen})", trouble.message);
    }
    Cow::Owned(said)
}

/// What they say together, and those of them that have to be looked at. One in doubt has its own next look.
fn verdict_of(
    ancestors: &[(MonitorId, Ancestor)],
    started_at: Timestamp,
    opened_at: Timestamp,
    now: Timestamp,
) -> (Verdict, Vec<MonitorId>) {
    let says =
        |ancestor: &Ancestor| dependency::verdict(std::slice::from_ref(ancestor), started_at, opened_at, now);
    let verdicts: Vec<Verdict> = ancestors.iter().map(|(_, ancestor)| says(ancestor)).collect();
    let together = verdicts.iter().copied().max().unwrap_or(Verdict::OwnTrouble);
    let not_looked_at = |((id, ancestor), verdict): (&(MonitorId, Ancestor), &Verdict)| {
        (*verdict == Verdict::Undecided && ancestor.downs == 0).then_some(*id)
    };
    (together, ancestors.iter().zip(&verdicts).filter_map(not_looked_at).collect())
}

/// As [`trouble`], where the judgement has found some.
fn cause(check: &FinishedCheck) -> Failure {
    trouble(check).cloned().unwrap_or_else(|| Failure::new(FailureClass::Protocol, "unknown"))
}
