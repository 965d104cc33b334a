//! What keeps dead rows in the table `jobs`. Each claim walks the index entries of rows that vacuum can't remove yet, so an old
//! snapshot slows the queues down although nothing is wrong with them.

use crate::row::{Field, rows};
use crate::{Result, Store};
use sqlx::postgres::PgRow;
use std::time::Duration;

/// Dead rows of `jobs`, and who keeps the longest from removing such rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRows {
    /// How many there are, as PostgreSQL estimates.
    pub rows: i64,
    /// The oldest snapshot, if anybody has one.
    pub oldest: Option<OldestSnapshot>,
}

rows! {
    /// A snapshot that rows are kept for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OldestSnapshot {
        pub holder: Holder = "kind",
        /// How old its transaction is, where PostgreSQL knows that.
        pub age: Option<Duration> = "age_s",
        /// How many transactions began after it.
        pub behind: i32,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Session {
        pid: i32,
        /// What the client calls itself.
        application: String,
        /// `active`, `idle in transaction`, …
        state: String,
    },
    /// A transaction that was prepared and neither committed nor rolled back.
    Prepared { gid: String },
    Slot {
        name: String,
        /// Whether somebody reads from it.
        active: bool,
    },
}

impl Store {
    /// Dead rows of `jobs` and the oldest snapshot. Of other roles' sessions only what this role may see.
    pub async fn dead_rows(&self) -> Result<DeadRows> {
        let rows: Option<i64> =
            sqlx::query_scalar("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'jobs'::regclass")
                .fetch_optional(&self.sessions)
                .await?;
        let oldest = sqlx::query_as(include_str!("../../queries/oldest_snapshot.sql"));
        let oldest = oldest.fetch_optional(&self.sessions).await?;
        Ok(DeadRows { rows: rows.unwrap_or_default(), oldest })
    }
}

impl Field for Holder {
    fn read(row: &PgRow, column: &str) -> sqlx::Result<Self> {
        let text = |column| Ok::<_, sqlx::Error>(Option::read(row, column)?.unwrap_or_default());
        let (name, state): (String, String) = (text("name")?, text("state")?);
        Ok(match String::read(row, column)?.as_str() {
            "prepared" => Self::Prepared { gid: name },
            "slot" => Self::Slot { name, active: state == "active" },
            _ => Self::Session { pid: Field::read(row, "pid")?, application: name, state },
        })
    }
}
