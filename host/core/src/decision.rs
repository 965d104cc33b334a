//! From what checks found to what is written and told of it. Pure, in two steps with one load between them:
//!
//! ```text
//!  known, finished ── judge ──▶ Judged ── needs ──▶ (the store loads) ──▶ Judged::announce ──▶ Decisions ──▶ (one write)
//! ```
//! [`judge`] says what is so: states and incidents. [`Judged::announce`] says what is told of it, by what holds notices back.
//! Outcomes of one monitor keep their order, and each sees what was decided before it. Whether a notice goes by itself or in a
//! digest is decided later, under the locks of the channels.

mod announcing;
mod drafting;

use crate::announcement::{Announced, reminder_due};
use crate::channel::ChannelFilter;
use crate::check::{CheckReport, Failure, FailureClass};
use crate::dependency::Ancestor;
use crate::event::{Event, EventMonitor, EventOutcome, Severity};
use crate::id::{ChannelId, IncidentId, JobId, MonitorId};
use crate::judgement::locations::{self, LocalState};
use crate::judgement::{Judgement, Observation, State, StateChange};
use crate::maintenance::Maintenance;
use crate::monitor::{CheckSpec, Location, Policy};
use crate::queue::Claim;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// A monitor as its checks are run and judged.
#[derive(Clone, Debug)]
pub struct Watched {
    pub id: MonitorId,
    /// What people know of it.
    pub about: EventMonitor,
    pub check: CheckSpec,
    pub policy: Policy,
    /// What it is reached through.
    pub parent: Option<MonitorId>,
    /// Whether others are reached through it.
    pub is_parent: bool,
}

#[derive(Clone, Debug)]
pub struct FinishedCheck {
    pub claim: Claim,
    /// The monitor as it was when the check began.
    pub monitor: Watched,
    /// Where it ran; `None`: of a monitor that names no locations.
    pub location: Option<Location>,
    /// The instant that it was due.
    pub slot_at: Timestamp,
    /// When it began, by the database's clock.
    pub started_at: Timestamp,
    /// From the slot to the start.
    pub late: Duration,
    pub report: CheckReport,
}

/// What is remembered of a monitor from one check to the next.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    pub state: State,
    /// What was told of it.
    pub announced: Announced,
    /// The one that is open.
    pub incident: Option<IncidentId>,
    pub locations: Vec<LocalState>,
}

/// What is known under the locks of the monitors' states.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub now: Timestamp,
    /// The jobs whose claims still held.
    pub ours: HashSet<JobId>,
    pub monitors: HashMap<MonitorId, Remembered>,
    /// Those that are open, and those whose end is still to be told.
    pub incidents: HashMap<IncidentId, KnownIncident>,
}

/// An incident, as far as checks change it and it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownIncident {
    pub cause: EventOutcome,
    pub severity: Severity,
    /// The first failure.
    pub started_at: Timestamp,
    /// The first failure of the outage, if it began as degraded.
    pub down_at: Option<Timestamp>,
    /// When it was noticed.
    pub opened_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub failures: u32,
    /// Who takes care of it, as long as that holds.
    pub acknowledged_by: Option<String>,
    /// Whether a person takes care of it, or wants to hear nothing of it.
    pub is_handled: bool,
}

type Incidents = HashMap<IncidentId, KnownIncident>;

/// What the checks of a batch mean.
#[derive(Debug)]
pub struct Judged {
    known: Known,
    outcomes: Vec<Outcome>,
    awaited: Vec<MonitorId>,
    opened: i64,
    /// Their lease was lost, or the monitor is gone or no longer looked at from there: nothing of them may be written.
    pub lost: Vec<FinishedCheck>,
}

/// What a check means for its monitor.
#[derive(Debug)]
pub struct Outcome {
    pub check: FinishedCheck,
    pub state: State,
    /// And what is remembered of where the check ran, for a monitor with locations.
    pub local: Option<LocalState>,
    /// What was told of it by now.
    pub announced: Announced,
    /// The one that is open.
    pub incident: Option<IncidentId>,
    /// New incidents have numbers below zero, until the database names them.
    pub changes: Vec<(IncidentId, StateChange)>,
    /// What makes an incident, in the check's own words. `None`: nothing, or the trouble is ours.
    pub trouble: Option<Failure>,
    /// How soon to look again, when that is wanted before the next slot.
    pub recheck_after: Option<Duration>,
    /// Whether it changes something for whoever reads along.
    pub is_news: bool,
    /// What all locations say, in words.
    seen: Option<String>,
    /// Certificates of the target that near their end.
    ending: Vec<(CertificateLimit, Failure)>,
}

/// A certificate of a monitor, by its SHA-256 in hexadecimal, has fewer days than so many left: that is told once.
pub type CertificateLimit = (MonitorId, String, u16);

/// What [`Judged::announce`] has to know. Empty for a batch without events, but for parents that answered.
#[derive(Debug, Default)]
pub struct Needs {
    /// Incidents that changed, to be written before those that opened: a monitor has one that is open.
    pub changed: Vec<(IncidentId, KnownIncident)>,
    /// New ones, to be written and named.
    pub opened: Vec<(MonitorId, KnownIncident)>,
    pub windows: bool,
    pub channels_of: BTreeSet<MonitorId>,
    pub heard_of: BTreeSet<IncidentId>,
    /// Monitors that are looked at together with all that is above them.
    pub above: BTreeSet<MonitorId>,
    /// Parents that answered.
    pub below: BTreeSet<MonitorId>,
    pub certificates: HashSet<CertificateLimit>,
}

/// What a batch's events happen in.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The names of the new incidents.
    pub opened: Vec<IncidentId>,
    /// All maintenance windows, by name.
    pub windows: Vec<(String, Maintenance)>,
    /// The enabled channels of monitors.
    pub channels_of: HashMap<MonitorId, Vec<Listener>>,
    /// The channels to which an incident is due or was told.
    pub heard_of: HashMap<IncidentId, Vec<Listener>>,
    /// Of each monitor that was asked for, itself and those above it, the nearest first.
    pub above: HashMap<MonitorId, Vec<(MonitorId, Ancestor)>>,
    /// Monitors below the parents, at any distance, that have something to tell and were held back.
    pub below: Vec<MonitorId>,
    /// Those that were told.
    pub certificates: HashSet<CertificateLimit>,
}

/// A channel that an event may be for.
#[derive(Clone, Debug)]
pub struct Listener {
    pub id: ChannelId,
    pub filter: ChannelFilter,
}

/// Something that a channel is to be told.
#[derive(Clone, Debug)]
pub struct Notice {
    pub channel: ChannelId,
    pub event: Event,
    /// Which of the incident's events of this type it is.
    pub sequence: i64,
}

/// What is to be written, all at once.
#[derive(Debug, Default)]
pub struct Decisions {
    pub outcomes: Vec<Outcome>,
    /// Monitors each of whose locations is waited for from now on.
    pub awaited: Vec<MonitorId>,
    /// What happened to incidents: the word, and a note.
    pub timeline: Vec<(IncidentId, &'static str, Option<String>)>,
    /// Those that count as told from now on.
    pub certificates: Vec<CertificateLimit>,
    pub notices: Vec<Notice>,
    /// Monitors to be looked at now, once it has happened: parents in doubt, and children that waited for one.
    pub wake: Vec<MonitorId>,
}

/// Judges finished checks, the parents' first.
pub fn judge(known: Known, mut finished: Vec<FinishedCheck>) -> Judged {
    finished.sort_by_key(|check| (!check.monitor.is_parent, check.monitor.parent.is_some()));
    let mut judged = Judged { known, outcomes: Vec::new(), awaited: Vec::new(), opened: 0, lost: Vec::new() };
    for check in finished {
        if judged.is_ours(&check) { judged.judge(check) } else { judged.lost.push(check) }
    }
    judged
}

impl Judged {
    fn is_ours(&self, check: &FinishedCheck) -> bool {
        let locations = self.known.monitors.get(&check.monitor.id).map(|known| &known.locations);
        let is_wanted = locations.is_some_and(|locations| match &check.location {
            Some(here) => locations.iter().any(|local| local.location == *here),
            // One of before it had any, and was tried again.
            None => locations.is_empty(),
        });
        is_wanted && self.known.ours.contains(&check.claim.id)
    }

    fn judge(&mut self, check: FinishedCheck) {
        let now = self.known.now;
        let remembered = self.known.monitors.entry(check.monitor.id).or_default();
        let Remembered { state: before, announced, incident, locations } = remembered;
        let policy = &check.monitor.policy;
        if locations::restart_waiting(policy, locations, now) {
            self.awaited.push(check.monitor.id);
        }
        let (Judgement { state, recheck, changes }, local) = together(before, &check, locations, now);
        let seen = local.as_ref().map(|_| locations::in_words(policy, locations, now));
        let streak = |state: &State| (state.status, state.streak > 0);
        let mut outcome = Outcome {
            announced: announced.clone(),
            incident: *incident,
            changes: Vec::new(),
            trouble: trouble(&check.report, seen.as_deref()),
            recheck_after: recheck.then_some(policy.retry_interval),
            is_news: streak(before) != streak(&state),
            ending: ending(&check, now),
            check,
            state,
            local,
            seen,
        };
        for change in changes {
            if let StateChange::Opened { .. } = change {
                self.opened += 1;
                outcome.incident = Some(IncidentId(-self.opened));
            }
            // Of an incident that is no longer there, nothing can be said.
            outcome.changes.extend(outcome.incident.map(|incident| (incident, change)));
            if let StateChange::Resolved { .. } = change {
                outcome.incident = None;
            }
        }
        (*before, *incident) = (outcome.state.clone(), outcome.incident);
        self.outcomes.push(outcome);
    }

    /// What the events of the batch have to be told by.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        let mut incidents = self.known.incidents.clone();
        let mut touched: Vec<(MonitorId, IncidentId)> = Vec::new();
        for outcome in &self.outcomes {
            let monitor = &outcome.check.monitor;
            for (id, change) in &outcome.changes {
                let happened = outcome.change(*id, *change, &mut incidents, self.known.now);
                if happened.is_some() && !touched.contains(&(monitor.id, *id)) {
                    touched.push((monitor.id, *id));
                }
            }
            if monitor.is_parent && outcome.check.report.failure.is_none() {
                needs.below.insert(monitor.id);
            }
            // What an earlier outcome of the batch leaves untold is not known yet.
            let was_behind = needs.channels_of.contains(&monitor.id);
            if was_behind || outcome.is_behind() || outcome.is_reminder_due(&self.known) {
                needs.channels_of.insert(monitor.id);
                needs
                    .heard_of
                    .extend(outcome.announced.unannounced_ends.iter().copied().chain(outcome.ended()));
            } else if !outcome.may_remind() && outcome.ending.is_empty() {
                continue;
            }
            needs.windows = true;
            needs.certificates.extend(outcome.ending.iter().map(|(limit, _)| limit.clone()));
            needs.above.extend(monitor.parent.filter(|_| outcome.incident.is_some()));
        }
        for (monitor, id) in touched {
            match incidents.remove(&id) {
                Some(incident) if id.0 < 0 => needs.opened.push((monitor, incident)),
                Some(incident) => needs.changed.push((id, incident)),
                None => {}
            }
        }
        needs
    }
}

/// What the check means for its monitor; and, where that has locations, for the one that the check ran from.
fn together(
    before: &State,
    check: &FinishedCheck,
    all: &mut [LocalState],
    now: Timestamp,
) -> (Judgement, Option<LocalState>) {
    let policy = &check.monitor.policy;
    let seen = Observation { slot_at: check.slot_at, started_at: check.started_at, report: &check.report };
    let here = all.iter_mut().find(|local| Some(&local.location) == check.location.as_ref());
    let Some(here) = here else { return (crate::judgement::judge(before.clone(), policy, seen), None) };
    let remembered = std::mem::take(&mut here.state);
    let Judgement { state, recheck, .. } =
        crate::judgement::judge(remembered, &locations::local(policy), seen);
    here.state = state;
    let local = here.clone();
    let together = locations::judge_together(before.clone(), policy, all, seen, now);
    (Judgement { recheck, ..together }, Some(local))
}

/// What is wrong, in the check's own words, and what the monitor's locations say to it.
fn trouble(report: &CheckReport, seen: Option<&str>) -> Option<Failure> {
    let of_incidents = |warning: &&Failure| warning.class != FailureClass::Certificate;
    let found = match &report.failure {
        Some(failure) => Some(failure).filter(|failure| !failure.class.is_ours()),
        None => report.warnings.iter().find(of_incidents),
    };
    let mut trouble = found?.clone();
    if let Some(seen) = seen {
        trouble.message = format!("{} ({seen})", trouble.message);
    }
    Some(trouble)
}

/// The certificates that the target showed and that near their end.
fn ending(check: &FinishedCheck, now: Timestamp) -> Vec<(CertificateLimit, Failure)> {
    let Some(limits) = check.monitor.check.certificate_days() else { return Vec::new() };
    if check.report.warnings.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<(CertificateLimit, Failure)> = Vec::new();
    for hop in &check.report.hops {
        let Some(shown) = &hop.tls else { continue };
        let host = hop.url.as_deref().unwrap_or(&check.monitor.about.target);
        if let (Ok(Some(warning)), Some(certificate), Some(days)) =
            (limits.judge(shown, host, now), shown.first_to_end(), limits.warning)
        {
            let limit = (check.monitor.id, certificate.sha256.clone(), days);
            if found.iter().all(|(other, _)| *other != limit) {
                found.push((limit, warning));
            }
        }
    }
    found
}

impl Outcome {
    fn ended(&self) -> Option<IncidentId> {
        let ended =
            |(id, change): &(_, StateChange)| matches!(change, StateChange::Resolved { .. }).then_some(*id);
        self.changes.iter().rev().find_map(ended)
    }

    /// The open incident, and how bad it is.
    fn open(&self) -> Option<(IncidentId, Severity)> {
        self.incident.zip(self.state.severity)
    }

    /// Whether there is something to tell, by this check or still by an earlier one.
    fn is_behind(&self) -> bool {
        self.ended().is_some()
            || self.announced.is_behind(self.open().map(|(_, severity)| severity))
            || self.state.flapping != self.announced.flapping_announced
    }

    fn may_remind(&self) -> bool {
        self.open().is_some() && self.check.monitor.policy.remind.is_some()
    }

    fn is_reminder_due(&self, known: &Known) -> bool {
        let due = reminder_due(&self.check.monitor.policy, self.state.since, known.now);
        self.may_remind() && due > self.announced.reminders && !self.is_handled(&known.incidents)
    }

    /// Whether a person takes care of the open incident, or wants to hear nothing of it.
    fn is_handled(&self, incidents: &Incidents) -> bool {
        self.open().and_then(|(id, _)| incidents.get(&id)).is_some_and(|incident| incident.is_handled)
    }

    /// Makes an incident what the judgement says. Gives the word for it and a note, where something has happened.
    fn change(
        &self,
        id: IncidentId,
        change: StateChange,
        incidents: &mut Incidents,
        now: Timestamp,
    ) -> Option<(&'static str, Option<String>)> {
        let unknown = || Failure::new(FailureClass::Protocol, "unknown");
        let cause = || self.trouble.clone().unwrap_or_else(unknown);
        match change {
            StateChange::Opened { severity, started_at, failures } => {
                let cause = EventOutcome::from(&cause());
                let note = Some(cause.message.clone());
                let opened = KnownIncident {
                    cause,
                    severity,
                    started_at,
                    down_at: None,
                    opened_at: now,
                    ended_at: None,
                    failures,
                    acknowledged_by: None,
                    is_handled: false,
                };
                incidents.insert(id, opened);
                Some(("opened", note))
            }
            StateChange::Worsened { started_at, failures } => {
                let incident = incidents.get_mut(&id)?;
                (incident.severity, incident.cause) = (Severity::Down, (&cause()).into());
                (incident.down_at, incident.failures) = (Some(started_at), failures);
                Some(("worsened", Some(incident.cause.message.clone())))
            }
            StateChange::Escalated { failures } => {
                let incident = incidents.get_mut(&id)?;
                (incident.severity, incident.failures) = (Severity::Critical, failures);
                Some(("escalated", None))
            }
            StateChange::Resolved { ended_at, failures, .. } => {
                // One that a person has ended stays as that left it.
                let incident = incidents.get_mut(&id).filter(|incident| incident.ended_at.is_none())?;
                (incident.ended_at, incident.failures) = (Some(ended_at), failures);
                Some(("resolved", None))
            }
            StateChange::FlappingBegan | StateChange::FlappingEnded => None,
        }
    }
}
