//! Signs that the whole of it lives: the schedulers' heartbeats, monitors whose results are overdue, and who was told so.
//!
//! ```text
//!           tell_stalled                  tell_stalled, after some patience: a `stalled` to each channel that wants it
//!   running ─────────────▶ overdue ────────────────────────────────────────────────────────────────────────▶ stalled
//!      ◀──────────────────────┘                                                                                │
//!      ◀─────────── tell_running: a `running` to each of those channels ───────────────────────────────────────┘
//! ```
//! The state is a row for each queue of checks, so for each location. It changes with the notifications in one transaction
//! under the row's lock, as with [`sight`](crate::sight).

use crate::row::Columns;
use crate::{Store, StoreError, sight};
use jiff::Timestamp;
use sqlx::Row;
use std::time::Duration;
use uptime_core::channel::ChannelFilter;
use uptime_core::event::Event;
use uptime_core::liveness::{
    COUNTED_FOR, Freshness, NAMES, Results, STALE_INTERVALS, STALE_LEAST, Scheduler, Scheduling, Stall,
    freshness, scheduling,
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

impl Store {
    /// Records that a scheduler lives. Those of a day ago are forgotten.
    pub async fn scheduler_heartbeat(&self, beat: &SchedulerHeartbeat) -> Result<(), StoreError> {
        sqlx::query(
            "WITH old AS (DELETE FROM schedulers WHERE seen_at < now() - greatest(interval '1 day', 3 * period_s * interval '1 second'))
             INSERT INTO schedulers AS s (id, host, pid, version, is_loop, period_s)
             VALUES (coalesce($1, md5('cron on ' || $2)::uuid), $2, $3, $4, $1 IS NOT NULL, $5)
             ON CONFLICT (id) DO UPDATE SET seen_at = now(), pid = EXCLUDED.pid, version = EXCLUDED.version, period_s = EXCLUDED.period_s",
        )
        .bind(beat.id)
        .bind(&beat.host)
        .bind(crate::row::int(beat.pid))
        .bind(beat.version)
        .bind(beat.period.as_secs_f64())
        .execute(&self.sessions)
        .await?;
        Ok(())
    }

    pub async fn scheduler_sign_off(&self, id: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM schedulers WHERE id = $1").bind(id).execute(&self.sessions).await?;
        Ok(())
    }

    /// Whether checks are scheduled and have results.
    pub async fn liveness(&self) -> Result<Liveness, StoreError> {
        let rows = sqlx::query(
            "SELECT now() AS now, s.host, s.pid, s.is_loop, s.period_s, s.seen_at FROM (SELECT) one LEFT JOIN schedulers s ON true",
        )
        .fetch_all(&self.sessions)
        .await?;
        let now = rows.first().map_or(Ok(Timestamp::UNIX_EPOCH), |row| row.instant("now"))?;
        let mut schedulers = Vec::new();
        for row in &rows {
            let Some(host) = row.try_get("host")? else { continue };
            schedulers.push(Scheduler {
                host,
                pid: row.try_get::<i32, _>("pid")?.unsigned_abs(),
                is_loop: row.try_get("is_loop")?,
                period: Duration::from_secs_f64(row.try_get::<f64, _>("period_s")?.max(0.0)),
                seen_at: row.instant("seen_at")?,
            });
        }
        Ok(Liveness { now, scheduling: scheduling(&schedulers, now), stalls: self.stalls().await? })
    }

    /// The queues of checks with monitors that are stale.
    async fn stalls(&self) -> Result<Vec<Stall>, StoreError> {
        let rows = sqlx::query(include_str!("../queries/stale.sql"))
            .bind(i64::from(STALE_INTERVALS))
            .bind(STALE_LEAST.as_secs_f64())
            .bind(i64::try_from(NAMES).unwrap_or(i64::MAX))
            .bind(COUNTED_FOR.as_secs_f64())
            .fetch_all(&self.sessions)
            .await?;
        let mut stalls: Vec<Stall> = Vec::new();
        for row in &rows {
            let interval: i64 = row.try_get("interval_ms")?;
            let results = Results {
                interval: Duration::from_millis(interval.unsigned_abs()),
                enabled: true,
                queue_paused: false,
                last_at: row.optional_instant("last_at")?,
                awaited_since: row.instant("awaited_since")?,
            };
            // What is overdue for the query is stale: it only finds what may be.
            if !matches!(freshness(&results, row.instant("now")?), Freshness::Stale(_)) {
                continue;
            }
            let queue: String = row.try_get("queue")?;
            if stalls.last().is_none_or(|last| last.queue != queue) {
                let count = |column| {
                    Ok::<_, StoreError>(usize::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
                };
                stalls.push(Stall {
                    queue,
                    stale: count("overdue")?,
                    of: count("of")?,
                    names: Vec::new(),
                    workers: row.try_get("workers")?,
                });
            }
            if let Some(stall) = stalls.last_mut() {
                stall.names.push(row.try_get("name")?);
            }
        }
        Ok(stalls)
    }

    /// Whether it is this worker's turn to look for stalls: one of all looks, every so often. If so, for how long no look has come
    /// later than `late` after the one before.
    pub async fn may_look_for_stalls(
        &self,
        every: Duration,
        late: Duration,
    ) -> Result<Option<Duration>, StoreError> {
        let steady_s: Option<f64> = sqlx::query_scalar(
            "UPDATE stall_looks
             SET looked_at = now(),
                 steady_since = CASE WHEN looked_at < now() - make_interval(secs => $2) THEN now() ELSE steady_since END
             WHERE looked_at < now() - make_interval(secs => $1)
             RETURNING extract(epoch FROM now() - steady_since)::double precision",
        )
        .bind(every.as_secs_f64())
        .bind(late.as_secs_f64())
        .fetch_optional(&self.sessions)
        .await?;
        Ok(steady_s.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }

    /// Of these queues alone results are overdue: of the others nobody was told, and nobody will be.
    pub async fn forget_overdue(&self, overdue: &[&str]) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE check_stalls SET overdue_since = NULL
             WHERE overdue_since IS NOT NULL AND stalled_at IS NULL AND queue <> ALL ($1)",
        )
        .bind(overdue)
        .execute(&self.sessions)
        .await?;
        Ok(())
    }

    /// The queues of checks that were said to have stalled, and since when.
    pub async fn told_stalls(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let rows = sqlx::query("SELECT queue, stalled_at FROM check_stalls WHERE stalled_at IS NOT NULL")
            .fetch_all(&self.sessions)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("queue")?, row.instant("stalled_at")?))).collect()
    }

    /// Results of `queue` are overdue. When they have been for as long as `patience`, and that is news, enqueues a notification
    /// for each enabled channel that `event_for` has an event for, and gives their names.
    pub async fn tell_stalled(
        &self,
        queue: &str,
        patience: Duration,
        event_for: impl Fn(&ChannelFilter, Timestamp) -> Option<Event>,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let mut transaction = self.sessions.begin().await?;
        let row = sqlx::query(include_str!("../queries/turn_stalled.sql"))
            .bind(queue)
            .bind(patience.as_secs_f64())
            .fetch_one(&mut transaction)
            .await?;
        if !row.try_get::<bool, _>("news")? {
            transaction.commit().await?;
            return Ok(None);
        }
        let now = row.instant("now")?;
        let (told, names) =
            sight::tell(&mut transaction, &order(queue), None, |filter| event_for(filter, now)).await?;
        sqlx::query("UPDATE check_stalls SET told = $2 WHERE queue = $1")
            .bind(queue)
            .bind(told)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(names))
    }

    /// The checks of `queue` have results again. When that is news, enqueues a notification for each channel that was told of the
    /// stall, and that `event_for` has an event for; it is given the instant and how long the stall lasted. Gives that and whom
    /// it will tell.
    pub async fn tell_running(
        &self,
        queue: &str,
        event_for: impl Fn(&ChannelFilter, Timestamp, Duration) -> Option<Event>,
    ) -> Result<Option<(Duration, Vec<String>)>, StoreError> {
        let mut transaction = self.sessions.begin().await?;
        let row = sqlx::query(
            "WITH was AS (SELECT queue, stalled_at, told FROM check_stalls WHERE queue = $1 AND stalled_at IS NOT NULL FOR UPDATE)
             UPDATE check_stalls s SET overdue_since = NULL, stalled_at = NULL, told = '{}' FROM was
             WHERE s.queue = was.queue RETURNING was.stalled_at, was.told, now() AS now",
        )
        .bind(queue)
        .fetch_optional(&mut transaction)
        .await?;
        let Some(row) = row else {
            transaction.commit().await?;
            return Ok(None);
        };
        let (now, since) = (row.instant("now")?, row.instant("stalled_at")?);
        let lasted = uptime_core::duration::elapsed(since, now);
        let lasted = Duration::from_secs(lasted.as_secs());
        let told = row.try_get("told")?;
        let (_, names) =
            sight::tell(&mut transaction, &order(queue), told, |filter| event_for(filter, now, lasted))
                .await?;
        transaction.commit().await?;
        Ok(Some((lasted, names)))
    }
}

/// The end of a stall never overtakes its beginning.
fn order(queue: &str) -> String {
    format!("stall of {queue}")
}
