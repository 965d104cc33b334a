//! What people look at: monitors, incidents.

use crate::row::{Field, bind, columns, named, rows};
use crate::{Result, Store};
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use uptime_core::check::Outcome;
use uptime_core::event::Severity;
use uptime_core::id::{IncidentId, MonitorId};
use uptime_core::incident::Mark;
use uptime_core::judgement::Status;
use uptime_core::judgement::locations::{self, LocalState};
use uptime_core::liveness::{self, Freshness, Results};
use uptime_core::monitor::Policy;

rows! {
    #[derive(Clone, Debug, PartialEq)]
    pub struct MonitorSummary {
        pub name: String,
        /// One of `CheckSpec::TYPES`.
        pub kind: String,
        pub target: String,
        pub state: Status = "status",
        /// Whether that is still true. With locations it is for as long as one of them has results.
        pub freshness: Freshness,
        pub since: Option<Timestamp>,
        /// When it was looked at last.
        pub last_check_at: Option<Timestamp>,
        /// What that found.
        pub last_outcome: Option<Outcome>,
        pub last_latency: Option<Duration>,
        /// Why it was not up.
        pub last_message: Option<String>,
        /// From one slot to the next.
        pub interval: Duration,
        pub enabled: bool,
        /// Whether the file brought it in, not a command line.
        pub of_file: bool,
        pub group: Option<String> = "group_name",
        pub tags: BTreeMap<String, String>;
        /// How it is from each of its locations.
        pub locations: Vec<LocationSummary>,
        /// What they say, in words; `None` without any.
        pub seen: Option<String>
    }

    /// How a monitor is from one of its locations.
    #[derive(Clone, Debug, PartialEq)]
    pub struct LocationSummary {
        /// The monitor's state as seen from this location.
        pub local: LocalState,
        /// Whether that is still true.
        pub freshness: Freshness,
        /// When it was looked at last.
        pub last_check_at: Option<Timestamp>,
        /// What that found.
        pub last_outcome: Option<Outcome>,
        /// Why it was not up.
        pub last_message: Option<String>,
    }

    /// One span of being down, or worse than it should be.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IncidentSummary {
        pub id: IncidentId,
        pub monitor: String = "name",
        pub target: String,
        pub severity: Severity,
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
    pub async fn monitor_summaries(&self) -> Result<Vec<MonitorSummary>> {
        let mut locations = self.location_summaries().await?;
        let rows = sqlx::query(
            "SELECT m.id, now() AS now, m.policy, m.name, m.check_spec->>'type' AS kind, m.target, m.enabled, m.source = 'file' AS of_file,
                    m.group_name, m.tags, s.since, s.last_check_at, s.last_outcome, s.last_message, s.active,
                    CASE WHEN s.status = 'up' AND s.last_degraded THEN 'degraded' ELSE s.status END AS status,
                    s.last_latency_us / 1e6::float8 AS last_latency, s.interval_ms / 1e3::float8 AS interval,
                    c.paused_at IS NOT NULL AS queue_paused, greatest(s.awaited_since, c.resumed_at) AS result_awaited_since
             FROM monitors m JOIN monitor_states s ON s.monitor_id = m.id
             LEFT JOIN queue_controls c ON c.queue = 'monitor-checks' ORDER BY m.name",
        )
        .fetch_all(&self.sessions)
        .await?;
        let summary = |row: &PgRow| {
            let name = String::read(row, "name")?;
            let of_it = locations.remove(&Field::read(row, "id")?).unwrap_or_default();
            with_locations(named(row, || format!("monitor `{name}`"))?, row, of_it)
        };
        rows.iter().map(summary).collect()
    }

    /// By the monitors' ids.
    async fn location_summaries(&self) -> Result<HashMap<MonitorId, Vec<LocationSummary>>> {
        let rows = sqlx::query(
            "SELECT l.monitor_id, l.location, l.awaited_since, l.memory, l.last_check_at, l.last_outcome, l.last_message,
                    s.interval_ms / 1e3::float8 AS interval, s.active, c.paused_at IS NOT NULL AS queue_paused,
                    greatest(s.awaited_since, c.resumed_at) AS result_awaited_since, now() AS now
             FROM monitor_locations l JOIN monitor_states s ON s.monitor_id = l.monitor_id
             LEFT JOIN queue_controls c ON c.queue = 'monitor-checks:' || l.location
             ORDER BY l.monitor_id, l.location",
        )
        .fetch_all(&self.sessions)
        .await?;
        let mut locations: HashMap<MonitorId, Vec<LocationSummary>> = HashMap::new();
        for row in &rows {
            let monitor = MonitorId::read(row, "monitor_id")?;
            let summary = named(row, || format!("a location of monitor {monitor}"))?;
            locations.entry(monitor).or_default().push(summary);
        }
        Ok(locations)
    }

    /// Incidents, the newest first, at most `limit`.
    pub async fn incidents(&self, filter: IncidentFilter<'_>, limit: i64) -> Result<Vec<IncidentSummary>> {
        let query = sqlx::query_as(include_str!("../queries/incidents.sql"));
        Ok(bind!(query, filter.open, filter.monitor, filter.id, limit).fetch_all(&self.sessions).await?)
    }

    /// The locations that monitors name.
    pub async fn locations(&self) -> Result<BTreeSet<String>> {
        let query = sqlx::query_scalar("SELECT DISTINCT location FROM monitor_locations");
        Ok(query.fetch_all(&self.sessions).await?.into_iter().collect())
    }

    /// The monitors' names, and those of removed ones that had incidents.
    pub async fn monitor_names(&self) -> Result<Vec<String>> {
        let names = "SELECT name FROM monitors UNION SELECT monitor_name FROM incidents WHERE monitor_name IS NOT NULL ORDER BY 1";
        Ok(sqlx::query_scalar(names).fetch_all(&self.sessions).await?)
    }
}

/// A monitor that has locations is as fresh as one of them, and says what they see.
fn with_locations(
    summary: MonitorSummary,
    row: &PgRow,
    locations: Vec<LocationSummary>,
) -> Result<MonitorSummary> {
    let each = locations.iter().map(|location| location.freshness);
    let Some(freshness) = liveness::of_locations(each) else { return Ok(summary) };
    let locals: Vec<LocalState> = locations.iter().map(|summary| summary.local.clone()).collect();
    let policy = Policy::read(row, "policy")?;
    let seen = Some(locations::in_words(&policy, &locals, Field::read(row, "now")?));
    Ok(MonitorSummary { freshness, locations, seen, ..summary })
}

columns!(Results {
    interval,
    enabled = "active",
    queue_paused,
    last_at = "last_check_at",
    awaited_since = "result_awaited_since"
});

/// Whether what a row tells of a monitor, or of one of its locations, is still true.
impl Field for Freshness {
    fn read(row: &PgRow, _: &str) -> sqlx::Result<Self> {
        Ok(liveness::freshness(&Field::read(row, "")?, Field::read(row, "now")?))
    }
}
