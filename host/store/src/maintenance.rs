//! Maintenance windows: kept as the file or a person says them, read as a whole.
//!
//! There are few of them and their times are the program's to read (zones, clock changes), so nothing is asked of a
//! single one here. A window that can't be read, such as one of a zone that this machine does not have, holds nothing
//! back: it is logged and left out, so that nobody's checks wait for it.

use crate::catalogue::{Applied, Change, ChangeKind, Source, moved};
use crate::row::Columns;
use crate::session::Session;
use crate::{Store, StoreError};
use serde_json::Value;
use sqlx::Row;
use std::collections::HashMap;
use tracing::warn;
use uptime_core::changes::changes;
use uptime_core::maintenance::Maintenance;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceRow {
    pub name: String,
    pub window: Maintenance,
    /// Either `file` or `command-line`.
    pub source: String,
}

impl Store {
    /// Every window that can be read, by name.
    pub async fn maintenance_windows(&self) -> Result<Vec<MaintenanceRow>, StoreError> {
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
    pub async fn add_maintenance(&self, name: &str, window: &Maintenance) -> Result<Said, StoreError> {
        let is_new: Option<bool> = sqlx::query_scalar(
            "INSERT INTO maintenance_windows AS w (name, spec, source) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET spec = EXCLUDED.spec, updated_at = now() WHERE w.source = EXCLUDED.source
             RETURNING xmax = 0",
        )
        .bind(name)
        .bind(spec(name, window)?)
        .bind(Source::CommandLine.as_str())
        .fetch_optional(&self.sessions)
        .await?;
        Ok(match is_new {
            Some(true) => Said::Done,
            Some(false) => Said::Replaced,
            None => Said::OfTheFile,
        })
    }

    /// Takes a window of the command line away.
    pub async fn remove_maintenance(&self, name: &str) -> Result<Said, StoreError> {
        let of: Option<String> = sqlx::query_scalar(
            "WITH gone AS (DELETE FROM maintenance_windows WHERE name = $1 AND source = $2)
             SELECT source FROM maintenance_windows WHERE name = $1",
        )
        .bind(name)
        .bind(Source::CommandLine.as_str())
        .fetch_optional(&self.sessions)
        .await?;
        Ok(match of {
            None => Said::NotThere,
            Some(of) if of == Source::CommandLine.as_str() => Said::Done,
            Some(_) => Said::OfTheFile,
        })
    }
}

/// Every window that can be read, within a transaction.
pub(crate) async fn maintenance(connection: &mut Session) -> Result<Vec<(String, Maintenance)>, StoreError> {
    let rows = read(sqlx::query(ALL).fetch_all(connection).await?.as_slice())?;
    Ok(rows.into_iter().map(|row| (row.name, row.window)).collect())
}

const ALL: &str = "SELECT name, spec, source FROM maintenance_windows ORDER BY name";

fn read(rows: &[sqlx::postgres::PgRow]) -> Result<Vec<MaintenanceRow>, StoreError> {
    let mut windows = Vec::with_capacity(rows.len());
    for row in rows {
        let name: String = row.try_get("name")?;
        match row.json("spec", || format!("maintenance `{name}`")) {
            Ok(window) => windows.push(MaintenanceRow { name, window, source: row.try_get("source")? }),
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
) -> Result<(), StoreError> {
    let mut existing: HashMap<String, (Value, String)> = HashMap::new();
    for row in sqlx::query(ALL).fetch_all(&mut *connection).await? {
        existing.insert(row.try_get("name")?, (row.try_get("spec")?, row.try_get("source")?));
    }
    for (name, window) in wanted {
        let spec = spec(name, window)?;
        let (kind, keys) = match existing.remove(name) {
            None => (ChangeKind::Add, Vec::new()),
            Some((before, of)) if before == spec && of == source.as_str() => continue,
            Some((before, of)) => {
                (ChangeKind::Change, [changes("maintenance", &before, &spec), moved(&of, source)].concat())
            }
        };
        sqlx::query(
            "INSERT INTO maintenance_windows (name, spec, source) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET spec = EXCLUDED.spec, source = EXCLUDED.source, updated_at = now()",
        )
        .bind(name)
        .bind(spec)
        .bind(source.as_str())
        .execute(&mut *connection)
        .await?;
        applied.changes.push(Change { kind, table: "maintenance", name: name.clone(), keys });
    }
    let mut gone: Vec<String> =
        existing.into_iter().filter(|(_, (_, of))| of == source.as_str()).map(|(name, _)| name).collect();
    gone.sort_unstable();
    if gone.is_empty() {
        return Ok(());
    }
    // It has no history to keep, and one that nobody sees in the file any more would go on silencing people.
    sqlx::query("DELETE FROM maintenance_windows WHERE name = ANY ($1)")
        .bind(&gone)
        .execute(connection)
        .await?;
    let removed = |name| Change { kind: ChangeKind::Remove, table: "maintenance", name, keys: Vec::new() };
    applied.changes.extend(gone.into_iter().map(removed));
    Ok(())
}

fn spec(name: &str, window: &Maintenance) -> Result<Value, StoreError> {
    serde_json::to_value(window).map_err(|error| StoreError::Row {
        column: "spec",
        row: format!("`{name}`"),
        reason: error.to_string(),
    })
}
