//! Signs that the whole of it lives: the schedulers' heartbeats, monitors whose results are overdue, and who was told so.
//!
//! ```text
//!         enqueue_stalled              enqueue_stalled, after a while: a `stalled` to each channel that wants it
//!   running ─────────────▶ overdue ────────────────────────────────────────────────────────────────────────▶ stalled
//!      ◀──────────────────────┘                                                                                │
//!      ◀──────── enqueue_running: a `running` to each of those channels ───────────────────────────────────────┘
//! ```
//! The state is a row for each queue of checks, so for each location. It changes with the notifications in one transaction
//! under the row's lock, as with [`own_network`](crate::own_network).

use crate::row::{bind, columns, optional, rows};
use crate::{Result, Store, own_network};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::event::Event;
use uptime_core::liveness::{
    COUNTED_FOR, Freshness, NAMES, STALE_INTERVALS, STALE_LEAST, Scheduler, Scheduling, Stall, scheduling,
};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct SchedulerHeartbeat {
    /// The loop; `None`: a run of cron, of which a host has one.
    pub id: Option<Uuid>,
    pub host: String,
    pub pid: u32,
    pub version: &'static str,
    /// From one heartbeat, or run, to the next.
    pub period: Duration,
}

/// Whether checks are scheduled and have results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// By the database's clock.
    pub now: Timestamp,
    pub scheduling: Scheduling,
    /// The queues of checks with monitors that are stale.
    pub stalls: Vec<Stall>,
}

columns!(Scheduler { host, pid, is_loop, period = "period_s", seen_at });
optional!(Scheduler, "host");

rows! {
    struct SchedulerSeen {
        now: Timestamp,
        scheduler: Option<Scheduler>,
    }

    struct Overdue {
        queue: String,
        name: String,
        freshness: Freshness,
        /// How many of the queue's monitors are.
        stale: usize = "overdue",
        of: usize,
        workers: i64,
    }

    struct Stalled {
        news: bool,
        now: Timestamp,
    }

    struct Runs {
        now: Timestamp,
        stalled_at: Timestamp,
        channels_told: Vec<i64>,
    }
}

impl Store {
    /// Records that a scheduler lives. Those of a day ago are forgotten.
    pub async fn scheduler_heartbeat(&self, beat: &SchedulerHeartbeat) -> Result<()> {
        let query = sqlx::query(
            "WITH old AS (DELETE FROM schedulers WHERE seen_at < now() - greatest(interval '1 day', 3 * period_s * interval '1 second'))
             INSERT INTO schedulers AS s (id, host, pid, version, is_loop, period_s)
             VALUES (coalesce($1, md5('cron on ' || $2)::uuid), $2, $3, $4, $1 IS NOT NULL, $5)
             ON CONFLICT (id) DO UPDATE SET seen_at = now(), pid = EXCLUDED.pid, version = EXCLUDED.version, period_s = EXCLUDED.period_s",
        );
        let SchedulerHeartbeat { id, host, pid, version, period } = beat;
        bind!(query, *id, host, *pid, *version, *period).execute(&self.sessions).await?;
        Ok(())
    }

    pub async fn scheduler_sign_off(&self, id: Uuid) -> Result<()> {
        bind!(sqlx::query("DELETE FROM schedulers WHERE id = $1"), id).execute(&self.sessions).await?;
        Ok(())
    }

    /// Whether checks are scheduled and have results.
    pub async fn liveness(&self) -> Result<Liveness> {
        let query = "SELECT now() AS now, s.host, s.pid, s.is_loop, s.period_s, s.seen_at FROM (SELECT) one LEFT JOIN schedulers s ON true";
        let heard: Vec<SchedulerSeen> = sqlx::query_as(query).fetch_all(&self.sessions).await?;
        let now = heard.first().map_or(Timestamp::UNIX_EPOCH, |heard| heard.now);
        let schedulers: Vec<Scheduler> = heard.into_iter().filter_map(|heard| heard.scheduler).collect();
        Ok(Liveness { now, scheduling: scheduling(&schedulers, now), stalls: self.stalls().await? })
    }

    /// The queues of checks with monitors that are stale.
    async fn stalls(&self) -> Result<Vec<Stall>> {
        let query = sqlx::query_as(include_str!("../queries/stale.sql"));
        let overdue: Vec<Overdue> = bind!(query, i64::from(STALE_INTERVALS), STALE_LEAST, NAMES, COUNTED_FOR)
            .fetch_all(&self.sessions)
            .await?;
        let mut stalls: Vec<Stall> = Vec::new();
        // What is overdue for the query is stale: it only finds what may be.
        for Overdue { queue, name, stale, of, workers, .. } in
            overdue.into_iter().filter(|overdue| matches!(overdue.freshness, Freshness::Stale(_)))
        {
            match stalls.last_mut() {
                Some(stall) if stall.queue == queue => stall.names.push(name),
                _ => stalls.push(Stall { queue, stale, of, names: vec![name], workers }),
            }
        }
        Ok(stalls)
    }

    /// Whether it is this worker's turn to look for stalls: one of all looks, every so often. If so, for how long no look has come
    /// later than `late` after the one before.
    pub async fn may_look_for_stalls(&self, every: Duration, late: Duration) -> Result<Option<Duration>> {
        let query = sqlx::query_scalar(
            "UPDATE stall_looks
             SET looked_at = now(),
                 steady_since = CASE WHEN looked_at < now() - make_interval(secs => $2) THEN now() ELSE steady_since END
             WHERE looked_at < now() - make_interval(secs => $1)
             RETURNING extract(epoch FROM now() - steady_since)::double precision",
        );
        let steady_s: Option<f64> = bind!(query, every, late).fetch_optional(&self.sessions).await?;
        Ok(steady_s.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }

    /// Of these queues alone results are overdue: of the others nobody was told, and nobody will be.
    pub async fn forget_overdue(&self, overdue: &[&str]) -> Result<()> {
        let query = sqlx::query(
            "UPDATE check_stalls SET overdue_since = NULL
             WHERE overdue_since IS NOT NULL AND stalled_at IS NULL AND queue <> ALL ($1)",
        );
        bind!(query, overdue).execute(&self.sessions).await?;
        Ok(())
    }

    /// The queues of checks that were said to have stalled, and since when.
    pub async fn announced_stalls(&self) -> Result<Vec<(String, Timestamp)>> {
        let query = "SELECT queue, stalled_at FROM check_stalls WHERE stalled_at IS NOT NULL";
        let stalls: Vec<(String, jiff_sqlx::Timestamp)> =
            sqlx::query_as(query).fetch_all(&self.sessions).await?;
        Ok(stalls.into_iter().map(|(queue, at)| (queue, at.to_jiff())).collect())
    }

    /// Results of `queue` are overdue. When they have been for as long as `again_after`, and that is news, enqueues a notification
    /// for each enabled channel that wants this event, and gives their names.
    pub async fn enqueue_stalled(
        &self,
        queue: &str,
        again_after: Duration,
        event: impl FnOnce(Timestamp) -> Event,
    ) -> Result<Option<Vec<String>>> {
        let mut transaction = self.sessions.begin().await?;
        let query = sqlx::query_as(include_str!("../queries/turn_stalled.sql"));
        let Stalled { news, now } = bind!(query, queue, again_after).fetch_one(&mut transaction).await?;
        if !news {
            transaction.commit().await?;
            return Ok(None);
        }
        let (channels_told, names) =
            own_network::enqueue_notices(&mut transaction, Some(&order(queue)), None, &event(now)).await?;
        let query = sqlx::query("UPDATE check_stalls SET channels_told = $2 WHERE queue = $1");
        bind!(query, queue, channels_told).execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Some(names))
    }

    /// The checks of `queue` have results again. When that is news, enqueues a notification for each channel that was told of the
    /// stall, and that wants this event, which is made of the instant and how long the stall lasted. Gives that and whom it will
    /// tell.
    pub async fn enqueue_running(
        &self,
        queue: &str,
        event: impl FnOnce(Timestamp, Duration) -> Event,
    ) -> Result<Option<(Duration, Vec<String>)>> {
        let mut transaction = self.sessions.begin().await?;
        let query = sqlx::query_as(
            "WITH was AS (SELECT queue, stalled_at, channels_told FROM check_stalls WHERE queue = $1 AND stalled_at IS NOT NULL FOR UPDATE)
             UPDATE check_stalls s SET overdue_since = NULL, stalled_at = NULL, channels_told = '{}' FROM was
             WHERE s.queue = was.queue RETURNING was.stalled_at, was.channels_told, now() AS now",
        );
        let runs: Option<Runs> = bind!(query, queue).fetch_optional(&mut transaction).await?;
        let Some(Runs { now, stalled_at, channels_told }) = runs else {
            transaction.commit().await?;
            return Ok(None);
        };
        let lasted = Duration::from_secs(uptime_core::duration::elapsed(stalled_at, now).as_secs());
        let event = event(now, lasted);
        let (_, names) =
            own_network::enqueue_notices(&mut transaction, Some(&order(queue)), Some(channels_told), &event)
                .await?;
        transaction.commit().await?;
        Ok(Some((lasted, names)))
    }
}

/// The end of a stall never overtakes its beginning.
fn order(queue: &str) -> String {
    format!("stall of {queue}")
}
