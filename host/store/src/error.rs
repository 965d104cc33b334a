//! Why the database could not do what was asked. The only place that looks into sqlx's errors; what each of the server's
//! refusals means is in the table of [`refusal`](crate::refusal).

use crate::refusal::{Effect, ServerRefusal};
use sqlx::postgres::PgDatabaseError;
use thiserror::Error;
use uptime_core::ErrorClass;

#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL can't be read, or asks for what there is not.
    #[error("the database's URL can't be read: {0}")]
    Url(String),
    /// No connection, or it broke.
    #[error("the database can't be reached: {0}")]
    Unreachable(String),
    /// There is no encrypted connection, and one was asked for.
    #[error("the database's server offers no TLS that can be used: {0}")]
    Tls(String),
    /// Of several hosts none takes writes.
    #[error("no host of the database's URL takes writes: {0}")]
    NoPrimary(String),
    /// It can't hold every text.
    #[error("the database's encoding is {0}, which can't hold every text")]
    Encoding(String),
    /// Its schema was made by a newer `uptime`.
    #[error("the database has the schema version {found}, and this `uptime` knows versions up to {known}")]
    Newer { found: i64, known: i64 },
    /// Its schema was made before the first release.
    #[error("the database has the schema version {found}, from before the first release of `uptime`")]
    Unreleased { found: i64 },
    /// It holds nothing of `uptime`.
    #[error("the database has no tables of `uptime`")]
    NoSchema,
    /// Its schema was made by an older `uptime`, and this caller changes nothing.
    #[error("the database has the schema version {found}, and this `uptime` needs version {known}")]
    Outdated { found: i64, known: i64 },
    /// Its schema is not there or too old, and this role may not change that.
    #[error("the database's schema is not up to date, and this role may not change it: {0}")]
    MayNotMigrate(String),
    /// Its schema is not what this binary once made.
    #[error("the database's schema can't be brought up to date: {0}")]
    Migration(String),
    #[error("{}: {}", .refusal.words, said(.source))]
    Refused { refusal: &'static ServerRefusal, source: sqlx::Error },
    /// A row holds what this program never wrote.
    #[error("`{column}` of {row} can't be read: {reason}")]
    Row {
        column: String,
        /// The row, as a person would name it.
        row: String,
        reason: String,
    },
    /// A row has a word that a newer release has written.
    #[error("`{column}` of {row} was written by a newer `uptime`: {reason}")]
    NewerRow {
        column: String,
        /// The row, as a person would name it.
        row: String,
        reason: String,
    },
}

impl StoreError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable(_) | Self::NoPrimary(_) => ErrorClass::Transient,
            Self::Url(_)
            | Self::Tls(_)
            | Self::Encoding(_)
            | Self::Newer { .. }
            | Self::Unreleased { .. }
            | Self::NoSchema
            | Self::Outdated { .. }
            | Self::MayNotMigrate(_)
            | Self::Migration(_)
            | Self::NewerRow { .. } => ErrorClass::Config,
            Self::Refused { refusal, .. } => refusal.class,
            Self::Row { .. } => ErrorClass::Bug,
        }
    }

    /// Whether it is about the values that were to be written or read, so that others may fare better: a value that its
    /// column can't hold (22), that breaks a rule (23), that is too large (54), or that can't be decoded.
    pub fn is_about_values(&self) -> bool {
        match self {
            Self::Refused { source, .. } => {
                ["22", "23", "54"].iter().any(|class| code(source).starts_with(class))
            }
            Self::Row { .. } | Self::NewerRow { .. } => true,
            _ => false,
        }
    }

    /// Whether it is only that this program is older than who wrote the row: a newer one can do it.
    pub fn is_for_newer(&self) -> bool {
        matches!(self, Self::NewerRow { .. })
    }

    /// Whether it stays as it is until somebody mends the server: nobody is to wait for it in silence.
    pub fn needs_operator(&self) -> bool {
        self.class() == ErrorClass::Config
            || matches!(
                self,
                Self::Refused { refusal: ServerRefusal { effect: Effect::NeedsOperator, .. }, .. }
            )
    }

    /// Whether the schema was changed under a prepared statement: the next session prepares it anew.
    pub fn is_schema_change(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.is_schema_change())
    }

    pub fn hint(&self) -> &'static str {
        match self {
            Self::Url(_) => "write it as `postgres://user@host:5432/name`",
            Self::Unreachable(_) => "is the server running? `psql \"$DATABASE_URL\"` tells more",
            Self::Tls(_) => {
                "look at `sslmode` and `sslrootcert` in `DATABASE_URL`; `psql \"$DATABASE_URL\"` tells more"
            }
            Self::NoPrimary(_) => "promote one of them, or name the primary in `DATABASE_URL`",
            Self::Encoding(_) => {
                "make one that can, and name it in `DATABASE_URL`: `CREATE DATABASE uptime ENCODING 'UTF8' TEMPLATE template0`"
            }
            Self::NoSchema | Self::Outdated { .. } => "run `uptime db migrate`",
            Self::MayNotMigrate(_) => {
                "run `uptime db migrate` with `DATABASE_URL` set to the role that owns the database"
            }
            Self::Newer { .. } => "install the `uptime` that made it, or a newer one",
            Self::Unreleased { .. } => {
                "name an empty database in `DATABASE_URL`, or another `--data-dir`, and run `uptime apply`; this one stays as it is, \
                 for the `uptime` that made it"
            }
            Self::Migration(_) => {
                "restore the database from before the change, or point `DATABASE_URL` to an empty one"
            }
            Self::Refused { refusal, .. } => refusal.hint,
            Self::NewerRow { .. } => "install the `uptime` that wrote it, or a newer one",
            Self::Row { .. } => crate::refusal::BUG,
        }
    }
}

/// Whether another session would have fared better.
pub(crate) fn spoils_sessions(error: &sqlx::Error) -> bool {
    ServerRefusal::of(&code(error), routine(error)).effect == Effect::SpoilsSessions
}

/// Whether the way to the server broke, or the server is going down.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => ["08", "57P"].iter().any(|class| code(error).starts_with(class)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// The server's code, if it was the server that said no.
pub(crate) fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.unwrap_or_default().into_owned()
}

/// The function of the server that said no: it bears the same name in every language.
fn routine(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.routine()
}

fn said(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// What is wrong with the database's URL, without what it quotes: a part of a URL may be a password in the wrong place.
fn without_values(reason: &str) -> String {
    let is_quote = |c| matches!(c, '"' | '`' | '\'');
    match (reason.find(is_quote), reason.rfind(is_quote)) {
        _ if reason.contains("ssl_mode") => {
            "`sslmode` takes `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`".into()
        }
        (Some(first), Some(last)) => format!("{}…{}", &reason[..first], &reason[last + 1..]),
        _ => reason.to_owned(),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Configuration(error) => Self::Url(without_values(&error.to_string())),
            sqlx::Error::Tls(error) => Self::Tls(error.to_string()),
            sqlx::Error::Io(error) => Self::Unreachable(error.to_string()),
            sqlx::Error::PoolTimedOut => Self::Unreachable("there was no connection in time".into()),
            sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unreachable(error.to_string())
            }
            sqlx::Error::ColumnDecode { index, source } => unreadable(&index, "a row".into(), &*source),
            other => {
                Self::Refused { refusal: ServerRefusal::of(&code(&other), routine(&other)), source: other }
            }
        }
    }
}

/// A word that this program does not know.
#[derive(Debug, Error)]
#[error("`{0}` is unknown here")]
pub(crate) struct UnknownWord(pub String);

/// What can't be read because this program does not know a word in it (an event, a type of check, a form of a setting) was
/// written by a newer one, under which both may work for a while.
pub(crate) fn unreadable(column: &str, row: String, error: &(dyn std::error::Error + 'static)) -> StoreError {
    // sqlx quotes what it could not decode itself.
    let (column, reason) = (column.trim_matches('"').to_owned(), error.to_string());
    if error.is::<UnknownWord>()
        || ["unknown variant", "data did not match any variant"].iter().any(|begin| reason.starts_with(begin))
    {
        StoreError::NewerRow { column, row, reason }
    } else {
        StoreError::Row { column, row, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::postgres::PgConnectOptions;
    use std::str::FromStr as _;

    #[test]
    fn what_is_wrong_with_a_url_shows_none_of_its_values() {
        for url in [
            "postgres://u:p@h/d?sslmode=hunter2",
            "postgres://u:p@h/d?ssl-mode=hun\"ter2",
            "postgres://u:p@h:hunter2/d",
            "postgres://u:hunter2/@h/d",
            "postgres://u:p@h/d?port=hunter2",
            "postgres://u:p@h/d?statement-cache-capacity=hunter2",
        ] {
            let error = StoreError::from(PgConnectOptions::from_str(url).expect_err(url));
            let said = format!("{error} {}", error.hint());
            assert!(matches!(error, StoreError::Url(_)), "{said}");
            assert!(!said.contains("hun") && !said.contains("ter2"), "{said}");
        }
    }
}
