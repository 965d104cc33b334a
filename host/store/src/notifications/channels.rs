//! What tries say of the channels themselves: one works, it must wait, or it is broken.
//!
//! Every row that is written is locked before, in the order of the ids, as everybody does who changes several channels. A
//! channel that turns out to be broken is flagged once, until it works again, and the flag is told through the others in the
//! same transaction: so a notice of it that breaks its own channel is told to those that are left, and nothing goes round.

use super::{DeliveryEnd, DeliveryTry, Notice, enqueue_all};
use crate::row::Columns;
use crate::session::Session;
use crate::{NOTIFICATIONS, StoreError};
use sqlx::Row;
use std::collections::BTreeMap;
use std::time::Duration;
use uptime_core::channel::ChannelFilter;
use uptime_core::event::Event;
use uptime_core::id::{ChannelId, DeliveryId};
use uuid::Uuid;

/// Writes down what these tries say.
pub(super) async fn note(connection: &mut Session, tries: &[&DeliveryTry]) -> Result<(), StoreError> {
    let broken: Vec<(ChannelId, &str)> =
        tries.iter().filter_map(|tried| Some((tried.channel, breaks(tried)?))).collect();
    let ids = |which: fn(&DeliveryEnd) -> bool| -> Vec<i64> {
        tries.iter().filter(|tried| which(&tried.end)).map(|tried| tried.channel.0).collect()
    };
    let says_more = |end: &DeliveryEnd| match end {
        DeliveryEnd::Delivered { learned, pause, .. } => !learned.is_empty() || pause.is_some(),
        DeliveryEnd::Retry { pause, .. } => pause.is_some(),
        _ => false,
    };
    let locked: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM channels
         WHERE $3 OR id = ANY ($1) OR id = ANY ($2) AND (broken_at IS NOT NULL OR paused_until <= now() OR delivered_at IS NULL)
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids(says_more))
    .bind(ids(|end| matches!(end, DeliveryEnd::Delivered { .. })))
    .bind(!broken.is_empty())
    .fetch_all(&mut *connection)
    .await?;
    if locked.is_empty() {
        return Ok(());
    }
    let works: Vec<i64> = ids(|end| matches!(end, DeliveryEnd::Delivered { .. }))
        .into_iter()
        .filter(|id| locked.contains(id))
        .collect();
    if !works.is_empty() {
        sqlx::query(
            "UPDATE channels SET broken_at = NULL, broken_reason = NULL, paused_until = NULL,
               delivered_at = coalesce(delivered_at, now())
             WHERE id = ANY ($1) AND (broken_at IS NOT NULL OR paused_until <= now() OR delivered_at IS NULL)",
        )
        .bind(works)
        .execute(&mut *connection)
        .await?;
    }
    for tried in tries {
        note_one(connection, tried).await?;
    }
    flag_broken(connection, &broken).await
}

/// Why the channel can't be delivered to, if a try says so.
fn breaks(tried: &DeliveryTry) -> Option<&str> {
    match &tried.end {
        DeliveryEnd::Failed { channel_broken: true, error }
        | DeliveryEnd::Retry { channel_broken: true, error, .. } => Some(error),
        _ => None,
    }
}

/// Flags channels as broken, each with its reason, and tells the others that want to know of those that were not before.
pub(super) async fn flag_broken(
    connection: &mut Session,
    broken: &[(ChannelId, &str)],
) -> Result<(), StoreError> {
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
