//! The scheduler: once for cron, or as a loop that sleeps until the next slot.

use crate::{Activity, Observer};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uptime_core::ErrorClass;
use uptime_store::schedule::Scheduled;
use uptime_store::{Store, StoreError};

/// How many passes one run makes at most. A pass leaves out the states that another transaction holds at that very
/// moment; under cron nobody would come for them for a minute.
const PASSES: usize = 3;

/// How much of the time a loop may spend in the database, as the sleep per unit of work.
const IDLE_PER_WORK: u32 = 4;

/// The shortest sleep of a loop.
const SLEEP_MIN: Duration = Duration::from_millis(10);

/// Enqueues what is due by `horizon` from now.
pub async fn schedule_once(store: &Store, horizon: Duration) -> Result<Scheduled, StoreError> {
    store.make_result_partitions().await?;
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
    let mut away = false;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let sleep = match turn(&store, horizon).await {
            Ok((scheduled, next)) => {
                if std::mem::take(&mut away) {
                    info!("database back");
                    observer(Activity::DatabaseBack { queue: "scheduler" });
                }
                debug!(due = scheduled.due, enqueued = scheduled.enqueued, "scheduled");
                let ahead = next.map_or(every, |next| next.saturating_sub(horizon));
                ahead.min(every).max(began.elapsed() * IDLE_PER_WORK).max(SLEEP_MIN)
            }
            Err(error) if error.class() == ErrorClass::Transient => {
                if !std::mem::replace(&mut away, true) {
                    warn!(%error, "database away: waiting for it, nothing is lost");
                    observer(Activity::DatabaseAway { queue: "scheduler", reason: error.to_string() });
                }
                every.clamp(Duration::from_millis(200), Duration::from_secs(5))
            }
            Err(error) => return Err(error),
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
    Ok(())
}

async fn turn(store: &Store, horizon: Duration) -> Result<(Scheduled, Option<Duration>), StoreError> {
    let scheduled = schedule_once(store, horizon).await?;
    Ok((scheduled, store.next_slot_in().await?))
}
