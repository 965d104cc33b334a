//! What a delivery needs: what to tell, whom, and what is true of it by now.
//!
//! To look at a digest closes it: nothing joins it any more, and what comes after it goes into the next. That is said under
//! the lock of the channel's row, behind which others put notices into it, and before the members are read.

use crate::row::Columns;
use crate::{Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::HashMap;
use std::time::Instant;
use uptime_core::channel::{ChannelFilter, Settings};
use uptime_core::event::Event;
use uptime_core::grant::HostGrant;
use uptime_core::id::{ChannelId, NotificationId};
use uptime_core::notifier::LimitChanges;
use uptime_core::review::Circumstances;
use uptime_core::secret::SecretRef;
use uuid::Uuid;

/// A channel as a delivery needs it.
#[derive(Clone, Debug)]
pub struct ChannelRow {
    pub id: ChannelId,
    pub name: String,
    /// The plugin that speaks for it.
    pub notifier: String,
    pub enabled: bool,
    /// What it wants to hear, and when.
    pub filter: ChannelFilter,
    /// The notifier's settings, with those in it that the provider replaced.
    pub settings: Settings,
    /// Settings that the provider replaced with nothing a moment ago: they are left out, and tried again later.
    pub left_out: Vec<String>,
    /// Egress beyond what the notifier asks for.
    pub allow: Vec<HostGrant>,
    /// What a call for it may use up, over what its notifier may.
    pub limits: LimitChanges,
    /// The proxy that its requests go through.
    pub proxy: Option<SecretRef>,
    /// When something got through first, since it is as it is.
    pub delivered_at: Option<Timestamp>,
    /// Since when it can't be delivered to, if so.
    pub broken_at: Option<Timestamp>,
    pub broken_reason: Option<String>,
    /// Since when what it was to be told has failed, and nothing has got through.
    pub failing_since: Option<Timestamp>,
    /// Until when its provider wants to be told nothing, if it said so.
    pub paused_until: Option<Timestamp>,
}

/// A notification that is to be delivered now.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    pub notification: NotificationId,
    /// What to tell. Of a digest: what it was to tell when it was begun, or told last.
    pub event: Event,
    /// What is true of its incident now.
    pub circumstances: Circumstances,
    /// Of a digest: what it is made of.
    pub members: Option<Vec<Member>>,
    /// This look, by the database's clock.
    pub now: Timestamp,
    /// The same, by this process's.
    pub read_at: Instant,
    pub channel: ChannelRow,
    /// Tries so far, over all retries by hand too.
    pub attempts: u32,
    /// The provider's name for the first message about the incident.
    pub first_remote_id: Option<String>,
    /// And for the last.
    pub last_remote_id: Option<String>,
    /// What the last try left.
    pub progress: Option<Vec<u8>>,
    /// Whose it is.
    pub installation: Uuid,
    /// Whether it has failed for all its tries. Only a probe sends such a one.
    pub has_failed: bool,
}

impl DueDelivery {
    /// This moment, by the database's clock: the host's may be wrong, and what receivers are told is not to be.
    pub fn clock(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.read_at.elapsed()).unwrap_or_default();
        self.now.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// A notice that goes out with a digest.
#[derive(Clone, Debug)]
pub struct Member {
    pub notification: NotificationId,
    pub event: Event,
    /// What is true of its incident now.
    pub circumstances: Circumstances,
}

impl Store {
    /// The notifications with these ids and their channels as they are now. Those that are gone are not among them; one
    /// whose row can't be read is an error of its own, and so is a digest with a member that can't.
    pub async fn due_deliveries(
        &self,
        ids: &[NotificationId],
    ) -> Result<HashMap<NotificationId, Result<DueDelivery, StoreError>>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows =
            sqlx::query(concat!(include_str!("../../queries/due_deliveries.sql"), "WHERE n.id = ANY ($1)"))
                .bind(ids)
                .fetch_all(&self.sessions)
                .await?;
        let mut due = rows
            .iter()
            .map(|row| {
                let id = NotificationId(row.try_get("notification_id")?);
                Ok((id, due_delivery(id, row)))
            })
            .collect::<Result<HashMap<_, _>, StoreError>>()?;
        let digests: Vec<i64> = due
            .iter()
            .filter(|(_, due)| due.as_ref().is_ok_and(|due| due.members.is_some()))
            .map(|(id, _)| id.0)
            .collect();
        if !digests.is_empty() {
            self.close_digests(&digests).await?;
            let rows = sqlx::query(concat!(
                include_str!("../../queries/due_deliveries.sql"),
                "JOIN notifications d ON d.id = n.digest_id AND d.state = n.state
                 WHERE n.digest_id = ANY ($1) AND n.state IN ('queued', 'failed') ORDER BY n.id"
            ))
            .bind(digests)
            .fetch_all(&self.sessions)
            .await?;
            for row in &rows {
                let digest = NotificationId(row.try_get("of_digest")?);
                match (member(row), due.get_mut(&digest)) {
                    (Ok(member), Some(Ok(due))) => due.members.get_or_insert_default().push(member),
                    (Err(error), Some(due)) => *due = Err(error),
                    (_, None | Some(Err(_))) => {}
                }
            }
        }
        Ok(due)
    }

    /// From now on these take no members.
    async fn close_digests(&self, digests: &[i64]) -> Result<(), StoreError> {
        let mut transaction = self.sessions.begin().await?;
        sqlx::query("SELECT FROM channels WHERE digest_id = ANY ($1) ORDER BY id FOR NO KEY UPDATE")
            .bind(digests)
            .execute(&mut transaction)
            .await?;
        sqlx::query("UPDATE channels SET digest_id = NULL WHERE digest_id = ANY ($1)")
            .bind(digests)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await
    }

    /// What tells this installation's keys from those of others.
    pub async fn installation(&self) -> Result<Uuid, StoreError> {
        Ok(sqlx::query_scalar("SELECT id FROM installation").fetch_one(&self.sessions).await?)
    }

    /// Every channel, by name.
    pub async fn channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        let rows = sqlx::query(include_str!("../../queries/channels.sql")).fetch_all(&self.sessions).await?;
        rows.iter().map(channel).collect()
    }
}

fn due_delivery(id: NotificationId, row: &PgRow) -> Result<DueDelivery, StoreError> {
    let is_digest: bool = row.try_get("is_digest")?;
    Ok(DueDelivery {
        notification: id,
        event: row.json("snapshot", || format!("notification {id}"))?,
        circumstances: circumstances(row)?,
        members: is_digest.then(Vec::new),
        now: row.instant("now")?,
        read_at: Instant::now(),
        channel: channel(row)?,
        attempts: row.count("attempts")?,
        first_remote_id: row.try_get("first_remote_id")?,
        last_remote_id: row.try_get("last_remote_id")?,
        progress: row.try_get("progress")?,
        installation: row.try_get("installation")?,
        has_failed: row.try_get::<&str, _>("state")? == "failed",
    })
}

fn member(row: &PgRow) -> Result<Member, StoreError> {
    let id = NotificationId(row.try_get("notification_id")?);
    Ok(Member {
        notification: id,
        event: row.json("snapshot", || format!("notification {id}"))?,
        circumstances: circumstances(row)?,
    })
}

pub(super) fn circumstances(row: &PgRow) -> Result<Circumstances, StoreError> {
    let severity = |column| {
        let word = row.try_get::<Option<&str>, _>(column)?;
        Ok::<_, StoreError>(word.and_then(|word| word.parse().ok()))
    };
    Ok(Circumstances {
        ended_at: row.optional_instant("ended_at")?,
        severity: severity("severity")?,
        worst_told: severity("worst_told")?,
        muted: row.try_get("muted")?,
        acknowledged: row.try_get("acknowledged")?,
        opening_told: row.try_get("opening_told")?,
        recovery_due: row.try_get("recovery_due")?,
        end_unseen: row.try_get("end_unseen")?,
        overtaken: row.try_get("overtaken")?,
    })
}

fn channel(row: &PgRow) -> Result<ChannelRow, StoreError> {
    let name: String = row.try_get("name")?;
    let allow: Vec<String> = row.try_get("allow")?;
    let allow = allow
        .iter()
        .map(|grant| {
            grant.parse().map_err(|reason| StoreError::Row {
                column: "allow".into(),
                row: format!("channel `{name}`"),
                reason,
            })
        })
        .collect::<Result<_, _>>()?;
    let mut settings: Settings = row.json("settings", || format!("channel `{name}`"))?;
    let learned: Settings = row.json("learned", || format!("channel `{name}`"))?;
    let learned_lately: bool = row.try_get("learned_lately")?;
    let mut left_out = Vec::new();
    for (key, value) in learned {
        if !value.is_nothing() {
            settings.insert(key, value);
        } else if learned_lately {
            settings.remove(&key);
            left_out.push(key);
        }
    }
    Ok(ChannelRow {
        id: ChannelId(row.try_get("id")?),
        notifier: row.try_get("notifier")?,
        enabled: row.try_get("enabled")?,
        filter: row.json("filter", || format!("channel `{name}`"))?,
        settings,
        left_out,
        broken_at: row.optional_instant("broken_at")?,
        broken_reason: row.try_get("broken_reason")?,
        failing_since: row.optional_instant("failing_since")?,
        paused_until: row.optional_instant("paused_until")?,
        allow,
        limits: row.json("limits", || format!("channel `{name}`"))?,
        proxy: row.json("proxy", || format!("channel `{name}`"))?,
        delivered_at: row.optional_instant("delivered_at")?,
        name,
    })
}
