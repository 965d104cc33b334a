//! Deliveries: a notification, its job, its tries, and what a channel's provider said of the channel itself.
//!
//! ```text
//!  queued ──▶ delivered
//!    │ ├────▶ failed ──queue retry──▶ queued
//!    │ └────▶ muted          (looked at again at delivery: the channel was disabled)
//!    └ a retry stays queued, with its error
//! ```
//! A try is recorded in the same transaction that ends or puts back its job, fenced by the claim. What a crash between
//! sending and recording repeats bears the same delivery id.

use crate::queue::{Claim, JobFailure};
use crate::row::{Columns, instant};
use crate::session::Session;
use crate::{NOTIFICATIONS, Store, StoreError};
use jiff::Timestamp;
use sqlx::Row;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uptime_core::channel::Settings;
use uptime_core::event::Event;
use uptime_core::grant::HostGrant;
use uptime_core::id::{ChannelId, JobId, NotificationId};
use uptime_core::notifier::LimitChanges;

/// A channel as a delivery needs it.
#[derive(Clone, Debug)]
pub struct ChannelRow {
    /// Its id.
    pub id: ChannelId,
    /// Its name.
    pub name: String,
    /// The plugin that speaks for it.
    pub notifier: String,
    /// Whether it is told anything.
    pub enabled: bool,
    /// The notifier's settings, with those in it that the provider replaced.
    pub settings: Settings,
    /// Egress beyond what the notifier asks for.
    pub allow: Vec<HostGrant>,
    /// What a call for it may use up, over what its notifier may.
    pub limits: LimitChanges,
    /// Since when it can't be delivered to, if so.
    pub broken_at: Option<Timestamp>,
    /// Why.
    pub broken_reason: Option<String>,
}

/// A notification that is to be delivered now.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    /// The notification.
    pub notification: NotificationId,
    /// What to tell.
    pub event: Event,
    /// Whom.
    pub channel: ChannelRow,
    /// Tries so far, over all retries by hand too.
    pub attempts: u32,
    /// The provider's name for the incident's opening message, when there is one.
    pub opening_remote_id: Option<String>,
}

/// How a try ended.
#[derive(Clone, Debug)]
pub enum DeliveryEnd {
    /// The provider took it.
    Delivered {
        /// Its name for the message.
        remote_id: Option<String>,
        /// Settings that it replaced, to be used from now on.
        learned: Settings,
        /// It wants no other message from this channel for so long.
        pause: Option<Duration>,
    },
    /// It runs again.
    Retry {
        /// After so long.
        after: Duration,
        /// Why.
        error: String,
        /// Whether a try is used up: patience that somebody asked for uses up none.
        counts: bool,
        /// The provider asked the whole channel to wait for so long.
        pause: Option<Duration>,
    },
    /// It will not run again by itself.
    Failed {
        /// Why.
        error: String,
        /// The channel itself can't be delivered to.
        channel_broken: bool,
    },
    /// It is not wanted any more; no try was made.
    Muted,
}

impl DeliveryEnd {
    fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. } | Self::Failed { error, .. } => Some(error),
            Self::Delivered { .. } | Self::Muted => None,
        }
    }

    fn remote_id(&self) -> Option<&str> {
        match self {
            Self::Delivered { remote_id, .. } => remote_id.as_deref(),
            _ => None,
        }
    }

    /// The failure of the delivery's job, if it is not done with.
    fn job_failure(&self, claim: Claim) -> Option<JobFailure> {
        match self {
            Self::Delivered { .. } | Self::Muted => None,
            Self::Retry { after, error, counts, .. } => {
                Some(JobFailure { claim, retry_after: Some(*after), counts: *counts, error: error.clone() })
            }
            Self::Failed { error, .. } => {
                Some(JobFailure { claim, retry_after: None, counts: true, error: error.clone() })
            }
        }
    }
}

/// One try, to be recorded.
#[derive(Clone, Debug)]
pub struct DeliveryTry {
    /// The claim of its job.
    pub claim: Claim,
    /// The notification.
    pub notification: NotificationId,
    /// The channel.
    pub channel: ChannelId,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// HTTP's status, if there was one.
    pub status: Option<u16>,
    /// The provider's words, or ours.
    pub message: Option<String>,
    /// The error's class (`transient`, …), `delivered` or `muted`.
    pub outcome: &'static str,
    /// What follows.
    pub end: DeliveryEnd,
}

impl Store {
    /// The notifications with these ids and their channels as they are now. Those that are gone are not among them; one
    /// whose row can't be read is an error of its own.
    pub async fn due_deliveries(
        &self,
        ids: &[NotificationId],
    ) -> Result<HashMap<NotificationId, Result<DueDelivery, StoreError>>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query(
            "SELECT n.id AS notification_id, n.snapshot, n.attempts, c.*,
                    (SELECT o.remote_id FROM notifications o
                     WHERE o.incident_id = n.incident_id AND o.channel_id = n.channel_id AND o.event = 'down' AND o.id < n.id
                       AND o.remote_id IS NOT NULL ORDER BY o.id LIMIT 1) AS opening_remote_id
             FROM notifications n JOIN channels c ON c.id = n.channel_id WHERE n.id = ANY ($1)",
        )
        .bind(ids)
        .fetch_all(&self.sessions)
        .await?;
        rows.iter()
            .map(|row| {
                let id = NotificationId(row.try_get("notification_id")?);
                Ok((id, due_delivery(id, row)))
            })
            .collect()
    }

    /// The channel of this name.
    pub async fn channel_by_name(&self, name: &str) -> Result<Option<ChannelRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM channels WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.sessions)
            .await?;
        row.as_ref().map(channel).transpose()
    }

    /// Every channel, by name.
    pub async fn channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM channels ORDER BY name").fetch_all(&self.sessions).await?;
        rows.iter().map(channel).collect()
    }

    /// Records tries and what follows from each, all in one transaction. Gives back the claims that were still ours; of the
    /// others, whose lease was lost, nothing is written.
    pub async fn record_deliveries(&self, tries: &[&DeliveryTry]) -> Result<HashSet<Claim>, StoreError> {
        let mut transaction = self.sessions.begin().await?;
        let (mut done, mut failures) = (Vec::new(), Vec::new());
        // After a suspension a process may hold a job under two claims: at most the later one is still its own.
        let mut latest: HashMap<JobId, u32> = HashMap::new();
        for claim in tries.iter().map(|tried| tried.claim) {
            let number = latest.entry(claim.id).or_default();
            *number = claim.number.max(*number);
        }
        let tries = || tries.iter().copied().filter(|tried| latest[&tried.claim.id] == tried.claim.number);
        for tried in tries() {
            match tried.end.job_failure(tried.claim) {
                None => done.push(tried.claim),
                Some(failure) => failures.push(failure),
            }
        }
        let mut ours = HashSet::new();
        if !done.is_empty() {
            ours.extend(crate::queue::complete(&mut transaction, &done).await?);
        }
        if !failures.is_empty() {
            ours.extend(crate::queue::fail(&mut transaction, &failures).await?);
        }
        let written: Vec<&DeliveryTry> = tries().filter(|tried| ours.contains(&tried.claim.id)).collect();
        let recorded = written.iter().map(|tried| tried.claim).collect();
        if !written.is_empty() {
            let known = insert_tries(&mut transaction, &written).await?;
            let (known, gone): (Vec<_>, Vec<_>) =
                written.into_iter().partition(|tried| known.contains(&tried.notification));
            forget_jobs(&mut transaction, &gone).await?;
            note_channels(&mut transaction, &known).await?;
        }
        transaction.commit().await?;
        Ok(recorded)
    }

    /// Marks the notifications of buried delivery jobs as failed; for jobs that end without a try. Gives back the jobs
    /// that were ours.
    pub async fn fail_notifications(
        &self,
        failures: &[(NotificationId, JobFailure)],
    ) -> Result<HashSet<JobId>, StoreError> {
        let mut transaction = self.sessions.begin().await?;
        let jobs: Vec<JobFailure> = failures.iter().map(|(_, failure)| failure.clone()).collect();
        let ours = crate::queue::fail(&mut transaction, &jobs).await?;
        for (notification, failure) in failures.iter().filter(|(_, failure)| ours.contains(&failure.claim.id))
        {
            let state = if failure.retry_after.is_some() { "queued" } else { "failed" };
            sqlx::query("UPDATE notifications SET state = $2, last_error = $3 WHERE id = $1")
                .bind(notification.0)
                .bind(state)
                .bind(&failure.error)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(ours)
    }
}

/// Writes each try down and moves its notification on. Gives back the notifications that are still there.
async fn insert_tries(
    connection: &mut Session,
    tries: &[&DeliveryTry],
) -> Result<HashSet<NotificationId>, StoreError> {
    let ends = || tries.iter().map(|tried| &tried.end);
    let state = |end: &DeliveryEnd| match end {
        DeliveryEnd::Delivered { .. } => "delivered",
        DeliveryEnd::Retry { .. } => "queued",
        DeliveryEnd::Failed { .. } => "failed",
        DeliveryEnd::Muted => "muted",
    };
    let ids: Vec<i64> = sqlx::query_scalar(include_str!("../queries/insert_tries.sql"))
        .bind(tries.iter().map(|tried| tried.notification.0).collect::<Vec<_>>())
        .bind(ends().map(state).collect::<Vec<_>>())
        .bind(ends().map(|end| !matches!(end, DeliveryEnd::Muted)).collect::<Vec<_>>())
        .bind(ends().map(DeliveryEnd::error).collect::<Vec<_>>())
        .bind(ends().map(DeliveryEnd::remote_id).collect::<Vec<_>>())
        .bind(tries.iter().map(|tried| instant(tried.started_at)).collect::<Vec<_>>())
        .bind(tries.iter().map(|tried| uptime_core::duration::to_ms(tried.took)).collect::<Vec<_>>())
        .bind(tries.iter().map(|tried| tried.outcome).collect::<Vec<_>>())
        .bind(
            tries
                .iter()
                .map(|tried| tried.status.and_then(|status| i16::try_from(status).ok()))
                .collect::<Vec<_>>(),
        )
        .bind(tries.iter().map(|tried| tried.message.as_deref()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(NotificationId).collect())
}

/// The monitor or channel of these was removed while they were sent: there is nothing left to record, nothing to try
/// again, and nobody to tell.
async fn forget_jobs(connection: &mut Session, gone: &[&DeliveryTry]) -> Result<(), StoreError> {
    if gone.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = gone.iter().map(|tried| tried.claim.id.0).collect();
    sqlx::query(
        "WITH waiting AS (DELETE FROM jobs WHERE id = ANY ($1)) DELETE FROM failed_jobs WHERE id = ANY ($1)",
    )
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}

/// What the tries say about the channels themselves: one works, it must wait, or it is broken.
async fn note_channels(connection: &mut Session, tries: &[&DeliveryTry]) -> Result<(), StoreError> {
    let works: Vec<i64> = tries
        .iter()
        .filter(|tried| matches!(tried.end, DeliveryEnd::Delivered { .. }))
        .map(|tried| tried.channel.0)
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    if !works.is_empty() {
        sqlx::query(
            "UPDATE channels SET broken_at = NULL, broken_reason = NULL, paused_until = NULL
             WHERE id = ANY ($1) AND (broken_at IS NOT NULL OR paused_until <= now())",
        )
        .bind(works)
        .execute(&mut *connection)
        .await?;
    }
    for tried in tries {
        note_channel(connection, tried).await?;
    }
    Ok(())
}

/// What one try says about its channel, beyond that it works. Rarely anything.
async fn note_channel(connection: &mut Session, tried: &DeliveryTry) -> Result<(), StoreError> {
    match &tried.end {
        DeliveryEnd::Delivered { learned, pause, .. } => {
            if !learned.is_empty() {
                let learned = serde_json::to_value(learned).map_err(|error| StoreError::Row {
                    column: "learned",
                    row: format!("channel {}", tried.channel),
                    reason: error.to_string(),
                })?;
                sqlx::query("UPDATE channels SET learned = learned || $2 WHERE id = $1")
                    .bind(tried.channel.0)
                    .bind(learned)
                    .execute(&mut *connection)
                    .await?;
            }
            if let Some(pause) = pause {
                pause_channel(connection, tried.channel, *pause).await?;
            }
        }
        DeliveryEnd::Retry { pause: Some(pause), .. } => {
            pause_channel(connection, tried.channel, *pause).await?;
        }
        DeliveryEnd::Failed { channel_broken: true, error } => {
            sqlx::query("UPDATE channels SET broken_at = coalesce(broken_at, now()), broken_reason = $2 WHERE id = $1")
                .bind(tried.channel.0)
                .bind(error)
                .execute(connection)
                .await?;
        }
        DeliveryEnd::Retry { .. } | DeliveryEnd::Failed { .. } | DeliveryEnd::Muted => {}
    }
    Ok(())
}

/// What waits for the channel waits for so long; what is enqueued meanwhile is given the same instant.
async fn pause_channel(
    connection: &mut Session,
    channel: ChannelId,
    pause: Duration,
) -> Result<(), StoreError> {
    sqlx::query(
        "WITH paused AS (
           UPDATE channels SET paused_until = greatest(paused_until, now() + make_interval(secs => $2))
           WHERE id = $1 RETURNING id, paused_until)
         UPDATE jobs j SET available_at = greatest(j.available_at, p.paused_until)
         FROM paused p WHERE j.queue = $3 AND j.lane = p.id AND j.reserved_until IS NULL",
    )
    .bind(channel.0)
    .bind(pause.as_secs_f64())
    .bind(NOTIFICATIONS)
    .execute(connection)
    .await?;
    Ok(())
}

/// Something that a channel is to be told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Which channel.
    pub channel: ChannelId,
    /// What.
    pub event: Event,
    /// Which of the incident's events of this type it is.
    pub sequence: i32,
}

/// Makes a notification and its job of each, in their order, within a transaction of the caller's. A second one for the same
/// incident, channel, event and sequence is not made. Locks the channels; whoever has other locks to take takes them before.
pub(crate) async fn enqueue_all(connection: &mut Session, notices: &[Notice]) -> Result<(), StoreError> {
    if notices.is_empty() {
        return Ok(());
    }
    // In the order of the ids, so that of two batches none waits for the other in a circle.
    sqlx::query("SELECT FROM channels WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(notices.iter().map(|notice| notice.channel.0).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    let events = || notices.iter().map(|notice| &notice.event);
    sqlx::query(include_str!("../queries/enqueue_notifications.sql"))
        .bind(events().map(|event| event.delivery_id.0).collect::<Vec<_>>())
        .bind(notices.iter().map(|notice| notice.channel.0).collect::<Vec<_>>())
        .bind(events().map(|event| event.incident.as_ref().map(|incident| incident.id.0)).collect::<Vec<_>>())
        .bind(events().map(|event| event.kind.as_str()).collect::<Vec<_>>())
        .bind(notices.iter().map(|notice| notice.sequence).collect::<Vec<_>>())
        .bind(events().map(snapshot).collect::<Result<Vec<_>, _>>()?)
        .execute(connection)
        .await?;
    Ok(())
}

/// As [`enqueue_all`], for one that is the first of its type.
pub(crate) async fn enqueue(
    connection: &mut Session,
    channel: ChannelId,
    event: &Event,
) -> Result<(), StoreError> {
    enqueue_all(connection, &[Notice { channel, event: event.clone(), sequence: 0 }]).await
}

fn snapshot(event: &Event) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(event).map_err(|error| StoreError::Row {
        column: "snapshot",
        row: format!("delivery {}", event.delivery_id),
        reason: error.to_string(),
    })
}

/// Makes a notification without an incident, and its job before all that waits: for what is about the queue itself.
pub(crate) async fn enqueue_first(
    connection: &mut Session,
    channel: ChannelId,
    event: &Event,
) -> Result<(), StoreError> {
    insert_first(connection, channel, event, None).await
}

/// As [`enqueue_first`], for an event without an incident: those of one channel and `order` are told one after the other.
pub(crate) async fn enqueue_in_order(
    connection: &mut Session,
    channel: ChannelId,
    event: &Event,
    order: &str,
) -> Result<(), StoreError> {
    insert_first(connection, channel, event, Some(order)).await
}

async fn insert_first(
    connection: &mut Session,
    channel: ChannelId,
    event: &Event,
    order: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("../queries/enqueue_notification_first.sql"))
        .bind(event.delivery_id.0)
        .bind(channel.0)
        .bind(event.kind.as_str())
        .bind(snapshot(event)?)
        .bind(order)
        .execute(connection)
        .await?;
    Ok(())
}

fn due_delivery(id: NotificationId, row: &sqlx::postgres::PgRow) -> Result<DueDelivery, StoreError> {
    Ok(DueDelivery {
        notification: id,
        event: row.json("snapshot", || format!("notification {id}"))?,
        channel: channel(row)?,
        attempts: row.count("attempts")?,
        opening_remote_id: row.try_get("opening_remote_id")?,
    })
}

fn channel(row: &sqlx::postgres::PgRow) -> Result<ChannelRow, StoreError> {
    let name: String = row.try_get("name")?;
    let allow: Vec<String> = row.try_get("allow")?;
    let allow = allow
        .iter()
        .map(|grant| {
            grant.parse().map_err(|reason| StoreError::Row {
                column: "allow",
                row: format!("channel `{name}`"),
                reason,
            })
        })
        .collect::<Result<_, _>>()?;
    let mut settings: Settings = row.json("settings", || format!("channel `{name}`"))?;
    settings.extend(row.json::<Settings>("learned", || format!("channel `{name}`"))?);
    Ok(ChannelRow {
        id: ChannelId(row.try_get("id")?),
        notifier: row.try_get("notifier")?,
        enabled: row.try_get("enabled")?,
        settings,
        broken_at: row.optional_instant("broken_at")?,
        broken_reason: row.try_get("broken_reason")?,
        allow,
        limits: row.json("limits", || format!("channel `{name}`"))?,
        name,
    })
}
