//! What the benchmarks share: a database to fill, and what it and we have cost so far.

use sqlx::{Executor, PgConnection, Row};
use std::sync::Arc;
use uptime_tests::{ProcessStat, TestDatabase, TestServer, postgres_cpu_seconds};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures against the empty database at `DATABASE_URL`; without, against the embedded PostgreSQL in a temporary directory,
/// with its durable settings.
pub(crate) async fn with_database<T>(
    measure: impl AsyncFnOnce(&str) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Ok(url) = std::env::var("DATABASE_URL") {
        return measure(&url).await;
    }
    let database = TestDatabase::empty_on(&Arc::new(TestServer::durable())).await;
    measure(&database.url()).await
}

/// CPU that this process and the database's have used so far; ours alone when the database is on another host.
pub(crate) async fn cpu_seconds(connection: &mut PgConnection) -> Result<f64, Failure> {
    let backend: i32 = connection.fetch_one("SELECT pg_backend_pid()").await?.try_get(0)?;
    let ours = ProcessStat::read(std::process::id()).map_or(f64::NAN, |stat| stat.cpu_seconds);
    let backend = ProcessStat::read(u32::try_from(backend)?);
    Ok(ours + backend.map_or(0.0, |backend| postgres_cpu_seconds(backend.parent)))
}
