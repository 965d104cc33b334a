//! What people do with incidents, and an incident's whole story ([`story`]).
//!
//! A deed is one transaction under the lock of the monitor's state, taken before the incident's like everybody does: so no
//! check judges beside it, and of two people exactly one does it. What it changes, what is kept of it (`incident_events`) and
//! what is told of it commit together. Whether it makes sense, and what is told, are the domain's to say
//! ([`uptime_core::incident`]). What becomes of the incidents of monitors that are watched no more is in `unwatched`.

pub mod story;
pub(crate) mod unwatched;

use crate::notifications::{self, Notice};
use crate::reading::mark;
use crate::row::Columns;
use crate::session::Session;
use crate::{Store, StoreError};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::time::Duration;
use uptime_core::event::{Event, EventMonitor, EventOutcome, EventType};
use uptime_core::id::{ChannelId, DeliveryId, IncidentId};
use uptime_core::incident::{By, Deed, Incident, Refusal};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done {
        monitor: String,
        /// These channels will be told, by name.
        told: Vec<String>,
    },
    /// It makes no sense, and nothing was changed.
    Refused {
        monitor: String,
        refusal: Refusal,
    },
    Unknown,
}

impl Store {
    /// Does something to an incident, if that makes sense, and enqueues what is told of it.
    pub async fn do_to_incident(
        &self,
        id: IncidentId,
        deed: Deed,
        by: By<'_>,
    ) -> Result<Outcome, StoreError> {
        let mut transaction = self.sessions.begin().await?;
        let Some((incident, now)) = lock(&mut transaction, id).await? else {
            transaction.commit().await?;
            return Ok(Outcome::Unknown);
        };
        if let Err(refusal) = deed.permit(&incident, now) {
            // Said at once: the row's lock is not to wait for a rollback.
            transaction.commit().await?;
            return Ok(Outcome::Refused { monitor: incident.monitor.name, refusal });
        }
        change(&mut transaction, id, deed, by.who).await?;
        sqlx::query("INSERT INTO incident_events (incident_id, kind, who, note) VALUES ($1, $2, $3, $4)")
            .bind(id.0)
            .bind(deed.as_str())
            .bind(by.who)
            .bind(by.note)
            .execute(&mut transaction)
            .await?;
        let told = tell(&mut transaction, &incident, deed, by, now).await?;
        transaction.commit().await?;
        Ok(Outcome::Done { monitor: incident.monitor.name, told })
    }
}

/// The incident, its monitor's state locked before it, and the transaction's instant.
async fn lock(connection: &mut Session, id: IncidentId) -> Result<Option<(Incident, Timestamp)>, StoreError> {
    // There is none of a monitor that was removed.
    sqlx::query(
        "SELECT FROM monitor_states WHERE monitor_id = (SELECT monitor_id FROM incidents WHERE id = $1) FOR UPDATE",
    )
    .bind(id.0)
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query(concat!(
        include_str!("../queries/incidents_in_hand.sql"),
        "WHERE i.id = $1 FOR UPDATE OF i"
    ))
    .bind(id.0)
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((incident(&row)?, row.instant("now")?))).transpose()
}

/// Writes what the deed changes in the incident and, for its end, in what the judgement remembers.
async fn change(connection: &mut Session, id: IncidentId, deed: Deed, who: &str) -> Result<(), StoreError> {
    let change = match deed {
        Deed::Acknowledge { lasting } => sqlx::query(
            "UPDATE incidents SET acknowledged_at = now(), acknowledged_by = $2,
                    acknowledged_until = now() + make_interval(secs => $3)
             WHERE id = $1",
        )
        .bind(id.0)
        .bind(who)
        .bind(lasting.as_ref().map(Duration::as_secs_f64)),
        Deed::Unacknowledge => sqlx::query(
            "UPDATE incidents SET acknowledged_at = NULL, acknowledged_by = NULL, acknowledged_until = NULL WHERE id = $1",
        )
        .bind(id.0),
        Deed::Mute => sqlx::query("UPDATE incidents SET muted_at = now(), muted_by = $2 WHERE id = $1")
            .bind(id.0)
            .bind(who),
        Deed::Unmute => {
            sqlx::query("UPDATE incidents SET muted_at = NULL, muted_by = NULL WHERE id = $1").bind(id.0)
        }
        Deed::Resolve => sqlx::query(include_str!("../queries/resolve_by_hand.sql")).bind(id.0).bind(who),
        Deed::Comment => return Ok(()),
    };
    change.execute(connection).await?;
    Ok(())
}

/// Enqueues what is told of the deed, for each channel that has heard of the incident and wants such events. Of a muted
/// incident nothing will be told: that is looked at again at delivery, and kept there.
async fn tell(
    connection: &mut Session,
    incident: &Incident,
    deed: Deed,
    by: By<'_>,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let Some(kind) = deed.event_type() else { return Ok(Vec::new()) };
    let event = |id| deed.event(by, incident, now, id);
    let (notices, told) = notices_of(connection, incident, kind, event).await?;
    notifications::enqueue_all(connection, &notices).await?;
    Ok(told)
}

/// A notice for each channel that has heard of the incident and wants such events, and the names of those that will be told.
async fn notices_of(
    connection: &mut Session,
    incident: &Incident,
    kind: EventType,
    event: impl Fn(DeliveryId) -> Option<Event>,
) -> Result<(Vec<Notice>, Vec<String>), StoreError> {
    // That nobody takes care of it any more is for those who heard that somebody does, and comes between the reminders that
    // count from 1.
    let is_unacknowledged = kind == EventType::Reminder;
    let (heard, wanted): (&[EventType], _) = if is_unacknowledged {
        (&[EventType::Acknowledged], EventType::Acknowledged)
    } else {
        (&EventType::HEARD_BY, kind)
    };
    let channels = sqlx::query(include_str!("../queries/channels_that_heard.sql"))
        .bind(incident.id.0)
        .bind(heard.iter().map(|event| event.as_str()).collect::<Vec<_>>())
        .bind(wanted.as_str())
        .fetch_all(connection)
        .await?;
    let (mut notices, mut told) = (Vec::new(), Vec::new());
    for channel in channels {
        let name: String = channel.try_get("name")?;
        let filter = channel.filter()?;
        if !filter.wants_event(wanted) {
            continue;
        }
        let id = ChannelId(channel.try_get("id")?);
        // An incident may be acknowledged again.
        let count: i32 = channel.try_get("sequence")?;
        let sequence = if is_unacknowledged { -count } else { count };
        let event = event(DeliveryId(Uuid::now_v7()));
        notices.extend(event.map(|event| Notice { channel: id, event, sequence }));
        if incident.muted.is_none() && channel.try_get("enabled")? {
            told.push(name);
        }
    }
    told.sort_unstable();
    Ok((notices, told))
}

fn incident(row: &PgRow) -> Result<Incident, StoreError> {
    let name: String = row.try_get("name")?;
    Ok(Incident {
        id: IncidentId(row.try_get("id")?),
        severity: row.severity()?,
        monitor: EventMonitor {
            kind: row.try_get("kind")?,
            target: row.try_get("target")?,
            group: row.try_get("group_name")?,
            tags: row.json("tags", || format!("monitor `{name}`"))?,
            name,
        },
        cause: EventOutcome {
            class: row.try_get("class")?,
            expected: row.try_get("expected")?,
            got: row.try_get("got")?,
            message: row.try_get("cause")?,
        },
        started_at: row.instant("started_at")?,
        ended_at: row.optional_instant("ended_at")?,
        resolved_by: row.try_get("resolved_by")?,
        failures: row.count("failures")?,
        acknowledged: mark(row, "acknowledged_by", "acknowledged_at", Some("acknowledged_until"))?,
        muted: mark(row, "muted_by", "muted_at", None)?,
    })
}
