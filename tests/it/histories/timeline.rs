//! What happened, as the database has it, told to the model; and what the model expects, held against what was told.

use super::Watched;
use super::model::{Held, Level, Model, Notice, Severity};
use crate::installation::Installation;
use crate::notices::webhook;
use std::collections::{BTreeMap, HashMap};
use uptime_tests::{Received, Rng, WebhookSink};

/// Times are microseconds since the epoch, as PostgreSQL keeps them.
pub const SECOND: i64 = 1_000_000;

/// One that wants everything, and one that wants to hear nothing of flapping.
pub const CHANNELS: [(&str, &[&str]); 2] = [
    ("every", &["down", "degraded", "critical", "up", "flapping-start", "flapping-end"]),
    ("plain", &["down", "degraded", "critical", "up"]),
];

const MAINTENANCE: &str =
    "[maintenance.works]\nfrom = \"2020-01-01T00:00:00Z\"\nuntil = \"2100-01-01T00:00:00Z\"\n\n";

/// The channels' part of the file.
pub fn channels(sink: &WebhookSink) -> String {
    let channel = |(name, events): &(&str, &[&str])| {
        webhook(name, sink, &format!("events = {events:?}\ndigest_after = 0\n"))
    };
    CHANNELS.iter().map(channel).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Acknowledge,
    Resolve,
    Maintenance(bool),
}

impl Act {
    pub fn any(rng: &mut Rng) -> Self {
        match rng.u8(..4) {
            0 => Self::Acknowledge,
            1 => Self::Resolve,
            2 => Self::Maintenance(true),
            _ => Self::Maintenance(false),
        }
    }
}

/// One thing that happened to a monitor.
enum Happened {
    Checked { slot: i64, start: i64, level: Option<Level> },
    Done(Act),
}

pub struct Timeline<'a> {
    installation: &'a Installation,
    /// The file without maintenance.
    text: String,
    maintenance: bool,
    /// Each with a transaction that nothing else that was going on came after.
    acts: Vec<(i64, String, Act)>,
}

impl<'a> Timeline<'a> {
    pub fn new(installation: &'a Installation, text: &str) -> Self {
        Self { installation, text: text.to_owned(), maintenance: false, acts: Vec::new() }
    }

    /// Does that, while nothing is being checked.
    pub fn act(&mut self, act: Act, monitor: &str) {
        let database = &self.installation.database;
        match act {
            Act::Maintenance(begins) if begins == self.maintenance => return,
            Act::Maintenance(begins) => {
                self.maintenance = begins;
                let section = if begins { MAINTENANCE } else { "" };
                self.installation.apply(&format!("{}{section}", self.text));
            }
            Act::Acknowledge | Act::Resolve => {
                let open = database.query(&format!(
                    "SELECT i.id FROM incidents i JOIN monitors m ON m.id = i.monitor_id
                     WHERE m.name = '{monitor}' AND ended_at IS NULL AND ({} OR acknowledged_at IS NULL)",
                    act == Act::Resolve
                ));
                let Some(id) = open.first().and_then(|row| row[0].clone()) else { return };
                let word = if act == Act::Resolve { "resolve" } else { "ack" };
                self.installation.command(["incident", word, &id, "--by", "ada"]).assert().success();
            }
        }
        let done_in = number(&database.value("SELECT txid_current()"));
        self.acts.push((done_in, monitor.to_owned(), act));
    }

    /// All that happened, in the order of the transactions; in one, a worker judges parents first.
    fn happened(&self, watched: &[Watched]) -> Vec<(String, Happened)> {
        let rows = self.installation.database.query(
            "SELECT m.name, (extract(epoch FROM slot_at) * 1000000)::bigint, (extract(epoch FROM started_at) * 1000000)::bigint,
                    outcome, degraded, r.xmin
             FROM check_results r JOIN monitors m ON m.id = r.monitor_id",
        );
        let checked = rows.into_iter().map(|row| {
            let [Some(name), Some(slot), Some(start), Some(outcome), Some(degraded), Some(done_in)] =
                row.as_slice()
            else {
                panic!("a row without nulls was expected, and there is {row:?}")
            };
            let level = match (outcome.as_str(), degraded.as_str()) {
                ("up", "f") => Some(Level::Up),
                ("up", _) => Some(Level::Degraded),
                ("down", _) => Some(Level::Down),
                _ => None,
            };
            let is_child = watched.iter().any(|monitor| monitor.name == *name && monitor.parent.is_some());
            let checked = Happened::Checked { slot: number(slot), start: number(start), level };
            ((number(done_in), is_child), name.clone(), checked)
        });
        let acts = self
            .acts
            .iter()
            .map(|(done_in, monitor, act)| ((*done_in, false), monitor.clone(), Happened::Done(*act)));
        let mut happened: Vec<_> = checked.chain(acts).collect();
        happened.sort_by_key(|(order, ..)| *order);
        happened.into_iter().map(|(_, monitor, happened)| (monitor, happened)).collect()
    }

    /// Holds what the model expects against what the database and the sink have. Says how much of it there was.
    pub fn compare(&self, watched: &[Watched], received: &[Received], repetitions: usize) -> String {
        let happened = self.happened(watched);
        let checks = happened.iter().filter(|(_, what)| matches!(what, Happened::Checked { .. })).count();
        let (models, expected) = replay(watched, happened);
        let told = self.announced();
        for (monitor, model) in watched.iter().zip(&models) {
            let incidents = self.incidents(&monitor.name);
            let of_model: Vec<_> = model
                .incidents
                .iter()
                .map(|incident| (incident.started_at, incident.severity, incident.ended_at.is_some()))
                .collect();
            assert_eq!(incidents, of_model, "incidents of {} by {:?}", monitor.name, monitor.rules);
        }
        for key in expected.keys().chain(told.keys()) {
            let words = |told: &Told| (told.event.clone(), told.incident);
            let told: Vec<_> = told.get(key).into_iter().flatten().map(words).collect();
            let rows = || self.rows_of(&key.1);
            assert_eq!(&told, expected.get(key).unwrap_or(&Vec::new()), "what {key:?} was told\n{}", rows());
        }
        let duplicates = arrived(&told, received);
        assert!(duplicates <= repetitions, "{duplicates} came twice, for {repetitions} crashes and refusals");
        let rows = told.values().flatten();
        let muted = rows.clone().filter(|told| told.state == "muted").count();
        let mut events: BTreeMap<&str, usize> = BTreeMap::new();
        for told in rows {
            *events.entry(&told.event).or_default() += 1;
        }
        let incidents: usize = models.iter().map(|model| model.incidents.len()).sum();
        let acts = self.acts.len();
        format!(
            "{checks} checks, {acts} acts, {incidents} incidents, {events:?} of which {muted} muted, {duplicates} sent again"
        )
    }

    /// The checks of its family, in the order of the transactions, and its incidents: for who looks for the fault.
    fn rows_of(&self, monitor: &str) -> String {
        let rows = self.installation.database.query(&format!(
            "SELECT r.xmin::text, m.name, r.started_at, outcome, degraded, slot_at, NULL
             FROM check_results r JOIN monitors m ON m.id = r.monitor_id,
                  (SELECT coalesce(parent_id, id) AS id FROM monitors WHERE name = '{monitor}') top
             WHERE top.id IN (m.id, m.parent_id)
             UNION ALL
             SELECT i.xmin::text, m.name, i.started_at, 'incident', false, i.opened_at, i.ended_at
             FROM incidents i JOIN monitors m ON m.id = i.monitor_id WHERE m.name = '{monitor}' ORDER BY 3"
        ));
        let lines =
            rows.iter().map(|row| row.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Start, severity, and whether it ended.
    fn incidents(&self, monitor: &str) -> Vec<(i64, Severity, bool)> {
        let rows = self.installation.database.query(&format!(
            "SELECT (extract(epoch FROM i.started_at) * 1000000)::bigint, i.severity, i.ended_at IS NOT NULL
             FROM incidents i JOIN monitors m ON m.id = i.monitor_id WHERE m.name = '{monitor}' ORDER BY i.id"
        ));
        let incident = |row: Vec<Option<String>>| {
            let severity = match row[1].as_deref() {
                Some("degraded") => Severity::Degraded,
                Some("critical") => Severity::Critical,
                _ => Severity::Down,
            };
            (number(row[0].as_deref().unwrap_or_default()), severity, row[2].as_deref() == Some("t"))
        };
        rows.into_iter().map(incident).collect()
    }

    /// What was committed to be told, in order, by channel and monitor.
    fn announced(&self) -> BTreeMap<(String, String), Vec<Told>> {
        let rows = self.installation.database.query(
            "WITH numbered AS (SELECT id, acknowledged_at IS NOT NULL AS acknowledged,
                                      row_number() OVER (PARTITION BY monitor_id ORDER BY id) - 1 AS nth FROM incidents)
             SELECT c.name, n.snapshot->'monitor'->>'name', n.event, i.nth, n.state, n.delivery_id, coalesce(n.last_error, '')
             FROM notifications n JOIN channels c ON c.id = n.channel_id LEFT JOIN numbered i ON i.id = n.incident_id
             ORDER BY n.id",
        );
        let mut told: BTreeMap<_, Vec<Told>> = BTreeMap::new();
        for row in rows {
            let text = |nth: usize| row[nth].clone().unwrap_or_default();
            let event = text(2);
            let incident = row[3].as_deref().filter(|_| !event.starts_with("flapping"));
            told.entry((text(0), text(1))).or_default().push(Told {
                incident: incident.map(|nth| usize::try_from(number(nth)).expect("few")),
                event,
                state: text(4),
                delivery_id: text(5),
                error: text(6),
            });
        }
        told
    }
}

/// A notification, as the database has it.
#[derive(Debug)]
struct Told {
    event: String,
    incident: Option<usize>,
    state: String,
    delivery_id: String,
    error: String,
}

/// What each channel is to be told of each monitor, in order.
type Expected = BTreeMap<(String, String), Vec<(String, Option<usize>)>>;

fn replay(watched: &[Watched], happened: Vec<(String, Happened)>) -> (Vec<Model>, Expected) {
    let places: HashMap<&str, usize> =
        watched.iter().enumerate().map(|(nth, monitor)| (monitor.name.as_str(), nth)).collect();
    let mut models: Vec<Model> = watched.iter().map(|monitor| Model::new(monitor.rules)).collect();
    let mut expected = Expected::new();
    let mut maintenance = false;
    for (name, happened) in happened {
        let place = places.get(name.as_str()).copied();
        let notices = match (happened, place) {
            (Happened::Done(Act::Maintenance(begins)), _) => {
                maintenance = begins;
                continue;
            }
            (_, None) => panic!("`{name}` is not watched"),
            (Happened::Done(Act::Resolve), Some(place)) => {
                models[place].resolve(i64::MAX).into_iter().collect()
            }
            (Happened::Done(Act::Acknowledge), Some(place)) => {
                let open = models[place].open().expect("what was acknowledged is open");
                models[place].incidents[open].acknowledged_until = Some(i64::MAX);
                continue;
            }
            (Happened::Checked { slot, start, level }, Some(place)) => {
                models[place].check(slot, start, level);
                let is_held =
                    watched[place].parent.is_some_and(|parent| holds(&models[parent], &models[place]));
                // That it is down is no news at a moment when it answers.
                let by_parent = is_held || level == Some(Level::Up);
                models[place].announce(start, Held { maintenance, by_parent })
            }
        };
        for (channel, events) in CHANNELS {
            let wants_steady = events.contains(&"flapping-end");
            let is_steady = notices.iter().any(|notice| matches!(notice, Notice::FlappingEnd { .. }));
            // Who hears that it is steady hears so how it is.
            let is_beside =
                |notice: &Notice| !matches!(notice, Notice::FlappingStart | Notice::FlappingEnd { .. });
            // And who hears that it is critical hears that it is down.
            let is_critical = notices.iter().any(|notice| matches!(notice, Notice::Critical(_)));
            let hears_worse = is_critical && events.contains(&"critical");
            let is_less = |notice: &Notice| matches!(notice, Notice::Opening(..) | Notice::Worse(_));
            let told = notices.iter().filter(|notice| {
                !(hears_worse && is_less(notice) || is_steady && wants_steady && is_beside(notice))
            });
            let words =
                told.map(|notice| words(*notice)).filter(|(event, _)| events.contains(&event.as_str()));
            expected.entry((channel.to_owned(), name.clone())).or_default().extend(words);
        }
    }
    (models, expected)
}

/// Whether a parent that is down, in doubt, or was not looked at since the child's first failure (of the outage, once it is
/// one) holds what is told of its child. It is waited for longer than a history lasts.
fn holds(parent: &Model, child: &Model) -> bool {
    let Some(open) = child.open() else { return false };
    let looked_at = parent.looked_at().is_some_and(|at| at >= child.incidents[open].since);
    parent.status() == Some(Level::Down) || parent.is_in_doubt() || !looked_at
}

fn words(notice: Notice) -> (String, Option<usize>) {
    let (event, incident) = match notice {
        Notice::FlappingStart => ("flapping-start", None),
        Notice::FlappingEnd { .. } => ("flapping-end", None),
        Notice::End(incident) => ("up", Some(incident)),
        Notice::Opening(incident, Severity::Degraded) => ("degraded", Some(incident)),
        Notice::Opening(incident, _) | Notice::Worse(incident) => ("down", Some(incident)),
        Notice::Critical(incident) => ("critical", Some(incident)),
        Notice::Reminder(incident, _) => ("reminder", Some(incident)),
    };
    (event.to_owned(), incident)
}

/// Each that was told arrived, in order, and nothing else did. Gives how many came again, under the same delivery id.
fn arrived(told: &BTreeMap<(String, String), Vec<Told>>, received: &[Received]) -> usize {
    let mut first: HashMap<String, usize> = HashMap::new();
    for (nth, received) in received.iter().enumerate() {
        let id = received.json()["delivery_id"].as_str().expect("a delivery id").to_owned();
        first.entry(id).or_insert(nth);
    }
    let again = received.len() - first.len();
    for (key, told) in told {
        let mut last: HashMap<Option<usize>, usize> = HashMap::new();
        for notice in told {
            let place = first.remove(&notice.delivery_id);
            let ended = told.iter().any(|end| end.event == "up" && end.incident == notice.incident);
            match notice.state.as_str() {
                "delivered" => {
                    let place = place.unwrap_or_else(|| panic!("{key:?}: nobody heard {notice:?}"));
                    let before = last.insert(notice.incident, place);
                    assert!(before < Some(place), "{key:?}: {notice:?} overtook what is older");
                }
                // Over before it was said, so its end says all of it; or somebody takes care.
                "muted" if notice.event != "up" && (ended || notice.event == "critical") => {}
                state => panic!("{key:?}: {notice:?} is {state}: {}", notice.error),
            }
        }
    }
    assert!(first.is_empty(), "nobody wanted to tell {first:?}");
    again
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
}
