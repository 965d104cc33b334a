//! Sessions: how a statement reaches the server, directly or through a pooler in transaction mode.
//!
//! Such a pooler gives each transaction whatever server connection is free. What outlives a transaction there (a prepared
//! statement's name, a lock, a setting) belongs to somebody else a moment later: a named statement could even run somebody
//! else's SQL. So behind a pooler every statement runs in a transaction and without a name. Nobody else in this crate has to
//! know: [`Sessions`] and [`Session`] are used as sqlx's pool and transaction are.

use crate::StoreError;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Execute, Executor, Postgres, SqlStr, Transaction};

/// A worker that stands still in the middle of a transaction holds its jobs' rows, and everybody passes them over: so its
/// transactions end before its leases do. Both in one message.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// A pool of sessions. As an executor it runs one statement, and has committed it when it answers.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    pool: PgPool,
    /// Whether a pooler stands between.
    pooled: bool,
}

/// A transaction.
#[derive(Debug)]
pub(crate) struct Session {
    transaction: Transaction<'static, Postgres>,
    pooled: bool,
}

/// A statement without a name: parsed anew each time, gone with its transaction.
struct Unnamed<Q>(Q);

type Step = Either<PgQueryResult, PgRow>;

impl Sessions {
    pub fn new(pool: PgPool, pooled: bool) -> Self {
        Self { pool, pooled }
    }

    pub fn are_pooled(&self) -> bool {
        self.pooled
    }

    /// sqlx's own pool, for what is neither a statement nor a transaction.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub async fn begin(&self) -> Result<Session, sqlx::Error> {
        Ok(Session { transaction: self.pool.begin_with(BEGIN).await?, pooled: self.pooled })
    }
}

impl Session {
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }

    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.transaction.rollback().await?)
    }
}

impl<'q, Q: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<Q> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

impl<'s> Executor<'s> for &'s Sessions {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if !self.pooled {
            return self.pool.fetch_many(query);
        }
        let all = async move {
            let mut transaction = self.pool.begin_with(BEGIN).await?;
            let steps: Vec<Step> = (&mut *transaction).fetch_many(Unnamed(query)).try_collect().await?;
            transaction.commit().await?;
            Ok::<_, sqlx::Error>(stream::iter(steps.into_iter().map(Ok)))
        };
        stream::once(all).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if !self.pooled {
            return self.pool.fetch_optional(query);
        }
        async move {
            let mut transaction = self.pool.begin_with(BEGIN).await?;
            let row = (&mut *transaction).fetch_optional(Unnamed(query)).await?;
            transaction.commit().await?;
            Ok(row)
        }
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
        if self.pooled {
            self.transaction.fetch_many(Unnamed(query))
        } else {
            self.transaction.fetch_many(query)
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        's: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.pooled {
            self.transaction.fetch_optional(Unnamed(query))
        } else {
            self.transaction.fetch_optional(query)
        }
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
