//! How long the database is waited for. Behind a cut network a statement has no answer and no error, so nothing that the
//! scheduler and the workers ask of it goes without an end, and a stop is heard while they wait.

use crate::{Activity, Observer};
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use uptime_store::{Store, StoreError};

/// How long one round trip to the database may take.
const TURN_MAX: Duration = Duration::from_secs(30);

/// How long what is under way may still take after a stop.
const AFTER_STOP: Duration = Duration::from_secs(5);

pub(crate) async fn round_trip<T>(
    work: impl Future<Output = Result<T, StoreError>>,
    stop: &CancellationToken,
) -> Result<T, StoreError> {
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(AFTER_STOP).await;
    };
    tokio::select! {
        turned = within(TURN_MAX, work) => turned,
        () = stopped => Err(no_answer(AFTER_STOP)),
    }
}

/// What is still to be said to it after a stop.
pub(crate) async fn goodbye<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    within(AFTER_STOP, work).await
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(no_answer(limit)))
}

fn no_answer(limit: Duration) -> StoreError {
    StoreError::Unreachable(format!("no answer within {} s", limit.as_secs()))
}

/// A database that does not do its work, as one loop knows of it. Said when it begins and when it is over, and when its reason
/// becomes one that a person has to mend.
#[derive(Debug)]
pub(crate) struct Outage {
    by: &'static str,
    store: Store,
    /// Whether it goes on, and whether it needs somebody.
    reported: Option<bool>,
}

impl Outage {
    /// None, in the loop of this name.
    pub fn of(by: &'static str, store: Store) -> Self {
        Self { by, store, reported: None }
    }

    /// The database could not do it once more. Gives back an error that is not waited for.
    pub fn goes_on(&mut self, error: StoreError, observer: &Observer) -> Result<(), StoreError> {
        if !self.store.may_recover(&error) {
            return Err(error);
        }
        let (by, needs_operator) = (self.by, error.needs_operator());
        if error.is_schema_change() {
            info!(queue = by, %error, "statements are prepared anew");
            return Ok(());
        }
        if self.reported.is_some_and(|reported| reported == needs_operator) {
            debug!(queue = by, %error, "database still away");
            return Ok(());
        }
        if needs_operator {
            error!(queue = by, %error, hint = error.hint(), "the database can't work: nothing is checked or told until that is mended, and nothing is lost");
        } else {
            warn!(queue = by, %error, hint = error.hint(), "database away: waiting for it, nothing is lost");
        }
        self.reported = Some(needs_operator);
        observer(Activity::DatabaseAway { queue: by, reason: error.to_string(), needs_operator });
        Ok(())
    }

    pub fn ends(&mut self, observer: &Observer) {
        self.store.set_has_worked();
        if self.reported.take().is_some() {
            info!(queue = self.by, "database back");
            observer(Activity::DatabaseBack { queue: self.by });
        }
    }
}
