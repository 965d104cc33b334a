//! What people look at: monitors, incidents.

use crate::row::Columns;
use crate::{Store, StoreError, results};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use uptime_core::id::IncidentId;
use uptime_core::incident::Mark;
use uptime_core::judgement::locations::{self, LocalState};
use uptime_core::liveness::{self, Freshness, Results};
use uptime_core::monitor::Policy;

#[derive(Clone, Debug, PartialEq)]
pub struct MonitorSummary {
    pub name: String,
    /// `http`, `tcp` or `ping`.
    pub kind: String,
    pub target: String,
    /// `up`, `degraded`, `down` or `unknown`.
    pub state: String,
    /// Whether that is still true. With locations it is for as long as one of them has results.
    pub freshness: Freshness,
    pub since: Option<Timestamp>,
    /// When it was looked at last.
    pub last_check_at: Option<Timestamp>,
    /// What that found: `up`, `down` or `inconclusive`.
    pub last_outcome: Option<String>,
    pub last_latency: Option<Duration>,
    /// Why it was not up.
    pub last_message: Option<String>,
    /// From one slot to the next.
    pub interval: Duration,
    pub enabled: bool,
    /// Whether the file brought it in, not a command line.
    pub of_file: bool,
    pub group: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// How it is from each of its locations.
    pub locations: Vec<LocationSummary>,
    /// What they say, in words; `None` without any.
    pub seen: Option<String>,
}

/// How a monitor is from one of its locations.
#[derive(Clone, Debug, PartialEq)]
pub struct LocationSummary {
    /// What is known of it there.
    pub local: LocalState,
    /// Whether that is still true.
    pub freshness: Freshness,
    /// When it was looked at last.
    pub last_check_at: Option<Timestamp>,
    /// What that found: `up`, `down` or `inconclusive`.
    pub last_outcome: Option<String>,
    /// Why it was not up.
    pub last_message: Option<String>,
}

/// One span of being down, or worse than it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentSummary {
    pub id: IncidentId,
    pub monitor: String,
    pub target: String,
    pub severity: String,
    pub class: String,
    pub cause: String,
    pub expected: Option<String>,
    pub got: Option<String>,
    pub failures: u32,
    pub started_at: Timestamp,
    /// When that was confirmed.
    pub opened_at: Timestamp,
    /// The first success, or when somebody ended it.
    pub ended_at: Option<Timestamp>,
    /// When that was confirmed.
    pub resolved_at: Option<Timestamp>,
    /// Who ended it; `None`: a check, or nobody yet.
    pub resolved_by: Option<String>,
    /// It ended because its monitor is not watched any more.
    pub unwatched: bool,
    /// Who takes care of it, or did when it ended. One whose time has run out is none.
    pub acknowledged: Option<Mark>,
    pub muted: Option<Mark>,
}

/// Which incidents. Each condition that is there must hold; none: all.
#[derive(Clone, Copy, Debug, Default)]
pub struct IncidentFilter<'a> {
    pub open: bool,
    pub monitor: Option<&'a str>,
    pub id: Option<IncidentId>,
}

impl Store {
    /// Every monitor, by name.
    pub async fn monitor_summaries(&self) -> Result<Vec<MonitorSummary>, StoreError> {
        let mut locations = self.location_summaries().await?;
        let rows = sqlx::query(
            "SELECT m.id, now() AS now, m.policy, m.name, m.check_spec->>'type' AS kind, m.target, m.enabled, m.source = 'file' AS of_file, m.group_name, m.tags, s.since,
                    CASE WHEN s.status = 'up' AND s.last_degraded THEN 'degraded' ELSE s.status END AS status, s.last_check_at,
                    s.last_outcome, s.last_latency_us, s.last_message, s.interval_ms, s.active,
                    c.paused_at IS NOT NULL AS queue_paused, greatest(s.awaited_since, c.resumed_at) AS result_awaited_since
             FROM monitors m JOIN monitor_states s ON s.monitor_id = m.id
             LEFT JOIN queue_controls c ON c.queue = 'monitor-checks' ORDER BY m.name",
        )
        .fetch_all(&self.sessions)
        .await?;
        rows.iter()
            .map(|row| {
                let latency: Option<i64> = row.try_get("last_latency_us")?;
                let interval: i64 = row.try_get("interval_ms")?;
                let name: String = row.try_get("name")?;
                let locations = locations.remove(&row.try_get("id")?).unwrap_or_default();
                let freshness = liveness::of_locations(locations.iter().map(|location| location.freshness))
                    .map_or_else(|| freshness_of(row), Ok)?;
                let seen = if locations.is_empty() { None } else { Some(seen(row, &locations)?) };
                Ok(MonitorSummary {
                    locations,
                    seen,
                    group: row.try_get("group_name")?,
                    tags: row.json("tags", || format!("monitor `{name}`"))?,
                    name,
                    kind: row.try_get("kind")?,
                    target: row.try_get("target")?,
                    state: row.try_get("status")?,
                    freshness,
                    since: row.optional_instant("since")?,
                    last_check_at: row.optional_instant("last_check_at")?,
                    last_outcome: row.try_get("last_outcome")?,
                    last_latency: latency.map(|us| Duration::from_micros(us.unsigned_abs())),
                    last_message: row.try_get("last_message")?,
                    interval: Duration::from_millis(interval.unsigned_abs()),
                    enabled: row.try_get("enabled")?,
                    of_file: row.try_get("of_file")?,
                })
            })
            .collect()
    }

    /// By the monitors' ids.
    async fn location_summaries(&self) -> Result<HashMap<i64, Vec<LocationSummary>>, StoreError> {
        let rows = sqlx::query(
            "SELECT l.monitor_id, l.location, l.awaited_since, l.memory, l.last_check_at, l.last_outcome, l.last_message, s.interval_ms,
                    s.active, c.paused_at IS NOT NULL AS queue_paused, greatest(s.awaited_since, c.resumed_at) AS result_awaited_since,
                    now() AS now
             FROM monitor_locations l JOIN monitor_states s ON s.monitor_id = l.monitor_id
             LEFT JOIN queue_controls c ON c.queue = 'monitor-checks:' || l.location
             ORDER BY l.monitor_id, l.location",
        )
        .fetch_all(&self.sessions)
        .await?;
        let mut locations: HashMap<i64, Vec<LocationSummary>> = HashMap::new();
        for row in &rows {
            locations.entry(row.try_get("monitor_id")?).or_default().push(LocationSummary {
                local: results::local_state(row)?,
                freshness: freshness_of(row)?,
                last_check_at: row.optional_instant("last_check_at")?,
                last_outcome: row.try_get("last_outcome")?,
                last_message: row.try_get("last_message")?,
            });
        }
        Ok(locations)
    }

    /// Incidents, the newest first, at most `limit`.
    pub async fn incidents(
        &self,
        filter: IncidentFilter<'_>,
        limit: i64,
    ) -> Result<Vec<IncidentSummary>, StoreError> {
        let rows = sqlx::query(include_str!("../queries/incidents.sql"))
            .bind(filter.open)
            .bind(filter.monitor)
            .bind(filter.id.map(|id| id.0))
            .bind(limit)
            .fetch_all(&self.sessions)
            .await?;
        rows.iter().map(incident).collect()
    }

    /// The locations that monitors name.
    pub async fn locations(&self) -> Result<BTreeSet<String>, StoreError> {
        let names: Vec<String> = sqlx::query_scalar("SELECT DISTINCT location FROM monitor_locations")
            .fetch_all(&self.sessions)
            .await?;
        Ok(names.into_iter().collect())
    }

    /// The monitors' names, and those of removed ones that had incidents.
    pub async fn monitor_names(&self) -> Result<Vec<String>, StoreError> {
        let names = "SELECT name FROM monitors UNION SELECT monitor_name FROM incidents WHERE monitor_name IS NOT NULL ORDER BY 1";
        Ok(sqlx::query_scalar(names).fetch_all(&self.sessions).await?)
    }
}

/// Whether what a row tells of a monitor, or of one of its locations, is still true.
fn freshness_of(row: &PgRow) -> Result<Freshness, StoreError> {
    let interval: i64 = row.try_get("interval_ms")?;
    let results = Results {
        interval: Duration::from_millis(interval.unsigned_abs()),
        enabled: row.try_get("active")?,
        queue_paused: row.try_get("queue_paused")?,
        last_at: row.optional_instant("last_check_at")?,
        awaited_since: row.instant("result_awaited_since")?,
    };
    Ok(liveness::freshness(&results, row.instant("now")?))
}

fn seen(row: &PgRow, locations: &[LocationSummary]) -> Result<String, StoreError> {
    let policy: Policy = row.json("policy", || "a monitor".to_owned())?;
    let locals: Vec<LocalState> = locations.iter().map(|summary| summary.local.clone()).collect();
    Ok(locations::in_words(&policy, &locals, row.instant("now")?))
}

fn incident(row: &PgRow) -> Result<IncidentSummary, StoreError> {
    Ok(IncidentSummary {
        id: IncidentId(row.try_get("id")?),
        monitor: row.try_get("name")?,
        target: row.try_get("target")?,
        severity: row.try_get("severity")?,
        class: row.try_get("class")?,
        cause: row.try_get("cause")?,
        expected: row.try_get("expected")?,
        got: row.try_get("got")?,
        failures: row.count("failures")?,
        started_at: row.instant("started_at")?,
        opened_at: row.instant("opened_at")?,
        ended_at: row.optional_instant("ended_at")?,
        resolved_at: row.optional_instant("resolved_at")?,
        resolved_by: row.try_get("resolved_by")?,
        unwatched: row.try_get("unwatched")?,
        acknowledged: mark(row, "acknowledged_by", "acknowledged_at", Some("acknowledged_until"))?,
        muted: mark(row, "muted_by", "muted_at", None)?,
    })
}

/// Who said so and when, of an incident's row.
pub(crate) fn mark(
    row: &PgRow,
    by: &'static str,
    at: &'static str,
    until: Option<&'static str>,
) -> Result<Option<Mark>, StoreError> {
    let until = until.map(|until| row.optional_instant(until)).transpose()?.flatten();
    let by: Option<String> = row.try_get(by)?;
    Ok(by.zip(row.optional_instant(at)?).map(|(by, at)| Mark { by, at, until }))
}
