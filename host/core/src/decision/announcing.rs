//! What is told of a batch, and to whom.

use super::drafting::{certificate, draft};
use super::{
    Decisions, Incidents, Judged, Known, Listener, Notice, Outcome, Remembered, Surroundings, Watched,
};
use crate::announcement::{self, Facts, Suppression};
use crate::dependency::{Ancestor, Verdict};
use crate::duration::elapsed;
use crate::event::{Event, EventMonitor, EventType};
use crate::id::{DeliveryId, IncidentId, MonitorId};
use crate::judgement::StateChange;
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

struct Announcing<'a> {
    now: Timestamp,
    monitors: HashMap<MonitorId, Remembered>,
    incidents: Incidents,
    around: Surroundings,
    new_id: &'a mut dyn FnMut() -> DeliveryId,
    decisions: Decisions,
}

impl Judged {
    /// What is told, and what is to be written. Each notice gets an id of its own.
    pub fn announce(self, mut around: Surroundings, new_id: &mut dyn FnMut() -> DeliveryId) -> Decisions {
        let names = std::mem::take(&mut around.opened);
        let named = |id: IncidentId| {
            let place = usize::try_from(-1 - id.0).ok();
            place.and_then(|place| names.get(place).copied()).unwrap_or(id)
        };
        let wake = std::mem::take(&mut around.below);
        let decisions = Decisions { awaited: self.awaited, wake, ..Decisions::default() };
        let Known { now, monitors, incidents, .. } = self.known;
        let mut announcing = Announcing { now, monitors, incidents, around, new_id, decisions };
        for mut outcome in self.outcomes {
            outcome.changes.iter_mut().for_each(|(incident, _)| *incident = named(*incident));
            outcome.incident = outcome.incident.map(named);
            announcing.decide(outcome);
        }
        announcing.decisions
    }
}

impl Announcing<'_> {
    fn decide(&mut self, mut outcome: Outcome) {
        for (incident, change) in &outcome.changes {
            let happened = outcome.change(*incident, *change, &mut self.incidents, self.now);
            self.decisions.timeline.extend(happened.map(|(word, note)| (*incident, word, note)));
        }
        let monitor = outcome.check.monitor.id;
        outcome.announced =
            self.monitors.get(&monitor).map(|known| known.announced.clone()).unwrap_or_default();
        if outcome.is_behind() || outcome.may_remind() || !outcome.ending.is_empty() {
            self.draft_notices(&mut outcome);
            self.monitors.entry(monitor).or_default().announced = outcome.announced.clone();
        }
        self.decisions.outcomes.push(outcome);
    }

    /// Tells what is to be told.
    fn draft_notices(&mut self, outcome: &mut Outcome) {
        let (mut suppression, why) = self.held(outcome);
        if outcome.trouble.is_none() {
            // That it is down is no news at a moment when it answers, or when we can't tell.
            suppression = suppression.max(Suppression::Openings);
        }
        let (open, ended, flapping) = (outcome.open(), outcome.ended(), outcome.state.flapping);
        if suppression == Suppression::Nothing && !flapping {
            self.draft_certificates(outcome);
        }
        let is_handled = outcome.is_handled(&self.incidents);
        let facts = Facts {
            open,
            ended,
            since: outcome.state.since,
            flapping,
            is_handled,
            suppression,
            now: self.now,
        };
        let announced = std::mem::take(&mut outcome.announced);
        let (announced, notices) = announcement::announce(announced, &facts, &outcome.check.monitor.policy);
        let why = match why {
            _ if flapping => "it goes up and down too often".to_owned(),
            None if is_handled => "somebody takes care of it".to_owned(),
            why => why.unwrap_or_else(|| "nobody is told yet".to_owned()),
        };
        let is_told = announced.announced_severity == open.map(|(_, severity)| severity);
        let is_worse =
            |(_, change): &_| matches!(change, StateChange::Opened { .. } | StateChange::Escalated { .. });
        let held_open = outcome.incident.filter(|_| outcome.changes.iter().any(is_worse) && !is_told);
        let held_end = ended.filter(|ended| announced.unannounced_ends.contains(ended));
        for incident in held_open.into_iter().chain(held_end) {
            self.decisions.timeline.push((incident, "held", Some(why.clone())));
        }
        outcome.announced = announced;
        self.send(outcome, &notices);
    }

    /// What holds a monitor's notices back, and in words for the incident's timeline. Has it looked at again when that may be
    /// over.
    fn held(&mut self, outcome: &mut Outcome) -> (Suppression, Option<String>) {
        let monitor = &outcome.check.monitor;
        if let Some((name, until)) = self.maintenance_of(monitor) {
            let why = format!("the maintenance `{name}` lasts until {until:.0}");
            outcome.recheck_within(elapsed(self.now, until));
            return (Suppression::All, Some(why));
        }
        let (Some(parent), Some((incident, _))) = (monitor.parent, outcome.open()) else {
            return (Suppression::Nothing, None);
        };
        let opened_at = self.incidents.get(&incident).map_or(self.now, |incident| incident.opened_at);
        let (verdict, undecided) =
            self.verdict_of(parent, outcome.state.since.unwrap_or(opened_at), opened_at);
        let why = match verdict {
            Verdict::OwnTrouble => return (Suppression::Nothing, None),
            Verdict::Undecided => {
                let retry = monitor.policy.retry_interval;
                outcome.recheck_within(retry);
                self.decisions.wake.extend(undecided);
                "what it is reached through is looked at first"
            }
            Verdict::ParentDown => "what it is reached through is down",
        };
        (Suppression::Openings, Some(why.to_owned()))
    }

    /// The maintenance window that a monitor is in: its name, and when it is over. Of several the one that lasts longest.
    fn maintenance_of(&self, monitor: &Watched) -> Option<(&str, Timestamp)> {
        let EventMonitor { name, group, tags, .. } = &monitor.about;
        let concerning =
            self.around.windows.iter().filter(|(_, window)| window.concerns(name, group.as_deref(), tags));
        concerning
            .filter_map(|(name, window)| Some((name.as_str(), window.covers(self.now)?)))
            .max_by_key(|(_, until)| *until)
    }

    /// What `parent` and those above it say together, with what this batch found of them; and those of them that have to be
    /// looked at. One in doubt has its own next look.
    fn verdict_of(
        &self,
        parent: MonitorId,
        started_at: Timestamp,
        opened_at: Timestamp,
    ) -> (Verdict, Vec<MonitorId>) {
        let (mut together, mut undecided) = (Verdict::OwnTrouble, Vec::new());
        for (id, ancestor) in self.around.above.get(&parent).into_iter().flatten() {
            let known = self.monitors.get(id).map(|known| Ancestor::new(&known.state, &ancestor.policy));
            let ancestor = known.as_ref().unwrap_or(ancestor);
            let verdict = ancestor.verdict(started_at, opened_at, self.now);
            undecided.extend((verdict == Verdict::Undecided && ancestor.downs == 0).then_some(*id));
            together = together.max(verdict);
        }
        (together, undecided)
    }

    fn send(&mut self, outcome: &Outcome, notices: &[announcement::Notice]) {
        let drafts: Vec<_> = notices
            .iter()
            .filter_map(|notice| {
                Some((*notice, draft(outcome, &self.incidents, self.now, notices, *notice)?))
            })
            .collect();
        let interested = self.channels_of(outcome);
        // Who hears one that says it all hears nothing beside it.
        let is_said = |channel: &Listener, notice| {
            interested.iter().any(|other| other.id == channel.id)
                && drafts
                    .iter()
                    .any(|(beside, (event, _))| beside.says(notice) && channel.filter.wants(event))
        };
        for (notice, (event, sequence)) in &drafts {
            let mut recipients = interested.clone();
            // A recovery is sent if and only if the opening was due: to those, whatever the monitor's group and tags are by now.
            if let announcement::Notice::End(incident) = notice {
                recipients = self.around.heard_of.get(incident).cloned().unwrap_or_default();
                recipients.retain(|channel| channel.filter.wants_event(event.kind));
            } else {
                recipients.retain(|channel| channel.filter.wants(event));
            }
            for channel in recipients.iter().filter(|channel| !is_said(channel, *notice)) {
                self.notify(channel, event, *sequence);
            }
        }
    }

    /// Tells of each certificate once, for each limit that it comes under.
    fn draft_certificates(&mut self, outcome: &Outcome) {
        for (limit, warning) in &outcome.ending {
            if self.around.certificates.insert(limit.clone()) {
                self.decisions.certificates.push(limit.clone());
                let event = certificate(&outcome.check.monitor, warning, self.now);
                for channel in self.channels_of(outcome).iter().filter(|channel| channel.filter.wants(&event))
                {
                    self.notify(channel, &event, 0);
                }
            }
        }
    }

    fn channels_of(&self, outcome: &Outcome) -> Vec<Listener> {
        self.around.channels_of.get(&outcome.check.monitor.id).cloned().unwrap_or_default()
    }

    fn notify(&mut self, channel: &Listener, event: &Event, sequence: i64) {
        let event = event.sent_as((self.new_id)());
        if let Some(incident) = event.incident.as_ref().filter(|_| EventType::HEARD_BY.contains(&event.kind))
        {
            let heard = self.around.heard_of.entry(incident.id).or_default();
            if heard.iter().all(|other| other.id != channel.id) {
                heard.push(channel.clone());
            }
        }
        self.decisions.notices.push(Notice { channel: channel.id, event, sequence });
    }
}

impl Outcome {
    fn recheck_within(&mut self, after: Duration) {
        self.recheck_after = Some(self.recheck_after.map_or(after, |soon| soon.min(after)));
    }
}
