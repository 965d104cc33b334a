//! Deliveries: a notification, its job, its tries, and what a channel's provider said of the channel itself.
//!
//! ```text
//!  queued ──▶ delivered
//!    │ ├────▶ failed ──retry, or its channel works again──▶ queued
//!    │ └────▶ muted          (looked at again at delivery: nobody wants it any more)
//!    └ a retry stays queued, with its error
//! ```
//! A try is recorded in the same transaction that ends or puts back its job, fenced by the claim. What a crash between
//! sending and recording repeats bears the same delivery id. A digest is a notification with a job like any other; its members
//! have none, and take its state (`follow_digest` in the schema). How notices become notifications is in `enqueue`, what a
//! delivery needs in `due`, what tries say of channels in `channels`, what a channel is still to be told in `announcements`.

mod announcements;
mod channels;
mod due;
mod enqueue;

pub use announcements::OutstandingCounts;
pub(crate) use announcements::superseded;
pub use due::{ChannelRow, DueDelivery, Member};
pub(crate) use enqueue::enqueue_first;
pub use uptime_core::decision::Notice;

use crate::queue::{Claim, JobFailure};
use crate::row::{bind, column};
use crate::session::Session;
use crate::{Result, Store};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uptime_core::channel::Settings;
use uptime_core::event::{Event, EventType};
use uptime_core::id::{ChannelId, JobId, NotificationId};
use uptime_core::notification::NotificationState as State;
use uptime_core::reconcile::Occasion;

#[derive(Clone, Debug)]
pub enum DeliveryEnd {
    Delivered {
        /// The provider's id of the message.
        remote_id: Option<String>,
        /// Settings that it replaced, to be used from now on.
        learned: Settings,
        /// It wants no other message from this channel for so long.
        pause: Option<Duration>,
    },
    Retry {
        after: Duration,
        error: String,
        /// Whether a try is used up: a wait that the provider asked for uses up none.
        counts: bool,
        /// The provider asked the whole channel to wait for so long.
        pause: Option<Duration>,
        /// The channel itself can't be delivered to until somebody does something.
        channel_broken: bool,
    },
    /// It will not run again by itself.
    Failed {
        error: String,
        /// The channel itself can't be delivered to.
        channel_broken: bool,
    },
    /// It is not wanted any more; no try was made.
    Muted { reason: &'static str },
    /// No try was made: the channel is not to be told anything before this has passed.
    Waits { for_so_long: Duration, reason: String },
}

impl DeliveryEnd {
    fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. } | Self::Failed { error, .. } => Some(error),
            Self::Muted { reason } => Some(reason),
            Self::Delivered { .. } | Self::Waits { .. } => None,
        }
    }

    fn remote_id(&self) -> Option<&str> {
        match self {
            Self::Delivered { remote_id, .. } => remote_id.as_deref(),
            _ => None,
        }
    }

    /// The failure of the delivery's job, if it is not done with. A probe's job is: what follows is decided anew.
    fn job_failure(&self, claim: Claim, is_probe: bool) -> Option<JobFailure> {
        let (retry_after, counts, error) = match self {
            Self::Retry { .. } | Self::Failed { .. } if is_probe => return None,
            Self::Delivered { .. } | Self::Muted { .. } => return None,
            Self::Waits { for_so_long, reason } => (Some(*for_so_long), false, reason),
            Self::Retry { after, error, counts, .. } => (Some(*after), *counts, error),
            Self::Failed { error, .. } => (None, true, error),
        };
        Some(JobFailure { claim, retry_after, counts, error: error.clone() })
    }
}

#[derive(Clone, Debug)]
pub struct DeliveryTry {
    pub claim: Claim,
    /// Whether it found out if a failing channel works again: its notification stays failed until it gets through.
    pub is_probe: bool,
    pub notification: NotificationId,
    pub channel: ChannelId,
    pub started_at: Timestamp,
    pub took: Duration,
    /// HTTP's status, if there was one.
    pub status: Option<u16>,
    /// The provider's words, or ours.
    pub message: Option<String>,
    /// The error's class (`transient`, …), `delivered` or `muted`.
    pub outcome: &'static str,
    pub end: DeliveryEnd,
    /// What it left to the next try.
    pub progress: Option<Vec<u8>>,
    /// What was told, where that is not what the notification says.
    pub sent_event: Option<Event>,
    /// Members of a digest that it left out, and why.
    pub muted: Vec<(NotificationId, &'static str)>,
}

/// A delivery that ended without a try.
#[derive(Clone, Debug)]
pub struct Untried {
    pub notification: NotificationId,
    pub failure: JobFailure,
    pub channel: Option<ChannelId>,
    /// The channel can't be delivered to.
    pub channel_broken: bool,
    /// It would end so again, or take its worker along: it is not sent again by itself.
    pub is_hopeless: bool,
    pub is_probe: bool,
}

impl Untried {
    /// Whether it is a probe that ends with this: what follows is decided anew. One that a newer worker can run is put back.
    fn ends_probe(&self) -> bool {
        self.is_probe && (self.failure.counts || self.failure.retry_after.is_none())
    }
}

impl Store {
    /// Records tries and what follows from each, all in one transaction. Gives back the claims that were still ours; of the
    /// others, whose lease was lost, nothing is written. `pauses`: before each probe of a channel that fails.
    pub async fn record_deliveries(
        &self,
        tries: &[&DeliveryTry],
        pauses: &[Duration],
    ) -> Result<HashSet<Claim>> {
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
            match tried.end.job_failure(tried.claim, tried.is_probe) {
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
            rewrite(&mut transaction, &written).await?;
            insert_tries(&mut transaction, &written).await?;
            channels::note(&mut transaction, &written, pauses).await?;
        }
        transaction.commit().await?;
        Ok(recorded)
    }

    /// Marks the notifications of delivery jobs that moved to the failed list as failed; for jobs that end without a try. Gives back the jobs
    /// that were ours. `pauses` as for [`record_deliveries`](Self::record_deliveries).
    pub async fn fail_notifications(
        &self,
        untried: &[Untried],
        pauses: &[Duration],
    ) -> Result<HashSet<JobId>> {
        let mut transaction = self.sessions.begin().await?;
        let (probes, jobs): (Vec<_>, Vec<_>) = untried.iter().partition(|untried| untried.ends_probe());
        let jobs: Vec<JobFailure> = jobs.iter().map(|untried| untried.failure.clone()).collect();
        let mut ours = crate::queue::fail(&mut transaction, &jobs).await?;
        let probes: Vec<Claim> = probes.iter().map(|untried| untried.failure.claim).collect();
        if !probes.is_empty() {
            ours.extend(crate::queue::complete(&mut transaction, &probes).await?);
        }
        let mut verdicts = Vec::new();
        for untried in untried.iter().filter(|untried| ours.contains(&untried.failure.claim.id)) {
            let Untried { notification, failure, channel, channel_broken, is_hopeless, is_probe } = untried;
            let is_final = untried.ends_probe() || failure.retry_after.is_none();
            let state = if is_final || *is_probe { State::Failed } else { State::Queued };
            let update = sqlx::query("UPDATE notifications SET state = $2, last_error = $3 WHERE id = $1");
            bind!(update, *notification, state, &failure.error).execute(&mut transaction).await?;
            let Some(channel) = channel.filter(|_| is_final) else { continue };
            verdicts.push(channels::Failure {
                channel,
                notification: *notification,
                error: &failure.error,
                channel_broken: *channel_broken,
                is_hopeless: *is_hopeless,
                is_probe: *is_probe,
            });
        }
        channels::note_failures(&mut transaction, &verdicts, pauses).await?;
        transaction.commit().await?;
        Ok(ours)
    }
}

/// Makes notifications of notices, in their order, within a transaction of the caller's. Locks the channels; whoever has other
/// locks to take takes them before.
pub(crate) async fn enqueue_all(connection: &mut Session, notices: &[Notice]) -> Result<()> {
    for channel in enqueue::insert_all(connection, notices).await? {
        announcements::reconcile(connection, channel, Occasion::Enqueued, &[]).await?;
    }
    Ok(())
}

/// Keeps what was told where that is not what the notification said, and takes out of a digest what it left out: before the
/// digest's own state changes, which the others follow.
async fn rewrite(connection: &mut Session, tries: &[&DeliveryTry]) -> Result<()> {
    let retold = tries.iter().filter_map(|tried| Some((tried.notification, tried.sent_event.as_ref()?)));
    let (ids, events): (Vec<NotificationId>, Vec<&Event>) = retold.unzip();
    if !ids.is_empty() {
        let query = sqlx::query(
            "UPDATE notifications n SET snapshot = t.snapshot, event = t.event
             FROM unnest($1::bigint[], $2::text[], $3::jsonb[]) t(id, event, snapshot) WHERE n.id = t.id",
        );
        let kinds: Vec<EventType> = events.iter().map(|event| event.kind).collect();
        let snapshots = events.into_iter().map(enqueue::snapshot).collect::<Result<Vec<_>, _>>()?;
        bind!(query, ids, kinds, snapshots).execute(&mut *connection).await?;
    }
    let (ids, reasons): (Vec<NotificationId>, Vec<&str>) =
        tries.iter().flat_map(|tried| tried.muted.iter().copied()).unzip();
    if !ids.is_empty() {
        let query = sqlx::query(
            "UPDATE notifications n SET state = 'muted', last_error = m.reason
             FROM unnest($1::bigint[], $2::text[]) m(id, reason) WHERE n.id = m.id AND n.state IN ('queued', 'failed')",
        );
        bind!(query, ids, reasons).execute(connection).await?;
    }
    Ok(())
}

/// Writes each try down and moves its notification on.
async fn insert_tries(connection: &mut Session, tries: &[&DeliveryTry]) -> Result<()> {
    let state = |tried: &DeliveryTry| match &tried.end {
        DeliveryEnd::Delivered { .. } => State::Delivered,
        DeliveryEnd::Muted { .. } => State::Muted,
        _ if tried.is_probe => State::Failed,
        DeliveryEnd::Retry { .. } | DeliveryEnd::Waits { .. } => State::Queued,
        DeliveryEnd::Failed { .. } => State::Failed,
    };
    let was_made =
        |tried: &DeliveryTry| !matches!(tried.end, DeliveryEnd::Muted { .. } | DeliveryEnd::Waits { .. });
    let query = bind!(
        sqlx::query(include_str!("../queries/insert_tries.sql")),
        column(tries, |tried| tried.notification),
        column(tries, |tried| state(tried)),
        column(tries, |tried| was_made(tried)),
        column(tries, |tried| tried.end.error()),
        column(tries, |tried| tried.end.remote_id()),
        column(tries, |tried| tried.started_at),
        column(tries, |tried| uptime_core::duration::to_ms(tried.took)),
        column(tries, |tried| tried.outcome),
        column(tries, |tried| tried.status),
        column(tries, |tried| tried.message.as_deref()),
        column(tries, |tried| tried.progress.as_deref()),
    );
    query.execute(connection).await?;
    Ok(())
}
