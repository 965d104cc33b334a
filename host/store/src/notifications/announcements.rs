//! What a channel is still to be told: read, decided by the domain ([`uptime_core::reconcile`]), written.
//!
//! Called within the transaction that changes what the decision is about, under the lock of the channel's row. What an operator
//! is running is passed over, and so is what a worker is sending: each ends in a decision of its own.
//!
//! A probe is a job for a notification that stays failed, and in the failed list, until the probe gets through. It has the order
//! of that notification's own job.

use super::enqueue;
use crate::row::{Field, bind, columns, json, rows};
use crate::session::Session;
use crate::{NOTIFICATIONS, Result, Store};
use sqlx::postgres::PgRow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uptime_core::event::{Event, EventType};
use uptime_core::id::{ChannelId, IncidentId, NotificationId};
use uptime_core::notification::NotificationState;
use uptime_core::reconcile::{self, Notice, Occasion, Plan, Progress};

/// How many failed notices of a channel are compared at once. What is left comes when those have got through
/// ([`Store::ensure_probes`]).
const COMPARED_MOST: i64 = 5_000;

rows! {
    /// A notice, and whose job sends it: its own, or its digest's.
    pub(super) struct Announcement {
        pub channel: ChannelId = "channel_id",
        pub notice: Notice,
        pub carrier: i64;
        /// What is told; `None` of one that can't be read, which is said where it is delivered.
        pub event: Option<Event> = |row| Ok(json(row, "snapshot").ok())
    }
}

columns!(Notice { id, event, about, incident = "incident_id", setbacks, now, is_over; progress = progress });

fn progress(row: &PgRow) -> sqlx::Result<Progress> {
    Ok(match NotificationState::read(row, "state")? {
        NotificationState::Queued => Progress::Queued,
        NotificationState::Delivered => Progress::Delivered,
        _ => Progress::Failed,
    })
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutstandingCounts {
    /// Of each channel that has any.
    pub by_channel: HashMap<ChannelId, u32>,
    /// Of each incident that has any: one for each channel.
    pub by_incident: HashMap<IncidentId, u32>,
    /// Of each failed notification that has any: one, or those that its digest was to tell.
    pub by_notification: HashMap<NotificationId, u32>,
}

impl Store {
    /// How many announcements are outstanding: notices that failed and are still to be told.
    pub async fn outstanding(&self) -> Result<OutstandingCounts> {
        let mut transaction = self.sessions.begin().await?;
        let channels: Vec<i64> = sqlx::query_scalar(
            "SELECT c.id FROM channels c WHERE c.enabled
               AND EXISTS (SELECT FROM notifications n WHERE n.channel_id = c.id AND n.state = 'failed')",
        )
        .fetch_all(&mut transaction)
        .await?;
        let mut counts = OutstandingCounts::default();
        for channel in channels {
            let all = load(&mut transaction, &[channel], &[]).await?;
            let announce = reconcile::outstanding(&notices(&all)).announce;
            for one in all.iter().filter(|one| announce.contains(&one.notice.id)) {
                *counts.by_channel.entry(one.channel).or_default() += 1;
                *counts.by_notification.entry(NotificationId(one.carrier)).or_default() += 1;
                if let Some(incident) = one.notice.incident {
                    *counts.by_incident.entry(incident).or_default() += 1;
                }
            }
        }
        transaction.commit().await?;
        Ok(counts)
    }

    /// Gives each channel for which something has failed, and of which nothing is under way, a probe: an operator cleared the
    /// queue, an older version dropped it, or more had failed than were compared. Asked with each run of the scheduler.
    pub async fn ensure_probes(&self) -> Result<()> {
        let mut transaction = self.sessions.begin().await?;
        let query = sqlx::query_scalar(
            "SELECT c.id FROM channels c
             WHERE c.enabled
               AND EXISTS (SELECT FROM notifications n WHERE n.channel_id = c.id AND n.state = 'failed')
               AND NOT EXISTS (SELECT FROM jobs j WHERE j.queue = $1 AND j.concurrency_key = c.id)
             ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED",
        );
        let channels: Vec<i64> = bind!(query, NOTIFICATIONS).fetch_all(&mut transaction).await?;
        for channel in channels {
            reconcile(&mut transaction, ChannelId(channel), Occasion::Failed, &[]).await?;
        }
        transaction.commit().await
    }
}

/// The failed notices of these channels, or these notices, and what was decided later about the same.
pub(super) async fn load(
    connection: &mut Session,
    channels: &[i64],
    ids: &[i64],
) -> Result<Vec<Announcement>> {
    let query = sqlx::query(include_str!("../../queries/announcements.sql"));
    let rows = bind!(query, channels, ids, COMPARED_MOST).fetch_all(connection).await?;
    // Those of a kind that this version does not know are not its business.
    let known = rows.iter().filter(|row| EventType::read(row, "event").is_ok());
    known.map(|row| Ok(Field::read(row, "")?)).collect()
}

fn notices(all: &[Announcement]) -> Vec<Notice> {
    all.iter().map(|announcement| announcement.notice.clone()).collect()
}

/// Those of these notifications that must not be sent again, and why: the one rule for all ways of doing so.
pub(crate) async fn superseded(
    connection: &mut Session,
    ids: &[i64],
) -> Result<(Vec<i64>, Vec<&'static str>)> {
    let mut by_channel: HashMap<ChannelId, Vec<Notice>> = HashMap::new();
    for Announcement { channel, notice, .. } in load(connection, &[], ids).await? {
        by_channel.entry(channel).or_default().push(notice);
    }
    let superseded = by_channel.values().flat_map(|notices| {
        let asked = notices.iter().filter(|notice| ids.contains(&notice.id.0));
        asked.filter_map(|notice| Some((notice.id.0, reconcile::superseded(notice, notices)?)))
    });
    Ok(superseded.unzip())
}

/// The job that tries a channel, as far as it is there.
struct Probe {
    carrier: i64,
    is_running: bool,
}

rows! {
    struct Health {
        enabled: bool,
        probes: u32,
        probe_id: Option<i64>,
    }
}

/// Brings what a channel is told in line with what is true. Its row is locked.
pub(super) async fn reconcile(
    connection: &mut Session,
    channel: ChannelId,
    occasion: Occasion,
    pauses: &[Duration],
) -> Result<()> {
    let query = sqlx::query_as("SELECT enabled, probes, probe_id FROM channels WHERE id = $1");
    let health: Health = bind!(query, channel).fetch_one(&mut *connection).await?;
    let all = if health.enabled { load(connection, &[channel.0], &[]).await? } else { Vec::new() };
    let probe = probe_job(connection, health.probe_id).await?;
    let plan = reconcile::plan(&notices(&all), occasion, health.probes, pauses);
    let free = lock_free(connection, &all, probe.as_ref()).await?;
    let carrier = |id: NotificationId| all.iter().find(|one| one.notice.id == id).map(|one| one.carrier);
    let is_free = |id: &NotificationId| carrier(*id).is_some_and(|carrier| free.contains(&carrier));
    let Plan { announce, drop, probe: next } = plan;
    let is_told = |one: &&Announcement| announce.contains(&one.notice.id) && is_free(&one.notice.id);
    let announce: Vec<_> =
        all.iter().filter(is_told).map(|one| (one.notice.id, one.event.as_ref())).collect();
    let drop: Vec<_> = drop.into_iter().filter(|(id, _)| is_free(id)).collect();
    let next = next.filter(|(id, _)| is_free(id)).and_then(|(id, pause)| Some((carrier(id)?, pause)));

    // The old probe goes, unless it is what comes next or is being sent.
    let stays = probe
        .as_ref()
        .is_some_and(|probe| probe.is_running || next.is_some_and(|(carrier, _)| carrier == probe.carrier));
    let mut due_at: Option<jiff_sqlx::Timestamp> = None;
    if let Some(old) = probe.as_ref().filter(|_| !stays) {
        let query = sqlx::query_scalar(
            "DELETE FROM jobs WHERE queue = $1 AND subject = $2 AND payload ? 'probe'
               AND (reserved_until IS NULL OR reserved_until < now())
             RETURNING available_at",
        );
        due_at = bind!(query, NOTIFICATIONS, old.carrier).fetch_optional(&mut *connection).await?;
    }
    drop_notices(connection, channel, &drop).await?;
    let again = u32::from(occasion == Occasion::GotThrough);
    enqueue::again(connection, channel, &announce, again).await?;
    leave_empty_digests(connection, channel).await?;
    if stays {
        return Ok(());
    }
    // While something else is under way that will end in a decision, there is nothing to be begun.
    let next = next.filter(|_| due_at.is_some() || occasion != Occasion::Enqueued);
    let query = sqlx::query(
        "WITH job AS (
           INSERT INTO jobs (queue, subject, concurrency_key, order_key, payload, available_at)
           SELECT $1, n.id, c.id, coalesce(f.order_key, order_of(n.incident_id, c.id)), '{\"probe\": true}',
                  greatest(coalesce($5, now() + make_interval(secs => $4)), c.paused_until)
           FROM channels c, notifications n LEFT JOIN failed_jobs f ON f.queue = $1 AND f.subject = n.id
           WHERE c.id = $2 AND n.id = $3::bigint
           ON CONFLICT (queue, subject) WHERE subject IS NOT NULL DO NOTHING)
         UPDATE channels SET probe_id = $3 WHERE id = $2 AND probe_id IS DISTINCT FROM $3",
    );
    let (carrier, pause) = next.unzip();
    bind!(query, NOTIFICATIONS, channel, carrier, pause.unwrap_or_default(), due_at)
        .execute(connection)
        .await?;
    Ok(())
}

async fn probe_job(connection: &mut Session, carrier: Option<i64>) -> Result<Option<Probe>> {
    let Some(carrier) = carrier else { return Ok(None) };
    let query = sqlx::query_scalar(
        "SELECT j.reserved_until IS NULL OR j.reserved_until < now() FROM jobs j
         WHERE j.queue = $1 AND j.subject = $2 AND j.payload ? 'probe' FOR UPDATE SKIP LOCKED",
    );
    let is_free: Option<bool> = bind!(query, NOTIFICATIONS, carrier).fetch_optional(&mut *connection).await?;
    if let Some(is_free) = is_free {
        return Ok(Some(Probe { carrier, is_running: !is_free }));
    }
    // One that is locked is being claimed.
    let query = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM jobs WHERE queue = $1 AND subject = $2 AND payload ? 'probe')",
    );
    let is_there: bool = bind!(query, NOTIFICATIONS, carrier).fetch_one(connection).await?;
    Ok(is_there.then_some(Probe { carrier, is_running: true }))
}

/// Locks the carriers that have failed, with their failed jobs and their members, and gives those that nobody else is running.
async fn lock_free(
    connection: &mut Session,
    all: &[Announcement],
    probe: Option<&Probe>,
) -> Result<HashSet<i64>> {
    let failed = all.iter().filter(|one| one.notice.progress == Progress::Failed);
    let running = probe.filter(|probe| probe.is_running).map(|probe| probe.carrier);
    let carriers: Vec<i64> = failed.map(|one| one.carrier).filter(|id| Some(*id) != running).collect();
    if carriers.is_empty() {
        return Ok(HashSet::new());
    }
    let query = sqlx::query_scalar(
        "SELECT n.id FROM notifications n WHERE n.id = ANY ($1) ORDER BY n.id FOR UPDATE SKIP LOCKED",
    );
    let free: Vec<i64> = bind!(query, carriers).fetch_all(&mut *connection).await?;
    let query = sqlx::query_scalar(
        "SELECT subject FROM failed_jobs WHERE queue = $1 AND subject = ANY ($2) ORDER BY id FOR UPDATE SKIP LOCKED",
    );
    let locked: Vec<i64> = bind!(query, NOTIFICATIONS, &free).fetch_all(&mut *connection).await?;
    let query = sqlx::query_scalar(
        "SELECT subject FROM failed_jobs WHERE queue = $1 AND subject = ANY ($2) AND subject <> ALL ($3)",
    );
    let held: Vec<i64> = bind!(query, NOTIFICATIONS, &free, locked).fetch_all(connection).await?;
    Ok(free.into_iter().filter(|id| !held.contains(id)).collect())
}

async fn drop_notices(
    connection: &mut Session,
    channel: ChannelId,
    drop: &[(NotificationId, &'static str)],
) -> Result<()> {
    if drop.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(
        "WITH dropped AS (SELECT * FROM unnest($1::bigint[], $2::text[]) d(id, reason)),
         failed_gone AS (
           DELETE FROM failed_jobs f USING dropped d WHERE f.queue = $3 AND f.subject = d.id)
         UPDATE notifications n SET state = 'discarded', last_error = concat_ws('; ', d.reason, n.last_error)
         FROM dropped d WHERE n.id = d.id AND n.channel_id = $4 AND n.state = 'failed'",
    );
    let (ids, reasons): (Vec<NotificationId>, Vec<&str>) = drop.iter().copied().unzip();
    bind!(query, ids, reasons, NOTIFICATIONS, channel).execute(connection).await?;
    Ok(())
}

/// A digest that failed, and whose notices are all told or dropped without it, is dropped, too.
async fn leave_empty_digests(connection: &mut Session, channel: ChannelId) -> Result<()> {
    let query = sqlx::query(
        "WITH empty AS (
           UPDATE notifications d SET state = 'discarded', last_error = concat_ws('; ', 'its notices went without it', d.last_error)
           WHERE d.id IN (
             SELECT e.id FROM notifications e
             WHERE e.channel_id = $1 AND e.state = 'failed' AND e.is_digest
               AND NOT EXISTS (SELECT FROM notifications m WHERE m.digest_id = e.id AND m.state = 'failed')
             FOR UPDATE SKIP LOCKED)
           RETURNING d.id)
         DELETE FROM failed_jobs f USING empty e WHERE f.queue = $2 AND f.subject = e.id",
    );
    bind!(query, channel, NOTIFICATIONS).execute(connection).await?;
    Ok(())
}

/// Keeps what a probe came to with the failed job of its notification: none is left of one that is done with.
pub(super) async fn note_probes(
    connection: &mut Session,
    done: &[NotificationId],
    failed: &[(NotificationId, &str)],
) -> Result<()> {
    if !done.is_empty() {
        let query = sqlx::query("DELETE FROM failed_jobs WHERE queue = $1 AND subject = ANY ($2)");
        bind!(query, NOTIFICATIONS, done).execute(&mut *connection).await?;
    }
    if !failed.is_empty() {
        // The first ten errors and the last ten: an outage may last for weeks.
        let query = sqlx::query(
            "UPDATE failed_jobs f
             SET attempts = f.attempts + 1,
                 errors = CASE WHEN jsonb_array_length(f.errors) < 20 THEN f.errors ELSE f.errors - 10 END
                          || jsonb_build_array(jsonb_build_object('attempt', f.attempts + 1, 'at', now(), 'error', p.error))
             FROM unnest($2::bigint[], $3::text[]) p(id, error) WHERE f.queue = $1 AND f.subject = p.id",
        );
        let (ids, errors): (Vec<NotificationId>, Vec<&str>) = failed.iter().copied().unzip();
        bind!(query, NOTIFICATIONS, ids, errors).execute(connection).await?;
    }
    Ok(())
}
