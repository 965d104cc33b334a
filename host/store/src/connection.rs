//! The way to the database: a small pool, the schema brought up to date under a lock, and wake-ups. A pooler on the way is
//! noticed, and of several hosts the one that takes writes is used: see [`session`](crate::session) and [`hosts`](crate::hosts).

use crate::error::code;
use crate::row::{Field, bind};
use crate::session::{Session, Sessions};
use crate::{Result, StoreError};
use jiff::Timestamp;
use sqlx::Connection;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnection, PgListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::info;
use uptime_core::ErrorClass;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../../migrations");
    // Ours is the transaction's: behind a pooler a session's lock would be held by nobody.
    migrations.set_locking(false);
    migrations
});

/// Functions, views and triggers, made anew when the version rises.
const FUNCTIONS: &str = include_str!("../../../migrations/functions.sql");

/// What a role that may not make tables is told.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// The notification channels on which committed jobs and operators' wishes are announced; the payload is the queue's name.
const JOBS: &str = "uptime_jobs";
const CONTROL: &str = "uptime_control";

/// After how long a silence a listener asks whether it is still heard.
const SILENCE: Duration = Duration::from_mins(1);

/// How long a goodbye may take.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// A database with this binary's schema. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) sessions: Sessions,
    has_worked: Arc<AtomicBool>,
}

impl Store {
    /// Connects, and brings the schema up to date: under a lock, forward only, and not at all when the database
    /// is newer than this binary. `connections` bounds the pool.
    pub async fn open(url: &str, connections: u32) -> Result<Self> {
        let store = Self::connect(url, connections).await?;
        if store.compare_version().await? < Self::known_version() {
            store.bring_up_to_date().await?;
            sqlx::query("SELECT make_result_partitions(3)").execute(&store.sessions).await?;
        }
        Ok(store)
    }

    /// As [`open`](Self::open), and changes nothing: a schema that is not there, or is older than this binary's, is an
    /// error.
    pub async fn open_existing(url: &str, connections: u32) -> Result<Self> {
        let store = Self::connect(url, connections).await?;
        match store.compare_version().await? {
            0 => Err(StoreError::NoSchema),
            found if found < Self::known_version() => {
                Err(StoreError::Outdated { found, known: Self::known_version() })
            }
            _ => Ok(store),
        }
    }

    async fn connect(url: &str, connections: u32) -> Result<Self> {
        let sessions = Sessions::open(url, connections).await?;
        if sessions.are_pooled() {
            info!("a pooler stands before the database: polling, for it passes no wake-ups on");
        }
        Ok(Self { sessions, has_worked: Arc::default() })
    }

    /// Remembers that the database has done the work of this process.
    pub fn set_has_worked(&self) {
        self.has_worked.store(true, Ordering::Relaxed);
    }

    /// Whether trying again may mend `error`: also a refusal of a database that has worked before. It may have been renamed,
    /// or be restored at this moment.
    pub fn may_recover(&self, error: &StoreError) -> bool {
        match error.class() {
            ErrorClass::Transient => true,
            ErrorClass::Config => self.has_worked.load(Ordering::Relaxed),
            _ => false,
        }
    }

    /// The newest version of the schema that this binary knows.
    pub fn known_version() -> i64 {
        MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
    }

    /// The oldest.
    fn first_version() -> i64 {
        MIGRATIONS.iter().map(|migration| migration.version).min().unwrap_or_default()
    }

    /// The version of the database's schema; 0 when it has none.
    pub async fn version(&self) -> Result<i64> {
        let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&self.sessions)
            .await?;
        if !exists {
            return Ok(0);
        }
        Ok(sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&self.sessions)
            .await?)
    }

    pub async fn now(&self) -> Result<Timestamp> {
        Ok(Field::read(&sqlx::query("SELECT now() AS now").fetch_one(&self.sessions).await?, "now")?)
    }

    /// Becomes the only one of its kind in this database, as long as the answer is kept; `None` when there is one already.
    pub async fn sole(&self, kind: &str) -> Result<Option<ExclusiveLock>> {
        let mut transaction = self.sessions.begin().await?;
        // It says nothing for as long as it holds the lock.
        sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0").execute(&mut transaction).await?;
        let lock = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtext('uptime.' || $1))");
        let taken: bool = bind!(lock, kind).fetch_one(&mut transaction).await?;
        Ok(taken.then_some(ExclusiveLock { _transaction: transaction }))
    }

    /// Says goodbye to the database. One that does not answer is left as it is.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(GOODBYE_MAX, self.sessions.pool().close()).await;
    }

    /// Listens for committed jobs on a connection of its own. Only a hint: polling stays the truth, and behind a pooler,
    /// which passes none on, there is `None`.
    pub async fn wakeups(&self) -> Result<Option<Wakeups>> {
        if self.sessions.are_pooled() {
            return Ok(None);
        }
        let spoiled = self.sessions.spoiled();
        let mut listener = self.sessions.noted(self.sessions.listener().await)?;
        self.sessions.noted(listener.listen_all([JOBS, CONTROL]).await)?;
        Ok(Some(Wakeups { listener, spoiled }))
    }

    /// The schema's version, if this binary can use it or bring it up to date; 0 when there is none. Asked first, so that a start
    /// against an up-to-date database is one short query.
    async fn compare_version(&self) -> Result<i64> {
        let found = self.version().await?;
        let is_known = found == 0 || (Self::first_version()..=Self::known_version()).contains(&found);
        if is_known { Ok(found) } else { Err(Self::unknown_version(found)) }
    }

    fn unknown_version(found: i64) -> StoreError {
        if found < Self::first_version() {
            StoreError::Unreleased { found }
        } else {
            StoreError::Newer { found, known: Self::known_version() }
        }
    }

    /// All in one transaction, on a connection of its own: sqlx's migrator names its statements, and a name may stay nowhere.
    async fn bring_up_to_date(&self) -> Result<()> {
        let mut connection = PgConnection::connect_with(&self.sessions.pool().connect_options()).await?;
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql("SELECT pg_advisory_xact_lock(hashtext('uptime.migrate'))")
            .execute(&mut *transaction)
            .await?;
        let risen = async {
            MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
            sqlx::raw_sql(FUNCTIONS).execute(&mut *transaction).await?;
            Ok(())
        };
        risen.await.map_err(|error| match error {
            MigrateError::VersionMissing(found) => Self::unknown_version(found),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
                if code(&error) == INSUFFICIENT_PRIVILEGE =>
            {
                StoreError::MayNotMigrate(error.to_string())
            }
            MigrateError::Execute(error) => error.into(),
            other => StoreError::Migration(other.to_string()),
        })?;
        sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *transaction).await?;
        transaction.commit().await?;
        connection.close().await?;
        Ok(())
    }
}

/// Being the only one of a kind. Ends with the transaction that holds it.
#[derive(Debug)]
pub struct ExclusiveLock {
    _transaction: Session,
}

/// Something that a worker may want to look at now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// Jobs of this queue were committed.
    Jobs(String),
    /// An operator wants something of this queue's workers.
    Control(String),
    /// The connection was lost and made again: anything may have happened meanwhile.
    Anything,
}

/// A stream of hints that something was committed.
#[derive(Debug)]
pub struct Wakeups {
    listener: PgListener,
    /// Changes when sessions as old as this one are of no more use.
    spoiled: watch::Receiver<Option<Instant>>,
}

impl Wakeups {
    /// The next hint. Behind a cut network nothing ever comes, and no error: after a silence the server is asked.
    pub async fn next(&mut self) -> Result<Wakeup> {
        let heard = loop {
            tokio::select! {
                heard = self.listener.try_recv() => break heard?,
                Ok(()) = self.spoiled.changed() => {
                    return Err(StoreError::Unreachable("the server of this session takes no writes".into()));
                }
                () = tokio::time::sleep(SILENCE) => {}
            }
            let asked = sqlx::query("SELECT 1").execute(&mut self.listener);
            let answered = tokio::time::timeout(GOODBYE_MAX, asked).await;
            answered.map_err(|_| StoreError::Unreachable("the listener has no answer".into()))??;
        };
        Ok(match heard {
            Some(heard) if heard.channel() == CONTROL => Wakeup::Control(heard.payload().to_owned()),
            Some(heard) => Wakeup::Jobs(heard.payload().to_owned()),
            None => Wakeup::Anything,
        })
    }
}
