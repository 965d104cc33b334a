//! Sessions: how a statement reaches the server, directly or through a pooler in transaction mode.
//!
//! Such a pooler gives each transaction whatever server connection is free. What outlives a transaction there (a prepared
//! statement's name, a lock, a setting) belongs to somebody else a moment later: a named statement could even run somebody
//! else's SQL. So behind a pooler every statement runs in a transaction and without a name. Nobody else in this crate has to
//! know: [`Sessions`] and [`Session`] are used as sqlx's pool and transaction are.
//!
//! Each error passes here, and what it says of the sessions is taken to heart: after a failover, or a change of the schema, the
//! pool's old sessions are closed in place of living for as long as their server lets them.

use crate::Result;
use crate::hosts::Hosts;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use sqlx::error::BoxDynError;
use sqlx::postgres::{
    PgArguments, PgListener, PgPool, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{Describe, Either, Execute, Executor, Postgres, SqlStr, Transaction};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};

/// A worker that stands still in the middle of a transaction holds its jobs' rows, and everybody passes them over: so its
/// transactions end before its leases do. Both in one message.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// How long to wait for a connection of the pool: a server that went away is noticed so soon.
const ACQUIRE_MAX: Duration = Duration::from_secs(3);

/// A pool of sessions. As an executor it runs one statement, and has committed it when it answers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    pool: PgPool,
    /// Whether a pooler stands between.
    pooled: bool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    hosts: Hosts,
    /// Sessions that began before this are closed: their server takes no writes any more, or their statements are of another
    /// schema.
    spoiled: watch::Sender<Option<Instant>>,
    /// The server was lost: of several hosts another one may take writes by now.
    is_lost: AtomicBool,
    searching: Mutex<()>,
}

#[derive(Debug)]
pub(crate) struct Session {
    transaction: Transaction<'static, Postgres>,
    pooled: bool,
    shared: Arc<Shared>,
}

/// A statement that bears a name unless a pooler stands between: then it is parsed anew each time, and gone with its
/// transaction.
struct Statement<Q> {
    query: Q,
    pooled: bool,
}

type Step = Either<PgQueryResult, PgRow>;

impl Sessions {
    /// A pool of at most so many connections. The first one says at once why there is none; the pool would try again until its
    /// deadline ends.
    pub async fn open(url: &str, connections: u32) -> Result<Self> {
        let hosts: Hosts = url.parse()?;
        let endpoint = hosts.find().await?;
        let shared = Arc::new(Shared {
            hosts,
            spoiled: watch::Sender::new(None),
            is_lost: AtomicBool::new(false),
            searching: Mutex::new(()),
        });
        let of_pool = Arc::clone(&shared);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_MAX)
            .before_acquire(move |_, session| {
                let spoiled_for = of_pool.spoiled.borrow().map(|at| at.elapsed());
                Box::pin(async move { Ok(spoiled_for.is_none_or(|since| session.age < since)) })
            })
            .connect_lazy_with(endpoint.options);
        Ok(Self { pool, pooled: endpoint.pooled, shared })
    }

    pub fn are_pooled(&self) -> bool {
        self.pooled
    }

    /// sqlx's own pool, for what is neither a statement nor a transaction.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Changes when the sessions of before are of no more use.
    pub fn spoiled(&self) -> watch::Receiver<Option<Instant>> {
        self.shared.spoiled.subscribe()
    }

    pub async fn begin(&self) -> Result<Session, sqlx::Error> {
        self.find_primary().await?;
        let transaction = self.noted(self.pool.begin_with(BEGIN).await)?;
        Ok(Session { transaction, pooled: self.pooled, shared: Arc::clone(&self.shared) })
    }

    pub async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        self.find_primary().await?;
        PgListener::connect_with(&self.pool).await
    }

    /// `result`, with what its error says of the sessions taken to heart.
    pub fn noted<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        result.inspect_err(move |error| self.shared.note(error))
    }

    /// Of several hosts, leads the pool to the one that takes writes, when the last one was lost.
    async fn find_primary(&self) -> Result<(), sqlx::Error> {
        let Shared { hosts, spoiled, is_lost, searching } = &*self.shared;
        if !hosts.are_several() || !is_lost.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one_at_a_time = searching.lock().await;
        if is_lost.load(Ordering::Acquire) {
            let found = hosts.find().await;
            let endpoint = found.map_err(|error| sqlx::Error::Io(io::Error::other(error.to_string())))?;
            self.pool.set_connect_options(endpoint.options);
            spoiled.send_replace(Some(Instant::now()));
            is_lost.store(false, Ordering::Release);
        }
        Ok(())
    }
}

impl Shared {
    fn note(&self, error: &sqlx::Error) {
        if crate::error::spoils_sessions(error) {
            self.spoiled.send_replace(Some(Instant::now()));
            self.is_lost.store(true, Ordering::Release);
        } else if crate::error::is_lost(error) {
            self.is_lost.store(true, Ordering::Release);
        }
    }
}

impl Session {
    pub async fn commit(self) -> Result<()> {
        let shared = self.shared;
        Ok(self.transaction.commit().await.inspect_err(|error| shared.note(error))?)
    }

    /// Commits; of a dry run, takes everything back.
    pub async fn end(self, dry_run: bool) -> Result<()> {
        if dry_run { Ok(self.transaction.rollback().await?) } else { self.commit().await }
    }
}

impl<'q, Q: Execute<'q, Postgres>> Execute<'q, Postgres> for Statement<Q> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        !self.pooled && self.query.persistent()
    }
}

impl<'s> Executor<'s> for &'s Sessions {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            self.find_primary().await?;
            if !self.pooled {
                return Ok(self.pool.fetch_many(query));
            }
            let mut transaction = self.pool.begin_with(BEGIN).await?;
            let query = Statement { query, pooled: true };
            let steps: Vec<Step> = (&mut *transaction).fetch_many(query).try_collect().await?;
            transaction.commit().await?;
            Ok::<_, sqlx::Error>(stream::iter(steps.into_iter().map(Ok)).boxed())
        };
        stream::once(all).try_flatten().inspect_err(move |error| self.shared.note(error)).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move {
            self.find_primary().await?;
            if !self.pooled {
                return self.pool.fetch_optional(query).await;
            }
            let mut transaction = self.pool.begin_with(BEGIN).await?;
            let row = (&mut *transaction).fetch_optional(Statement { query, pooled: true }).await?;
            transaction.commit().await?;
            Ok(row)
        }
        .inspect_err(move |error| self.shared.note(error))
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        's: 'e,
    {
        self.pool.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        's: 'e,
    {
        self.pool.describe(sql)
    }
}

impl<'s> Executor<'s> for &'s mut Session {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let Session { transaction, pooled, shared } = self;
        let steps = transaction.fetch_many(Statement { query, pooled: *pooled });
        steps.inspect_err(move |error| shared.note(error)).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let Session { transaction, pooled, shared } = self;
        let row = transaction.fetch_optional(Statement { query, pooled: *pooled });
        row.inspect_err(move |error| shared.note(error)).boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        's: 'e,
    {
        self.transaction.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        's: 'e,
    {
        self.transaction.describe(sql)
    }
}
