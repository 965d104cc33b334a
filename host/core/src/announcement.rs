//! From facts to what is told of them. Pure: `announce(standing, facts, policy)` gives what is told now, and what is known to
//! have been told afterwards.
//!
//! What holds notices back (maintenance, flapping, a parent that is down) changes no fact. Nothing is queued meanwhile: each
//! time a monitor is checked, how it is gets compared with what was last told of it, and the difference is told, as soon as
//! nothing holds it. So an incident that opened and ended while it was held is never told, and one whose opening was told
//! never lacks its end.

use crate::duration::elapsed;
use crate::event::Severity;
use crate::id::IncidentId;
use crate::monitor::Policy;
use jiff::Timestamp;

/// What holds a monitor's notices back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suppression {
    #[default]
    Nothing,
    /// That it got worse is not told; that it is over is.
    Openings,
    All,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Of the open incident: the worst severity that was told; `None`: nothing yet.
    pub announced_severity: Option<Severity>,
    /// Incidents that ended, whose opening was told and whose end was not yet.
    pub unannounced_ends: Vec<IncidentId>,
    pub flapping_announced: bool,
    /// How often the open incident was told again.
    pub reminders: u32,
}

impl Announced {
    /// Whether a check of the monitor could have something to tell that an earlier one held back.
    pub fn is_behind(&self, open: Option<Severity>) -> bool {
        open.is_some_and(|severity| self.announced_severity < Some(severity))
            || !self.unannounced_ends.is_empty()
    }
}

/// How a monitor is, after an outcome was judged.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The open incident, and how bad it is.
    pub open: Option<(IncidentId, Severity)>,
    pub ended: Option<IncidentId>,
    /// Since when the open incident is what it is.
    pub since: Option<Timestamp>,
    /// Whether it goes up and down too often to tell each.
    pub flapping: bool,
    /// Whether a person takes care of the open incident, or wants to hear nothing of it.
    pub is_handled: bool,
    /// What else holds notices back.
    pub suppression: Suppression,
    pub now: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It goes up and down too often to tell each.
    FlappingStart,
    /// It is steady again. Says how it is, so that who hears it needs no other notice of the same moment.
    FlappingEnd,
    End(IncidentId),
    /// An incident: [`Severity::Degraded`] or [`Severity::Down`].
    Opening(Severity),
    /// The degraded incident is an outage now.
    Worse,
    /// The outage lasts long.
    Critical,
    /// It is still so; counts from 1.
    Reminder(u32),
}

impl Notice {
    /// Whether it says what `other`, of the same moment, would say: who hears this one needs the other no more.
    pub fn says(self, other: Self) -> bool {
        match self {
            Self::FlappingEnd => !matches!(other, Self::FlappingStart | Self::FlappingEnd),
            Self::Critical => matches!(other, Self::Opening(_) | Self::Worse),
            _ => false,
        }
    }
}

/// What is told now, in order. Whom one of them is not for may be told another that [says](Notice::says) less.
pub fn announce(announced: Announced, facts: &Facts, policy: &Policy) -> (Announced, Vec<Notice>) {
    let mut announcing = Announcing { announced, notices: Vec::new() };
    announcing.ended(facts.ended);
    announcing.flapping(facts);
    let suppression = if facts.flapping { Suppression::All } else { facts.suppression };
    if suppression < Suppression::All {
        let unannounced_ends = std::mem::take(&mut announcing.announced.unannounced_ends);
        announcing.notices.extend(unannounced_ends.into_iter().map(Notice::End));
    }
    if let Some((_, severity)) = facts.open
        && suppression == Suppression::Nothing
    {
        announcing.severity(severity, facts.is_handled);
        announcing.reminder(facts, policy);
    }
    (announcing.announced, announcing.notices)
}

/// The last reminder that is due at `now` of what is so since `since`; 0: none.
pub fn reminder_due(policy: &Policy, since: Option<Timestamp>, now: Timestamp) -> u32 {
    let (Some(every), Some(since)) = (policy.remind, since) else { return 0 };
    let lasted = elapsed(since, now);
    // After 1, 3, 7, … times as long: each waits twice as long as the one before.
    let is_due = |number: &u32| lasted >= every.saturating_mul(2_u32.saturating_pow(*number) - 1);
    (1..=policy.remind_most).take_while(is_due).last().unwrap_or_default()
}

struct Announcing {
    announced: Announced,
    notices: Vec<Notice>,
}

impl Announcing {
    fn ended(&mut self, ended: Option<IncidentId>) {
        let Some(ended) = ended else { return };
        if self.announced.announced_severity.take().is_some() {
            self.announced.unannounced_ends.push(ended);
        }
        self.announced.reminders = 0;
    }

    fn flapping(&mut self, facts: &Facts) {
        // That it is steady again also tells of the incident that is open then, so it waits while that is held. Who heard that
        // it is steady and down would else never hear of its end.
        let tells_of_incident = !facts.flapping && facts.open.is_some();
        let is_held = facts.suppression == Suppression::All
            || facts.suppression == Suppression::Openings && tells_of_incident;
        if is_held || facts.flapping == self.announced.flapping_announced {
            return;
        }
        self.announced.flapping_announced = facts.flapping;
        self.notices.push(if facts.flapping { Notice::FlappingStart } else { Notice::FlappingEnd });
    }

    fn severity(&mut self, severity: Severity, is_handled: bool) {
        let announced_severity = self.announced.announced_severity;
        let mut tell = |severity: Severity, notice| {
            self.announced.announced_severity = Some(severity);
            self.notices.push(notice);
        };
        if announced_severity.is_none() {
            let opening = severity.min(Severity::Down);
            tell(opening, Notice::Opening(opening));
        } else if announced_severity < Some(Severity::Down) && severity >= Severity::Down {
            tell(Severity::Down, Notice::Worse);
        }
        if announced_severity < Some(Severity::Critical) && severity == Severity::Critical && !is_handled {
            tell(Severity::Critical, Notice::Critical);
        }
    }

    /// Tells it again when that is due. What fell due while it was held, or in somebody's hands, is one reminder, and none beside
    /// what is told anyway.
    fn reminder(&mut self, facts: &Facts, policy: &Policy) {
        let due = reminder_due(policy, facts.since, facts.now);
        if due <= self.announced.reminders || facts.is_handled {
            return;
        }
        self.announced.reminders = due;
        if self.notices.is_empty() {
            self.notices.push(Notice::Reminder(due));
        }
    }
}
