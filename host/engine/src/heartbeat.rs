//! The heartbeat to an outside service: a request after the scheduler's runs, while checks have results and notifications go
//! out. When it stops, somebody else tells what this installation can't tell any more.
//!
//! It never holds the scheduler up, and its URL, whose path is a password, is never shown.

use crate::db_timeout;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::{info, warn};
use uptime_check::Checker;
use uptime_core::liveness::Standstill;
use uptime_core::monitor::CheckSpec;
use uptime_core::queue::NOTIFICATIONS;
use uptime_store::{Store, StoreError};

/// From one request to the next at the least.
const EVERY: Duration = Duration::from_secs(15);

const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a notification that is due may wait before the installation counts as silent.
const NOTIFICATION_WAIT: Duration = Duration::from_mins(2);

/// Where the heartbeat goes. Cheap to clone.
#[derive(Clone)]
pub struct Heartbeat {
    checker: Checker,
    spec: CheckSpec,
    host: String,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat").field("host", &self.host).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    last_at: Option<Instant>,
    /// Why the last one was not sent, or not taken.
    trouble: Option<String>,
}

impl Heartbeat {
    pub fn new(checker: Checker, spec: CheckSpec) -> Self {
        let host = spec.host().to_owned();
        Self { checker, spec, host, state: Arc::default() }
    }

    /// Sends it if it is due, beside whoever asks.
    pub fn send_beside(&self, store: &Store) {
        if self.is_due() {
            let (heartbeat, store) = (self.clone(), store.clone());
            tokio::spawn(async move { heartbeat.send(&store).await });
        }
    }

    /// Sends it, unless checks have no results or notifications do not go out.
    pub async fn send(&self, store: &Store) {
        let trouble = match db_timeout::goodbye(silence(store)).await {
            Ok(None) => {
                let report = self.checker.check(&self.spec, TIMEOUT).await;
                // The message may name the address.
                report.failure.map(|failure| format!("the request failed: {}", failure.class.as_str()))
            }
            Ok(Some(why)) => Some(why),
            Err(error) => Some(error.to_string()),
        };
        let before = std::mem::replace(&mut self.lock().trouble, trouble.clone());
        match (before, trouble) {
            (before, Some(trouble)) if before.as_ref() != Some(&trouble) => {
                warn!(host = self.host, why = trouble, "heartbeat not sent");
            }
            (Some(_), None) => info!(host = self.host, "heartbeat sent again"),
            _ => {}
        }
    }

    /// Whether it is; then it is not for a while.
    fn is_due(&self) -> bool {
        let mut state = self.lock();
        let is_due = state.last_at.is_none_or(|at| at.elapsed() >= EVERY);
        if is_due {
            state.last_at = Some(Instant::now());
        }
        is_due
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why this installation tells nobody anything; `None`: it does.
async fn silence(store: &Store) -> Result<Option<String>, StoreError> {
    let liveness = store.liveness().await?;
    if let Some(stall) = liveness.stalls.first() {
        return Ok(Some(stall.in_words(&liveness.scheduling, liveness.now)));
    }
    let sizes = store.queue_sizes(&[NOTIFICATIONS.to_owned()]).await?;
    let standstill = sizes.iter().find_map(|size| size.load().standstill(NOTIFICATION_WAIT));
    Ok(standstill.map(|standstill| match standstill {
        Standstill::Idle => format!("notifications are due, and nobody works on `{NOTIFICATIONS}`"),
        Standstill::Waits(wait) => format!("a notification has been due for {} s", wait.as_secs()),
    }))
}
