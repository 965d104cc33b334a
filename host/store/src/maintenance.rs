//! Maintenance windows: kept as the file or a person says them, read as a whole.
//!
//! There are few of them and their times are the program's to read (zones, clock changes), so nothing is asked of a
//! single one here. A window that can't be read, such as one of a zone that this machine does not have, holds nothing
//! back: it is logged and left out, so that nobody's checks wait for it.

use crate::applied::{Applied, AppliedChange, ChangeKind, Source, moved};
use crate::row::{Field, bind, named, rows, to_json};
use crate::session::Session;
use crate::{Result, Store};
use serde_json::Value;
use sqlx::postgres::PgRow;
use std::collections::HashMap;
use tracing::warn;
use uptime_core::changes::changes;
use uptime_core::maintenance::Maintenance;

rows! {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MaintenanceRow {
        pub name: String,
        pub window: Maintenance = "spec",
        /// Either `file` or `command-line`.
        pub source: String,
    }
}

impl Store {
    /// Every window that can be read, by name.
    pub async fn maintenance_windows(&self) -> Result<Vec<MaintenanceRow>> {
        read(sqlx::query(ALL).fetch_all(&self.sessions).await?.as_slice())
    }
}

/// What came of saying something about a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Done,
    /// It is so now, in the place of another.
    Replaced,
    /// The window is the file's, and stays.
    OfTheFile,
    NotThere,
}

impl Store {
    /// Makes a window of the command line, or replaces one.
    pub async fn add_maintenance(&self, name: &str, window: &Maintenance) -> Result<Said> {
        let query = sqlx::query_scalar(
            "INSERT INTO maintenance_windows AS w (name, spec, source) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET spec = EXCLUDED.spec, updated_at = now() WHERE w.source = EXCLUDED.source
             RETURNING xmax = 0",
        );
        let spec = to_json("spec", || format!("`{name}`"), window)?;
        let added = bind!(query, name, spec, Source::CommandLine.as_str());
        Ok(match added.fetch_optional(&self.sessions).await? {
            Some(true) => Said::Done,
            Some(false) => Said::Replaced,
            None => Said::OfTheFile,
        })
    }

    /// Takes a window of the command line away.
    pub async fn remove_maintenance(&self, name: &str) -> Result<Said> {
        let query = sqlx::query_scalar(
            "WITH gone AS (DELETE FROM maintenance_windows WHERE name = $1 AND source = $2)
             SELECT source FROM maintenance_windows WHERE name = $1",
        );
        let removed = bind!(query, name, Source::CommandLine.as_str());
        let of: Option<String> = removed.fetch_optional(&self.sessions).await?;
        Ok(match of {
            None => Said::NotThere,
            Some(of) if of == Source::CommandLine.as_str() => Said::Done,
            Some(_) => Said::OfTheFile,
        })
    }
}

/// Every window that can be read, within a transaction.
pub(crate) async fn maintenance(connection: &mut Session) -> Result<Vec<(String, Maintenance)>> {
    let rows = read(sqlx::query(ALL).fetch_all(connection).await?.as_slice())?;
    Ok(rows.into_iter().map(|row| (row.name, row.window)).collect())
}

const ALL: &str = "SELECT name, spec, source FROM maintenance_windows ORDER BY name";

fn read(rows: &[PgRow]) -> Result<Vec<MaintenanceRow>> {
    let mut windows = Vec::with_capacity(rows.len());
    for row in rows {
        let name = String::read(row, "name")?;
        match named(row, || format!("maintenance `{name}`")) {
            Ok(window) => windows.push(window),
            Err(error) => {
                warn!(maintenance = name, %error, "a maintenance window can't be read and holds nothing back");
            }
        }
    }
    Ok(windows)
}

/// Makes the windows of a source what is wanted: those that it no longer names go, whatever becomes of monitors.
pub(crate) async fn apply(
    connection: &mut Session,
    wanted: &[(String, Maintenance)],
    source: Source,
    applied: &mut Applied,
) -> Result<()> {
    let all: Vec<(String, Value, String)> = sqlx::query_as(ALL).fetch_all(&mut *connection).await?;
    let mut existing: HashMap<String, (Value, String)> =
        all.into_iter().map(|(name, spec, of)| (name, (spec, of))).collect();
    for (name, window) in wanted {
        let spec = to_json("spec", || format!("`{name}`"), window)?;
        let (kind, keys) = match existing.remove(name) {
            None => (ChangeKind::Add, Vec::new()),
            Some((before, of)) if before == spec && of == source.as_str() => continue,
            Some((before, of)) => {
                (ChangeKind::Alter, [changes("maintenance", &before, &spec), moved(&of, source)].concat())
            }
        };
        let query = sqlx::query(
            "INSERT INTO maintenance_windows (name, spec, source) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET spec = EXCLUDED.spec, source = EXCLUDED.source, updated_at = now()",
        );
        bind!(query, name, spec, source.as_str()).execute(&mut *connection).await?;
        applied.changes.push(AppliedChange { kind, table: "maintenance", name: name.clone(), keys });
    }
    let mut gone: Vec<String> =
        existing.into_iter().filter(|(_, (_, of))| of == source.as_str()).map(|(name, _)| name).collect();
    gone.sort_unstable();
    // It has no history to keep, and one that nobody sees in the file any more would go on silencing people.
    let query = sqlx::query("DELETE FROM maintenance_windows WHERE name = ANY ($1)");
    query.bind(&gone).execute(connection).await?;
    let removed =
        |name| AppliedChange { kind: ChangeKind::Remove, table: "maintenance", name, keys: Vec::new() };
    applied.changes.extend(gone.into_iter().map(removed));
    Ok(())
}
