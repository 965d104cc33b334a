//! Several locations judge a monitor together: random histories beside the definitions, word by word.

use crate::{Finding, at, report};
use jiff::Timestamp;
use proptest::prelude::*;
use std::time::Duration;
use uptime_core::event::Severity;
use uptime_core::judgement::locations::{
    LocalState, in_words, judge_together, local, majority, restart_waiting,
};
use uptime_core::judgement::{Observation, State, StateChange, Status, judge};
use uptime_core::monitor::Policy;

const INTERVAL_S: i64 = 10;
/// A location that was silent for longer counts no more.
const SILENCE_S: i64 = 5 * INTERVAL_S;

fn every_ten_seconds() -> Policy {
    Policy { interval: Duration::from_secs(10), ..Policy::default() }
}

/// A monitor, as seen from its locations.
#[derive(Debug)]
struct World {
    policy: Policy,
    locations: Vec<LocalState>,
    state: State,
    now: i64,
}

impl World {
    /// Locations that look every ten seconds, each of which has found it up.
    fn up(locations: usize, confirm: u32) -> Self {
        let mut world = Self::new(locations, Policy { confirm, ..every_ten_seconds() });
        world.check_in_all(|_| Finding::Up);
        assert_eq!(world.state.status, Status::Up);
        world
    }

    /// A check from each of them, now.
    fn check_in_all(&mut self, found: impl Fn(usize) -> Finding) -> Vec<StateChange> {
        (0..self.locations.len()).flat_map(|location| self.check(location, found(location))).collect()
    }

    /// A check that is due at this second.
    fn check_at(&mut self, second: i64, location: usize, found: Finding) -> Vec<StateChange> {
        self.now = second;
        self.check(location, found)
    }

    fn new(locations: usize, policy: Policy) -> Self {
        let local = |name: usize| LocalState {
            location: format!("l{name}").parse().expect("a location"),
            state: State::default(),
            awaited_since: at(0),
        };
        Self { policy, locations: (0..locations).map(local).collect(), state: State::default(), now: 0 }
    }

    /// A check of the slot that is now, from one of them.
    fn check(&mut self, location: usize, found: Finding) -> Vec<StateChange> {
        let (slot_at, started_at) = (at(self.now - self.now % INTERVAL_S), at(self.now));
        let report = report(found);
        let seen = Observation { slot_at, started_at, report: &report };
        restart_waiting(&self.policy, &mut self.locations, started_at);
        let here = &mut self.locations[location];
        here.state = judge(here.state.clone(), &local(&self.policy), seen).state;
        let judged = judge_together(self.state.clone(), &self.policy, &self.locations, seen, started_at);
        self.state = judged.state;
        judged.changes
    }

    /// How it is by the definition: `None` when that hangs on what some of them have not found yet.
    fn status(&self, before: Status) -> Option<Status> {
        let lately = |heard: Timestamp| at(self.now).as_second() - heard.as_second() <= SILENCE_S;
        let heard = |local: &&LocalState| local.state.last_slot_at.is_some_and(lately);
        let goes_on = before == Status::Down
            && self.locations.iter().any(|local| heard(&local) && local.state.status == Status::Down);
        // `Unknown`: it could be anything.
        let word = |local: &LocalState| match local.state.status {
            status if heard(&local) => Some(status),
            _ if lately(local.awaited_since) => Some(Status::Unknown),
            Status::Down if goes_on => Some(Status::Unknown),
            _ => None,
        };
        let counts: Vec<Status> = self.locations.iter().filter_map(word).collect();
        let down_in = self.policy.down_in.unwrap_or_else(|| majority(self.locations.len())) as usize;
        let needed = down_in.min(counts.len());
        let together = |all: &[Status]| {
            let down = all.iter().filter(|status| **status == Status::Down).count();
            let troubled = down + all.iter().filter(|status| **status == Status::Degraded).count();
            if down >= needed {
                Status::Down
            } else if troubled >= needed {
                Status::Degraded
            } else {
                Status::Up
            }
        };
        // Each that has confirmed nothing could be anything.
        let mut could_be: Vec<Vec<Status>> = vec![Vec::new()];
        for status in &counts {
            let options = match status {
                Status::Unknown => vec![Status::Up, Status::Degraded, Status::Down],
                known => vec![*known],
            };
            could_be = could_be
                .into_iter()
                .flat_map(|all| options.iter().map(move |one| [all.as_slice(), &[*one]].concat()))
                .collect();
        }
        let mut together = could_be.iter().map(|all| together(all));
        let first = together.next().filter(|_| needed > 0)?;
        together.all(|other| other == first).then_some(first)
    }
}

fn found() -> impl Strategy<Value = Finding> {
    prop_oneof![5 => Just(Finding::Up), 5 => Just(Finding::Down), 2 => Just(Finding::Degraded), 1 => Just(Finding::Inconclusive)]
}

fn steps(locations: usize) -> impl Strategy<Value = Vec<(i64, usize, Finding)>> {
    let gap = prop_oneof![8 => 0..12_i64, 2 => 12..40_i64, 1 => 40..120_i64];
    prop::collection::vec((gap, 0..locations, found()), 1..80)
}

fn histories() -> impl Strategy<Value = (World, Vec<(i64, usize, Finding)>)> {
    (1..=4_usize, 1..=3_u32, 1..=3_u32, prop::option::of(1..=4_u32)).prop_flat_map(
        |(count, confirm, recover, down_in)| {
            let policy = Policy {
                confirm,
                recover,
                critical_failures: Some(6),
                down_in: down_in.map(|down_in| down_in.min(u32::try_from(count).unwrap_or(1))),
                ..every_ten_seconds()
            };
            steps(count).prop_map(move |steps| (World::new(count, policy.clone()), steps))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_monitor_is_what_enough_of_its_locations_say((mut world, steps) in histories()) {
        let mut open: Option<(Severity, Timestamp)> = None;
        for (gap, location, found) in steps {
            world.now += gap;
            let before = world.state.clone();
            let changes = world.check(location, found);
            let opens = |status| status != Status::Up && status != before.status;
            match (world.status(before.status), found) {
                (None, _) => prop_assert_eq!(world.state.status, before.status, "nothing is known"),
                (_, Finding::Inconclusive) => prop_assert_eq!(world.state.status, before.status, "nothing is said"),
                (Some(status), Finding::Up) if opens(status) => prop_assert_eq!(world.state.status, before.status),
                (Some(status), _) => prop_assert_eq!(world.state.status, status),
            }
            for change in changes {
                match change {
                    StateChange::Opened { severity, started_at, failures } => {
                        prop_assert!(open.is_none() && failures >= 1 && started_at <= at(world.now));
                        open = Some((severity, started_at));
                    }
                    StateChange::Worsened { started_at, .. } => {
                        prop_assert!(matches!(open, Some((Severity::Degraded, _))));
                        open = Some((Severity::Down, started_at));
                    }
                    StateChange::Escalated { failures } => {
                        let (severity, since) = open.expect("an incident");
                        prop_assert!(severity == Severity::Down && failures >= 6);
                        open = Some((Severity::Critical, since));
                    }
                    StateChange::Resolved { started_at, ended_at, .. } => {
                        let (_, since) = open.take().expect("an incident");
                        prop_assert_eq!(started_at, since);
                        prop_assert!(started_at <= ended_at && ended_at <= at(world.now));
                    }
                    StateChange::FlappingBegan | StateChange::FlappingEnded => {}
                }
            }
            prop_assert_eq!(open.map(|(severity, _)| severity), world.state.severity);
        }
    }
}

#[test]
fn an_outage_begins_with_the_kth_location_and_ends_with_its_first_success() {
    let mut world = World::up(3, 2);
    world.policy.recover = 2;
    let mut changes = Vec::new();
    for (second, location, found) in [
        (10, 0, Finding::Down),
        (11, 1, Finding::Up),
        (20, 0, Finding::Down),
        (21, 1, Finding::Down),
        (22, 2, Finding::Up),
        (30, 0, Finding::Down),
        (31, 1, Finding::Down),
        (41, 1, Finding::Up),
        (51, 1, Finding::Up),
    ] {
        changes.extend(world.check_at(second, location, found).into_iter().map(|change| (second, change)));
        if second == 31 {
            let words = in_words(&world.policy, &world.locations, at(31));
            assert_eq!(words, "down in l0, l1; up in l2");
        }
    }
    let opened = StateChange::Opened { severity: Severity::Down, started_at: at(21), failures: 3 };
    let resolved = StateChange::Resolved { started_at: at(21), ended_at: at(41), failures: 3 };
    assert_eq!(changes, [(31, opened), (51, resolved)]);
}

#[test]
fn the_last_location_decides_alone_when_the_others_are_silent() {
    let mut world = World::up(3, 1);
    for second in [10, 20, 30, 40, 50] {
        assert_eq!(world.check_at(second, 0, Finding::Down), [], "two others were up {second} s ago");
    }
    // What says nothing about the target opens nothing, whoever is silent by now.
    assert_eq!(world.check_at(59, 0, Finding::Inconclusive), []);
    let changes = world.check_at(60, 0, Finding::Down);
    assert!(matches!(changes.as_slice(), [StateChange::Opened { .. }]), "{changes:?}");
    assert_eq!(in_words(&world.policy, &world.locations, at(60)), "down in l0; nothing from l1, l2");
}

#[test]
fn after_a_silence_of_all_each_is_waited_for() {
    let mut world = World::new(3, Policy { confirm: 1, ..every_ten_seconds() });
    world.check_in_all(|location| if location == 0 { Finding::Down } else { Finding::Up });
    assert_eq!(world.state.status, Status::Up);
    // The first to be heard again is the one that sees it down. The third is waited for as long as any, and then the two
    // that are left decide: one of two is no majority of three.
    for (second, location, found) in [
        (500, 0, Finding::Down),
        (510, 0, Finding::Down),
        (510, 1, Finding::Up),
        (560, 1, Finding::Up),
        (560, 0, Finding::Down),
        (570, 1, Finding::Up),
    ] {
        assert_eq!(world.check_at(second, location, found), [], "{second} s, {location}");
    }
}

#[test]
fn each_slot_counts_once_for_flapping_and_a_change_at_once() {
    let mut world = World::new(2, Policy { confirm: 1, ..every_ten_seconds() });
    let counts = |world: &World| (world.state.recent.count(), world.state.recent.changes());
    for slot in 0..6 {
        world.now = slot * INTERVAL_S;
        world.check_in_all(|_| Finding::Up);
    }
    // The first said nothing yet: until the other had one, too, it could have been anything.
    assert_eq!(counts(&world), (6, 0));
    world.now = 6 * INTERVAL_S;
    world.check_in_all(|_| Finding::Down);
    assert_eq!(counts(&world), (8, 1), "up, then down, in one slot");
}

#[test]
fn an_outage_is_critical_once_by_the_failures_of_one_location() {
    let mut world = World::up(2, 1);
    world.policy.critical_failures = Some(3);
    let mut changes = Vec::new();
    for (slot, location) in (1..6).flat_map(|slot| [(slot, 0), (slot, 1)]) {
        let found = world.check_at(slot * INTERVAL_S, location, Finding::Down);
        changes.extend(found.into_iter().map(|change| (slot, location, change)));
    }
    let opened = StateChange::Opened { severity: Severity::Down, started_at: at(10), failures: 1 };
    assert_eq!(changes, [(1, 1, opened), (3, 0, StateChange::Escalated { failures: 3 })]);
    assert_eq!(world.state.failures, 5);
}

#[test]
fn a_slot_is_looked_at_when_enough_have_looked_to_call_it_up() {
    let mut world = World::up(3, Policy::default().confirm);
    // Children that wait for this monitor's verdict are not told that it is well by one of three.
    for (location, looked_at) in [(0, 0), (1, 10), (2, 10)] {
        world.check_at(10, location, Finding::Up);
        assert_eq!(world.state.last_slot_at, Some(at(looked_at)), "after {location}");
    }
}

#[test]
fn one_in_doubt_is_a_doubt_for_children_and_one_that_is_down_is_none() {
    let mut world = World::up(3, 2);
    world.check_at(10, 0, Finding::Down);
    assert_eq!((world.state.downs, world.state.downs_since), (1, Some(at(10))));
    world.check_at(20, 0, Finding::Down);
    assert_eq!((world.state.status, world.state.downs), (Status::Up, 0));
}
