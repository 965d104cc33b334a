//! What a delivery needs: what to tell, whom, and what is true of it by now.
//!
//! To look at a digest closes it: nothing joins it any more, and what comes after it goes into the next. That is said under
//! the lock of the channel's row, behind which others put notices into it, and before the members are read.

use crate::row::{Field, bind, columns, json, known, named, named_by_column, rows};
use crate::{Result, Store};
use jiff::{SignedDuration, Timestamp};
use sqlx::postgres::PgRow;
use std::collections::HashMap;
use std::time::Instant;
use uptime_core::channel::{ChannelFilter, Settings};
use uptime_core::event::Event;
use uptime_core::grant::HostGrant;
use uptime_core::id::{ChannelId, NotificationId};
use uptime_core::notifier::LimitChanges;
use uptime_core::recheck::IncidentNow;
use uptime_core::secret::SecretRef;
use uuid::Uuid;

rows! {
    /// A channel as a delivery needs it.
    #[derive(Clone, Debug)]
    pub struct ChannelRow {
        pub id: ChannelId,
        pub name: String,
        /// The plugin that speaks for it.
        pub notifier: String,
        pub enabled: bool,
        /// Origins that are granted beyond those that the notifier asks for.
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
        pub paused_until: Option<Timestamp>;
        /// What it wants to hear, and when.
        pub filter: ChannelFilter = |row| json(row, "filter"),
        /// The notifier's settings, with those in it that the provider replaced.
        pub settings: Settings = settings,
        /// Settings that the provider replaced with nothing a moment ago: they are left out, and tried again later.
        pub left_out: Vec<String> = left_out
    }

    /// A notification that is to be delivered now.
    #[derive(Clone, Debug)]
    pub struct DueDelivery {
        pub notification: NotificationId = "notification_id",
        /// What to tell. Of a digest: what it was to tell when it was begun, or told last.
        pub event: Event = "snapshot",
        /// What is true of its incident now.
        pub circumstances: IncidentNow,
        /// This look, by the database's clock.
        pub now: Timestamp,
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
        pub has_failed: bool;
        /// Of a digest: what it is made of.
        pub members: Option<Vec<Member>> = |row| Ok(bool::read(row, "is_digest")?.then(Vec::new)),
        /// This look, by this process's clock.
        pub read_at: Instant = |_| Ok(Instant::now())
    }

    /// A notice that goes out with a digest.
    #[derive(Clone, Debug)]
    pub struct Member {
        pub notification: NotificationId = "notification_id",
        pub event: Event = "snapshot",
        /// What is true of its incident now.
        pub circumstances: IncidentNow,
    }
}

columns!(IncidentNow {
    ended_at,
    muted,
    acknowledged,
    opening_told,
    recovery_due,
    end_unseen,
    overtaken;
    severity = |row| known(row, "severity"),
    worst_told = |row| known(row, "worst_told")
});

fn settings(row: &PgRow) -> sqlx::Result<Settings> {
    let (left_out, mut settings) = (left_out(row)?, Settings::read(row, "settings")?);
    settings.extend(Settings::read(row, "learned")?.into_iter().filter(|(_, value)| !value.is_nothing()));
    settings.retain(|key, _| !left_out.contains(key));
    Ok(settings)
}

fn left_out(row: &PgRow) -> sqlx::Result<Vec<String>> {
    if !bool::read(row, "learned_lately")? {
        return Ok(Vec::new());
    }
    let learned = Settings::read(row, "learned")?;
    Ok(learned.into_iter().filter(|(_, value)| value.is_nothing()).map(|(key, _)| key).collect())
}

impl DueDelivery {
    /// This moment, by the database's clock: the host's may be wrong, and what receivers are told is not to be.
    pub fn clock(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.read_at.elapsed()).unwrap_or_default();
        self.now.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

impl Store {
    /// The notifications with these ids and their channels as they are now. Those that are gone are not among them; one
    /// whose row can't be read is an error of its own, and so is a digest with a member that can't.
    pub async fn due_deliveries(
        &self,
        ids: &[NotificationId],
    ) -> Result<HashMap<NotificationId, Result<DueDelivery>>> {
        let query = concat!(include_str!("../../queries/due_deliveries.sql"), "WHERE n.id = ANY ($1)");
        let rows = bind!(sqlx::query(query), ids).fetch_all(&self.sessions).await?;
        let due = |row| Ok((NotificationId::read(row, "notification_id")?, read(row)));
        let mut due = rows.iter().map(due).collect::<Result<HashMap<_, Result<DueDelivery>>>>()?;
        let is_digest = |due: &Result<DueDelivery>| due.as_ref().is_ok_and(|due| due.members.is_some());
        let digests: Vec<NotificationId> =
            due.iter().filter(|(_, due)| is_digest(due)).map(|(id, _)| *id).collect();
        if !digests.is_empty() {
            self.close_digests(&digests).await?;
            let query = concat!(
                include_str!("../../queries/due_deliveries.sql"),
                "JOIN notifications d ON d.id = n.digest_id AND d.state = n.state
                 WHERE n.digest_id = ANY ($1) AND n.state IN ('queued', 'failed') ORDER BY n.id"
            );
            for row in &bind!(sqlx::query(query), digests).fetch_all(&self.sessions).await? {
                let digest = NotificationId::read(row, "of_digest")?;
                match (read::<Member>(row), due.get_mut(&digest)) {
                    (Ok(member), Some(Ok(due))) => due.members.get_or_insert_default().push(member),
                    (Err(error), Some(due)) => *due = Err(error),
                    (_, None | Some(Err(_))) => {}
                }
            }
        }
        Ok(due)
    }

    /// From now on these take no members.
    async fn close_digests(&self, digests: &[NotificationId]) -> Result<()> {
        let mut transaction = self.sessions.begin().await?;
        for query in [
            "SELECT FROM channels WHERE digest_id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
            "UPDATE channels SET digest_id = NULL WHERE digest_id = ANY ($1)",
        ] {
            bind!(sqlx::query(query), digests).execute(&mut transaction).await?;
        }
        transaction.commit().await
    }

    /// What tells this installation's keys from those of others.
    pub async fn installation(&self) -> Result<Uuid> {
        Ok(sqlx::query_scalar("SELECT id FROM installation").fetch_one(&self.sessions).await?)
    }

    /// Every channel, by name.
    pub async fn channels(&self) -> Result<Vec<ChannelRow>> {
        let rows = sqlx::query(include_str!("../../queries/channels.sql")).fetch_all(&self.sessions).await?;
        let channel = |row: &PgRow| {
            let name = String::read(row, "name")?;
            named(row, || format!("channel `{name}`"))
        };
        rows.iter().map(channel).collect()
    }
}

/// A notification with its channel.
fn read<T: Field>(row: &PgRow) -> Result<T> {
    let (id, name) = (NotificationId::read(row, "notification_id")?, String::read(row, "name")?);
    named_by_column(row, |column| match column {
        "snapshot" => format!("notification {id}"),
        _ => format!("channel `{name}`"),
    })
}
