//! Random histories through the whole decision about each check, beside the model. For each step the state, the incidents and
//! the notices must be the model's; and what was told must keep the promises by itself, whoever computes it.
//!
//! More of them, or the same again: `UPTIME_HISTORIES=1000000 UPTIME_HISTORIES_SEED=7 cargo test --release -p uptime-core
//! --test judgement`.

use crate::model::{self, Held, Level, Model, Rules};
use crate::promises::Promises;
use crate::{Finding, at, report};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::io::Write;
use std::time::Duration;
use uptime_core::announcement::Announced;
use uptime_core::channel::ChannelFilter;
use uptime_core::decision::{
    self, FinishedCheck, Known, KnownIncident, Listener, Remembered, Surroundings, Watched,
};
use uptime_core::dependency::Ancestor;
use uptime_core::event::{EventType, Severity};
use uptime_core::id::{ChannelId, DeliveryId, IncidentId, JobId, MonitorId};
use uptime_core::judgement::{Observation, State, Status, judge};
use uptime_core::maintenance::{Maintenance, When};
use uptime_core::monitor::{Policy, Window};
use uptime_core::queue::Claim;
use uptime_core::{samples, target};
use uuid::Uuid;

/// In an ordinary run.
const HISTORIES: u32 = 120_000;

const INTERVAL: i64 = 10;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A check of the monitor 0, or of one of those above it, so long after what was before.
    Check {
        monitor: usize,
        after: i64,
        slot_late_by: i64,
        found: Finding,
    },
    Acknowledge {
        for_s: i64,
    },
    Unacknowledge,
    Mute,
    Unmute,
    Resolve,
    Maintenance(bool),
    Apply,
}

#[derive(Clone, Debug)]
struct History {
    other: Policy,
    /// Of the monitor, and of those above it.
    policies: Vec<Policy>,
    steps: Vec<Step>,
    /// What is found for good in the end.
    at_last: Finding,
}

fn policy() -> impl Strategy<Value = Policy> {
    let thresholds = (1u32..=5, 1u32..=4, prop::option::of((1u32..=6, 0u32..=8)));
    let critical = (prop::option::of(1u32..15), prop::option::of(5u64..150));
    let reminders = (prop::option::of(1u64..40), 0u32..=5, any::<bool>());
    (thresholds, critical, reminders).prop_map(
        |(
            (confirm, recover, window),
            (critical_failures, critical_after),
            (remind, remind_most, flapping),
        )| {
            Policy {
                interval: Duration::from_secs(INTERVAL.unsigned_abs()),
                timeout: Duration::from_secs(2),
                confirm,
                recover,
                retry_interval: Duration::from_secs(3),
                window: window.map(|(failures, more)| Window { failures, of: failures + more }),
                critical_failures,
                critical_after: critical_after.map(Duration::from_secs),
                remind: remind.map(Duration::from_secs),
                remind_most,
                flapping,
                down_in: None,
            }
        },
    )
}

/// How a history goes: how likely what was found is found again, and else how likely it is what, in percent.
type Temper = (u8, u8, u8);

fn found((stays, down, degraded): Temper, last: Finding, luck: (u8, u8)) -> Finding {
    match luck {
        (_, 0..4) => Finding::Inconclusive,
        (_, 4..7) => Finding::CertificateEnds,
        (again, _) if again < stays => last,
        (_, which) if which < down => Finding::Down,
        (_, which) if which < down.saturating_add(degraded) => Finding::Degraded,
        _ => Finding::Up,
    }
}

fn step(temper: Temper, monitors: usize, last: &mut [Finding; 3], dice: [u8; 5]) -> Step {
    let [kind, which, when, late, luck] = dice;
    let monitor = match which {
        0..70 => 0,
        _ => usize::from(which) % monitors,
    };
    let after = match when {
        0..60 => INTERVAL,
        60..85 => 3,
        85..92 => 0,
        92..95 => 5 * INTERVAL,
        95..97 => 5 * INTERVAL + 1,
        _ => 47,
    };
    // Ran twice, or late behind a newer one; or the clock was ahead.
    let slot_late_by = match late {
        0..85 => 0,
        85..95 => i64::from(late) - 84,
        _ => 90 - i64::from(late) * 5,
    };
    match kind {
        0..86 => {
            let found = found(temper, last[monitor], (luck, (kind % 10) * 10 + which % 10));
            if found != Finding::Inconclusive {
                last[monitor] = found;
            }
            Step::Check { monitor, after, slot_late_by: slot_late_by.min(60), found }
        }
        86..89 => Step::Acknowledge { for_s: i64::from(luck) * 3 },
        89 => Step::Unacknowledge,
        90 => Step::Mute,
        91 => Step::Unmute,
        92..94 => Step::Resolve,
        94..97 => Step::Maintenance(true),
        97..99 => Step::Maintenance(false),
        _ => Step::Apply,
    }
}

fn history() -> impl Strategy<Value = History> {
    let dice = prop::array::uniform5(0u8..100);
    let temper = (0u8..98, 5u8..95, 0u8..40);
    let policies = prop::collection::vec(policy(), 1..=3);
    (policies, policy(), temper, prop::collection::vec(dice, 0..90), any::<bool>()).prop_map(
        |(policies, other, temper, dice, up)| {
            let mut last = [Finding::Up; 3];
            let steps = dice.into_iter().map(|dice| step(temper, policies.len(), &mut last, dice)).collect();
            History { other, policies, steps, at_last: if up { Finding::Up } else { Finding::Down } }
        },
    )
}

fn rules(policy: &Policy) -> Rules {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).expect("few");
    Rules {
        interval: seconds(policy.interval),
        confirm: policy.confirm as usize,
        recover: policy.recover as usize,
        window: policy.window.map(|window| (window.failures as usize, window.of as usize)),
        critical_failures: policy.critical_failures.map(|failures| failures as usize),
        critical_after: policy.critical_after.map(seconds),
        remind: policy.remind.map(seconds),
        remind_most: policy.remind_most,
        flapping: policy.flapping,
    }
}

/// A monitor, with what the database keeps of it, beside its model.
struct Monitor {
    watched: Watched,
    policy: Policy,
    state: State,
    announced: Announced,
    incidents: Vec<KnownIncident>,
    model: Model,
    promises: Promises,
}

fn second(at: jiff::Timestamp) -> i64 {
    at.as_second() - 1_700_000_000
}

fn severity(severity: Severity) -> model::Severity {
    match severity {
        Severity::Critical => model::Severity::Critical,
        Severity::Down => model::Severity::Down,
        _ => model::Severity::Degraded,
    }
}

impl Monitor {
    fn new(watched: Watched, policy: &Policy) -> Self {
        Self {
            watched,
            policy: policy.clone(),
            state: State::default(),
            announced: Announced::default(),
            incidents: Vec::new(),
            model: Model::new(rules(policy)),
            promises: Promises::new(policy),
        }
    }

    /// Changes its policy, and gives the one that it had.
    fn apply(&mut self, other: &mut Policy) {
        std::mem::swap(&mut self.policy, other);
        self.model.rules = rules(&self.policy);
        self.promises.apply(&self.policy);
    }

    fn open(&self) -> Option<usize> {
        self.incidents.len().checked_sub(1).filter(|last| self.incidents[*last].ended_at.is_none())
    }

    /// One check, judged.
    fn check(&mut self, slot: i64, start: i64, found: Finding) -> TestCaseResult {
        let report = report(found);
        let seen = Observation { slot_at: at(slot), started_at: at(start), report: &report };
        let judged = judge(self.state.clone(), &self.policy, seen);
        let counts = judged.state != self.state;
        self.state = judged.state;
        self.promises.changed(&judged.changes)?;
        if counts {
            self.promises.judged(slot, start, found, self.state.status)?;
        }
        let level = match found {
            Finding::Inconclusive => None,
            Finding::Up | Finding::CertificateEnds => Some(Level::Up),
            Finding::Degraded => Some(Level::Degraded),
            Finding::Down => Some(Level::Down),
        };
        let soon = self.model.check(slot, start, level);
        prop_assert_eq!(judged.recheck, soon, "whether a check soon follows");
        Ok(())
    }

    fn compare(&self) -> TestCaseResult {
        let status = match self.state.status {
            Status::Unknown => None,
            Status::Up => Some(Level::Up),
            Status::Degraded => Some(Level::Degraded),
            Status::Down => Some(Level::Down),
        };
        prop_assert_eq!(status, self.model.status(), "status");
        prop_assert_eq!(self.state.flapping, self.model.flapping, "flapping");
        let spans = |incident: &KnownIncident| (second(incident.started_at), incident.ended_at.map(second));
        let of_model = |incident: &model::Incident| (incident.started_at, incident.ended_at);
        prop_assert_eq!(
            self.incidents.iter().map(spans).collect::<Vec<_>>(),
            self.model.incidents.iter().map(of_model).collect::<Vec<_>>(),
            "incidents"
        );
        let open = self.model.open().map(|open| self.model.incidents[open]);
        prop_assert_eq!(self.state.severity.map(severity), open.map(|open| open.severity), "severity");
        if let Some(open) = open {
            prop_assert_eq!(self.state.since.map(second), Some(open.since), "since");
            prop_assert_eq!(self.state.failures as usize, open.failures, "failures");
        }
        Ok(())
    }

    /// What was told after a check.
    fn announced(&mut self, now: i64, notices: Vec<model::Notice>, held: Held) -> TestCaseResult {
        self.promises.announced(&notices, held, self.state.flapping, self.is_handled(now))?;
        prop_assert_eq!(notices, self.model.announce(now, held), "notices");
        Ok(())
    }

    fn is_handled(&self, now: i64) -> bool {
        self.model.open().is_some_and(|open| {
            let incident = &self.model.incidents[open];
            incident.muted || incident.acknowledged_until.is_some_and(|until| now < until)
        })
    }

    fn remembered(&self, number: usize) -> Remembered {
        let incident = self.open().map(|open| id(number, open));
        let (state, announced) = (self.state.clone(), self.announced.clone());
        Remembered { state, announced, incident, locations: Vec::new() }
    }

    /// Somebody says something of the open incident.
    fn person(&mut self, now: i64, step: Step) -> TestCaseResult {
        let Some(open) = self.open() else { return Ok(()) };
        let incident = &mut self.model.incidents[open];
        match step {
            Step::Acknowledge { for_s } => incident.acknowledged_until = Some(now + for_s),
            Step::Unacknowledge => incident.acknowledged_until = None,
            Step::Mute => incident.muted = true,
            Step::Unmute => incident.muted = false,
            Step::Resolve => {
                self.incidents[open].ended_at = Some(at(now));
                self.state = self.state.clone().ended_by_operator();
                let notice = self.announced.announced_severity.take().map(|_| model::Notice::End(open));
                self.announced.reminders = 0;
                prop_assert_eq!(notice, self.model.resolve(now), "what is told of an end by hand");
                self.promises.ended_by_operator(notice)?;
                return self.compare();
            }
            Step::Check { .. } | Step::Maintenance(_) | Step::Apply => {}
        }
        Ok(())
    }

    /// Whether it holds the openings of a child, whose incident was noticed then and has been so bad since.
    fn holds(&self, opened_at: i64, since: i64, now: i64) -> bool {
        let looked_at = self.model.looked_at().is_some_and(|at| at >= since);
        let patience = i64::from(self.policy.confirm) * (3 + 2) + 10;
        let doubted = self.model.doubted_since().filter(|doubted| *doubted <= now);
        self.model.status() == Some(Level::Down)
            || (self.model.is_in_doubt() || !looked_at)
                && now - doubted.unwrap_or(opened_at).max(opened_at) < patience
    }
}

/// An incident of a monitor, as the database names it.
fn id(monitor: usize, incident: usize) -> IncidentId {
    IncidentId(i64::try_from(1_000 * monitor + incident + 1).expect("few"))
}

fn watched(number: usize, monitors: usize) -> Watched {
    let monitor = |number: usize| MonitorId(i64::try_from(number).expect("few"));
    let about = samples::event(EventType::Down).monitor;
    let check = target::parse("tcp://127.0.0.1:9").expect("a target");
    let (parent, is_parent) = ((number + 1 < monitors).then(|| monitor(number + 1)), number > 0);
    Watched { id: monitor(number), about, check, policy: Policy::default(), parent, is_parent }
}

/// Channels that hear, between them, each notice: of what one of them wants nothing says what something else of it says.
fn listeners() -> Vec<Listener> {
    let says_it_all = [EventType::Critical, EventType::FlappingEnd];
    let others = EventType::ALL.iter().copied().filter(|kind| !says_it_all.contains(kind));
    let [critical, flapping_end] = says_it_all.map(|kind| vec![kind]);
    let listener = |number, events| Listener {
        id: ChannelId(number),
        filter: ChannelFilter { events: Some(events), ..ChannelFilter::default() },
    };
    vec![listener(1, others.collect()), listener(2, critical), listener(3, flapping_end)]
}

/// A monitor and those above it.
struct World {
    monitors: Vec<Monitor>,
    now: i64,
    maintenance: bool,
    listeners: Vec<Listener>,
    /// Who was told of which incident.
    heard: HashMap<IncidentId, Vec<Listener>>,
}

impl World {
    fn live_through(history: &History) -> Result<Self, TestCaseError> {
        let count = history.policies.len();
        let monitors = history.policies.iter().enumerate();
        let monitors =
            monitors.map(|(number, policy)| Monitor::new(watched(number, count), policy)).collect();
        let mut world =
            Self { monitors, now: 0, maintenance: false, listeners: listeners(), heard: HashMap::new() };
        let mut other = history.other.clone();
        for step in &history.steps {
            if matches!(step, Step::Apply) {
                world.monitors[0].apply(&mut other);
            }
            world.step(*step)?;
        }
        // Then nothing is held any more, and all is steady for so long that nothing can be in doubt.
        world.step(Step::Maintenance(false))?;
        for _ in 0..30 {
            for monitor in (0..world.monitors.len()).rev() {
                let found = if monitor == 0 { history.at_last } else { Finding::Up };
                world.step(Step::Check { monitor, after: 3, slot_late_by: 0, found })?;
            }
        }
        let Monitor { announced, state, promises, .. } = &mut world.monitors[0];
        prop_assert!(
            announced.unannounced_ends.is_empty() && !announced.flapping_announced,
            "{announced:?} in the end"
        );
        prop_assert_eq!(announced.announced_severity.is_some(), state.status == Status::Down, "{:?}", state);
        promises.in_the_end()?;
        Ok(world)
    }

    fn step(&mut self, step: Step) -> TestCaseResult {
        match step {
            Step::Maintenance(begins) => self.maintenance = begins,
            Step::Check { monitor, after, slot_late_by, found } => {
                self.now += after;
                let (now, slot) = (self.now, self.now - slot_late_by);
                let before = self.monitors[monitor].remembered(monitor);
                self.monitors[monitor].check(slot, now, found)?;
                let notices = self.decide(monitor, before, slot, found)?;
                if monitor == 0 {
                    let (child, above) = self.monitors.split_first_mut().expect("there is one");
                    let since = |open: usize| {
                        (second(child.incidents[open].opened_at), child.model.incidents[open].since)
                    };
                    let open = child.open().map(since);
                    let holds = |parent: &Monitor| {
                        open.is_some_and(|(opened_at, since)| parent.holds(opened_at, since, now))
                    };
                    let by_parent = above.iter().any(holds);
                    let by_parent = by_parent || !matches!(found, Finding::Down | Finding::Degraded);
                    child.announced(now, notices, Held { maintenance: self.maintenance, by_parent })?;
                }
            }
            of_person => self.monitors[0].person(self.now, of_person)?,
        }
        Ok(())
    }

    /// The whole decision about a check, as a worker comes to it: with no more of what is around it than it asks for. Gives what
    /// was told.
    fn decide(
        &mut self,
        number: usize,
        before: Remembered,
        slot: i64,
        found: Finding,
    ) -> Result<Vec<model::Notice>, TestCaseError> {
        let now = at(self.now);
        let of = |number: usize| MonitorId(i64::try_from(number).expect("few"));
        let monitor = &mut self.monitors[number];
        let is_handled = monitor.is_handled(self.now);
        let incidents = (0..).map(|place| id(number, place)).zip(&monitor.incidents);
        let incidents =
            incidents.map(|(id, known)| (id, KnownIncident { is_handled, ..known.clone() })).collect();
        let claim = Claim { id: JobId(1), number: 1, attempts: 1 };
        let check = FinishedCheck {
            claim,
            monitor: Watched { policy: monitor.policy.clone(), ..monitor.watched.clone() },
            location: None,
            slot_at: at(slot),
            started_at: now,
            late: Duration::ZERO,
            report: report(found),
        };
        let monitors = [(of(number), before)].into();
        let judged =
            decision::judge(Known { now, ours: [claim.id].into(), monitors, incidents }, vec![check]);
        let needs = judged.needs();
        let mut around = Surroundings::default();
        for (id, changed) in needs.changed {
            let place = usize::try_from(id.0).expect("an incident of ours") % 1_000 - 1;
            monitor.incidents[place] = changed;
        }
        for (_, opened) in needs.opened {
            around.opened.push(id(number, monitor.incidents.len()));
            monitor.incidents.push(opened);
        }
        if needs.windows && self.maintenance {
            let when = When::Once { from: at(-1), until: at(1_000_000) };
            let (monitors, groups, tags) = (Vec::new(), Vec::new(), BTreeMap::new());
            around.windows.push(("window".into(), Maintenance { monitors, groups, tags, when }));
        }
        around.channels_of =
            needs.channels_of.into_iter().map(|monitor| (monitor, self.listeners.clone())).collect();
        let heard = |id: IncidentId| Some((id, self.heard.get(&id)?.clone()));
        around.heard_of = needs.heard_of.into_iter().filter_map(heard).collect();
        for above in needs.above {
            let from = usize::try_from(above.0).expect("a monitor of ours");
            let ancestor = |(number, monitor): (usize, &Monitor)| {
                (of(number), Ancestor::new(&monitor.state, &monitor.policy))
            };
            let all = self.monitors.iter().enumerate().skip(from).map(ancestor).collect();
            around.above.insert(above, all);
        }
        let decisions = judged.announce(around, &mut || DeliveryId(Uuid::nil()));

        let monitor = &mut self.monitors[number];
        let outcome = &decisions.outcomes[0];
        prop_assert_eq!(&outcome.state, &monitor.state);
        prop_assert_eq!(outcome.incident, monitor.open().map(|open| id(number, open)));
        monitor.announced = outcome.announced.clone();
        monitor.compare()?;
        let open = monitor.open();
        let mut notices = Vec::new();
        for notice in decisions.notices {
            let about = notice.event.incident.map(|incident| incident.id);
            let incident =
                about.map_or(0, |id| usize::try_from(id.0).expect("an incident of ours") % 1_000 - 1);
            let has_heard = |about: Option<IncidentId>| {
                let heard = about.and_then(|id| self.heard.get(&id));
                heard.is_some_and(|heard| heard.iter().any(|listener| listener.id == notice.channel))
            };
            notices.push(match notice.event.kind {
                EventType::FlappingStart => model::Notice::FlappingStart,
                EventType::FlappingEnd => model::Notice::FlappingEnd { open },
                EventType::Up => model::Notice::End(incident),
                EventType::Degraded => model::Notice::Opening(incident, model::Severity::Degraded),
                EventType::Down if has_heard(about) => model::Notice::Worse(incident),
                EventType::Down => model::Notice::Opening(incident, model::Severity::Down),
                EventType::Critical => model::Notice::Critical(incident),
                EventType::Reminder => {
                    model::Notice::Reminder(incident, notice.sequence.try_into().expect("few"))
                }
                other => panic!("nobody is told `{other}`"),
            });
            if let Some(id) = about.filter(|_| EventType::HEARD_BY.contains(&notice.event.kind)) {
                let heard = self.heard.entry(id).or_default();
                heard.retain(|listener| listener.id != notice.channel);
                heard.extend(self.listeners.iter().filter(|listener| listener.id == notice.channel).cloned());
            }
        }
        Ok(notices)
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no settings of its own")]
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}=`{text}` is no number")))
}

fn say(line: &str) {
    // Past the test runner, which would show it only after a failure.
    let _ = writeln!(std::io::stderr(), "── {line}");
}

#[test]
fn random_histories_are_judged_and_announced_as_by_the_model() {
    let seed = number("UPTIME_HISTORIES_SEED")
        .unwrap_or_else(|| std::hash::RandomState::new().hash_one(std::process::id()));
    let cases = number("UPTIME_HISTORIES")
        .map_or(HISTORIES, |cases| u32::try_from(cases).expect("a number of cases"));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tally = RefCell::new(BTreeMap::<&str, u64>::new());
    let lived = runner.run(&history(), |history| {
        let world = World::live_through(&history)?;
        let mut tally = tally.borrow_mut();
        for (what, times) in world.monitors[0].promises.tally() {
            *tally.entry(what).or_default() += times;
        }
        Ok(())
    });
    let tally = tally.into_inner();
    let counts: Vec<String> = tally.iter().map(|(what, times)| format!("{times} {what}")).collect();
    say(&format!("{cases} histories (UPTIME_HISTORIES_SEED={seed}): {}", counts.join(", ")));
    match lived {
        Ok(()) => {}
        Err(TestError::Fail(reason, history)) => {
            let steps: Vec<String> = history.steps.iter().map(|step| format!("  {step:?}\n")).collect();
            let History { policies, other, at_last, .. } = history;
            panic!(
                "{reason}\nUPTIME_HISTORIES_SEED={seed}\n{policies:?}\nother: {other:?}\n{}then {at_last:?}",
                steps.concat()
            )
        }
        Err(error) => panic!("{error}"),
    }
    // What never happened was not tested.
    for what in Promises::KINDS.split(", ") {
        assert!(cases < 10_000 || tally.get(what).is_some_and(|times| *times > 100), "`{what}` is too rare");
    }
}
