//! Incidents within the transaction of a batch: read as far as its monitors have one, and changed.

use super::{LockedState, ResultsTransaction};
use crate::Result;
use crate::row::{bind, rows};
use crate::session::Session;
use jiff::Timestamp;
use std::collections::HashMap;
use uptime_core::check::Failure;
use uptime_core::event::{EventOutcome, Severity};
use uptime_core::id::{IncidentId, MonitorId};

rows! {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IncidentRow {
        pub cause: EventOutcome,
        pub severity: Severity,
        /// The first failure; of the outage, if it began as degraded.
        pub started_at: Timestamp,
        /// When it was noticed.
        pub opened_at: Timestamp,
        pub ended_at: Option<Timestamp>,
        pub failures: u32,
        /// Who takes care of it, as long as that holds.
        pub acknowledged_by: Option<String>,
        /// Whether a person takes care of it, or wants to hear nothing of it.
        pub in_hand: bool,
    }

    struct Known {
        id: IncidentId,
        incident: IncidentRow,
    }
}

/// The open incidents of these states, and those whose end they owe.
pub(super) async fn read(
    connection: &mut Session,
    states: &HashMap<MonitorId, LockedState>,
) -> Result<HashMap<IncidentId, IncidentRow>> {
    let of_it = |locked: &LockedState| locked.incident.into_iter().chain(locked.standing.owed.clone());
    let ids: Vec<IncidentId> = states.values().flat_map(of_it).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query_as(
        "SELECT id, severity, class, cause, expected, got, coalesce(down_at, started_at) AS started_at, opened_at, ended_at, failures,
                CASE WHEN held.it THEN acknowledged_by END AS acknowledged_by,
                held.it OR muted_at IS NOT NULL AS in_hand
         FROM incidents, LATERAL (SELECT acknowledged_at IS NOT NULL AND coalesce(acknowledged_until > now(), true) AS it) held
         WHERE id = ANY ($1)",
    );
    let known: Vec<Known> = bind!(query, ids).fetch_all(connection).await?;
    Ok(known.into_iter().map(|known| (known.id, known.incident)).collect())
}

impl ResultsTransaction {
    /// An incident of a monitor of the batch: its open one, or one whose end is still to be told.
    pub fn incident(&self, id: IncidentId) -> Option<&IncidentRow> {
        self.incidents.get(&id)
    }

    pub async fn open_incident(
        &mut self,
        monitor: MonitorId,
        severity: Severity,
        started_at: Timestamp,
        failures: u32,
        cause: &Failure,
    ) -> Result<IncidentId> {
        let query = sqlx::query_scalar(
            "WITH opened AS (
               INSERT INTO incidents (monitor_id, severity, class, cause, expected, got, started_at, failures)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id),
             noted AS (INSERT INTO incident_events (incident_id, kind, note) SELECT id, 'opened', $4 FROM opened)
             SELECT id FROM opened",
        );
        let Failure { class, message, expected, got, .. } = cause;
        let (expected, got) = (expected.as_deref(), got.as_deref());
        let query =
            bind!(query, monitor, severity, class.as_str(), message, expected, got, started_at, failures);
        let id = IncidentId(query.fetch_one(&mut self.transaction).await?);
        let opened = IncidentRow {
            cause: cause.into(),
            severity,
            started_at,
            opened_at: self.now,
            ended_at: None,
            failures,
            acknowledged_by: None,
            in_hand: false,
        };
        self.incidents.insert(id, opened);
        Ok(id)
    }

    /// A degraded incident is an outage from now on, for this cause and since `started_at`.
    pub async fn worsen_incident(
        &mut self,
        incident: IncidentId,
        started_at: Timestamp,
        failures: u32,
        cause: &Failure,
    ) -> Result<()> {
        let query = sqlx::query(
            "UPDATE incidents SET severity = $2, class = $3, cause = $4, expected = $5, got = $6, down_at = $7, failures = $8
             WHERE id = $1",
        );
        let Failure { class, message, expected, got, .. } = cause;
        let (expected, got) = (expected.as_deref(), got.as_deref());
        bind!(query, incident, Severity::Down, class.as_str(), message, expected, got, started_at, failures)
            .execute(&mut self.transaction)
            .await?;
        if let Some(row) = self.incidents.get_mut(&incident) {
            (row.cause, row.severity) = (cause.into(), Severity::Down);
            (row.started_at, row.failures) = (started_at, failures);
        }
        self.note(incident, "worsened", Some(&cause.message)).await
    }

    /// An outage is critical from now on.
    pub async fn escalate_incident(&mut self, incident: IncidentId, failures: u32) -> Result<()> {
        let query = sqlx::query("UPDATE incidents SET severity = $2, failures = $3 WHERE id = $1");
        bind!(query, incident, Severity::Critical, failures).execute(&mut self.transaction).await?;
        if let Some(row) = self.incidents.get_mut(&incident) {
            row.severity = Severity::Critical;
        }
        self.note(incident, "escalated", None).await
    }

    /// Ends an incident. One that a person has ended meanwhile stays as that left it.
    pub async fn resolve_incident(
        &mut self,
        incident: IncidentId,
        ended_at: Timestamp,
        failures: u32,
    ) -> Result<()> {
        let query = sqlx::query(
            "UPDATE incidents SET ended_at = $2, resolved_at = now(), failures = $3 WHERE id = $1 AND ended_at IS NULL",
        );
        let ended = bind!(query, incident, ended_at, failures).execute(&mut self.transaction).await?;
        if let Some(row) = self.incidents.get_mut(&incident) {
            (row.ended_at, row.failures) = (Some(ended_at), failures);
        }
        if ended.rows_affected() == 0 { Ok(()) } else { self.note(incident, "resolved", None).await }
    }

    /// Says on the incident's timeline why nobody is told.
    pub async fn note_held(&mut self, incident: IncidentId, why: &str) -> Result<()> {
        self.note(incident, "held", Some(why)).await
    }

    async fn note(&mut self, incident: IncidentId, kind: &str, note: Option<&str>) -> Result<()> {
        let query = sqlx::query("INSERT INTO incident_events (incident_id, kind, note) VALUES ($1, $2, $3)");
        bind!(query, incident, kind, note).execute(&mut self.transaction).await?;
        Ok(())
    }
}
