//! Between rows and the domain's types.

use crate::StoreError;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::time::Duration;
use tracing::warn;
use uptime_core::channel::ChannelFilter;
use uptime_core::event::Severity;

/// Reads columns that sqlx has no type for.
pub(crate) trait Columns {
    fn instant(&self, column: &'static str) -> Result<Timestamp, StoreError>;
    fn optional_instant(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError>;
    fn json<T: DeserializeOwned>(
        &self,
        column: &'static str,
        row: impl Fn() -> String,
    ) -> Result<T, StoreError>;
    fn count(&self, column: &'static str) -> Result<u32, StoreError>;
    fn filter(&self) -> Result<ChannelFilter, StoreError>;
    fn severity(&self) -> Result<Severity, StoreError>;
}

impl Columns for PgRow {
    fn instant(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        Ok(self.try_get::<jiff_sqlx::Timestamp, _>(column)?.to_jiff())
    }

    fn optional_instant(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.try_get::<Option<jiff_sqlx::Timestamp>, _>(column)?.map(jiff_sqlx::Timestamp::to_jiff))
    }

    fn json<T: DeserializeOwned>(
        &self,
        column: &'static str,
        row: impl Fn() -> String,
    ) -> Result<T, StoreError> {
        let value: serde_json::Value = self.try_get(column)?;
        serde_json::from_value(value).map_err(|error| unreadable(column, row(), &error))
    }

    fn count(&self, column: &'static str) -> Result<u32, StoreError> {
        Ok(u32::try_from(self.try_get::<i32, _>(column)?).unwrap_or(0))
    }

    fn filter(&self) -> Result<ChannelFilter, StoreError> {
        let name: String = self.try_get("name")?;
        // It hears all then, and its own deliveries say what is wrong: nobody else's notices and no result wait for it.
        Ok(self.json("filter", || format!("channel `{name}`")).unwrap_or_else(|error| {
            warn!(channel = name, %error, "a channel's filter can't be read");
            ChannelFilter::default()
        }))
    }

    fn severity(&self) -> Result<Severity, StoreError> {
        let word: &str = self.try_get("severity")?;
        word.parse().map_err(|_: String| unknown_word("severity", "an incident".into(), word))
    }
}

/// What can't be read because this program does not know a word in it (an event, a type of check, a form of a setting) was
/// written by a newer one, under which both may work for a while.
fn unreadable(column: &'static str, row: String, error: &serde_json::Error) -> StoreError {
    let reason = error.to_string();
    if ["unknown variant", "data did not match any variant"].iter().any(|begin| reason.starts_with(begin)) {
        StoreError::NewerRow { column, row, reason }
    } else {
        StoreError::Row { column, row, reason }
    }
}

/// A word that this program does not know.
pub(crate) fn unknown_word(column: &'static str, row: String, word: &str) -> StoreError {
    StoreError::NewerRow { column, row, reason: format!("`{word}` is unknown here") }
}

pub(crate) fn instant(at: Timestamp) -> jiff_sqlx::Timestamp {
    at.into()
}

pub(crate) fn optional_instant(at: Option<Timestamp>) -> Option<jiff_sqlx::Timestamp> {
    at.map(Into::into)
}

/// In whole microseconds; saturates.
pub(crate) fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A counter as PostgreSQL's `integer`, saturating.
pub(crate) fn int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
