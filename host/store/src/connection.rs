//! The way to the database: a small pool, the schema brought up to date under a lock, and wake-ups.

use crate::StoreError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use std::str::FromStr;
use std::time::Duration;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The notification channel on which committed jobs are announced; the payload is the queue's name.
const WAKEUPS: &str = "uptime_jobs";

/// How long a goodbye may take.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// A database with this binary's schema. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: PgPool,
}

impl Store {
    /// Connects, and brings the schema up to date: under a lock, forward only, and not at all when the database
    /// is newer than this binary. `connections` bounds the pool.
    pub async fn open(url: &str, connections: u32) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?.application_name("uptime");
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await?;
        let store = Self { pool };
        store.migrate().await?;
        Ok(store)
    }

    /// The newest version of the schema that this binary knows.
    pub fn known_version() -> i64 {
        MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
    }

    /// The version of the database's schema; 0 when it has none.
    pub async fn version(&self) -> Result<i64, StoreError> {
        let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&self.pool)
            .await?;
        if !exists {
            return Ok(0);
        }
        Ok(sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&self.pool)
            .await?)
    }

    /// Says goodbye to the database. One that does not answer is left as it is.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(GOODBYE_MAX, self.pool.close()).await;
    }

    /// Listens for committed jobs on a connection of its own. Only a hint: behind a transaction pooler nothing
    /// ever comes, and polling stays the truth.
    pub async fn wakeups(&self) -> Result<Wakeups, StoreError> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(WAKEUPS).await?;
        Ok(Wakeups { listener })
    }

    /// The check of the version comes first, so that a start against an up-to-date database is one short query.
    async fn migrate(&self) -> Result<(), StoreError> {
        let (found, known) = (self.version().await?, Self::known_version());
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        if found < known {
            MIGRATIONS.run(&self.pool).await.map_err(|error| match error {
                MigrateError::VersionMissing(found) => StoreError::Newer { found, known },
                MigrateError::Execute(error) => error.into(),
                other => StoreError::Migration(other.to_string()),
            })?;
            sqlx::query("SELECT make_result_partitions(3)").execute(&self.pool).await?;
        }
        Ok(())
    }
}

/// A stream of hints that jobs were committed.
#[derive(Debug)]
pub struct Wakeups {
    listener: PgListener,
}

impl Wakeups {
    /// The queue of the next committed job. `None` when the connection was lost and made again: anything may have
    /// been committed meanwhile.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.listener.try_recv().await?.map(|notification| notification.payload().to_owned()))
    }
}
