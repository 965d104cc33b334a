//! Promise 3: a batch of check results, the monitors' states, the incidents' changes, the notifications they cause and
//! the jobs' completion commit in one transaction, fenced by the claims.
//!
//! The engine begins it with what it finished ([`Store::begin_results`]), judges each state that is still ours, records
//! what follows ([`ResultsTransaction::record`], [`open_incident`](ResultsTransaction::open_incident), …) and commits.
//! Dropped without a commit, nothing has happened, and the leases decide when the checks run again.

mod certificates;
mod family;
mod incidents;
mod locations;
mod states;
mod writing;

pub use incidents::IncidentRow;

use crate::notifications::{self, Notice};
use crate::queue::Claim;
use crate::row::{bind, named, rows};
use crate::session::Session;
use crate::{Result, Store};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use uptime_core::announcement::Standing;
use uptime_core::channel::ChannelFilter;
use uptime_core::check::CheckReport;
use uptime_core::dependency::Ancestor;
use uptime_core::id::{ChannelId, IncidentId, JobId, MonitorId};
use uptime_core::judgement::State;
use uptime_core::judgement::locations::LocalState;
use uptime_core::maintenance::Maintenance;
use uptime_core::monitor::{CheckSpec, Location, Policy};

rows! {
    /// A monitor as a worker needs it.
    #[derive(Clone, Debug)]
    pub struct MonitorRow {
        pub id: MonitorId,
        pub name: String,
        pub check: CheckSpec = "check_spec",
        pub policy: Policy,
        /// What is checked, for people.
        pub target: String,
        pub group: Option<String> = "group_name",
        pub tags: BTreeMap<String, String>,
        /// What it is reached through.
        pub parent: Option<MonitorId> = "parent_id",
        /// Whether others are reached through it.
        pub is_parent: bool,
    }

    /// A channel that an event may be for.
    #[derive(Clone, Debug)]
    pub struct InterestedChannel {
        pub id: ChannelId,
        pub filter: ChannelFilter,
    }
}

#[derive(Clone, Debug)]
pub struct FinishedCheck {
    pub claim: Claim,
    /// The monitor as it was when the check began.
    pub monitor: MonitorRow,
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

/// A monitor's state within the transaction, locked.
#[derive(Clone, Debug, Default)]
pub struct LockedState {
    pub state: State,
    /// What was told of it.
    pub standing: Standing,
    pub incident: Option<IncidentId>,
    chained: bool,
}

/// What follows from a check, for its monitor.
#[derive(Clone, Debug)]
pub struct Judged {
    pub state: State,
    /// And what it remembers of where the check ran, for a monitor with locations.
    pub local: Option<LocalState>,
    /// What was told of it by now.
    pub standing: Standing,
    pub incident: Option<IncidentId>,
    /// How soon to look again, when that is wanted before the next slot.
    pub recheck_after: Option<Duration>,
}

/// A transaction in which a batch of checks is recorded.
#[derive(Debug)]
pub struct ResultsTransaction {
    transaction: Session,
    ours: HashSet<JobId>,
    states: HashMap<MonitorId, LockedState>,
    locations: HashMap<MonitorId, Vec<LocalState>>,
    incidents: HashMap<IncidentId, IncidentRow>,
    ancestors: HashMap<MonitorId, Vec<(MonitorId, Ancestor)>>,
    maintenance: Option<Vec<(String, Maintenance)>>,
    now: Timestamp,
    recorded: Vec<Recorded>,
    notices: Vec<Notice>,
}

/// What [`ResultsTransaction::record`] was told, written all at once by the commit.
#[derive(Debug)]
struct Recorded {
    check: FinishedCheck,
    locked: LockedState,
    local: Option<LocalState>,
    recheck_after: Option<Duration>,
}

impl Store {
    /// The monitors with these ids. Those that are gone or disabled are not among them; one whose row can't be read is
    /// an error of its own.
    pub async fn monitors_by_id(&self, ids: &[MonitorId]) -> Result<HashMap<MonitorId, Result<MonitorRow>>> {
        let query = sqlx::query(
            "SELECT id, name, check_spec, policy, target, group_name, tags, parent_id, is_parent
             FROM monitors WHERE id = ANY ($1) AND enabled",
        );
        let rows = bind!(query, ids).fetch_all(&self.sessions).await?;
        let monitor = |row: &PgRow| {
            let name: String = row.try_get("name")?;
            let read = named::<MonitorRow>(row, || format!("monitor `{name}`"));
            Ok((MonitorId(row.try_get("id")?), read))
        };
        rows.iter().map(monitor).collect()
    }

    /// Locks the monitors' states of finished checks, and ends their jobs as far as they are still ours.
    pub async fn begin_results(
        &self,
        claims: &[Claim],
        monitors: &[MonitorId],
    ) -> Result<ResultsTransaction> {
        let mut transaction = self.sessions.begin().await?;
        // States before jobs, like the scheduler and `apply`, and in the order of the ids: so nobody waits in a circle.
        let (states, now) = states::lock(&mut transaction, monitors).await?;
        let locations = locations::read(&mut transaction, monitors).await?;
        let ours = crate::queue::complete(&mut transaction, claims).await?;
        let incidents = incidents::read(&mut transaction, &states).await?;
        Ok(ResultsTransaction {
            transaction,
            ours,
            states,
            locations,
            incidents,
            ancestors: HashMap::new(),
            maintenance: None,
            now,
            recorded: Vec::new(),
            notices: Vec::new(),
        })
    }
}

impl ResultsTransaction {
    /// The transaction's instant, by the database's clock.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The state to judge a finished check by; `None` when the lease was lost, or the monitor is gone or no longer looked at
    /// from there, and then nothing of the check may be written.
    pub fn state_of(&self, check: &FinishedCheck) -> Option<LockedState> {
        let locations = self.locations_of(check.monitor.id);
        let is_wanted = match &check.location {
            Some(here) => locations.iter().any(|local| local.location == *here),
            // One of before it had any, and was tried again.
            None => locations.is_empty(),
        };
        if !is_wanted || !self.ours.contains(&check.claim.id) {
            return None;
        }
        self.states.get(&check.monitor.id).cloned()
    }

    /// What is known of a monitor from each of its locations.
    pub fn locations_of(&self, monitor: MonitorId) -> &[LocalState] {
        self.locations.get(&monitor).map(Vec::as_slice).unwrap_or_default()
    }

    /// Keeps a check's result and what follows from it for the commit.
    pub fn record(&mut self, check: FinishedCheck, judged: Judged) {
        let chained = self.states.get(&check.monitor.id).is_some_and(|locked| locked.chained);
        let Judged { state, local, standing, incident, recheck_after } = judged;
        let locked = LockedState { state, standing, incident, chained };
        self.states.insert(check.monitor.id, locked.clone());
        self.recorded.push(Recorded { check, locked, local, recheck_after });
    }

    /// The maintenance window that a monitor is in now: its name, and when it is over. Of several the one that lasts longest.
    pub async fn maintenance_of(&mut self, monitor: &MonitorRow) -> Result<Option<(String, Timestamp)>> {
        let windows = match self.maintenance.take() {
            Some(windows) => windows,
            None => crate::maintenance::maintenance(&mut self.transaction).await?,
        };
        let now = self.now;
        let covering = windows
            .iter()
            .filter(|(_, window)| window.concerns(&monitor.name, monitor.group.as_deref(), &monitor.tags))
            .filter_map(|(name, window)| Some((name.clone(), window.covers(now)?)))
            .max_by_key(|(_, until)| *until);
        self.maintenance = Some(windows);
        Ok(covering)
    }

    pub async fn channels_of(&mut self, monitor: MonitorId) -> Result<Vec<InterestedChannel>> {
        let query = sqlx::query_as(
            "SELECT c.id, c.name, c.filter FROM monitor_channels mc JOIN channels c ON c.id = mc.channel_id
             WHERE mc.monitor_id = $1 AND c.enabled ORDER BY c.id",
        );
        Ok(bind!(query, monitor).fetch_all(&mut self.transaction).await?)
    }

    /// The channels to which this incident is due or was told.
    pub async fn channels_told(&mut self, incident: IncidentId) -> Result<Vec<InterestedChannel>> {
        let query = sqlx::query_as(
            "SELECT c.id, c.name, c.filter FROM channels c
             WHERE c.id IN (SELECT n.channel_id FROM notifications n
                            WHERE n.incident_id = $1 AND announces_incident(n.event))
             ORDER BY c.id",
        );
        Ok(bind!(query, incident).fetch_all(&mut self.transaction).await?)
    }

    /// Keeps a notification for the commit: one for an incident's event and a channel, in order per monitor and channel.
    pub fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// Writes everything. After this the batch has happened. Gives how many checks it was.
    pub async fn commit(mut self) -> Result<usize> {
        let recorded = std::mem::take(&mut self.recorded);
        if !recorded.is_empty() {
            writing::insert_results(&mut self.transaction, &recorded).await?;
            states::update(&mut self.transaction, &recorded).await?;
            locations::update(&mut self.transaction, &recorded).await?;
            writing::follow_up(&mut self.transaction, &recorded).await?;
        }
        // Last: it locks the channels.
        notifications::enqueue_all(&mut self.transaction, &self.notices).await?;
        self.transaction.commit().await?;
        Ok(recorded.len())
    }
}

/// Why a check did not find its target as it should be.
fn message(report: &CheckReport) -> Option<&str> {
    report.trouble().map(|trouble| trouble.message.as_str())
}
