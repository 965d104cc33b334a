//! What tries say of the channels themselves: one works, it must wait, or it is broken.
//!
//! Every row that is written is locked before, in the order of the ids, as everybody does who changes several channels. A
//! channel that turns out to be broken is flagged once, until it works again, and the flag is told through the others in the
//! same transaction: so a notice of it that breaks its own channel is told to those that are left, and nothing goes round.

use super::{DeliveryEnd, DeliveryTry, Notice, announcements, enqueue_all};
use crate::row::{bind, rows, to_json};
use crate::session::Session;
use crate::{NOTIFICATIONS, Result, Store};
use jiff::Timestamp;
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
    pub async fn channel_delivered(&self, channel: ChannelId) -> Result<()> {
        let mut transaction = self.sessions.begin().await?;
        let query = sqlx::query("SELECT FROM channels WHERE id = $1 AND enabled FOR NO KEY UPDATE");
        if bind!(query, channel).fetch_optional(&mut transaction).await?.is_some() {
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
) -> Result<()> {
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
    let query = sqlx::query_as(
        "SELECT id, failing_since IS NOT NULL OR probe_id IS NOT NULL AS fails FROM channels
         WHERE $3 OR id = ANY ($1)
            OR id = ANY ($2) AND (broken_at IS NOT NULL OR paused_until <= now() OR failing_since IS NOT NULL OR probe_id IS NOT NULL
                                 OR delivered_at IS NULL)
         ORDER BY id FOR NO KEY UPDATE",
    );
    let all = !in_trouble.is_empty() || failures.iter().any(|failure| failure.channel_broken);
    let locked: Vec<(i64, bool)> =
        bind!(query, ids(says_more), ids(is_settled), all).fetch_all(&mut *connection).await?;
    if locked.is_empty() {
        return Ok(());
    }
    let fails: HashMap<i64, bool> = locked.into_iter().collect();
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
async fn note_works(connection: &mut Session, channels: &[i64]) -> Result<()> {
    let query = sqlx::query(
        "UPDATE channels SET broken_at = NULL, broken_reason = NULL, failing_since = NULL, probes = 0, trial_job = NULL,
                delivered_at = coalesce(delivered_at, now()),
                paused_until = CASE WHEN paused_until > now() THEN paused_until END
         WHERE id = ANY ($1)
           AND (broken_at IS NOT NULL OR paused_until <= now() OR failing_since IS NOT NULL OR probes > 0
                OR delivered_at IS NULL)",
    );
    bind!(query, channels).execute(&mut *connection).await?;
    // What waited for the one that went first.
    bind!(sqlx::query("SELECT pg_notify('uptime_jobs', $1)"), NOTIFICATIONS).execute(connection).await?;
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
) -> Result<()> {
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
        let query =
            sqlx::query("UPDATE notifications SET setbacks = setbacks + $2 WHERE id = $1 OR digest_id = $1");
        bind!(query, failure.notification, setbacks).execute(&mut *connection).await?;
    }
    let channels: BTreeSet<ChannelId> = failures.iter().map(|failure| failure.channel).collect();
    for channel in channels {
        let of_it = || failures.iter().filter(|failure| failure.channel == channel);
        let query = sqlx::query(
            "UPDATE channels SET failing_since = CASE WHEN $2 THEN coalesce(failing_since, now()) ELSE failing_since END,
                    probes = probes + $3, probe_id = CASE WHEN $3 > 0 THEN NULL ELSE probe_id END
             WHERE id = $1",
        );
        let is_broken = of_it().any(|failure| failure.channel_broken);
        let probes = u32::from(of_it().any(|failure| failure.is_probe));
        bind!(query, channel, is_broken, probes).execute(&mut *connection).await?;
        announcements::reconcile(connection, channel, Occasion::Failed, pauses).await?;
    }
    Ok(())
}

rows! {
    struct Channel {
        id: ChannelId,
        name: String,
        notifier: String,
        enabled: bool,
        filter: ChannelFilter,
        is_broken: bool,
        now: Timestamp,
    }
}

/// Flags channels as broken, each with its reason, and tells the others that want to know of those that were not before.
async fn flag_broken(connection: &mut Session, broken: &[(ChannelId, &str)]) -> Result<()> {
    let reasons: BTreeMap<ChannelId, &str> = broken.iter().copied().collect();
    if reasons.is_empty() {
        return Ok(());
    }
    let query = sqlx::query_as(
        "SELECT id, name, notifier, enabled, filter, broken_at IS NOT NULL AS is_broken, now() AS now
         FROM channels ORDER BY id FOR NO KEY UPDATE",
    );
    let channels: Vec<Channel> = query.fetch_all(&mut *connection).await?;
    let query = sqlx::query(
        "UPDATE channels c SET broken_at = coalesce(c.broken_at, now()), broken_reason = b.reason
         FROM unnest($1::bigint[], $2::text[]) b(id, reason) WHERE c.id = b.id",
    );
    let (ids, why): (Vec<ChannelId>, Vec<&str>) = reasons.iter().unzip();
    bind!(query, ids, why).execute(&mut *connection).await?;
    let worked = || channels.iter().filter(|channel| !channel.is_broken);
    let listeners = worked().filter(|channel| channel.enabled && !reasons.contains_key(&channel.id));
    let mut notices = Vec::new();
    for listener in listeners {
        for (channel, reason) in worked().filter_map(|channel| Some((channel, reasons.get(&channel.id)?))) {
            let Channel { name, notifier, now, .. } = channel;
            let event = Event::channel_broken(name, notifier, reason, *now);
            if listener.filter.wants(&event) {
                let event = event.sent_as(DeliveryId(Uuid::now_v7()));
                notices.push(Notice { channel: listener.id, event, sequence: 0 });
            }
        }
    }
    enqueue_all(connection, &notices).await
}

/// What one try says about its channel, beyond that it works. Rarely anything.
async fn note_one(connection: &mut Session, tried: &DeliveryTry) -> Result<()> {
    if let DeliveryEnd::Delivered { learned, .. } = &tried.end
        && !learned.is_empty()
    {
        let query =
            sqlx::query("UPDATE channels SET learned = learned || $2, learned_at = now() WHERE id = $1");
        let learned = to_json("learned", || format!("channel {}", tried.channel), learned)?;
        bind!(query, tried.channel, learned).execute(&mut *connection).await?;
    }
    if let DeliveryEnd::Delivered { pause: Some(pause), .. } | DeliveryEnd::Retry { pause: Some(pause), .. } =
        &tried.end
    {
        pause_channel(connection, tried.channel, *pause).await?;
    }
    Ok(())
}

/// What waits for the channel waits for so long; what is enqueued meanwhile is given the same instant.
async fn pause_channel(connection: &mut Session, channel: ChannelId, pause: Duration) -> Result<()> {
    let query = sqlx::query(
        "WITH paused AS (
           UPDATE channels SET paused_until = greatest(paused_until, now() + make_interval(secs => $2))
           WHERE id = $1 RETURNING id, paused_until)
         UPDATE jobs j SET available_at = greatest(j.available_at, p.paused_until)
         FROM paused p WHERE j.queue = $3 AND j.concurrency_key = p.id AND j.reserved_until IS NULL",
    );
    bind!(query, channel, pause, NOTIFICATIONS).execute(connection).await?;
    Ok(())
}
