//! Monitors that are watched no more: no incident stays open of what nobody looks at.
//!
//! Within the transaction that disables or removes them, under the locks of their states: their incidents end, those who were
//! told of one are told that once, and of the monitors nothing is known any more. Whoever was not told is not told now. An end
//! that was seen and held back (by maintenance, by flapping) is told too: nothing else would tell it.

use super::{incident, notices_of};
use crate::notifications::enqueue_all;
use crate::row::Columns;
use crate::session::Session;
use crate::{StoreError, catalogue::Ended};
use uptime_core::event::EventType;

/// Ends the incidents of all monitors that are disabled, and of those that are about to be removed. Gives those that were open.
pub(crate) async fn end(connection: &mut Session, removed: &[i64]) -> Result<Vec<Ended>, StoreError> {
    let rows = sqlx::query(concat!(
        include_str!("../../queries/incidents_in_hand.sql"),
        "WHERE i.id IN (SELECT o.id FROM incidents o WHERE o.ended_at IS NULL
                        UNION SELECT unnest(held.owed) FROM monitor_states held WHERE held.owed IS NOT NULL)
           AND (NOT m.enabled OR m.id = ANY ($1))
         ORDER BY i.id FOR UPDATE OF i"
    ))
    .bind(removed)
    .fetch_all(&mut *connection)
    .await?;
    let (mut ended, mut notices) = (Vec::new(), Vec::new());
    for row in &rows {
        let (incident, now) = (incident(row)?, row.instant("now")?);
        let event = |id| Some(incident.unwatched(now, id));
        let (of_it, told) = notices_of(connection, &incident, EventType::Up, event).await?;
        notices.extend(of_it);
        if incident.ended_at.is_none() {
            ended.push(Ended { incident: incident.id, monitor: incident.monitor.name, told });
        }
    }
    sqlx::query(include_str!("../../queries/lose_sight.sql"))
        .bind(ended.iter().map(|ended| ended.incident.0).collect::<Vec<_>>())
        .bind(removed)
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("../../queries/forget_unwatched.sql"))
        .bind(removed)
        .execute(&mut *connection)
        .await?;
    enqueue_all(connection, &notices).await?;
    Ok(ended)
}
