//! Notifications in the hands of people: which there are, each try, and another try or none.
//!
//! ```text
//!  failed, muted ── retry ──▶ queued      the failed job goes back, or a new one is made
//!  queued, failed ─ discard ▶ discarded   its job goes; what a worker is running is left to it
//! ```
//! A digest's job is its members': what is done to the digest is done to them, and a retry of one is a retry of its digest.
//! Locks are taken in the order failed jobs, notifications, jobs. A worker that records tries holds them the other way round:
//! what it holds is passed over, never waited for.

use crate::failed::Retried;
use crate::operations::CHUNK;
use crate::row::{Param, bind, rows};
use crate::session::Session;
use crate::{NOTIFICATIONS, Result, Store, notifications};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uptime_core::event::EventType;
use uptime_core::id::{DeliveryId, IncidentId, NotificationId};
use uptime_core::notification::NotificationState::{self, Failed, Muted, Queued};
use uuid::Uuid;

rows! {
    /// A notification, and what became of it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Notification {
        pub id: NotificationId,
        /// Its name for the receiver, the same over all tries.
        pub delivery: DeliveryId = "delivery_id",
        pub channel: String,
        /// What happened: the event's type. As text, for a newer release may have told what this one does not know.
        pub event: String,
        /// What the event is about, by name.
        pub monitor: Option<String>,
        pub message: Option<String>,
        /// The incident, for an event that has one.
        pub incident: Option<IncidentId> = "incident_id",
        pub state: NotificationState,
        pub attempts: u32,
        /// The error of the last failed attempt, or why the notification was muted or discarded.
        pub last_error: Option<String>,
        /// The provider's name for the message.
        pub remote_id: Option<String>,
        /// The digest that it goes out with.
        pub digest: Option<NotificationId> = "digest_id",
        /// For a digest: how many go out with it.
        pub members: u32,
        /// When the notification was enqueued.
        pub created_at: Timestamp,
        pub delivered_at: Option<Timestamp>,
    }

    /// One try of a delivery, or why none was made when its turn had come ([`Try::was_made`]).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Try {
        /// The how-manyeth, over all retries by hand.
        pub attempt: u32,
        pub started_at: Timestamp,
        pub took: Duration = "duration",
        /// `delivered`, the error's class, or, where none was made, `muted` or `waits`.
        pub outcome: String,
        /// HTTP's status, if there was one.
        pub status: Option<u16> = "status_code",
        /// The provider's words, or ours.
        pub message: Option<String>,
    }

    struct OneTry {
        id: NotificationId,
        tried: Try,
    }
}

impl Try {
    /// Whether a message was sent; else it was not wanted (any more, or yet).
    pub fn was_made(&self) -> bool {
        !matches!(self.outcome.as_str(), "muted" | "waits")
    }
}

/// Which notifications. Each condition that is there must hold; none: all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotificationFilter<'a> {
    pub ids: Option<&'a [NotificationId]>,
    pub channel: Option<&'a str>,
    pub state: Option<NotificationState>,
    pub incident: Option<IncidentId>,
    pub event: Option<EventType>,
}

/// What people call a notification by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Name {
    /// Its id, as lists show it.
    Id(NotificationId),
    /// Its delivery id, as its receiver knows it.
    Delivery(DeliveryId),
}

/// Of all notifications those for a channel, in these states, that there were at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// For this channel; `None`: whichever.
    pub channel: Option<&'a str>,
    pub states: &'a [NotificationState],
    pub as_of: Timestamp,
}

/// What became of a notification that was to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// As of a failed job.
    Retried(Retried),
    /// It is neither failed nor muted, but in this state.
    Is(NotificationState),
}

/// What became of a notification that is not wanted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discarded {
    /// Nobody will be told.
    Done,
    /// A worker is running it.
    Runs,
    /// It is neither queued nor failed, but in this state.
    Is(NotificationState),
}

impl Store {
    /// Notifications, the newest first, at most `limit`.
    pub async fn notifications(
        &self,
        filter: NotificationFilter<'_>,
        limit: i64,
    ) -> Result<Vec<Notification>> {
        let NotificationFilter { ids, channel, state, incident, event } = filter;
        let query = sqlx::query_as(include_str!("../queries/notifications.sql"));
        Ok(bind!(query, ids, channel, state, incident, event, limit).fetch_all(&self.sessions).await?)
    }

    /// Each try of these notifications, by time; of one that went out with a digest, the digest's.
    pub async fn tries_of(&self, ids: &[NotificationId]) -> Result<Vec<(NotificationId, Try)>> {
        let query = sqlx::query_as(include_str!("../queries/tries_of.sql"));
        let tries: Vec<OneTry> = bind!(query, ids).fetch_all(&self.sessions).await?;
        Ok(tries.into_iter().map(|one| (one.id, one.tried)).collect())
    }

    /// The notifications with these names. Those that there are not are not in the answer.
    pub async fn notifications_named(&self, names: &[Name]) -> Result<HashMap<Name, NotificationId>> {
        let ids = names.iter().filter_map(|name| if let Name::Id(id) = name { Some(*id) } else { None });
        let deliveries =
            names.iter().filter_map(|name| if let Name::Delivery(id) = name { Some(*id) } else { None });
        let query = sqlx::query_as(
            "SELECT id, NULL::uuid AS delivery_id FROM notifications WHERE id = ANY ($1)
             UNION ALL SELECT id, delivery_id FROM notifications WHERE delivery_id = ANY ($2)",
        );
        let found: Vec<(i64, Option<Uuid>)> =
            bind!(query, ids.collect::<Vec<_>>(), deliveries.collect::<Vec<_>>())
                .fetch_all(&self.sessions)
                .await?;
        let named = |(id, delivery): (i64, Option<Uuid>)| {
            let id = NotificationId(id);
            (delivery.map_or(Name::Id(id), |uuid| Name::Delivery(DeliveryId(uuid))), id)
        };
        Ok(found.into_iter().map(named).collect())
    }

    pub async fn count_notifications(&self, which: Selection<'_>) -> Result<u64> {
        let query = sqlx::query_scalar(
            "SELECT count(*) FROM notifications n
             WHERE ($1::text IS NULL OR n.channel_id = (SELECT id FROM channels WHERE name = $1))
               AND n.state = ANY ($2) AND n.created_at <= $3",
        );
        let count = bind!(query, which.channel, which.states, which.as_of).fetch_one(&self.sessions).await;
        Ok(count.map(i64::unsigned_abs)?)
    }

    /// The next of `which`, by id, those after `after`; at most [`CHUNK`].
    pub async fn next_notifications(
        &self,
        which: Selection<'_>,
        after: Option<NotificationId>,
    ) -> Result<Vec<NotificationId>> {
        let query = sqlx::query_scalar(
            "SELECT n.id FROM notifications n
             WHERE ($1::text IS NULL OR n.channel_id = (SELECT id FROM channels WHERE name = $1))
               AND n.state = ANY ($2) AND n.created_at <= $3 AND n.id > $4
             ORDER BY n.id LIMIT $5",
        );
        let after = after.unwrap_or(NotificationId(i64::MIN));
        let ids: Vec<i64> = bind!(query, which.channel, which.states, which.as_of, after, CHUNK)
            .fetch_all(&self.sessions)
            .await?;
        Ok(ids.into_iter().map(NotificationId).collect())
    }

    /// Gives failed and muted notifications another chance, all in one transaction: failed ones as
    /// [`retry_failed`](Self::retry_failed) does, with their jobs; those that have none left get a new one. At delivery it is
    /// looked at again whether they are wanted. What became of each, in the order of `ids`. With `dry_run` everything is done
    /// and taken back.
    pub async fn retry_notifications(
        &self,
        ids: &[NotificationId],
        dry_run: bool,
    ) -> Result<Vec<(NotificationId, Again)>> {
        let mut transaction = self.sessions.begin().await?;
        let found = look_at(&mut transaction, ids).await?;
        let carriers: Vec<i64> = found.values().map(|found| found.carrier).collect();
        let failed: HashMap<i64, i64> = lock_failed(&mut transaction, &carriers).await?;
        let mut outcomes = put_back(&mut transaction, &failed).await?;
        let rest: Vec<i64> = carriers.into_iter().filter(|carrier| !outcomes.contains_key(carrier)).collect();
        let rest = lock_states(&mut transaction, &rest, &[Failed, Muted]).await?;
        let (superseded, reasons) = notifications::superseded(&mut transaction, &rest).await?;
        let query = sqlx::query_as(include_str!("../queries/retry_notifications.sql"));
        let retried: Vec<(i64, bool)> =
            bind!(query, rest, superseded, reasons).fetch_all(&mut transaction).await?;
        let outcome = |superseded| if superseded { Retried::Superseded } else { Retried::PutBack };
        outcomes.extend(retried.into_iter().map(|(id, superseded)| (id, outcome(superseded))));
        let renewed: Vec<i64> =
            outcomes.iter().filter(|(_, retried)| **retried == Retried::PutBack).map(|(id, _)| *id).collect();
        let members = sqlx::query(
            "UPDATE notifications SET state = 'queued' WHERE digest_id = ANY ($1) AND state IN ('failed', 'muted')",
        );
        bind!(members, renewed).execute(&mut transaction).await?;
        // Of those that somebody else was quicker with, what they are by now.
        let now = look_at(&mut transaction, ids).await?;
        transaction.end(dry_run).await?;
        let again = |id: &NotificationId| {
            let found = now.get(&id.0)?;
            let retried = outcomes.get(&found.carrier).copied();
            Some((*id, retried.map_or(Again::Is(found.state), Again::Retried)))
        };
        Ok(ids.iter().filter_map(again).collect())
    }

    /// Lets nobody be told of queued and failed notifications any more, all in one transaction; their jobs go, and who wanted it
    /// is kept. What became of each, in the order of `ids`. With `dry_run` everything is done and taken back.
    pub async fn discard_notifications(
        &self,
        ids: &[NotificationId],
        by: &str,
        dry_run: bool,
    ) -> Result<Vec<(NotificationId, Discarded)>> {
        let mut transaction = self.sessions.begin().await?;
        let failed = lock_failed(&mut transaction, ids).await?;
        let before = look_at(&mut transaction, ids).await?;
        let locked: HashSet<i64> =
            lock_states(&mut transaction, ids, &[Queued, Failed]).await?.into_iter().collect();
        let running = running(&mut transaction, &before).await?;
        let outcomes: Vec<(NotificationId, Discarded)> = ids
            .iter()
            .filter_map(|id| {
                let found = before.get(&id.0)?;
                let outcome = match found.state {
                    Queued | Failed if !locked.contains(&id.0) || running.contains(&found.carrier) => {
                        Discarded::Runs
                    }
                    Queued | Failed => Discarded::Done,
                    other => Discarded::Is(other),
                };
                Some((*id, outcome))
            })
            .collect();
        let done: Vec<i64> =
            outcomes.iter().filter(|(_, end)| *end == Discarded::Done).map(|(id, _)| id.0).collect();
        let jobs: Vec<i64> =
            failed.iter().filter(|(subject, _)| done.contains(subject)).map(|(_, id)| *id).collect();
        let discard = sqlx::query(include_str!("../queries/discard_notifications.sql"));
        bind!(discard, done, jobs, format!("discarded by {by}")).execute(&mut transaction).await?;
        transaction.end(dry_run).await?;
        Ok(outcomes)
    }
}

rows! {
    struct LockedNotification {
        id: i64,
        state: NotificationState,
        /// Whose job it is: its digest's, or its own.
        carrier: i64,
    }
}

async fn look_at(
    connection: &mut Session,
    ids: &[NotificationId],
) -> Result<HashMap<i64, LockedNotification>> {
    let query = sqlx::query_as(
        "SELECT id, state, coalesce(digest_id, id) AS carrier FROM notifications WHERE id = ANY ($1)",
    );
    let found: Vec<LockedNotification> = bind!(query, ids).fetch_all(connection).await?;
    Ok(found.into_iter().map(|found| (found.id, found)).collect())
}

/// The failed jobs of these notifications, locked: by notification.
async fn lock_failed<T: Param<Sql = i64> + Copy>(
    connection: &mut Session,
    subjects: &[T],
) -> Result<HashMap<i64, i64>> {
    let query = sqlx::query_as(
        "SELECT subject, id FROM failed_jobs WHERE queue = $1 AND subject = ANY ($2) ORDER BY id FOR UPDATE",
    );
    let failed: Vec<(i64, i64)> = bind!(query, NOTIFICATIONS, subjects).fetch_all(connection).await?;
    Ok(failed.into_iter().collect())
}

/// Puts failed jobs back. What became of each notification.
async fn put_back(connection: &mut Session, failed: &HashMap<i64, i64>) -> Result<HashMap<i64, Retried>> {
    if failed.is_empty() {
        return Ok(HashMap::new());
    }
    let jobs: Vec<i64> = failed.values().copied().collect();
    let outcomes = crate::failed::put_back(connection, &jobs).await?;
    Ok(failed.iter().filter_map(|(subject, job)| Some((*subject, *outcomes.get(job)?))).collect())
}

/// Those of `ids` that are in one of these states, locked. What a worker is just recording is not among them.
async fn lock_states<T: Param<Sql = i64> + Copy>(
    connection: &mut Session,
    ids: &[T],
    states: &[NotificationState],
) -> Result<Vec<i64>> {
    let query = sqlx::query_scalar(
        "SELECT id FROM notifications WHERE id = ANY ($1) AND state = ANY ($2) ORDER BY id FOR UPDATE SKIP LOCKED",
    );
    Ok(bind!(query, ids, states).fetch_all(connection).await?)
}

/// The notifications whose job a worker is running. The other jobs are locked, so that none takes them.
async fn running(connection: &mut Session, found: &HashMap<i64, LockedNotification>) -> Result<HashSet<i64>> {
    let carriers: Vec<i64> = found.values().map(|found| found.carrier).collect();
    let free = sqlx::query_scalar(
        "SELECT subject FROM jobs
         WHERE queue = $1 AND subject = ANY ($2) AND (reserved_until IS NULL OR reserved_until < now())
         ORDER BY id FOR UPDATE SKIP LOCKED",
    );
    let free: Vec<i64> = bind!(free, NOTIFICATIONS, &carriers).fetch_all(&mut *connection).await?;
    let all = sqlx::query_scalar("SELECT subject FROM jobs WHERE queue = $1 AND subject = ANY ($2)");
    let all: Vec<i64> = bind!(all, NOTIFICATIONS, carriers).fetch_all(connection).await?;
    Ok(all.into_iter().filter(|subject| !free.contains(subject)).collect())
}
