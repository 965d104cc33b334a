//! For every history of a channel's outages: ten minutes after the channel is back, what it was told matches what is true.
//!
//! The world is a model of the program around [`plan`]: notices become jobs with three tries, one after the other for each
//! monitor; a job that fails for good is reconciled, and so is the channel when a notice gets through.

use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use uptime_core::event::EventType;
use uptime_core::id::{IncidentId, NotificationId};
use uptime_core::recheck::{IncidentNow, OVERTAKEN, objection};
use uptime_core::reconcile::{Notice, Occasion, Progress, SETBACKS_MOST, plan};

const TRIES: u32 = 3;
const BACKOFF: u64 = 5;
const PAUSES: [Duration; 4] =
    [Duration::from_mins(1), Duration::from_mins(2), Duration::from_mins(4), Duration::from_mins(8)];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A monitor goes down, gets critical or is up again, whichever fits.
    StateChange(usize),
    Escalate(usize),
    Acknowledge(usize),
    Mute(usize),
    Channel,
}

#[derive(Clone, Debug, Default)]
struct Incident {
    monitor: usize,
    ended: bool,
    acknowledged: bool,
    muted: bool,
}

#[derive(Clone, Copy)]
struct Job {
    notice: usize,
    due: u64,
    tries: u32,
    is_probe: bool,
}

#[derive(Default)]
struct World {
    now: u64,
    works: bool,
    incidents: Vec<Incident>,
    open: BTreeMap<usize, usize>,
    /// `None`: nobody is told of it any more.
    notices: Vec<(Notice, Option<Progress>)>,
    jobs: Vec<Job>,
    delivered: Vec<usize>,
    fails: bool,
    probes: u32,
}

impl World {
    fn name(monitor: usize) -> String {
        format!("monitor {monitor}")
    }

    fn announce(&mut self, event: EventType, incident: usize) {
        let id = self.notices.len();
        let [row, of] = [id, incident].map(|number| i64::try_from(number).expect("few"));
        let about = Self::name(self.incidents[incident].monitor);
        let notice = Notice { about, ..notice(row, event, of, Progress::Queued) };
        self.notices.push((notice, Some(Progress::Queued)));
        self.jobs.push(Job { notice: id, due: self.now, tries: 0, is_probe: false });
        if self.fails {
            self.reconcile(Occasion::Enqueued);
        }
    }

    fn incident_of(&self, notice: usize) -> usize {
        usize::try_from(self.notices[notice].0.incident.expect("one").0).expect("few")
    }

    fn circumstances(&self, notice: usize) -> IncidentNow {
        let incident = self.incident_of(notice);
        let (about, row) = (self.notices[notice].0.about.clone(), &self.incidents[incident]);
        let is = |other: usize, progress| self.notices[other].1 == Some(progress);
        let event = |other: usize| self.notices[other].0.event;
        let all = || 0..self.notices.len();
        let mut of_it = all().filter(|other| self.incident_of(*other) == incident);
        let is_told =
            |other: usize| is(other, Progress::Delivered) && EventType::HEARD_BY.contains(&event(other));
        let ends = |other: usize| {
            event(other) == EventType::Up && (is(other, Progress::Delivered) || is(other, Progress::Queued))
        };
        IncidentNow {
            ended_at: row.ended.then_some(jiff::Timestamp::UNIX_EPOCH),
            muted: row.muted,
            acknowledged: row.acknowledged && !row.ended,
            opening_told: of_it.clone().any(is_told),
            recovery_due: of_it.any(ends),
            overtaken: all().any(|other| {
                other > notice && is(other, Progress::Delivered) && self.notices[other].0.about == about
            }),
            ..IncidentNow::default()
        }
    }

    fn reconcile(&mut self, occasion: Occasion) {
        self.reconcile_after(occasion, &PAUSES);
    }

    fn reconcile_after(&mut self, occasion: Occasion, pauses: &[Duration]) {
        let notices: Vec<Notice> = (0..self.notices.len())
            .filter_map(|id| {
                let progress = self.notices[id].1?;
                Some(Notice { progress, now: self.circumstances(id), ..self.notices[id].0.clone() })
            })
            .collect();
        let plan = plan(&notices, occasion, self.probes, pauses);
        let index = |id: NotificationId| usize::try_from(id.0).expect("few");
        for (id, _) in plan.drop {
            self.notices[index(id)].1 = None;
            self.jobs.retain(|job| job.notice != index(id));
        }
        for id in plan.announce {
            self.notices[index(id)].0.setbacks += u32::from(occasion == Occasion::GotThrough);
            self.notices[index(id)].1 = Some(Progress::Queued);
            self.jobs.retain(|job| job.notice != index(id));
            self.jobs.push(Job { notice: index(id), due: self.now, tries: 0, is_probe: false });
        }
        let Some((id, pause)) = plan.probe else { return };
        let old = self.jobs.iter().find(|job| job.is_probe).map(|job| job.due);
        self.jobs.retain(|job| !job.is_probe);
        let due = old.unwrap_or(self.now + pause.as_secs());
        self.jobs.push(Job { notice: index(id), due, tries: 0, is_probe: true });
    }

    /// Runs what is due until `until`.
    fn run(&mut self, until: u64) {
        loop {
            let is_first = |job: &Job| {
                let about = &self.notices[job.notice].0.about;
                !self.jobs.iter().any(|other| {
                    other.notice < job.notice
                        && !other.is_probe
                        && self.notices[other.notice].0.about == *about
                })
            };
            let ready = self.jobs.iter().enumerate().filter(|(_, job)| job.due <= until && is_first(job));
            let Some((at, _)) = ready.min_by_key(|(_, job)| (job.due, job.notice)) else { break };
            let job = self.jobs.remove(at);
            self.now = self.now.max(job.due);
            self.deliver(job);
        }
        self.now = until;
    }

    fn deliver(&mut self, job: Job) {
        let (id, now) = (job.notice, self.circumstances(job.notice));
        if objection(self.notices[id].0.event, &now).is_some() {
            self.notices[id].1 = None;
            if job.is_probe {
                // It found out nothing: the next one goes at once.
                self.reconcile_after(Occasion::Failed, &[]);
                return;
            }
        } else if self.works {
            self.notices[id].1 = Some(Progress::Delivered);
            self.delivered.push(id);
            (self.fails, self.probes) = (false, 0);
            self.reconcile(Occasion::GotThrough);
            return;
        } else if !job.is_probe && job.tries + 1 < TRIES {
            self.jobs.push(Job { due: self.now + BACKOFF, tries: job.tries + 1, ..job });
            return;
        } else {
            self.notices[id].1 = Some(Progress::Failed);
            self.fails = true;
            self.probes += u32::from(job.is_probe);
        }
        self.reconcile(Occasion::Failed);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Channel => self.works = !self.works,
            Step::StateChange(monitor) => {
                if let Some(incident) = self.open.remove(&monitor) {
                    self.incidents[incident].ended = true;
                    self.announce(EventType::Up, incident);
                } else {
                    self.incidents.push(Incident { monitor, ..Incident::default() });
                    self.open.insert(monitor, self.incidents.len() - 1);
                    self.announce(EventType::Down, self.incidents.len() - 1);
                }
            }
            Step::Escalate(monitor) => {
                let Some(&incident) = self.open.get(&monitor) else { return };
                let is_known = |id: usize| {
                    self.incident_of(id) == incident && self.notices[id].0.event == EventType::Critical
                };
                let is_new = !(0..self.notices.len()).any(is_known);
                if is_new && !self.incidents[incident].acknowledged {
                    self.announce(EventType::Critical, incident);
                }
            }
            Step::Acknowledge(monitor) => {
                let Some(&incident) = self.open.get(&monitor) else { return };
                if !std::mem::replace(&mut self.incidents[incident].acknowledged, true) {
                    self.announce(EventType::Acknowledged, incident);
                }
            }
            Step::Mute(monitor) => {
                if let Some(&incident) = self.open.get(&monitor) {
                    self.incidents[incident].muted = true;
                }
            }
        }
    }

    fn check(&self) {
        let told_of =
            |incident: usize| self.delivered.iter().filter(move |id| self.incident_of(**id) == incident);
        assert_eq!(
            self.delivered.iter().collect::<HashSet<_>>().len(),
            self.delivered.len(),
            "one was told twice"
        );
        for (place, id) in self.delivered.iter().enumerate() {
            let about = &self.notices[*id].0.about;
            let later = self.delivered[place..]
                .iter()
                .find(|later| *later < id && self.notices[**later].0.about == *about);
            assert_eq!(later, None, "it was told after {id}, which is newer");
        }
        for (incident, row) in self.incidents.iter().enumerate().filter(|(_, row)| !row.muted) {
            let last = told_of(incident).next_back().map(|id| self.notices[*id].0.event);
            let overtaken = self.delivered.iter().any(|id| {
                self.incident_of(*id) > incident && self.notices[*id].0.about == Self::name(row.monitor)
            });
            match last {
                None | Some(EventType::Up) if !row.ended => {
                    panic!("incident {incident} is open, and nobody knows")
                }
                Some(event) if row.ended && event != EventType::Up && !overtaken => {
                    panic!("incident {incident} has ended, and the last word was {event}")
                }
                None if row.ended && !overtaken => panic!("nobody heard of incident {incident}"),
                _ => {}
            }
        }
        let is_left = |id: usize| {
            self.notices[id].1 == Some(Progress::Failed) && !self.incidents[self.incident_of(id)].muted
        };
        assert!(!(0..self.notices.len()).any(is_left), "something is outstanding");
    }
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        6 => (0..3_usize).prop_map(Step::StateChange),
        2 => (0..3_usize).prop_map(Step::Escalate),
        1 => (0..3_usize).prop_map(Step::Acknowledge),
        1 => (0..3_usize).prop_map(Step::Mute),
        3 => Just(Step::Channel),
    ];
    let wait = prop_oneof![2 => Just(0_u64), 4 => 0..20_u64, 2 => 20..300_u64, 1 => 300..4_000_u64];
    prop::collection::vec((wait, step), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn ten_minutes_after_the_channel_is_back_what_it_was_told_matches_what_is_true(steps in steps()) {
        let mut world = World { works: true, ..World::default() };
        for (wait, step) in steps {
            world.run(world.now + wait);
            world.step(step);
        }
        world.works = true;
        world.run(world.now + 600);
        world.check();
    }
}

fn notice(id: i64, event: EventType, incident: i64, progress: Progress) -> Notice {
    Notice {
        id: NotificationId(id),
        event,
        about: "shop".into(),
        incident: Some(IncidentId(incident)),
        progress,
        setbacks: 0,
        now: IncidentNow::default(),
        is_over: false,
    }
}

#[test]
fn a_message_that_fails_by_itself_holds_up_no_other_and_is_given_up_in_the_end() {
    let failing = |setbacks| Notice { setbacks, ..notice(1, EventType::Down, 1, Progress::Failed) };
    let other = Notice { about: "mail".into(), ..notice(2, EventType::Down, 2, Progress::Failed) };
    let plan = |setbacks, occasion| plan(&[failing(setbacks), other.clone()], occasion, 0, &PAUSES);
    assert_eq!(plan(0, Occasion::Failed).probe, Some((NotificationId(1), PAUSES[0])));
    assert_eq!(plan(1, Occasion::Failed).probe, Some((NotificationId(2), PAUSES[0])));
    assert_eq!(plan(0, Occasion::GotThrough).announce, [NotificationId(1), NotificationId(2)]);
    assert_eq!(plan(2, Occasion::GotThrough).announce, [NotificationId(2)]);
    assert_eq!(plan(2, Occasion::GotThrough).probe, Some((NotificationId(1), PAUSES[1])));
    assert_eq!(plan(SETBACKS_MOST, Occasion::GotThrough).probe, None);
}

#[test]
fn a_certificate_is_another_matter_than_an_outage() {
    let certificate = Notice { incident: None, ..notice(1, EventType::Certificate, 0, Progress::Failed) };
    let down = notice(2, EventType::Down, 1, Progress::Delivered);
    assert_eq!(plan(&[certificate, down], Occasion::GotThrough, 0, &PAUSES).announce, [NotificationId(1)]);
}

#[test]
fn what_failed_after_a_newer_notice_was_told_is_not_left_without_a_probe() {
    let older = notice(1, EventType::Down, 1, Progress::Failed);
    let failed = |newer| {
        let newer = notice(2, EventType::Down, 2, newer);
        let overtaken =
            IncidentNow { overtaken: newer.progress == Progress::Delivered, ..IncidentNow::default() };
        plan(&[Notice { now: overtaken, ..older.clone() }, newer], Occasion::Failed, 0, &PAUSES)
    };
    assert_eq!(failed(Progress::Delivered).drop, [(NotificationId(1), OVERTAKEN)]);
    assert_eq!(failed(Progress::Queued).probe, Some((NotificationId(1), PAUSES[0])));
}
