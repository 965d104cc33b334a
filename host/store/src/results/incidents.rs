//! Incidents within the transaction of a batch: read as far as its monitors have one, and written once each.

use crate::Result;
use crate::row::{bind, column, columns, rows};
use crate::session::Session;
use std::collections::HashMap;
use uptime_core::decision::{KnownIncident, Needs, Remembered};
use uptime_core::id::{IncidentId, MonitorId};

columns!(KnownIncident {
    cause,
    severity,
    started_at,
    down_at,
    opened_at,
    ended_at,
    failures,
    acknowledged_by,
    is_handled
});

rows! {
    struct Known {
        id: IncidentId,
        incident: KnownIncident,
    }
}

/// The open incidents of these monitors, and those whose end they owe.
pub(super) async fn read(
    connection: &mut Session,
    monitors: &HashMap<MonitorId, Remembered>,
) -> Result<HashMap<IncidentId, KnownIncident>> {
    let of_it =
        |known: &Remembered| known.incident.into_iter().chain(known.announced.unannounced_ends.clone());
    let ids: Vec<IncidentId> = monitors.values().flat_map(of_it).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query_as(
        "SELECT id, severity, class, cause, expected, got, started_at, down_at, opened_at, ended_at, failures,
                CASE WHEN held.it THEN acknowledged_by END AS acknowledged_by,
                held.it OR muted_at IS NOT NULL AS is_handled
         FROM incidents, LATERAL (SELECT acknowledged_at IS NOT NULL AND coalesce(acknowledged_until > now(), true) AS it) held
         WHERE id = ANY ($1)",
    );
    let known: Vec<Known> = bind!(query, ids).fetch_all(connection).await?;
    Ok(known.into_iter().map(|known| (known.id, known.incident)).collect())
}

/// Writes what has changed, then what is new, of which it gives the ids: a monitor has one that is open. One that a person has
/// ended meanwhile stays as that left it.
pub(super) async fn write(connection: &mut Session, needs: &Needs) -> Result<Vec<IncidentId>> {
    let Needs { changed, opened, .. } = needs;
    let (ids, incidents): (Vec<i64>, Vec<_>) = changed.iter().map(|(id, incident)| (id.0, incident)).unzip();
    write_each(connection, include_str!("../../queries/change_incidents.sql"), ids, &incidents).await?;
    let (monitors, incidents): (Vec<i64>, Vec<_>) =
        opened.iter().map(|(monitor, incident)| (monitor.0, incident)).unzip();
    write_each(connection, include_str!("../../queries/open_incidents.sql"), monitors, &incidents).await
}

async fn write_each(
    connection: &mut Session,
    statement: &'static str,
    ids: Vec<i64>,
    incidents: &[&KnownIncident],
) -> Result<Vec<IncidentId>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = bind!(
        sqlx::query_scalar(statement),
        ids,
        column(incidents, |one| one.severity),
        column(incidents, |one| one.cause.class.as_str()),
        column(incidents, |one| one.cause.message.as_str()),
        column(incidents, |one| one.cause.expected.as_deref()),
        column(incidents, |one| one.cause.got.as_deref()),
        column(incidents, |one| one.started_at),
        column(incidents, |one| one.down_at),
        column(incidents, |one| one.ended_at),
        column(incidents, |one| one.failures),
    );
    let ids: Vec<i64> = query.fetch_all(connection).await?;
    Ok(ids.into_iter().map(IncidentId).collect())
}
