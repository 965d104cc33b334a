//! What the events of a batch happen in: one statement for each kind, whatever the number of monitors.

use crate::Result;
use crate::row::{bind, column, columns, named, rows};
use crate::session::Session;
use sqlx::Row;
use uptime_core::decision::{Listener, Needs, Surroundings};
use uptime_core::dependency::Ancestor;
use uptime_core::id::{IncidentId, MonitorId};

columns!(Listener { id, filter });

rows! {
    /// A channel of a monitor, or one that has heard of an incident.
    struct Hears {
        monitor: Option<MonitorId> = "monitor_id",
        incident: Option<IncidentId> = "incident_id",
        listener: Listener,
    }
}

pub(super) async fn load(
    connection: &mut Session,
    needs: Needs,
    opened: Vec<IncidentId>,
) -> Result<Surroundings> {
    let mut around = Surroundings { opened, ..Surroundings::default() };
    if needs.windows {
        around.windows = crate::maintenance::maintenance(connection).await?;
    }
    if !needs.above.is_empty() {
        let query = sqlx::query(include_str!("../../queries/ancestors.sql"));
        for row in bind!(query, Vec::from_iter(needs.above)).fetch_all(&mut *connection).await? {
            let (below, id) = (MonitorId(row.try_get("below")?), MonitorId(row.try_get("id")?));
            let ancestor = named::<Ancestor>(&row, || format!("monitor {id}"))?;
            around.above.entry(below).or_default().push((id, ancestor));
        }
    }
    if !needs.below.is_empty() {
        let query = "SELECT DISTINCT held FROM unnest($1::bigint[]) parent, held_below(parent) held";
        let query = sqlx::query_scalar(query);
        let held: Vec<i64> = bind!(query, Vec::from_iter(needs.below)).fetch_all(&mut *connection).await?;
        around.below = held.into_iter().map(MonitorId).collect();
    }
    if !needs.certificates.is_empty() {
        let limits = Vec::from_iter(&needs.certificates);
        let query = sqlx::query_as(
            "SELECT monitor_id, fingerprint, days FROM certificate_notices
             WHERE (monitor_id, fingerprint, days) IN (SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[]))",
        );
        let query = bind!(
            query,
            column(&limits, |(monitor, _, _)| *monitor),
            column(&limits, |(_, fingerprint, _)| fingerprint.as_str()),
            column(&limits, |(_, _, days)| u32::from(*days)),
        );
        let told: Vec<(i64, String, i32)> = query.fetch_all(&mut *connection).await?;
        let limit = |(monitor, fingerprint, days)| {
            (MonitorId(monitor), fingerprint, u16::try_from(days).unwrap_or(u16::MAX))
        };
        around.certificates = told.into_iter().map(limit).collect();
    }
    let mut monitors = needs.channels_of;
    monitors.extend(needs.certificates.difference(&around.certificates).map(|(monitor, _, _)| *monitor));
    if !monitors.is_empty() || !needs.heard_of.is_empty() {
        let query = sqlx::query_as(include_str!("../../queries/who_hears.sql"));
        let query = bind!(query, Vec::from_iter(monitors), Vec::from_iter(needs.heard_of));
        let all: Vec<Hears> = query.fetch_all(connection).await?;
        for Hears { monitor, incident, listener } in all {
            if let Some(monitor) = monitor {
                around.channels_of.entry(monitor).or_default().push(listener);
            } else if let Some(incident) = incident {
                around.heard_of.entry(incident).or_default().push(listener);
            }
        }
    }
    Ok(around)
}
