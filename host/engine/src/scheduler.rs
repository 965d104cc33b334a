//! The scheduler: once for cron, or as a loop that sleeps until the next slot.

use crate::patience::{self, Outage};
use crate::{Activity, Observer};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uptime_core::ErrorClass;
use uptime_store::schedule::Scheduled;
use uptime_store::{Store, StoreError};

/// How many passes one run makes at most. A pass leaves out the states that another transaction holds at that very
/// moment; under cron nobody would come for them for a minute.
const PASSES: usize = 3;

/// How much of the time a loop may spend in the database, as the sleep per unit of work.
const IDLE_PER_WORK: u32 = 4;

/// The longest sleep that comes of that.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// How often a loop looks after the partitions of the coming days.
const PARTITIONS_EVERY: Duration = Duration::from_mins(10);

/// The shortest sleep of a loop.
const SLEEP_MIN: Duration = Duration::from_millis(10);

/// How long a loop waits for a database that is away, before it tries again.
const AWAY_MIN: Duration = Duration::from_millis(200);
const AWAY_MAX: Duration = Duration::from_secs(2);

/// How often a single run begins again when the database could not do it just then.
const TRIES: usize = 3;

/// The scheduler's name among the loops that turn.
pub const SCHEDULE: &str = "schedule";

/// How often a sleeping loop says that it is not stuck.
const TURN_TOLD_EVERY: Duration = Duration::from_secs(5);

/// The wait before it begins again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Enqueues what is due by `horizon` from now. For cron, which comes again only after a minute: what the database could
/// not do just then is tried again.
pub async fn schedule_once(store: &Store, horizon: Duration) -> Result<Scheduled, StoreError> {
    make_partitions(store).await;
    let mut tries = 1;
    loop {
        match passes(store, horizon).await {
            Err(error) if error.class() == ErrorClass::Transient && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(TRY_AGAIN).await;
            }
            ended => return ended,
        }
    }
}

/// Results find their place without, too: nothing waits for it.
async fn make_partitions(store: &Store) {
    if let Err(error) = store.make_result_partitions().await {
        warn!(%error, "no partitions for the coming days; trying again");
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

/// Enqueues what is due, again and again, until `stop`: at the next slot's instant, at the latest after `every`. A
/// database that is away is waited for.
pub async fn schedule_loop(
    store: Store,
    every: Duration,
    horizon: Duration,
    observer: Observer,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let mut outage = Outage::of("scheduler");
    let mut partitions_at: Option<Instant> = None;
    while !stop.is_cancelled() {
        if partitions_at.is_none_or(|at| at.elapsed() >= PARTITIONS_EVERY) {
            partitions_at = Some(Instant::now());
            let making = async {
                make_partitions(&store).await;
                Ok(())
            };
            let _ = patience::turn(making, &stop).await;
        }
        let began = Instant::now();
        let sleep = match patience::turn(turn(&store, horizon), &stop).await {
            Ok((scheduled, next)) => {
                outage.ends(&observer);
                debug!(due = scheduled.due, enqueued = scheduled.enqueued, "scheduled");
                let ahead = next.map_or(every, |next| next.saturating_sub(horizon));
                let idle = (began.elapsed() * IDLE_PER_WORK).min(IDLE_MAX);
                ahead.min(every).max(idle).max(SLEEP_MIN)
            }
            Err(error) if error.class() == ErrorClass::Transient => {
                outage.goes_on(&error, &observer);
                every.clamp(AWAY_MIN, AWAY_MAX)
            }
            Err(error) => return Err(error),
        };
        rest(sleep, &observer, &stop).await;
    }
    Ok(())
}

/// Sleeps, and says now and then that it does nothing else.
async fn rest(sleep: Duration, observer: &Observer, stop: &CancellationToken) {
    let until = tokio::time::Instant::now() + sleep;
    loop {
        observer(Activity::Turned { by: SCHEDULE });
        let slice = until.min(tokio::time::Instant::now() + TURN_TOLD_EVERY);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(slice) => {}
        }
        if slice == until {
            return;
        }
    }
}

async fn turn(store: &Store, horizon: Duration) -> Result<(Scheduled, Option<Duration>), StoreError> {
    let scheduled = passes(store, horizon).await?;
    Ok((scheduled, store.next_slot_in().await?))
}
