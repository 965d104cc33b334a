//! The scheduler: once for cron, or as a loop that sleeps until the next slot.

use crate::db_timeout::{self, Outage};
use crate::heartbeat::Heartbeat;
use crate::worker::host_name;
use crate::{Activity, Observer};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uptime_core::ErrorClass;
use uptime_core::liveness::{CRON_PERIOD, HEARTBEAT_EVERY};
use uptime_store::liveness::SchedulerHeartbeat;
use uptime_store::schedule::Scheduled;
use uptime_store::{Store, StoreError};
use uuid::Uuid;

/// How many passes one run makes at most. A pass leaves out the states that another transaction holds at that very
/// moment; under cron nobody would come for them for a minute.
const PASSES: usize = 3;

/// How much of the time a loop may spend in the database, as the sleep per unit of work.
const IDLE_PER_WORK: u32 = 4;

/// The longest sleep that comes of that.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// How often a loop does its [`upkeep`].
const UPKEEP_EVERY: Duration = Duration::from_mins(1);

/// The shortest sleep of a loop.
const SLEEP_MIN: Duration = Duration::from_millis(10);

/// How long a loop waits for a database that is away, before it tries again.
const AWAY_MIN: Duration = Duration::from_millis(200);
const AWAY_MAX: Duration = Duration::from_secs(2);

/// How often a single run begins again when the database could not do it just then.
const TRIES: usize = 3;

/// The scheduler's name among the loops that turn.
pub const SCHEDULE: &str = "schedule";

/// The wait before it begins again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Enqueues what is due by `horizon` from now. For cron, which comes again only after a minute: what the database could
/// not do just then is tried again.
pub async fn schedule_once(
    store: &Store,
    horizon: Duration,
    heartbeat: Option<&Heartbeat>,
) -> Result<Scheduled, StoreError> {
    let mut tries = 1;
    let scheduled = loop {
        match passes(store, horizon).await {
            Err(error) if error.class() == ErrorClass::Transient && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(TRY_AGAIN).await;
            }
            ended => break ended?,
        }
    };
    said(store, None, horizon.max(CRON_PERIOD)).await;
    upkeep(store).await;
    if let Some(heartbeat) = heartbeat {
        heartbeat.send(store).await;
    }
    Ok(scheduled)
}

/// Says in the database that a scheduler lives. What can't be said now is said the next time.
async fn said(store: &Store, id: Option<Uuid>, period: Duration) {
    let beat = SchedulerHeartbeat {
        id,
        host: host_name(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        period,
    };
    if let Err(error) = db_timeout::goodbye(store.scheduler_heartbeat(&beat)).await {
        debug!(%error, "scheduler's heartbeat not recorded");
    }
}

/// What nothing waits for, so the next run has another try: partitions for the results of the coming days, which find their
/// place without, too; and probes of failing channels, for a queue that an operator cleared. Done after checks were scheduled: a
/// database that refuses that says why.
async fn upkeep(store: &Store) {
    if let Err(error) = store.make_result_partitions().await {
        warn!(%error, "no partitions for the coming days; trying again");
    }
    if let Err(error) = store.ensure_probes().await {
        warn!(%error, "failing channels were not looked at; trying again");
    }
}

async fn passes(store: &Store, horizon: Duration) -> Result<Scheduled, StoreError> {
    let mut total = Scheduled::default();
    for _ in 0..PASSES {
        let pass = store.schedule(horizon).await?;
        total.due += pass.due;
        total.enqueued += pass.enqueued;
        if pass.due == 0 {
            break;
        }
    }
    Ok(total)
}

/// How a scheduler runs as a loop.
#[derive(Clone, Debug)]
pub struct LoopOptions {
    /// From one look to the next at the most.
    pub every: Duration,
    /// How far ahead is enqueued.
    pub horizon: Duration,
    /// Who outside is told that all of it lives.
    pub heartbeat: Option<Heartbeat>,
}

/// Enqueues what is due, again and again, until `stop`: at the next slot's instant, at the latest after `every`. A
/// database that is away is waited for.
pub async fn schedule_loop(
    store: Store,
    LoopOptions { every, horizon, heartbeat }: LoopOptions,
    observer: Observer,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let mut outage = Outage::of("scheduler", store.clone());
    let mut upkeep_at: Option<Instant> = None;
    let mut life = Life { store: store.clone(), id: Uuid::new_v4(), said_at: None };
    while !stop.is_cancelled() {
        let began = Instant::now();
        let mut lives = false;
        let sleep = match db_timeout::round_trip(round_trip(&store, horizon), &stop).await {
            Ok((scheduled, next)) => {
                outage.ends(&observer);
                debug!(due = scheduled.due, enqueued = scheduled.enqueued, "scheduled");
                lives = true;
                if let Some(heartbeat) = &heartbeat {
                    heartbeat.send_beside(&store);
                }
                let ahead = next.map_or(every, |next| next.saturating_sub(horizon));
                let idle = (began.elapsed() * IDLE_PER_WORK).min(IDLE_MAX);
                ahead.min(every).max(idle).max(SLEEP_MIN)
            }
            Err(error) => {
                outage.goes_on(error, &observer)?;
                every.clamp(AWAY_MIN, AWAY_MAX)
            }
        };
        if lives && upkeep_at.is_none_or(|at| at.elapsed() >= UPKEEP_EVERY) {
            upkeep_at = Some(Instant::now());
            let upkeep = async {
                upkeep(&store).await;
                Ok(())
            };
            let _ = db_timeout::round_trip(upkeep, &stop).await;
        }
        rest(sleep, lives.then_some(&mut life), &observer, &stop).await;
    }
    // Whoever was stopped in order is not dead.
    let _ = db_timeout::goodbye(store.scheduler_sign_off(life.id)).await;
    Ok(())
}

/// That the loop lives, as the database knows it.
struct Life {
    store: Store,
    id: Uuid,
    said_at: Option<Instant>,
}

impl Life {
    async fn say_when_due(&mut self) {
        if self.said_at.is_none_or(|at| at.elapsed() >= HEARTBEAT_EVERY) {
            self.said_at = Some(Instant::now());
            said(&self.store, Some(self.id), HEARTBEAT_EVERY).await;
        }
    }
}

/// Sleeps, and says now and then that it does nothing else: to the database, too, if that did what it was asked.
async fn rest(sleep: Duration, mut life: Option<&mut Life>, observer: &Observer, stop: &CancellationToken) {
    let until = tokio::time::Instant::now() + sleep;
    loop {
        observer(Activity::Turned { by: SCHEDULE });
        if let Some(life) = &mut life {
            life.say_when_due().await;
        }
        let slice = until.min(tokio::time::Instant::now() + HEARTBEAT_EVERY);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(slice) => {}
        }
        if slice == until {
            return;
        }
    }
}

async fn round_trip(store: &Store, horizon: Duration) -> Result<(Scheduled, Option<Duration>), StoreError> {
    let scheduled = passes(store, horizon).await?;
    Ok((scheduled, store.next_slot_in().await?))
}
