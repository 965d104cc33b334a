//! Reconciliation: what a channel is still to be told after deliveries to it failed.
//!
//! A job's tries are bounded, the truth is not. A notice whose job failed stays *outstanding* until it is told, or until a later
//! one of the same subject takes its place. While a channel fails, its oldest outstanding notice is sent again as a probe, after
//! growing pauses. When a notice gets through, all that is outstanding is sent: at most one message for each incident, in the
//! order in which they were decided. Pure: the store loads the notices, asks [`plan`], and writes.
//!
//! ```text
//!  queued ──▶ delivered                                 (a notice gets through: what is outstanding is queued again)
//!    └──tries used up──▶ failed ──probe──▶ delivered
//!                          ├──a later notice says it──▶ discarded
//!                          └──the channel works again──▶ queued
//! ```
//! [`superseded`] is the one rule for all ways of sending again, an operator's `retry` included: per monitor and channel nothing
//! is sent that is older than what was told last.

use crate::backoff::delay;
use crate::event::{EventType, Topic};
use crate::id::{IncidentId, NotificationId};
use crate::recheck::{IncidentNow, OVERTAKEN, objection};
use std::collections::BTreeMap;
use std::time::Duration;

/// A notice that was sent in vain so often while its channel worked is not sent again by itself.
pub const SETBACKS_MOST: u32 = 20;

/// Why a notice is not sent that a later one of the same incident stands for.
pub const REPLACED: &str = "a later notice of the same incident takes its place";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has a job.
    Queued,
    Delivered,
    /// Its tries are used up.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its notification. Later ones have greater ids.
    pub id: NotificationId,
    pub event: EventType,
    /// What it is about: the name of a monitor, a host, a channel.
    pub about: String,
    /// The incident, for an event that has one.
    pub incident: Option<IncidentId>,
    pub progress: Progress,
    /// How often it failed by itself: the provider refused this message, or it was sent again because the channel works.
    pub setbacks: u32,
    /// What is true of its incident and its channel now.
    pub now: IncidentNow,
    /// What it reports is over, and no other notice will say so.
    pub is_over: bool,
}

impl Notice {
    /// `None`: it is not sent again by itself. What is about a busy queue is sent anew for as long as it is, and a test is over.
    fn topic(&self) -> Option<(Topic, &str)> {
        let topic = self.event.topic();
        (!matches!(topic, Topic::Queue | Topic::Test)).then_some((topic, self.about.as_str()))
    }

    /// Whether who reads it knows of the incident, or of its end.
    fn announces(&self) -> bool {
        self.event == EventType::Up || EventType::HEARD_BY.contains(&self.event)
    }

    fn objection(&self) -> Option<&'static str> {
        if self.incident.is_none() { None } else { objection(self.event, &self.now) }
    }

    fn precedes(&self, other: &Self) -> bool {
        self.id < other.id && self.topic().is_some() && self.topic() == other.topic()
    }
}

/// Why a notice must not be sent again, in view of the channel's others; `None`: it may. Nothing is sent that is older than what
/// was told last of the same monitor, or that a later notice of the same incident is about to say.
pub fn superseded(notice: &Notice, others: &[Notice]) -> Option<&'static str> {
    let later = || others.iter().filter(|other| notice.precedes(other));
    if later().any(|other| other.progress == Progress::Delivered) {
        return Some(OVERTAKEN);
    }
    let says_it = |other: &Notice| {
        other.progress == Progress::Queued
            && other.incident == notice.incident
            && (other.event.topic() != Topic::Monitor || other.incident.is_some() && other.announces())
            && other.objection().is_none()
    };
    later().any(says_it).then_some(REPLACED)
}

/// What becomes of a channel's failed notices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// To be told, the oldest first: at most one for each incident.
    pub announce: Vec<NotificationId>,
    /// Not to be told any more, each with the reason. What is in neither rests: its incident is muted, or it was sent
    /// in vain too often.
    pub drop: Vec<(NotificationId, &'static str)>,
}

/// Compares what a channel should know with what it was told. `notices`: its failed ones, and the later ones about the same.
pub fn outstanding(notices: &[Notice]) -> Outstanding {
    let mut outstanding = Outstanding::default();
    // By what one message can say: an incident, or a topic without one.
    let mut groups: BTreeMap<_, Vec<&Notice>> = BTreeMap::new();
    for notice in notices.iter().filter(|notice| notice.progress == Progress::Failed) {
        let Some(topic) = notice.topic() else { continue };
        if notice.now.muted || notice.setbacks >= SETBACKS_MOST {
            continue;
        }
        match superseded(notice, notices).or_else(|| objection_of(notice, notices)) {
            Some(reason) => outstanding.drop.push((notice.id, reason)),
            None => groups.entry((topic, notice.incident)).or_default().push(notice),
        }
    }
    for group in groups.into_values() {
        let newest = |wanted: &dyn Fn(&Notice) -> bool| {
            group.iter().filter(|notice| wanted(notice)).map(|notice| notice.id).max()
        };
        // Whoever knows nothing of an incident is told of it, and not who takes care of it.
        let is_news = group.iter().any(|notice| notice.incident.is_some() && !notice.now.opening_told);
        let announcement = if is_news { newest(&Notice::announces) } else { None };
        let Some(chosen) = announcement.or_else(|| newest(&|_| true)) else { continue };
        outstanding.announce.push(chosen);
        let others = group.iter().map(|notice| notice.id).filter(|id| *id != chosen);
        outstanding.drop.extend(others.map(|id| (id, REPLACED)));
    }
    outstanding.announce.sort_unstable();
    outstanding.drop.sort_unstable();
    outstanding
}

/// Why a failed notice is no longer true. A recovery that failed, too, is still to be told.
fn objection_of(notice: &Notice, notices: &[Notice]) -> Option<&'static str> {
    if notice.is_over {
        return Some("what it reports is over");
    }
    notice.incident?;
    let ends = |other: &&Notice| {
        other.incident == notice.incident
            && other.event == EventType::Up
            && other.progress == Progress::Failed
            && other.setbacks < SETBACKS_MOST
    };
    let recovery_due = notice.now.recovery_due || notices.iter().any(|other| ends(&other));
    objection(notice.event, &IncidentNow { recovery_due, ..notice.now })
}

/// On which occasion a channel is reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A notice got through: the channel works.
    GotThrough,
    /// A notice has failed for all its tries, a probe has, or nobody was asked.
    Failed,
    /// New notices wait for a channel that fails.
    Enqueued,
}

/// What to do for a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be queued again, in this order.
    pub announce: Vec<NotificationId>,
    /// Not to be told any more.
    pub drop: Vec<(NotificationId, &'static str)>,
    /// To be sent again alone, after so long: whether the channel works again is found out by it.
    pub probe: Option<(NotificationId, Duration)>,
}

/// What to do for a channel that has had so many `probes` since it fails; `pauses`: before each probe, the last one repeats.
pub fn plan(notices: &[Notice], occasion: Occasion, probes: u32, pauses: &[Duration]) -> Plan {
    let Outstanding { announce, drop } = outstanding(notices);
    let notice = |id: NotificationId| notices.iter().find(|notice| notice.id == id);
    let setbacks = |id: NotificationId| notice(id).map_or(0, |notice| notice.setbacks);
    let goes_before_a_newer = |id| {
        let is_newer =
            |notice: &Notice, other: &Notice| notice.precedes(other) && other.progress == Progress::Queued;
        notice(id).is_some_and(|notice| notices.iter().any(|other| is_newer(notice, other)))
    };
    let (announce, rest): (Vec<_>, Vec<_>) = announce.into_iter().partition(|id| match occasion {
        // What failed by itself does not fail less because another got through.
        Occasion::GotThrough => setbacks(*id) == 0,
        Occasion::Enqueued => goes_before_a_newer(*id),
        Occasion::Failed => false,
    });
    // A message that fails by itself does not stop those behind it.
    let probe = rest.into_iter().min_by_key(|id| (setbacks(*id), *id));
    let pause = |id| delay(pauses, probes.max(setbacks(id).saturating_sub(1)).saturating_add(1));
    // As long as a channel fails, the failed list has all that has failed; unless nothing is left that could get through.
    let is_last = occasion == Occasion::Failed
        && probe.is_none()
        && notices.iter().all(|notice| notice.progress != Progress::Queued);
    let drop = if occasion == Occasion::GotThrough || is_last { drop } else { Vec::new() };
    Plan { announce, drop, probe: probe.map(|id| (id, pause(id))) }
}
