//! Between rows and the domain's types.
//!
//! A type says once which column keeps it ([`ColumnValue`], [`Param`]). [`rows!`] declares a struct that is read from the
//! columns with its fields' names, [`columns!`] reads one of the domain's in the same way, and [`bind!`] gives a
//! statement its parameters. sqlx's derive would need an attribute at each optional id, instant and word of
//! `uptime-core`, which does not know sqlx.

use crate::Result;
use crate::error::{StoreError, UnknownWord, unreadable};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;
use tracing::warn;
use uptime_core::channel::{ChannelFilter, Settings};
use uptime_core::check::Outcome;
use uptime_core::decision::Watched;
use uptime_core::dependency::Ancestor;
use uptime_core::event::{Event, EventMonitor, EventOutcome, EventType, Severity};
use uptime_core::grant::HostGrant;
use uptime_core::id::{ChannelId, DeliveryId, IncidentId, JobId, MonitorId, NotificationId};
use uptime_core::incident::{Incident, Mark};
use uptime_core::judgement::locations::LocalState;
use uptime_core::judgement::{Recent, State, Status};
use uptime_core::maintenance::Maintenance;
use uptime_core::monitor::{CheckSpec, Location, Policy};
use uptime_core::notification::NotificationState;
use uptime_core::notifier::LimitChanges;
use uptime_core::queue::Claim;
use uptime_core::route::DigestPolicy;
use uptime_core::secret::SecretRef;
use uuid::Uuid;

/// A type that one column keeps.
pub(crate) trait ColumnValue: Sized {
    /// The column's type, for sqlx.
    type Sql: for<'r> Decode<'r, Postgres> + Type<Postgres>;

    fn kept(sql: Self::Sql) -> Result<Self, BoxDynError>;
}

/// What a statement takes as a parameter.
pub(crate) trait Param {
    type Sql;

    fn sql(self) -> Self::Sql;
}

/// What is read from the column of a name, or from several that begin with it.
pub(crate) trait Field: Sized {
    fn read(row: &PgRow, column: &str) -> sqlx::Result<Self>;
}

impl<T: ColumnValue> Field for T {
    fn read(row: &PgRow, column: &str) -> sqlx::Result<Self> {
        let read = T::kept(row.try_get(column)?);
        read.map_err(|source| sqlx::Error::ColumnDecode { index: column.to_owned(), source })
    }
}

/// `bind!(QUERY, a, b)` is `QUERY.bind(a).bind(b)` for the domain's types.
macro_rules! bind {
    ($query:expr, $($value:expr),+ $(,)?) => { $query$(.bind($crate::row::Param::sql($value)))+ };
}

/// Reads a type from the columns with its fields' names, or with the names that are given. What stands behind `;` is made of
/// the whole row, or left empty.
macro_rules! columns {
    ($name:ty { $($field:ident $(= $column:literal)?),+ $(; $($later:ident $(= $made:expr)?),+)? }) => {
        impl $crate::row::Field for $name {
            fn read(row: &::sqlx::postgres::PgRow, _: &str) -> ::sqlx::Result<Self> {
                Ok(Self {
                    $($field: $crate::row::Field::read(row, $crate::row::columns!(@ $field $($column)?))?,)+
                    $($($later: $crate::row::columns!(@@ row $($made)?),)+)?
                })
            }
        }
    };
    (@ $field:ident) => { stringify!($field) };
    (@ $field:ident $column:literal) => { $column };
    (@@ $row:ident) => { Default::default() };
    (@@ $row:ident $made:expr) => {{
        let made: fn(&::sqlx::postgres::PgRow) -> ::sqlx::Result<_> = $made;
        made($row)?
    }};
}

/// Reads a type that is there where a column is not NULL.
macro_rules! optional {
    ($name:ty, $column:literal) => {
        impl $crate::row::Field for Option<$name> {
            fn read(row: &::sqlx::postgres::PgRow, _: &str) -> ::sqlx::Result<Self> {
                let is_there = !::sqlx::ValueRef::is_null(&::sqlx::Row::try_get_raw(row, $column)?);
                is_there.then(|| $crate::row::Field::read(row, "")).transpose()
            }
        }
    };
}

/// Declares structs that are rows.
macro_rules! rows {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$attr:meta])* $of:vis $field:ident: $type:ty $(= $column:literal)?),+
        $(; $($(#[$late:meta])* $by:vis $later:ident: $kind:ty $(= $made:expr)?),+)? $(,)?
    })+) => {$(
        $(#[$meta])*
        $vis struct $name { $($(#[$attr])* $of $field: $type,)+ $($($(#[$late])* $by $later: $kind,)+)? }
        $crate::row::columns!($name { $($field $(= $column)?),+ $(; $($later $(= $made)?),+)? });

        impl ::sqlx::FromRow<'_, ::sqlx::postgres::PgRow> for $name {
            fn from_row(row: &::sqlx::postgres::PgRow) -> ::sqlx::Result<Self> {
                $crate::row::Field::read(row, "")
            }
        }
    )+};
}

/// Runs a statement over rows, of which it takes columns as arrays; not over none.
macro_rules! write_rows {
    ($connection:expr, $statement:expr, $rows:expr, $($column:expr),+ $(,)?) => {
        if !$rows.is_empty() {
            let query = $crate::row::bind!(sqlx::query($statement), $($crate::row::column($rows, $column)),+);
            query.execute(&mut *$connection).await?;
        }
    };
}

pub(crate) use {bind, columns, optional, rows, write_rows};

macro_rules! as_they_are {
    ($($type:ty),+) => {$(
        impl ColumnValue for $type {
            type Sql = Self;

            fn kept(sql: Self) -> Result<Self, BoxDynError> {
                Ok(sql)
            }
        }

        impl Param for $type {
            type Sql = Self;

            fn sql(self) -> Self {
                self
            }
        }
    )+};
}

as_they_are!(bool, i16, i32, i64, f64, String, Uuid, Value, Vec<u8>, jiff_sqlx::Timestamp);

/// Newtypes, and others that convert from and to what sqlx knows.
macro_rules! kept_as {
    ($($type:ty: $sql:ty, $kept:expr, $param:expr;)+) => {$(
        impl ColumnValue for $type {
            type Sql = $sql;

            fn kept(sql: $sql) -> Result<Self, BoxDynError> {
                Ok(($kept)(sql))
            }
        }

        impl Param for $type {
            type Sql = $sql;

            fn sql(self) -> $sql {
                ($param)(self)
            }
        }
    )+};
}

kept_as! {
    MonitorId: i64, MonitorId, |id: Self| id.0;
    ChannelId: i64, ChannelId, |id: Self| id.0;
    IncidentId: i64, IncidentId, |id: Self| id.0;
    NotificationId: i64, NotificationId, |id: Self| id.0;
    JobId: i64, JobId, |id: Self| id.0;
    DeliveryId: Uuid, DeliveryId, |id: Self| id.0;
    Timestamp: jiff_sqlx::Timestamp, jiff_sqlx::Timestamp::to_jiff, Into::into;
    Recent: i64, |bits| Recent::from_bits(u32::try_from(bits).unwrap_or_default()),
        |recent: Self| i64::from(recent.bits());
    u16: i16, |number: i16| number.unsigned_abs(), |number: Self| i16::try_from(number).unwrap_or(i16::MAX);
    u32: i32, |count| u32::try_from(count).unwrap_or(0), |count: Self| i32::try_from(count).unwrap_or(i32::MAX);
    u64: i64, i64::unsigned_abs, |count: Self| i64::try_from(count).unwrap_or(i64::MAX);
    usize: i64, |count| usize::try_from(count).unwrap_or(0), |count: Self| i64::try_from(count).unwrap_or(i64::MAX);
    Duration: f64, |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default(),
        |took: Self| took.as_secs_f64();
}

macro_rules! kept_as_words {
    ($($type:ty),+ $(,)?) => {$(
        impl ColumnValue for $type {
            type Sql = String;

            fn kept(sql: String) -> Result<Self, BoxDynError> {
                sql.parse().map_err(|_| UnknownWord(sql).into())
            }
        }

        impl Param for $type {
            type Sql = &'static str;

            fn sql(self) -> &'static str {
                self.as_str()
            }
        }
    )+};
}

kept_as_words!(EventType, NotificationState, Severity, Status, Outcome);

macro_rules! kept_as_text {
    ($($type:ty),+) => {$(
        impl ColumnValue for $type {
            type Sql = String;

            fn kept(sql: String) -> Result<Self, BoxDynError> {
                Ok(sql.parse::<Self>()?)
            }
        }
    )+};
}

kept_as_text!(Location, HostGrant);

macro_rules! kept_as_json {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::row::ColumnValue for $type {
            type Sql = ::serde_json::Value;

            fn kept(sql: ::serde_json::Value) -> Result<Self, ::sqlx::error::BoxDynError> {
                Ok(::serde_json::from_value(sql)?)
            }
        }
    )+};
}

pub(crate) use kept_as_json;

// A channel's proxy is never NULL.
kept_as_json!(
    CheckSpec,
    Policy,
    State,
    Event,
    Maintenance,
    DigestPolicy,
    Settings,
    LimitChanges,
    Option<SecretRef>
);
kept_as_json!(BTreeMap<String, String>);

impl<T: ColumnValue> ColumnValue for Option<T> {
    type Sql = Option<T::Sql>;

    fn kept(sql: Self::Sql) -> Result<Self, BoxDynError> {
        sql.map(T::kept).transpose()
    }
}

impl<T: ColumnValue> ColumnValue for Vec<T>
where
    Vec<T::Sql>: for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    type Sql = Vec<T::Sql>;

    fn kept(sql: Self::Sql) -> Result<Self, BoxDynError> {
        sql.into_iter().map(T::kept).collect()
    }
}

impl<T: Param> Param for Option<T> {
    type Sql = Option<T::Sql>;

    fn sql(self) -> Self::Sql {
        self.map(T::sql)
    }
}

impl<T: Param> Param for Vec<T> {
    type Sql = Vec<T::Sql>;

    fn sql(self) -> Self::Sql {
        self.into_iter().map(T::sql).collect()
    }
}

impl<T: Param + Copy> Param for &[T] {
    type Sql = Vec<T::Sql>;

    fn sql(self) -> Self::Sql {
        self.iter().map(|each| each.sql()).collect()
    }
}

impl<T: Param + Copy> Param for &Vec<T> {
    type Sql = Vec<T::Sql>;

    fn sql(self) -> Self::Sql {
        self.as_slice().sql()
    }
}

macro_rules! borrowed {
    ($($type:ty),+) => {$(
        impl<'p> Param for &'p $type {
            type Sql = Self;

            fn sql(self) -> Self {
                self
            }
        }
    )+};
}

borrowed!(str, String, Value, [u8]);

columns!(EventMonitor { name, kind, target, group = "group_name", tags });
columns!(EventOutcome { class, expected, got, message = "cause" });
columns!(Incident {
    id,
    severity,
    monitor,
    cause,
    started_at,
    ended_at,
    resolved_by,
    failures,
    acknowledged,
    muted
});
columns!(Ancestor { status, downs, downs_since, looked_at = "last_slot_at", policy });
columns!(Claim { id, number = "claims", attempts });
columns!(Watched { id, about, check = "check_spec", policy, parent = "parent_id", is_parent });
columns!(LocalState { location, state = "memory", awaited_since });

/// Who said so and when: `acknowledged` is read from `acknowledged_by`, `acknowledged_at` and `acknowledged_until`.
impl Field for Option<Mark> {
    fn read(row: &PgRow, column: &str) -> sqlx::Result<Self> {
        let read = |suffix| Option::<Timestamp>::read(row, &format!("{column}{suffix}"));
        let by = Option::<String>::read(row, &format!("{column}_by"))?;
        let Some((by, at)) = by.zip(read("_at")?) else { return Ok(None) };
        let until = if column == "muted" { None } else { read("_until")? };
        Ok(Some(Mark { by, at, until }))
    }
}

impl Field for ChannelFilter {
    fn read(row: &PgRow, column: &str) -> sqlx::Result<Self> {
        // It hears all then, and its own deliveries say what is wrong: nobody else's notices and no result wait for it.
        json(row, column).or_else(|error| {
            let channel = String::read(row, "name")?;
            warn!(channel, %error, "a channel's filter can't be read");
            Ok(Self::default())
        })
    }
}

/// One column of many rows, as an array to be bound.
pub(crate) fn column<'r, R, T>(rows: &'r [R], of: impl FnMut(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// Reads a row that has a name for people.
pub(crate) fn named<T: Field>(row: &PgRow, name: impl FnOnce() -> String) -> Result<T> {
    named_by_column(row, |_| name())
}

/// Reads a row of several things, whose columns say which of them can't be read.
pub(crate) fn named_by_column<T: Field>(row: &PgRow, name: impl FnOnce(&str) -> String) -> Result<T> {
    T::read(row, "").map_err(|error| match error {
        sqlx::Error::ColumnDecode { index, source } => unreadable(&index, name(&index), &*source),
        other => other.into(),
    })
}

/// Reads a word, or none where this program does not know it.
pub(crate) fn known<T: FromStr>(row: &PgRow, column: &str) -> sqlx::Result<Option<T>> {
    Ok(row.try_get::<Option<&str>, _>(column)?.and_then(|word| word.parse().ok()))
}

/// Reads what a column keeps as JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &PgRow, column: &str) -> sqlx::Result<T> {
    serde_json::from_value(row.try_get(column)?)
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
}

/// A value as JSON, of the row that is to hold it.
pub(crate) fn to_json<T: serde::Serialize>(
    column: &str,
    row: impl FnOnce() -> String,
    value: &T,
) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| StoreError::Row {
        column: column.to_owned(),
        row: row(),
        reason: error.to_string(),
    })
}

/// In whole microseconds; saturates.
pub(crate) fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
