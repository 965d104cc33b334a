//! Why the database could not do what was asked. The only place that looks into sqlx's errors.

use thiserror::Error;
use uptime_core::ErrorClass;

/// What went wrong with the database.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL can't be read.
    #[error("the database's URL can't be read: {0}")]
    Url(String),
    /// It answered, and will not have us: a user, a password, a database's name, TLS.
    #[error("the database will not have us: {0}")]
    Denied(String),
    /// No connection, or it broke.
    #[error("the database can't be reached: {0}")]
    Unreachable(String),
    /// Its schema was made by a newer `uptime`.
    #[error("the database has the schema version {found}, and this `uptime` knows versions up to {known}")]
    Newer {
        /// The newest version in the database.
        found: i64,
        /// The newest version in this binary.
        known: i64,
    },
    /// It holds nothing of `uptime`.
    #[error("the database has no tables of `uptime`")]
    NoSchema,
    /// Its schema was made by an older `uptime`, and this caller changes nothing.
    #[error("the database has the schema version {found}, and this `uptime` needs version {known}")]
    Outdated {
        /// The newest version in the database.
        found: i64,
        /// The newest version in this binary.
        known: i64,
    },
    /// Its schema is not there or too old, and this role may not change that.
    #[error("the database's schema is not up to date, and this role may not change it: {0}")]
    MayNotMigrate(String),
    /// Its schema is not what this binary once made.
    #[error("the database's schema can't be brought up to date: {0}")]
    Migration(String),
    /// The server said no to a statement that should have worked.
    #[error("the database refused a statement: {0}")]
    Refused(#[source] sqlx::Error),
    /// A row holds what this program never wrote.
    #[error("`{column}` of {row} can't be read: {reason}")]
    Row {
        /// The column.
        column: &'static str,
        /// The row, as a person would name it.
        row: String,
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    /// What may be done about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable(_) => ErrorClass::Transient,
            Self::Url(_)
            | Self::Denied(_)
            | Self::Newer { .. }
            | Self::NoSchema
            | Self::Outdated { .. }
            | Self::MayNotMigrate(_)
            | Self::Migration(_) => ErrorClass::Config,
            Self::Refused(error) if is_retryable(error) => ErrorClass::Transient,
            Self::Refused(_) | Self::Row { .. } => ErrorClass::Bug,
        }
    }

    /// Whether it is about the values that were to be written or read, so that others may fare better: a value that its
    /// column can't hold (22), that breaks a rule (23), that is too large (54), or that can't be decoded.
    pub fn is_about_values(&self) -> bool {
        match self {
            Self::Refused(error) => ["22", "23", "54"].iter().any(|class| code(error).starts_with(class)),
            Self::Row { .. } => true,
            _ => false,
        }
    }

    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Url(_) => "write it as `postgres://user@host:5432/name`",
            Self::Denied(_) => {
                "look at user, password and name in `DATABASE_URL`; `psql \"$DATABASE_URL\"` tells more"
            }
            Self::Unreachable(_) => "is the server running? `psql \"$DATABASE_URL\"` tells more",
            Self::NoSchema | Self::Outdated { .. } => "run `uptime db migrate`",
            Self::MayNotMigrate(_) => {
                "run `uptime db migrate` with `DATABASE_URL` set to the role that owns the database"
            }
            Self::Newer { .. } => "install the `uptime` that made it, or a newer one",
            Self::Migration(_) => {
                "restore the database from before the change, or point `DATABASE_URL` to an empty one"
            }
            Self::Refused(_) | Self::Row { .. } => {
                "this is a bug in `uptime`: please report it with this message"
            }
        }
    }
}

pub(crate) fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.unwrap_or_default().into_owned()
}

/// What goes away by itself, or by somebody's looking after the server: deadlocks and serialization failures (40), no
/// resources (53: disk, memory, connections), somebody's intervention (57: shutdown, a statement's time), the system's
/// trouble (58), a lock that was not to be had (55P03), a server that may only be read after a failover (25006), and a row
/// that went away under a reference (23503), which the next look takes into account.
fn is_retryable(error: &sqlx::Error) -> bool {
    let code = code(error);
    ["40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code.as_str(), "55P03" | "25006" | "23503")
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
            sqlx::Error::Tls(error) => Self::Denied(format!("no TLS: {error}")),
            sqlx::Error::Io(error) => Self::Unreachable(error.to_string()),
            sqlx::Error::PoolTimedOut => Self::Unreachable("no connection to be had".into()),
            sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unreachable(error.to_string())
            }
            sqlx::Error::Database(ref database) => {
                let code = database.code();
                let code = code.as_deref().unwrap_or_default();
                // 28 and 3D are "not with that role", "not that database"; class 08 is the connection's; 25P03 and 25P04
                // ended one that stood still in the middle of a transaction; 57P is the server
                // going down or coming up.
                if ["28", "3D"].iter().any(|class| code.starts_with(class)) {
                    Self::Denied(database.message().to_owned())
                } else if ["08", "25P", "57P"].iter().any(|class| code.starts_with(class)) {
                    Self::Unreachable(database.message().to_owned())
                } else {
                    Self::Refused(error)
                }
            }
            other => Self::Refused(other),
        }
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
