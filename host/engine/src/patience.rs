//! How long the database is waited for. Behind a cut network a statement has no answer and no error, so nothing that the
//! scheduler and the workers ask of it goes without an end, and a stop is heard while they wait.

use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uptime_store::StoreError;

/// How long one turn with the database may take.
const TURN_MAX: Duration = Duration::from_secs(30);

/// How long what is under way may still take after a stop.
const AFTER_STOP: Duration = Duration::from_secs(5);

/// One turn with the database.
pub(crate) async fn turn<T>(
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
