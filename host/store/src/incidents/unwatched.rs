//! Monitors that are watched no more: no incident stays open of what nobody looks at.
//!
//! Within the transaction that disables or removes them, under the locks of their states: their incidents end, those who were
//! told of one are told that once, and of the monitors nothing is known any more. Whoever was not told is not told now. An end
//! that was seen and held back (by maintenance, by flapping) is told too: nothing else would tell it.

use super::{notices_of, read};
use crate::Result;
use crate::notifications::enqueue_all;
use crate::row::bind;
use crate::session::Session;
use serde::Serialize;
use uptime_core::id::IncidentId;

/// An incident that ended because nobody looks any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    #[serde(rename = "id")]
    pub incident: IncidentId,
    pub monitor: String,
    /// These channels will be told, by name.
    #[serde(rename = "told")]
    pub channels_told: Vec<String>,
}

/// Ends the incidents of all monitors that are disabled, and of those that are about to be removed. Gives those that were open.
pub(crate) async fn end(connection: &mut Session, removed: &[i64]) -> Result<Vec<Ended>> {
    let watched_no_more = sqlx::query(concat!(
        include_str!("../../queries/handled_incidents.sql"),
        "WHERE i.id IN (SELECT o.id FROM incidents o WHERE o.ended_at IS NULL
                        UNION SELECT unnest(held.unannounced_ends) FROM monitor_states held WHERE held.unannounced_ends IS NOT NULL)
           AND (NOT m.enabled OR m.id = ANY ($1))
         ORDER BY i.id FOR UPDATE OF i"
    ));
    let rows = bind!(watched_no_more, removed).fetch_all(&mut *connection).await?;
    let (mut ended, mut notices) = (Vec::new(), Vec::new());
    for row in &rows {
        let (incident, now) = read(row)?;
        let (of_it, channels_told) = notices_of(connection, &incident, &incident.unwatched(now)).await?;
        notices.extend(of_it);
        if incident.ended_at.is_none() {
            ended.push(Ended { incident: incident.id, monitor: incident.monitor.name, channels_told });
        }
    }
    let incidents: Vec<IncidentId> = ended.iter().map(|ended| ended.incident).collect();
    let end_watch = sqlx::query(include_str!("../../queries/end_watch.sql"));
    bind!(end_watch, incidents, removed).execute(&mut *connection).await?;
    let forget = sqlx::query(include_str!("../../queries/forget_unwatched.sql"));
    bind!(forget, removed).execute(&mut *connection).await?;
    enqueue_all(connection, &notices).await?;
    Ok(ended)
}
