//! Whether checks still have results, beside the workers: a monitor that nobody checks any more looks well for ever.
//!
//! Each process looks every few seconds whether a stall was told, for its `/healthz`. One of all looks whether there is one,
//! and tells the channels: the scan is paid for once.

use crate::{Activity, Observer, db_timeout};
use jiff::Timestamp;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use tracing::{error, info};
use uptime_core::duration;
use uptime_core::event::{Event, EventType};
use uptime_core::liveness::{STALE_LEAST, Stall};
use uptime_store::{Store, StoreError};

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When nobody has looked for so long, nobody could write results either: the database was away, or all stood still.
const LOOK_LATE: Duration = Duration::from_secs(30);

/// The queues of checks that have stalled, as this process knows. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stalls(Arc<Mutex<Vec<(String, Timestamp)>>>);

impl Stalls {
    /// One of them, and since when.
    pub fn first(&self) -> Option<(String, Timestamp)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    fn set(&self, stalls: Vec<(String, Timestamp)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stalls;
    }

    /// Looks again and again. A database that is away is waited for: that it is is said elsewhere.
    pub async fn watch(&self, store: &Store, observer: &Observer) -> Infallible {
        loop {
            let _ = db_timeout::goodbye(self.check_once(store, observer)).await;
            sleep(LOOK_EVERY).await;
        }
    }

    async fn check_once(&self, store: &Store, observer: &Observer) -> Result<(), StoreError> {
        // Half of it: whoever looked last may come a little earlier than the last time.
        if let Some(steady) = store.may_look_for_stalls(LOOK_EVERY / 2, LOOK_LATE).await? {
            // After a time without looks checks get the time to come in.
            let queue_deadline = STALE_LEAST.saturating_sub(steady);
            let liveness = store.liveness().await?;
            for stall in &liveness.stalls {
                let why = stall.in_words(&liveness.scheduling, liveness.now);
                enqueue_stalled(store, stall, &why, queue_deadline, observer).await?;
            }
            let overdue: Vec<&str> = liveness.stalls.iter().map(|stall| stall.queue.as_str()).collect();
            store.forget_overdue(&overdue).await?;
            for (queue, _) in store.announced_stalls().await? {
                if !overdue.contains(&queue.as_str()) {
                    enqueue_running(store, &queue, observer).await?;
                }
            }
        }
        self.set(store.announced_stalls().await?);
        Ok(())
    }
}

async fn enqueue_stalled(
    store: &Store,
    stall: &Stall,
    why: &str,
    queue_deadline: Duration,
    observer: &Observer,
) -> Result<(), StoreError> {
    let queue = &stall.queue;
    let event = |now| Event::about_checks(EventType::Stalled, queue, why.to_owned(), now);
    if let Some(channels) = store.enqueue_stalled(queue, queue_deadline, event).await? {
        error!(queue, why, channels = channels.join(", "), "checks have stalled");
        observer(Activity::Stalled { queue: queue.clone(), why: why.to_owned() });
    }
    Ok(())
}

async fn enqueue_running(store: &Store, queue: &str, observer: &Observer) -> Result<(), StoreError> {
    let event = |now, lasted| {
        let message = format!("each monitor has results again after {}", duration::format(lasted));
        Event::about_checks(EventType::Running, queue, message, now)
    };
    if let Some((lasted, channels)) = store.enqueue_running(queue, event).await? {
        info!(queue, stalled_s = lasted.as_secs(), channels = channels.join(", "), "checks run again");
        observer(Activity::Running { queue: queue.to_owned(), stalled_for: lasted });
    }
    Ok(())
}
