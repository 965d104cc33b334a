//! What people do with incidents, and an incident's whole timeline ([`timeline`]).
//!
//! An action is one transaction under the lock of the monitor's state, taken before the incident's like everybody does: so no
//! check judges beside it, and of two people exactly one does it. What it changes, what is kept of it (`incident_events`) and
//! what is told of it commit together. Whether it makes sense, and what is told, are the domain's to say
//! ([`uptime_core::incident`]). What becomes of the incidents of monitors that are watched no more is in `unwatched`.

pub mod timeline;
pub mod unwatched;

use crate::notifications::{self, Notice};
use crate::row::{Field, bind, named, rows};
use crate::session::Session;
use crate::{Result, Store};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uptime_core::channel::ChannelFilter;
use uptime_core::event::{Event, EventType};
use uptime_core::id::{ChannelId, DeliveryId, IncidentId};
use uptime_core::incident::{ActionRefused, By, Incident, IncidentAction};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done {
        monitor: String,
        /// These channels will be told, by name.
        channels_told: Vec<String>,
    },
    /// It makes no sense, and nothing was changed.
    Refused {
        monitor: String,
        refusal: ActionRefused,
    },
    Unknown,
}

impl Store {
    /// Does something to an incident, if that makes sense, and enqueues what is told of it.
    pub async fn do_to_incident(
        &self,
        id: IncidentId,
        action: IncidentAction,
        by: By<'_>,
    ) -> Result<Outcome> {
        let mut transaction = self.sessions.begin().await?;
        let Some((incident, now)) = lock(&mut transaction, id).await? else {
            transaction.commit().await?;
            return Ok(Outcome::Unknown);
        };
        if let Err(refusal) = action.permit(&incident, now) {
            // Said at once: the row's lock is not to wait for a rollback.
            transaction.commit().await?;
            return Ok(Outcome::Refused { monitor: incident.monitor.name, refusal });
        }
        change(&mut transaction, id, action, by.who).await?;
        let event = "INSERT INTO incident_events (incident_id, kind, who, note) VALUES ($1, $2, $3, $4)";
        bind!(sqlx::query(event), id, action.as_str(), by.who, by.note).execute(&mut transaction).await?;
        let mut channels_told = Vec::new();
        if let Some(event) = action.event(by, &incident, now) {
            let notices;
            (notices, channels_told) = notices_of(&mut transaction, &incident, &event).await?;
            notifications::enqueue_all(&mut transaction, &notices).await?;
        }
        transaction.commit().await?;
        Ok(Outcome::Done { monitor: incident.monitor.name, channels_told })
    }
}

/// The incident, its monitor's state locked before it, and the transaction's instant.
async fn lock(connection: &mut Session, id: IncidentId) -> Result<Option<(Incident, Timestamp)>> {
    // There is none of a monitor that was removed.
    let state = "SELECT FROM monitor_states WHERE monitor_id = (SELECT monitor_id FROM incidents WHERE id = $1) FOR UPDATE";
    bind!(sqlx::query(state), id).execute(&mut *connection).await?;
    let incident =
        concat!(include_str!("../queries/handled_incidents.sql"), "WHERE i.id = $1 FOR UPDATE OF i");
    let row = bind!(sqlx::query(incident), id).fetch_optional(connection).await?;
    row.map(|row| read(&row)).transpose()
}

/// Writes what the action changes in the incident and, for its end, in what the judgement remembers.
async fn change(connection: &mut Session, id: IncidentId, action: IncidentAction, who: &str) -> Result<()> {
    let change = match action {
        IncidentAction::Acknowledge { lasting } => bind!(
            sqlx::query(
                "UPDATE incidents SET acknowledged_at = now(), acknowledged_by = $2,
                        acknowledged_until = now() + make_interval(secs => $3)
                 WHERE id = $1",
            ),
            id,
            who,
            lasting
        ),
        IncidentAction::Unacknowledge => bind!(
            sqlx::query(
                "UPDATE incidents SET acknowledged_at = NULL, acknowledged_by = NULL, acknowledged_until = NULL WHERE id = $1",
            ),
            id
        ),
        IncidentAction::Mute => {
            bind!(sqlx::query("UPDATE incidents SET muted_at = now(), muted_by = $2 WHERE id = $1"), id, who)
        }
        IncidentAction::Unmute => {
            bind!(sqlx::query("UPDATE incidents SET muted_at = NULL, muted_by = NULL WHERE id = $1"), id)
        }
        IncidentAction::Resolve => {
            bind!(sqlx::query(include_str!("../queries/resolve_by_operator.sql")), id, who)
        }
        IncidentAction::Comment => return Ok(()),
    };
    change.execute(connection).await?;
    Ok(())
}

rows! {
    /// A channel that has heard of an incident.
    struct Listener {
        id: ChannelId,
        name: String,
        enabled: bool,
        filter: ChannelFilter,
        /// How many of an event it has. An incident may be acknowledged again.
        sequence: i64,
    }
}

/// A notice for each channel that has heard of the incident and wants such events, and the names of those that will be told. Of a
/// muted incident nothing will be told: that is looked at again at delivery, and kept there.
async fn notices_of(
    connection: &mut Session,
    incident: &Incident,
    event: &Event,
) -> Result<(Vec<Notice>, Vec<String>)> {
    // That nobody takes care of it any more is for those who heard that somebody does, and comes between the reminders that
    // count from 1.
    let is_unacknowledged = event.kind == EventType::Reminder;
    let (heard, wanted): (&[EventType], _) = if is_unacknowledged {
        (&[EventType::Acknowledged], EventType::Acknowledged)
    } else {
        (&EventType::HEARD_BY, event.kind)
    };
    let query = sqlx::query_as(include_str!("../queries/channels_that_heard.sql"));
    let channels: Vec<Listener> = bind!(query, incident.id, heard, wanted).fetch_all(connection).await?;
    let (mut notices, mut channels_told) = (Vec::new(), Vec::new());
    for channel in channels.into_iter().filter(|channel| channel.filter.wants_event(wanted)) {
        let sequence = if is_unacknowledged { -channel.sequence } else { channel.sequence };
        let event = event.sent_as(DeliveryId(Uuid::now_v7()));
        notices.push(Notice { channel: channel.id, event, sequence });
        if incident.muted.is_none() && channel.enabled {
            channels_told.push(channel.name);
        }
    }
    channels_told.sort_unstable();
    Ok((notices, channels_told))
}

/// An incident, and the transaction's instant.
fn read(row: &PgRow) -> Result<(Incident, Timestamp)> {
    let name: String = row.try_get("name")?;
    Ok((named(row, || format!("an incident of `{name}`"))?, Field::read(row, "now")?))
}
