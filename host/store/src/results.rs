//! Promise 3: a batch of check results, the monitors' states, the incidents' changes, the notifications they cause and
//! the jobs' completion commit in one transaction, fenced by the claims.
//!
//! The engine begins it with what it finished ([`Store::begin_results`]), judges each state that is still ours, records
//! what follows ([`ResultsTransaction::record`], [`open_incident`](ResultsTransaction::open_incident), …) and commits.
//! Dropped without a commit, nothing has happened, and the leases decide when the checks run again.

use crate::queue::Claim;
use crate::row::{Columns, instant, int, optional_instant, us};
use crate::session::Session;
use crate::{Store, StoreError};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use uptime_core::channel::ChannelFilter;
use uptime_core::check::{CheckReport, Failure};
use uptime_core::event::{Event, EventType, Severity};
use uptime_core::id::{ChannelId, IncidentId, JobId, MonitorId};
use uptime_core::judgement::{State, Status};
use uptime_core::monitor::{CheckSpec, Policy};

/// A monitor as a worker needs it.
#[derive(Clone, Debug)]
pub struct MonitorRow {
    /// Its id.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// What a check does.
    pub check: CheckSpec,
    /// By what it is judged.
    pub policy: Policy,
    /// What is checked, for people.
    pub target: String,
    /// Its group.
    pub group: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// One finished check.
#[derive(Clone, Debug)]
pub struct FinishedCheck {
    /// The claim of its job.
    pub claim: Claim,
    /// The monitor as it was when the check began.
    pub monitor: MonitorRow,
    /// The instant that it was due.
    pub slot_at: Timestamp,
    /// When it began, by the database's clock.
    pub started_at: Timestamp,
    /// From the slot to the start.
    pub late: Duration,
    /// What it found.
    pub report: CheckReport,
}

/// A monitor's state within the transaction, locked.
#[derive(Clone, Copy, Debug)]
pub struct LockedState {
    /// What the judgement remembers.
    pub state: State,
    /// The open incident.
    pub incident: Option<IncidentId>,
    chained: bool,
}

/// A channel that an event may be for.
#[derive(Clone, Debug)]
pub struct InterestedChannel {
    /// Its id.
    pub id: ChannelId,
    /// What it wants to hear.
    pub filter: ChannelFilter,
}

/// A transaction in which a batch of checks is recorded.
#[derive(Debug)]
pub struct ResultsTransaction {
    transaction: Session,
    ours: HashSet<JobId>,
    states: HashMap<MonitorId, LockedState>,
    now: Timestamp,
    recorded: Vec<Recorded>,
}

/// What [`ResultsTransaction::record`] was told, written all at once by the commit.
#[derive(Debug)]
struct Recorded {
    check: FinishedCheck,
    locked: LockedState,
    recheck_after: Option<Duration>,
}

impl Store {
    /// The monitors with these ids. Those that are gone or disabled are not among them; one whose row can't be read is
    /// an error of its own.
    pub async fn monitors_by_id(
        &self,
        ids: &[MonitorId],
    ) -> Result<HashMap<MonitorId, Result<MonitorRow, StoreError>>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query(
            "SELECT id, name, check_spec, policy, target, group_name, tags FROM monitors WHERE id = ANY ($1) AND enabled",
        )
        .bind(ids)
        .fetch_all(&self.sessions)
        .await?;
        rows.iter()
            .map(|row| {
                let id = MonitorId(row.try_get("id")?);
                Ok((id, monitor(id, row)))
            })
            .collect()
    }

    /// Locks the monitors' states of finished checks, and ends their jobs as far as they are still ours.
    pub async fn begin_results(
        &self,
        claims: &[Claim],
        monitors: &[MonitorId],
    ) -> Result<ResultsTransaction, StoreError> {
        let mut transaction = self.sessions.begin().await?;
        let ids: Vec<i64> = monitors.iter().map(|id| id.0).collect();
        // States before jobs, like the scheduler and `apply`, and in the order of the ids: so nobody waits in a circle.
        let rows = sqlx::query(
            "SELECT monitor_id, status, since, streak, streak_since, failures, last_slot_at, incident_id,
                    chain_until IS NOT NULL AS chained, now() AS now
             FROM monitor_states WHERE monitor_id = ANY ($1) ORDER BY monitor_id FOR UPDATE",
        )
        .bind(ids)
        .fetch_all(&mut transaction)
        .await?;
        let mut states = HashMap::with_capacity(rows.len());
        let mut now = Timestamp::UNIX_EPOCH;
        for row in rows {
            now = row.instant("now")?;
            let id: i64 = row.try_get("monitor_id")?;
            let word: String = row.try_get("status")?;
            let status: Status = word.parse().map_err(|()| StoreError::Row {
                column: "status",
                row: format!("the state of monitor {id}"),
                reason: format!("`{word}` is no status"),
            })?;
            let state = State {
                status,
                since: row.optional_instant("since")?,
                streak: row.count("streak")?,
                streak_since: row.optional_instant("streak_since")?,
                failures: row.count("failures")?,
                last_slot_at: row.optional_instant("last_slot_at")?,
            };
            let incident = row.try_get::<Option<i64>, _>("incident_id")?.map(IncidentId);
            states.insert(MonitorId(id), LockedState { state, incident, chained: row.try_get("chained")? });
        }
        let ours = crate::queue::complete(&mut transaction, claims).await?;
        Ok(ResultsTransaction { transaction, ours, states, now, recorded: Vec::new() })
    }
}

impl ResultsTransaction {
    /// The transaction's instant, by the database's clock.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The state to judge a finished check by; `None` when the lease was lost or the monitor is gone, and then
    /// nothing of the check may be written.
    pub fn state_of(&self, check: &FinishedCheck) -> Option<LockedState> {
        if !self.ours.contains(&check.claim.id) {
            return None;
        }
        self.states.get(&check.monitor.id).copied()
    }

    /// Keeps a check's result and its monitor's next state for the commit. `recheck_after`: how soon to look
    /// again, when the judgement wants that before the next slot.
    pub fn record(
        &mut self,
        check: FinishedCheck,
        state: State,
        incident: Option<IncidentId>,
        recheck_after: Option<Duration>,
    ) {
        let chained = self.states.get(&check.monitor.id).is_some_and(|locked| locked.chained);
        let locked = LockedState { state, incident, chained };
        self.states.insert(check.monitor.id, locked);
        self.recorded.push(Recorded { check, locked, recheck_after });
    }

    /// Opens an incident.
    pub async fn open_incident(
        &mut self,
        monitor: MonitorId,
        started_at: Timestamp,
        failures: u32,
        cause: &Failure,
    ) -> Result<IncidentId, StoreError> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO incidents (monitor_id, severity, class, cause, expected, got, started_at, failures)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(monitor.0)
        .bind(Severity::Down.as_str())
        .bind(cause.class.as_str())
        .bind(&cause.message)
        .bind(&cause.expected)
        .bind(&cause.got)
        .bind(instant(started_at))
        .bind(int(failures))
        .fetch_one(&mut self.transaction)
        .await?;
        Ok(IncidentId(id))
    }

    /// Ends an incident. Gives back what it was about.
    pub async fn resolve_incident(
        &mut self,
        incident: IncidentId,
        ended_at: Timestamp,
        failures: u32,
    ) -> Result<Option<IncidentCause>, StoreError> {
        let row = sqlx::query(
            "UPDATE incidents SET ended_at = $2, resolved_at = now(), failures = $3 WHERE id = $1 AND ended_at IS NULL
             RETURNING class, cause, expected, got",
        )
        .bind(incident.0)
        .bind(instant(ended_at))
        .bind(int(failures))
        .fetch_optional(&mut self.transaction)
        .await?;
        row.map(|row| {
            Ok(IncidentCause {
                class: row.try_get("class")?,
                message: row.try_get("cause")?,
                expected: row.try_get("expected")?,
                got: row.try_get("got")?,
            })
        })
        .transpose()
    }

    /// The enabled channels of a monitor.
    pub async fn channels_of(&mut self, monitor: MonitorId) -> Result<Vec<InterestedChannel>, StoreError> {
        let rows = sqlx::query(
            "SELECT c.id, c.name, c.filter FROM monitor_channels mc JOIN channels c ON c.id = mc.channel_id
             WHERE mc.monitor_id = $1 AND c.enabled ORDER BY c.id",
        )
        .bind(monitor.0)
        .fetch_all(&mut self.transaction)
        .await?;
        interested(&rows)
    }

    /// The channels to which this incident's opening is due or was told.
    pub async fn channels_told(
        &mut self,
        incident: IncidentId,
    ) -> Result<Vec<InterestedChannel>, StoreError> {
        let rows = sqlx::query(
            "SELECT c.id, c.name, c.filter FROM notifications n JOIN channels c ON c.id = n.channel_id
             WHERE n.incident_id = $1 AND n.event = $2 ORDER BY c.id",
        )
        .bind(incident.0)
        .bind(EventType::Down.as_str())
        .fetch_all(&mut self.transaction)
        .await?;
        interested(&rows)
    }

    /// Makes a notification and its job: one for an incident's event and a channel, in order per incident and channel.
    pub async fn notify(&mut self, channel: ChannelId, event: &Event) -> Result<(), StoreError> {
        crate::notifications::enqueue(&mut self.transaction, channel, event).await
    }

    /// Writes everything. After this the batch has happened.
    pub async fn commit(mut self) -> Result<usize, StoreError> {
        let recorded = std::mem::take(&mut self.recorded);
        if !recorded.is_empty() {
            self.insert_results(&recorded).await?;
            self.update_states(&recorded).await?;
            self.follow_up(&recorded).await?;
        }
        self.transaction.commit().await?;
        Ok(recorded.len())
    }

    async fn insert_results(&mut self, recorded: &[Recorded]) -> Result<(), StoreError> {
        let checks = || recorded.iter().map(|recorded| &recorded.check);
        let phase = |phase: fn(&CheckReport) -> Option<Duration>| -> Vec<Option<i32>> {
            checks()
                .map(|check| {
                    phase(&check.report).map(|took| i32::try_from(took.as_micros()).unwrap_or(i32::MAX))
                })
                .collect()
        };
        let trouble = |part: fn(&Failure) -> &str| -> Vec<Option<&str>> {
            checks().map(|check| check.report.trouble().map(part)).collect()
        };
        sqlx::query(include_str!("../queries/insert_results.sql"))
            .bind(checks().map(|check| check.monitor.id.0).collect::<Vec<_>>())
            .bind(checks().map(|check| instant(check.slot_at)).collect::<Vec<_>>())
            .bind(checks().map(|check| instant(check.started_at)).collect::<Vec<_>>())
            .bind(checks().map(|check| check.report.outcome().as_str()).collect::<Vec<_>>())
            .bind(checks().map(|check| check.report.is_degraded()).collect::<Vec<_>>())
            .bind(trouble(|trouble| trouble.class.as_str()))
            .bind(trouble(|trouble| &trouble.message))
            .bind(checks().map(|check| evidence(&check.report)).collect::<Vec<_>>())
            .bind(
                checks()
                    .map(|check| check.report.status_code().and_then(|code| i16::try_from(code).ok()))
                    .collect::<Vec<_>>(),
            )
            .bind(
                checks()
                    .map(|check| check.report.address().map(|address| address.to_string()))
                    .collect::<Vec<_>>(),
            )
            .bind(checks().map(|check| us(check.report.total)).collect::<Vec<_>>())
            .bind(phase(|report| report.phases().dns))
            .bind(phase(|report| report.phases().connect))
            .bind(phase(|report| report.phases().tls))
            .bind(phase(|report| report.phases().first_byte))
            .bind(phase(|report| report.phases().transfer))
            .bind(checks().map(|check| us(check.late)).collect::<Vec<_>>())
            .execute(&mut self.transaction)
            .await?;
        Ok(())
    }

    async fn update_states(&mut self, recorded: &[Recorded]) -> Result<(), StoreError> {
        let states = || recorded.iter().map(|recorded| &recorded.locked.state);
        let reports = || recorded.iter().map(|recorded| &recorded.check.report);
        sqlx::query(include_str!("../queries/update_states.sql"))
            .bind(recorded.iter().map(|recorded| recorded.check.monitor.id.0).collect::<Vec<_>>())
            .bind(states().map(|state| state.status.as_str()).collect::<Vec<_>>())
            .bind(states().map(|state| optional_instant(state.since)).collect::<Vec<_>>())
            .bind(states().map(|state| int(state.streak)).collect::<Vec<_>>())
            .bind(states().map(|state| optional_instant(state.streak_since)).collect::<Vec<_>>())
            .bind(states().map(|state| int(state.failures)).collect::<Vec<_>>())
            .bind(states().map(|state| optional_instant(state.last_slot_at)).collect::<Vec<_>>())
            .bind(recorded.iter().map(|recorded| recorded.locked.incident.map(|id| id.0)).collect::<Vec<_>>())
            .bind(recorded.iter().map(|recorded| instant(recorded.check.started_at)).collect::<Vec<_>>())
            .bind(reports().map(|report| report.outcome().as_str()).collect::<Vec<_>>())
            .bind(reports().map(CheckReport::is_degraded).collect::<Vec<_>>())
            .bind(reports().map(|report| us(report.total)).collect::<Vec<_>>())
            .bind(
                reports()
                    .map(|report| report.trouble().map(|trouble| trouble.message.as_str()))
                    .collect::<Vec<_>>(),
            )
            .execute(&mut self.transaction)
            .await?;
        Ok(())
    }

    async fn follow_up(&mut self, recorded: &[Recorded]) -> Result<(), StoreError> {
        let next: Vec<&Recorded> = recorded
            .iter()
            .filter(|recorded| recorded.recheck_after.is_some() || recorded.locked.chained)
            .collect();
        if next.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("../queries/follow_up.sql"))
            .bind(next.iter().map(|recorded| recorded.check.monitor.id.0).collect::<Vec<_>>())
            .bind(
                next.iter()
                    .map(|recorded| recorded.recheck_after.map(|after| after.as_secs_f64()))
                    .collect::<Vec<_>>(),
            )
            .execute(&mut self.transaction)
            .await?;
        Ok(())
    }
}

/// What an incident was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentCause {
    /// The failure's class.
    pub class: String,
    /// One line for a person.
    pub message: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// What came instead.
    pub got: Option<String>,
}

/// What is kept of a check that found trouble, for those who ask why. One that found none leaves its phases alone.
fn evidence(report: &CheckReport) -> Option<Value> {
    let trouble = report.trouble()?;
    Some(json!({
        "expected": trouble.expected,
        "got": trouble.got,
        "warnings": report.warnings,
        "hops": report.hops,
        "echoes": report.echoes,
    }))
}

fn monitor(id: MonitorId, row: &PgRow) -> Result<MonitorRow, StoreError> {
    let name: String = row.try_get("name")?;
    let of = || format!("monitor `{name}`");
    Ok(MonitorRow {
        id,
        check: row.json("check_spec", of)?,
        policy: row.json("policy", of)?,
        target: row.try_get("target")?,
        group: row.try_get("group_name")?,
        tags: row.json("tags", of)?,
        name,
    })
}

fn interested(rows: &[PgRow]) -> Result<Vec<InterestedChannel>, StoreError> {
    rows.iter()
        .map(|row| {
            let name: String = row.try_get("name")?;
            Ok(InterestedChannel {
                id: ChannelId(row.try_get("id")?),
                filter: row.json("filter", || format!("channel `{name}`"))?,
            })
        })
        .collect()
}
