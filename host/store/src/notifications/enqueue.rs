//! From notices to notifications: each by itself, or in its channel's digest.
//!
//! Everything is decided under the locks of the channels' rows, which are taken in the order of their ids: tokens, the digest
//! that is open, and the order of what is told of one monitor. Whatever of a monitor still waits for a channel goes one
//! way, by itself (one order key) or in digests (another), so nothing overtakes what it follows.

use crate::Result;
use crate::row::{self, Field, bind, column, columns, named, optional, rows, to_json};
use crate::session::Session;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use std::collections::{HashMap, HashSet};
use uptime_core::calendar::Hours;
use uptime_core::decision::Notice;
use uptime_core::event::Event;
use uptime_core::id::{ChannelId, DeliveryId, IncidentId, NotificationId};
use uptime_core::route::{DigestPolicy, Pending, Route, TokenBucket};
use uuid::Uuid;

rows! {
    struct Locked {
        digest_policy: DigestPolicy,
        bucket: Option<TokenBucket>,
        /// The digest that takes members.
        digest: Option<NotificationId> = "digest_id",
        digest_at: Option<Timestamp>,
        /// What it was to be told has failed.
        fails: bool,
        now: Timestamp;
        /// Outside of its hours.
        is_quiet: bool = is_quiet,
        /// The first of those that need a new one.
        wants_digest: Option<Event>
    }

    /// An incident, and a notification of it, if there is one.
    struct Made {
        incident: IncidentId = "id",
        monitor_id: Option<i64>,
        channel: Option<ChannelId> = "channel_id",
        event: Option<String>,
        sequence: Option<i64>,
        waits: Option<bool>,
        in_digest: bool,
    }
}

columns!(TokenBucket { tokens, at = "tokens_at" });
optional!(TokenBucket, "tokens");

/// Hours that can't be read here are said to be so where the channel is told something.
fn is_quiet(row: &PgRow) -> sqlx::Result<bool> {
    let (hours, now): (Option<Hours>, _) = (row::known(row, "hours")?, Field::read(row, "now")?);
    Ok(hours.is_some_and(|hours| hours.covers(now).is_none()))
}

/// What is told in one order: a monitor, or an incident whose monitor was removed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Monitor(i64),
    Incident(IncidentId),
}

impl Known {
    fn subject(&self, incident: IncidentId) -> Subject {
        self.monitors.get(&incident).copied().flatten().map_or(Subject::Incident(incident), Subject::Monitor)
    }
}

/// What there is already of the incidents that a batch is about, and what waits of their monitors.
#[derive(Default)]
struct Known {
    made: HashSet<(ChannelId, IncidentId, String, i64)>,
    /// The incidents' monitors; `None`: it was removed.
    monitors: HashMap<IncidentId, Option<i64>>,
    waiting: HashMap<(ChannelId, Subject), Pending>,
}

/// Makes a notification of each, in their order, within a transaction of the caller's, and a job of each that is not in a
/// digest. A second one for the same incident, channel, event and sequence is not made. Locks the channels; whoever has other
/// locks to take takes them before. Gives the channels that fail.
pub(super) async fn insert_all(connection: &mut Session, notices: &[Notice]) -> Result<Vec<ChannelId>> {
    if notices.is_empty() {
        return Ok(Vec::new());
    }
    let ids = column(notices, |notice| notice.channel);
    let mut channels = lock(connection, &ids).await?;
    let mut known = known(connection, &ids, notices.iter().map(|notice| &notice.event)).await?;
    let mut ways = Vec::with_capacity(notices.len());
    for notice in notices {
        // It was removed in this moment.
        let Some(channel) = channels.get_mut(&notice.channel) else { continue };
        let incident = notice.event.incident.as_ref().map(|incident| incident.id);
        if let Some(incident) = incident {
            let key = (notice.channel, incident, notice.event.kind.as_str().to_owned(), notice.sequence);
            if !known.made.insert(key) {
                continue;
            }
        }
        let subject = incident.map(|incident| (notice.channel, known.subject(incident)));
        let waiting = subject.and_then(|subject| known.waiting.get(&subject).copied());
        let route = channel.route(&notice.event, waiting.unwrap_or(Pending::Nothing));
        if let Some(subject) = subject {
            let waits = if route == Route::Digest { Pending::InDigest } else { Pending::Single };
            known.waiting.insert(subject, waits);
        }
        ways.push((notice, route));
    }
    open_digests(connection, &mut channels).await?;
    insert(connection, &ways, &channels).await?;
    keep_tokens(connection, &channels).await?;
    let mut fail: Vec<ChannelId> =
        channels.iter().filter(|(_, channel)| channel.fails).map(|(id, _)| *id).collect();
    fail.sort_unstable();
    Ok(fail)
}

/// Queues failed notices of a channel again, in this order, each by itself or in the channel's digest; one without an event can't
/// be read. Their rows are locked, and so is the channel's. `setbacks` is added to theirs.
pub(super) async fn again(
    connection: &mut Session,
    channel: ChannelId,
    notices: &[(NotificationId, Option<&Event>)],
    setbacks: u32,
) -> Result<()> {
    if notices.is_empty() {
        return Ok(());
    }
    let mut channels = lock(connection, &[channel]).await?;
    let Some(locked) = channels.get_mut(&channel) else { return Ok(()) };
    let known = known(connection, &[channel], notices.iter().filter_map(|(_, event)| *event)).await?;
    // A newer one that waits already decides the way, or would come first.
    let mut route = |event: &Event| {
        let subject = event.incident.as_ref().map(|incident| (channel, known.subject(incident.id)));
        let waits = subject.and_then(|subject| known.waiting.get(&subject).copied());
        locked.route(event, waits.unwrap_or(Pending::Nothing))
    };
    let ways: Vec<Route> = notices.iter().map(|(_, event)| event.map_or(Route::Single, &mut route)).collect();
    open_digests(connection, &mut channels).await?;
    let digest = channels.get(&channel).and_then(|channel| channel.digest);
    let digests = column(&ways, |route| if *route == Route::Digest { digest } else { None });
    let query = sqlx::query(include_str!("../../queries/announce_again.sql"));
    bind!(query, column(notices, |(id, _)| *id), digests, setbacks).execute(&mut *connection).await?;
    keep_tokens(connection, &channels).await
}

impl Locked {
    /// How a notice goes. Takes a token, where it needs one.
    fn route(&mut self, event: &Event, pending: Pending) -> Route {
        // What waits for the channel's hours goes out together when they begin: a night fills any bucket.
        let bucket =
            if self.is_quiet { Some(TokenBucket { tokens: 0.0, at: self.now }) } else { self.bucket };
        let (route, bucket) = self.digest_policy.route(event.kind, pending, bucket, self.now);
        if !self.is_quiet {
            self.bucket = bucket;
        }
        if route == Route::Digest && self.digest.is_none() && self.wants_digest.is_none() {
            self.wants_digest = Some(event.clone());
        }
        route
    }
}

/// Locks the channels in the order of their ids, so that of two batches none waits for the other in a circle.
async fn lock(connection: &mut Session, ids: &[ChannelId]) -> Result<HashMap<ChannelId, Locked>> {
    let query = sqlx::query(
        "SELECT id, digest_policy, filter->>'hours' AS hours, tokens, tokens_at, digest_id, digest_at, now() AS now,
                failing_since IS NOT NULL OR probe_id IS NOT NULL AS fails
         FROM channels WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
    );
    let rows = bind!(query, ids).fetch_all(&mut *connection).await?;
    let locked = |row: &PgRow| {
        let id = ChannelId::read(row, "id")?;
        Ok((id, named(row, || format!("channel {id}"))?))
    };
    let mut channels: HashMap<ChannelId, Locked> = rows.iter().map(locked).collect::<Result<_>>()?;
    // An operator may have discarded it. Held until the members are in it, so that they are discarded along with it.
    let open: Vec<i64> = channels.values().filter_map(|channel| Some(channel.digest?.0)).collect();
    if !open.is_empty() {
        let query = sqlx::query_scalar(
            "SELECT id FROM notifications WHERE id = ANY ($1) AND state = 'queued' ORDER BY id FOR SHARE",
        );
        let open: Vec<i64> = bind!(query, open).fetch_all(connection).await?;
        for channel in channels.values_mut() {
            channel.digest = channel.digest.filter(|digest| open.contains(&digest.0));
        }
    }
    Ok(channels)
}

async fn known<'e>(
    connection: &mut Session,
    channels: &[ChannelId],
    events: impl Iterator<Item = &'e Event>,
) -> Result<Known> {
    let mut known = Known::default();
    let incidents: Vec<IncidentId> = events.filter_map(|event| Some(event.incident.as_ref()?.id)).collect();
    if incidents.is_empty() {
        return Ok(known);
    }
    let query = sqlx::query_as(
        "SELECT i.id, i.monitor_id, n.channel_id, n.event, n.sequence, n.state = 'queued' AS waits, n.digest_id IS NOT NULL AS in_digest
         FROM incidents i LEFT JOIN notifications n ON n.incident_id = i.id AND n.channel_id = ANY ($2)
         WHERE i.id IN (SELECT unnest($1::bigint[]) UNION
                        -- What waits of the monitor's incidents since a day before.
                        SELECT o.id FROM incidents i JOIN incidents o ON o.monitor_id = i.monitor_id
                        WHERE i.id = ANY ($1) AND o.started_at > i.started_at - interval '1 day')
         ORDER BY n.id",
    );
    let rows: Vec<Made> = bind!(query, incidents, channels).fetch_all(connection).await?;
    for Made { incident, monitor_id, channel, event, sequence, waits, in_digest } in rows {
        known.monitors.insert(incident, monitor_id);
        let Some(((channel, event), sequence)) = channel.zip(event).zip(sequence) else { continue };
        if waits == Some(true) {
            let pending = if in_digest { Pending::InDigest } else { Pending::Single };
            known.waiting.insert((channel, known.subject(incident)), pending);
        }
        known.made.insert((channel, incident, event, sequence));
    }
    Ok(known)
}

/// Begins a digest for each channel that needs one.
async fn open_digests(connection: &mut Session, channels: &mut HashMap<ChannelId, Locked>) -> Result<()> {
    let (mut ids, mut snapshots, mut due_at) = (Vec::new(), Vec::new(), Vec::new());
    for (id, channel) in &*channels {
        let Some(first) = &channel.wants_digest else { continue };
        // What it tells is made of its members when it leaves; until then it says what it was begun for.
        let event = Event { delivery_id: DeliveryId(Uuid::now_v7()), ..first.clone() };
        ids.push(*id);
        snapshots.push(snapshot(&event)?);
        due_at.push(channel.digest_policy.due_at(channel.now, channel.digest_at));
    }
    if ids.is_empty() {
        return Ok(());
    }
    let query = sqlx::query_as(include_str!("../../queries/open_digests.sql"));
    let opened: Vec<(i64, i64)> = bind!(query, ids, snapshots, due_at).fetch_all(connection).await?;
    for (id, channel) in opened {
        if let Some(channel) = channels.get_mut(&ChannelId(channel)) {
            channel.digest = Some(NotificationId(id));
        }
    }
    Ok(())
}

async fn insert(
    connection: &mut Session,
    ways: &[(&Notice, Route)],
    channels: &HashMap<ChannelId, Locked>,
) -> Result<()> {
    let digest = |(notice, route): &(&Notice, Route)| match route {
        Route::Single => None,
        Route::Digest => channels.get(&notice.channel).and_then(|channel| channel.digest),
    };
    let query = bind!(
        sqlx::query(include_str!("../../queries/enqueue_notifications.sql")),
        column(ways, |(notice, _)| notice.event.delivery_id),
        column(ways, |(notice, _)| notice.channel),
        column(ways, |(notice, _)| notice.event.incident.as_ref().map(|incident| incident.id)),
        column(ways, |(notice, _)| notice.event.kind),
        column(ways, |(notice, _)| notice.sequence),
        ways.iter().map(|(notice, _)| snapshot(&notice.event)).collect::<Result<Vec<_>>>()?,
        column(ways, digest),
    );
    query.execute(connection).await?;
    Ok(())
}

async fn keep_tokens(connection: &mut Session, channels: &HashMap<ChannelId, Locked>) -> Result<()> {
    let (ids, buckets): (Vec<ChannelId>, Vec<TokenBucket>) =
        channels.iter().filter_map(|(id, channel)| Some((*id, channel.bucket?))).unzip();
    let query = sqlx::query(
        "UPDATE channels c SET tokens = b.tokens, tokens_at = b.at
         FROM unnest($1::bigint[], $2::double precision[], $3::timestamptz[]) b(id, tokens, at) WHERE c.id = b.id",
    );
    bind!(query, ids, column(&buckets, |bucket| bucket.tokens), column(&buckets, |bucket| bucket.at))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) fn snapshot(event: &Event) -> Result<serde_json::Value> {
    to_json("snapshot", || format!("delivery {}", event.delivery_id), event)
}

/// Makes a notification without an incident, and its job before all that waits: for what is about the queue itself, or the host.
/// Those of one channel and `order` are told one after the other.
pub(crate) async fn enqueue_first(
    connection: &mut Session,
    channel: ChannelId,
    event: &Event,
    order: Option<&str>,
) -> Result<()> {
    let query = sqlx::query(include_str!("../../queries/enqueue_notification_first.sql"));
    bind!(query, event.delivery_id, channel, event.kind, snapshot(event)?, order).execute(connection).await?;
    Ok(())
}
