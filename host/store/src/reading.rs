//! What people look at: monitors, incidents.

use crate::row::Columns;
use crate::{Store, StoreError};
use jiff::Timestamp;
use sqlx::Row;
use std::collections::BTreeMap;
use std::time::Duration;
use uptime_core::id::IncidentId;

/// A monitor and how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorSummary {
    /// Its name.
    pub name: String,
    /// `http`, `tcp` or `ping`.
    pub kind: String,
    /// What is checked.
    pub target: String,
    /// `up`, `degraded`, `down` or `unknown`.
    pub state: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When it was looked at last.
    pub last_check_at: Option<Timestamp>,
    /// What that found: `up`, `down` or `inconclusive`.
    pub last_outcome: Option<String>,
    /// How long that took.
    pub last_latency: Option<Duration>,
    /// Why it was not up.
    pub last_message: Option<String>,
    /// From one slot to the next.
    pub interval: Duration,
    /// Whether it is checked.
    pub enabled: bool,
    /// Its group.
    pub group: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// One span of being down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentSummary {
    /// Its id.
    pub id: IncidentId,
    /// Of which monitor.
    pub monitor: String,
    /// How bad.
    pub severity: String,
    /// What it is about.
    pub cause: String,
    /// The first failure.
    pub started_at: Timestamp,
    /// The first success.
    pub ended_at: Option<Timestamp>,
    /// Who takes care of it.
    pub acknowledged_by: Option<String>,
}

impl Store {
    /// Every monitor, by name.
    pub async fn monitor_summaries(&self) -> Result<Vec<MonitorSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.name, m.check_spec->>'type' AS kind, m.target, m.enabled, m.group_name, m.tags, s.since,
                    CASE WHEN s.status = 'up' AND s.last_degraded THEN 'degraded' ELSE s.status END AS status, s.last_check_at,
                    s.last_outcome, s.last_latency_us, s.last_message, s.interval_ms
             FROM monitors m JOIN monitor_states s ON s.monitor_id = m.id ORDER BY m.name",
        )
        .fetch_all(&self.sessions)
        .await?;
        rows.iter()
            .map(|row| {
                let latency: Option<i64> = row.try_get("last_latency_us")?;
                let interval: i64 = row.try_get("interval_ms")?;
                let name: String = row.try_get("name")?;
                Ok(MonitorSummary {
                    group: row.try_get("group_name")?,
                    tags: row.json("tags", || format!("monitor `{name}`"))?,
                    name,
                    kind: row.try_get("kind")?,
                    target: row.try_get("target")?,
                    state: row.try_get("status")?,
                    since: row.optional_instant("since")?,
                    last_check_at: row.optional_instant("last_check_at")?,
                    last_outcome: row.try_get("last_outcome")?,
                    last_latency: latency.map(|us| Duration::from_micros(us.unsigned_abs())),
                    last_message: row.try_get("last_message")?,
                    interval: Duration::from_millis(interval.unsigned_abs()),
                    enabled: row.try_get("enabled")?,
                })
            })
            .collect()
    }

    /// Incidents, the newest first; with `open_only`, those that have not ended.
    pub async fn incidents(&self, open_only: bool, limit: i64) -> Result<Vec<IncidentSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT i.id, m.name, i.severity, i.cause, i.started_at, i.ended_at, i.acknowledged_by
             FROM incidents i JOIN monitors m ON m.id = i.monitor_id
             WHERE NOT $1 OR i.ended_at IS NULL ORDER BY i.started_at DESC, i.id DESC LIMIT $2",
        )
        .bind(open_only)
        .bind(limit)
        .fetch_all(&self.sessions)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(IncidentSummary {
                    id: IncidentId(row.try_get("id")?),
                    monitor: row.try_get("name")?,
                    severity: row.try_get("severity")?,
                    cause: row.try_get("cause")?,
                    started_at: row.instant("started_at")?,
                    ended_at: row.optional_instant("ended_at")?,
                    acknowledged_by: row.try_get("acknowledged_by")?,
                })
            })
            .collect()
    }
}
