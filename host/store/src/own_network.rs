//! Whether a host sees: that its own network is away is told once, and that it is back once, by however many workers.
//!
//! ```text
//!           enqueue_blind: a `blind` to each channel that wants it
//!   sees ───────────────────────────────────────────────────────▶ blind
//!     ◀──────────────────────────────────────────────────────────
//!           enqueue_seeing: a `seeing` to each of those channels
//! ```
//! The state is a row for each host, and it changes with the notifications in one transaction under the row's lock. A worker
//! that stops while its host is blind leaves the row, and the next one takes it up. A host's two notices for a channel have
//! one order, so the second never overtakes the first.

use crate::row::{bind, rows};
use crate::session::Session;
use crate::{Result, Store, notifications};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::channel::ChannelFilter;
use uptime_core::event::Event;
use uptime_core::id::{ChannelId, DeliveryId};
use uuid::Uuid;

rows! {
    /// When a host was blind, by the database's clock.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BlindMoment {
        pub now: Timestamp,
        /// When the witnesses were asked that did not answer.
        pub since: Timestamp = "blind_since",
    }

    struct Turned {
        news: bool,
        now: Timestamp,
        blind_since: Option<Timestamp>,
    }

    struct Sees {
        moment: BlindMoment,
        channels_told: Vec<i64>,
    }

    struct Channel {
        id: ChannelId,
        name: String,
        filter: ChannelFilter,
    }
}

/// What came of saying that a host is blind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blind {
    /// It was news. These channels will be told, by name.
    Told(Vec<String>),
    /// Somebody said so before.
    Known,
    /// Somebody saw after these witnesses were asked: it is not so any more.
    Outdated,
}

impl Store {
    /// Since when `host` is blind, as far as anybody said.
    pub async fn blind_since(&self, host: &str) -> Result<Option<Timestamp>> {
        let query = sqlx::query_as("SELECT blind_since FROM host_network WHERE host = $1");
        let since: Option<(Option<jiff_sqlx::Timestamp>,)> =
            bind!(query, host).fetch_optional(&self.sessions).await?;
        Ok(since.and_then(|(since,)| since).map(jiff_sqlx::Timestamp::to_jiff))
    }

    /// `host` is blind: its witnesses were asked so long ago, and none has answered. When that is news, enqueues a
    /// notification for each enabled channel that wants this event.
    pub async fn enqueue_blind(
        &self,
        host: &str,
        asked_ago: Duration,
        event: impl FnOnce(BlindMoment) -> Event,
    ) -> Result<Blind> {
        let mut transaction = self.sessions.begin().await?;
        let query = sqlx::query_as(include_str!("../queries/turn_blind.sql"));
        let turned: Turned = bind!(query, host, asked_ago).fetch_one(&mut transaction).await?;
        let Turned { news: true, now, blind_since: Some(since) } = turned else {
            // Said at once: the row's lock is not to wait for a rollback.
            transaction.commit().await?;
            return Ok(if turned.blind_since.is_some() { Blind::Known } else { Blind::Outdated });
        };
        let moment = BlindMoment { now, since };
        let (channels_told, names) =
            enqueue_notices(&mut transaction, Some(&order(host)), None, &event(moment)).await?;
        let query = sqlx::query("UPDATE host_network SET channels_told = $2 WHERE host = $1");
        bind!(query, host, channels_told).execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Blind::Told(names))
    }

    /// `host` sees. When that is news, enqueues a notification for each channel that was told that it is blind, and that wants
    /// this event. Gives since when it was blind, and whom it will tell; `None`: it was no news.
    pub async fn enqueue_seeing(
        &self,
        host: &str,
        event: impl FnOnce(BlindMoment) -> Event,
    ) -> Result<Option<(BlindMoment, Vec<String>)>> {
        let mut transaction = self.sessions.begin().await?;
        let query = sqlx::query_as(
            "WITH was AS (SELECT host, blind_since, channels_told FROM host_network WHERE host = $1 AND blind_since IS NOT NULL FOR UPDATE)
             UPDATE host_network s SET blind_since = NULL, channels_told = '{}', seen_at = now() FROM was
             WHERE s.host = was.host RETURNING was.blind_since, was.channels_told, now() AS now",
        );
        let Some(Sees { moment, channels_told }) =
            bind!(query, host).fetch_optional(&mut transaction).await?
        else {
            transaction.commit().await?;
            return Ok(None);
        };
        let (_, names) =
            enqueue_notices(&mut transaction, Some(&order(host)), Some(channels_told), &event(moment))
                .await?;
        transaction.commit().await?;
        Ok(Some((moment, names)))
    }
}

/// Its end never overtakes its beginning.
fn order(host: &str) -> String {
    format!("network of {host}")
}

/// A notification, before all that waits, for each enabled channel that wants the event; those of one `order` come one after the
/// other. Of an end, for each of `channels_told`, who heard of the beginning: one that is disabled by now is looked at again when it is
/// delivered. Gives the channels' ids and names.
pub(crate) async fn enqueue_notices(
    transaction: &mut Session,
    order: Option<&str>,
    channels_told: Option<Vec<i64>>,
    event: &Event,
) -> Result<(Vec<i64>, Vec<String>)> {
    let query = sqlx::query_as(
        "SELECT id, name, filter FROM channels WHERE CASE WHEN $1::bigint[] IS NULL THEN enabled ELSE id = ANY ($1) END ORDER BY name",
    );
    let channels: Vec<Channel> = bind!(query, channels_told).fetch_all(&mut *transaction).await?;
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for channel in channels.into_iter().filter(|channel| channel.filter.wants(event)) {
        let event = event.sent_as(DeliveryId(Uuid::now_v7()));
        notifications::enqueue_first(transaction, channel.id, &event, order).await?;
        ids.push(channel.id.0);
        names.push(channel.name);
    }
    Ok((ids, names))
}
