//! The way to the database: a small pool, the schema brought up to date under a lock, and wake-ups.

use crate::StoreError;
use sqlx::Connection;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions};
use std::str::FromStr;
use std::time::Duration;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The notification channel on which committed jobs are announced; the payload is the queue's name.
const WAKEUPS: &str = "uptime_jobs";

/// How long the first connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long to wait for a connection of the pool: a server that went away is noticed so soon.
const ACQUIRE_MAX: Duration = Duration::from_secs(3);

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
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(StoreError::Url("it does not begin with `postgres://`".into()));
        }
        let options = PgConnectOptions::from_str(url)?.application_name("uptime");
        // The pool would try again until its patience ends; the first connection says at once why there is none.
        let first = tokio::time::timeout(CONNECT_MAX, PgConnection::connect_with(&options)).await;
        let first = first.map_err(|_| {
            StoreError::Unreachable(format!("no answer within {} s", CONNECT_MAX.as_secs()))
        })??;
        first.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_MAX)
            .connect_lazy_with(options);
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

    /// Becomes the only one of its kind in this database, as long as the answer is kept; `None` when there is one already.
    pub async fn sole(&self, kind: &str) -> Result<Option<Sole>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('uptime.' || $1))")
            .bind(kind)
            .fetch_one(&mut *connection)
            .await?;
        if taken { Ok(Some(Sole { _connection: connection.detach() })) } else { Ok(None) }
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

/// Being the only one of a kind. Ends with the connection that holds it.
#[derive(Debug)]
pub struct Sole {
    _connection: PgConnection,
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
