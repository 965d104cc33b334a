//! What tries say of the channels themselves: one works, it must wait, or it is broken.
//!
//! Every row that is written is locked before, in the order of the ids, as everybody does who changes several channels. A
//! channel that turns out to be broken is flagged once, until it works again, and the flag is told through the others in the
//! same transaction: so a notice of it that breaks its own channel is told to those that are left, and nothing goes round.

use super::{DeliveryEnd, DeliveryTry, Notice, announcements, enqueue_all};
use crate::row::Columns;
use crate::session::Session;
use crate::{NOTIFICATIONS, Store, StoreError};
use sqlx::Row;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;
use uptime_core::channel::ChannelFilter;
use uptime_core::event::Event;
use uptime_core::id::{ChannelId, DeliveryId, NotificationId};
use uptime_core::reconcile::{Occasion, SETBACKS_MOST};
use uuid::Uuid;

/// A notice that has failed for all its tries, or a probe that did not get through.
pub(super) struct Failure<'a> {
    pub channel: ChannelId,
    pub notification: NotificationId,
    pub error: &'a str,
    /// The channel itself can't be delivered to; else it is this notice alone.
    pub channel_broken: bool,
    pub is_hopeless: bool,
    pub is_probe: bool,
}

impl Store {
    /// Something got through to a channel by hand: it works, and what is outstanding follows. A disabled one is told nothing.
    pub async fn channel_delivered(&self, channel: ChannelId) -> Result<(), StoreError> {
        let mut transaction = self.sessions.begin().await?;
        let enabled = sqlx::query("SELECT FROM channels WHERE id = $1 AND enabled FOR NO KEY UPDATE")
            .bind(channel.0)
            .fetch_optional(&mut transaction)
            .await?;
        if enabled.is_some() {
            note_works(&mut transaction, &[channel.0]).await?;
            announcements::reconcile(&mut transaction, channel, Occasion::GotThrough, &[]).await?;
        }
        transaction.commit().await
    }
}

/// Writes down what these tries say, and what the channels are told next.
pub(super) async fn note(
    connection: &mut Session,
    tries: &[&DeliveryTry],
    pauses: &[Duration],
) -> Result<(), StoreError> {
    let failures: Vec<Failure<'_>> = tries.iter().filter_map(|tried| failure(tried)).collect();
    // Tried again for as long as it takes, and an operator has to know.
    let in_trouble: Vec<(ChannelId, &str)> = tries
        .iter()
        .filter_map(|tried| match &tried.end {
            DeliveryEnd::Retry { channel_broken: true, error, .. } if !tried.is_probe => {
                Some((tried.channel, error.as_str()))
            }
            _ => None,
        })
        .collect();
    let ids = |which: fn(&DeliveryTry) -> bool| -> Vec<i64> {
        tries.iter().filter(|tried| which(tried)).map(|tried| tried.channel.0).collect()
    };
    let says_more = |tried: &DeliveryTry| match &tried.end {
        DeliveryEnd::Delivered { learned, pause, .. } => !learned.is_empty() || pause.is_some(),
        DeliveryEnd::Retry { pause, .. } => pause.is_some() || tried.is_probe,
        DeliveryEnd::Failed { .. } => true,
        DeliveryEnd::Muted { .. } | DeliveryEnd::Waits { .. } => false,
    };
    let is_delivered = |tried: &DeliveryTry| matches!(tried.end, DeliveryEnd::Delivered { .. });
    let is_settled =
        |tried: &DeliveryTry| matches!(tried.end, DeliveryEnd::Delivered { .. } | DeliveryEnd::Muted { .. });
    let locked = sqlx::query(
        "SELECT id, failing_since IS NOT NULL OR probe_id IS NOT NULL AS fails FROM channels
         WHERE $3 OR id = ANY ($1)
            OR id = ANY ($2) AND (broken_at IS NOT NULL OR paused_until <= now() OR failing_since IS NOT NULL OR probe_id IS NOT NULL
                                 OR delivered_at IS NULL)
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids(says_more))
    .bind(ids(is_settled))
    .bind(!in_trouble.is_empty() || failures.iter().any(|failure| failure.channel_broken))
    .fetch_all(&mut *connection)
    .await?;
    if locked.is_empty() {
        return Ok(());
    }
    let mut fails = HashMap::with_capacity(locked.len());
    for row in &locked {
        fails.insert(row.try_get::<i64, _>("id")?, row.try_get::<bool, _>("fails")?);
    }
    let works: Vec<i64> = ids(is_delivered).into_iter().filter(|id| fails.contains_key(id)).collect();
    if !works.is_empty() {
        note_works(connection, &works).await?;
    }
    for tried in tries {
        note_one(connection, tried).await?;
    }
    let settled_probes = || tries.iter().filter(|tried| tried.is_probe && is_settled(tried));
    let done: Vec<NotificationId> = settled_probes().map(|tried| tried.notification).collect();
    // One that is not wanted any more found out nothing: the next one goes at once.
    let unsent: HashSet<ChannelId> =
        settled_probes().filter(|tried| !is_delivered(tried)).map(|tried| tried.channel).collect();
    announcements::note_probes(connection, &done, &[]).await?;
    flag_broken(connection, &in_trouble).await?;
    let failed: HashSet<ChannelId> = failures.iter().map(|failure| failure.channel).collect();
    note_failures(connection, &failures, pauses).await?;
    let settled: BTreeSet<i64> = ids(is_settled).into_iter().collect();
    let troubled = settled.into_iter().filter(|id| fails.get(id) == Some(&true));
    for channel in troubled.map(ChannelId).filter(|channel| !failed.contains(channel)) {
        let occasion = if works.contains(&channel.0) { Occasion::GotThrough } else { Occasion::Failed };
        let pauses = if unsent.contains(&channel) { &[] } else { pauses };
        announcements::reconcile(connection, channel, occasion, pauses).await?;
    }
    Ok(())
}

/// Something got through to these channels, whose rows are locked.
async fn note_works(connection: &mut Session, channels: &[i64]) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE channels SET broken_at = NULL, broken_reason = NULL, failing_since = NULL, probes = 0, trial_job = NULL,
                delivered_at = coalesce(delivered_at, now()),
                paused_until = CASE WHEN paused_until > now() THEN paused_until END
         WHERE id = ANY ($1)
           AND (broken_at IS NOT NULL OR paused_until <= now() OR failing_since IS NOT NULL OR probes > 0
                OR delivered_at IS NULL)",
    )
    .bind(channels)
    .execute(&mut *connection)
    .await?;
    // What waited for the one that went first.
    sqlx::query("SELECT pg_notify('uptime_jobs', $1)").bind(NOTIFICATIONS).execute(connection).await?;
    Ok(())
}

fn failure<'a>(tried: &'a DeliveryTry) -> Option<Failure<'a>> {
    let failure = |error: &'a str, channel_broken| Failure {
        channel: tried.channel,
        notification: tried.notification,
        error,
        channel_broken,
        is_hopeless: false,
        is_probe: tried.is_probe,
    };
    match &tried.end {
        DeliveryEnd::Failed { error, channel_broken } => Some(failure(error, *channel_broken)),
        DeliveryEnd::Retry { error, .. } if tried.is_probe => Some(failure(error, true)),
        _ => None,
    }
}

/// Writes down whose fault each failure is, and decides when the channels are tried again. Their rows are locked, or nothing else
/// of the channels' is.
pub(super) async fn note_failures(
    connection: &mut Session,
    failures: &[Failure<'_>],
    pauses: &[Duration],
) -> Result<(), StoreError> {
    if failures.is_empty() {
        return Ok(());
    }
    // A probe tells nobody anew that its channel is broken.
    let broken: Vec<(ChannelId, &str)> = failures
        .iter()
        .filter(|failure| failure.channel_broken && !failure.is_probe)
        .map(|failure| (failure.channel, failure.error))
        .collect();
    flag_broken(connection, &broken).await?;
    let probes = failures.iter().filter(|failure| failure.is_probe);
    let probes: Vec<_> = probes.map(|failure| (failure.notification, failure.error)).collect();
    announcements::note_probes(connection, &[], &probes).await?;
    for failure in failures.iter().filter(|failure| !failure.channel_broken) {
        let setbacks = if failure.is_hopeless { SETBACKS_MOST } else { 1 };
        sqlx::query("UPDATE notifications SET setbacks = setbacks + $2 WHERE id = $1 OR digest_id = $1")
            .bind(failure.notification.0)
            .bind(crate::row::int(setbacks))
            .execute(&mut *connection)
            .await?;
    }
    let channels: BTreeSet<ChannelId> = failures.iter().map(|failure| failure.channel).collect();
    for channel in channels {
        let of_it = || failures.iter().filter(|failure| failure.channel == channel);
        sqlx::query(
            "UPDATE channels SET failing_since = CASE WHEN $2 THEN coalesce(failing_since, now()) ELSE failing_since END,
                    probes = probes + $3, probe_id = CASE WHEN $3 > 0 THEN NULL ELSE probe_id END
             WHERE id = $1",
        )
        .bind(channel.0)
        .bind(of_it().any(|failure| failure.channel_broken))
        .bind(i32::from(of_it().any(|failure| failure.is_probe)))
        .execute(&mut *connection)
        .await?;
        announcements::reconcile(connection, channel, Occasion::Failed, pauses).await?;
    }
    Ok(())
}

/// Flags channels as broken, each with its reason, and tells the others that want to know of those that were not before.
async fn flag_broken(connection: &mut Session, broken: &[(ChannelId, &str)]) -> Result<(), StoreError> {
    let reasons: BTreeMap<ChannelId, &str> = broken.iter().copied().collect();
    if reasons.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(
        "SELECT id, name, notifier, enabled, filter, broken_at IS NOT NULL AS is_broken, now() AS now
         FROM channels ORDER BY id FOR NO KEY UPDATE",
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE channels c SET broken_at = coalesce(c.broken_at, now()), broken_reason = b.reason
         FROM unnest($1::bigint[], $2::text[]) b(id, reason) WHERE c.id = b.id",
    )
    .bind(reasons.keys().map(|id| id.0).collect::<Vec<_>>())
    .bind(reasons.values().copied().collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    let (mut listeners, mut news) = (Vec::new(), Vec::new());
    for row in &rows {
        let (id, name) = (ChannelId(row.try_get("id")?), row.try_get::<&str, _>("name")?);
        let was_broken: bool = row.try_get("is_broken")?;
        match reasons.get(&id) {
            Some(reason) if !was_broken => {
                let event = |delivery_id| {
                    Ok::<_, StoreError>(Event::channel_broken(
                        name,
                        row.try_get("notifier")?,
                        reason,
                        row.instant("now")?,
                        delivery_id,
                    ))
                };
                news.push(event);
            }
            None if row.try_get("enabled")? && !was_broken => {
                listeners.push((id, row.json::<ChannelFilter>("filter", || format!("channel `{name}`"))?));
            }
            Some(_) | None => {}
        }
    }
    let mut notices = Vec::new();
    for (channel, filter) in &listeners {
        for event in &news {
            let event = event(DeliveryId(Uuid::now_v7()))?;
            if filter.wants(event.kind, event.severity, &event.monitor) {
                notices.push(Notice { channel: *channel, event, sequence: 0 });
            }
        }
    }
    enqueue_all(connection, &notices).await
}

/// What one try says about its channel, beyond that it works. Rarely anything.
async fn note_one(connection: &mut Session, tried: &DeliveryTry) -> Result<(), StoreError> {
    match &tried.end {
        DeliveryEnd::Delivered { learned, pause, .. } => {
            if !learned.is_empty() {
                let learned = serde_json::to_value(learned).map_err(|error| StoreError::Row {
                    column: "learned",
                    row: format!("channel {}", tried.channel),
                    reason: error.to_string(),
                })?;
                sqlx::query("UPDATE channels SET learned = learned || $2, learned_at = now() WHERE id = $1")
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
        DeliveryEnd::Retry { .. }
        | DeliveryEnd::Failed { .. }
        | DeliveryEnd::Muted { .. }
        | DeliveryEnd::Waits { .. } => {}
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
