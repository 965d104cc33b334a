//! What is to be watched and who is to be told: the database is made what a file (or a command line) says, in one
//! transaction.
//!
//! Every row remembers where it came from, so that applying a file never touches what a command line brought in.
//! Applying the same thing twice changes nothing.

use crate::incidents::unwatched;
use crate::session::Session;
use crate::{Store, StoreError, maintenance};
use serde_json::Value;
use sqlx::Row;
use std::collections::{BTreeMap, HashMap, HashSet};
use uptime_core::changes::{KeyChange, changes};
use uptime_core::channel::Channel;
use uptime_core::duration::to_ms;
use uptime_core::id::IncidentId;
use uptime_core::maintenance::Maintenance;
use uptime_core::monitor::{Location, Monitor};
use uptime_core::schedule::{first_check_after, phase};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    File,
    /// Targets given to `uptime up`.
    CommandLine,
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::CommandLine => "command-line",
        }
    }
}

/// What becomes of the rows of a source that it no longer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    Keep,
    /// They stay, with their history, and are not active.
    Disable,
    /// They go. What was told stays, and so do the incidents.
    Remove,
}

/// The wanted state of one source.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub source: Source,
    pub channels: &'a [Channel],
    /// All its monitors; their channels may be of any source.
    pub monitors: &'a [Monitor],
    /// All its maintenance windows, by name; `None`: they are not its business.
    pub maintenance: Option<&'a [(String, Maintenance)]>,
    /// What becomes of the others of this source.
    pub absent: Absent,
}

/// What was done, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    /// `channel`, `monitor` or `maintenance`.
    pub table: &'static str,
    pub name: String,
    /// For a change: the keys that differ.
    pub keys: Vec<KeyChange>,
}

/// The sign in front of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Add,
    Change,
    /// It goes, or is disabled.
    Remove,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Each change, channels first, by name.
    pub changes: Vec<Change>,
    /// Names of this source that are in the database and not wanted, and were kept.
    pub unwanted: Vec<String>,
    /// Incidents that ended with it: their monitors are not watched any more.
    pub ended: Vec<Ended>,
}

/// An incident that ended because nobody looks any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub incident: IncidentId,
    pub monitor: String,
    /// These channels will be told, by name.
    pub told: Vec<String>,
}

impl Store {
    /// Makes the rows of a source what is wanted. With `dry_run` everything is done and taken back.
    pub async fn apply(&self, wanted: Wanted<'_>, dry_run: bool) -> Result<Applied, StoreError> {
        let mut transaction = self.sessions.begin().await?;
        // Two at once would both add; the second waits and finds nothing left to do.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext('uptime.apply'))")
            .execute(&mut transaction)
            .await?;
        // States before channels, like the workers that record checks, and jobs after both; each in the order of the ids: so
        // nobody waits in a circle.
        sqlx::query("SELECT FROM monitor_states ORDER BY monitor_id FOR UPDATE")
            .execute(&mut transaction)
            .await?;
        sqlx::query("SELECT FROM channels ORDER BY id FOR UPDATE").execute(&mut transaction).await?;
        let mut applied = Applied::default();
        apply_channels(&mut transaction, wanted, &mut applied).await?;
        apply_monitors(&mut transaction, wanted, &mut applied).await?;
        if let Some(windows) = wanted.maintenance {
            maintenance::apply(&mut transaction, windows, wanted.source, &mut applied).await?;
        }
        if dry_run {
            transaction.rollback().await?;
        } else {
            transaction.commit().await?;
        }
        Ok(applied)
    }
}

/// A row as it is, by the columns that may differ.
struct Existing {
    id: i64,
    source: String,
    columns: BTreeMap<&'static str, Value>,
}

/// What of `existing` is not what is wanted: its columns, and the keys in them.
fn differing(
    existing: &Existing,
    wanted: &BTreeMap<&'static str, Value>,
    source: Source,
) -> (Vec<&'static str>, Vec<KeyChange>) {
    let old = |column| existing.columns.get(column).unwrap_or(&Value::Null);
    let mut columns: Vec<&'static str> =
        wanted.iter().filter(|(column, value)| old(*column) != *value).map(|(column, _)| *column).collect();
    let mut keys: Vec<KeyChange> =
        columns.iter().flat_map(|column| changes(column, old(column), &wanted[column])).collect();
    let moved = moved(&existing.source, source);
    columns.extend((!moved.is_empty()).then_some("source"));
    keys.extend(moved);
    (columns, keys)
}

/// What becomes of a row's source, if that changes.
pub(crate) fn moved(old: &str, source: Source) -> Vec<KeyChange> {
    let new = source.as_str();
    let change = || KeyChange { key: "source".into(), old: Some(old.to_owned()), new: Some(new.to_owned()) };
    (old != new).then(change).into_iter().collect()
}

async fn apply_channels(
    connection: &mut Session,
    wanted: Wanted<'_>,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    let mut existing = existing_channels(connection).await?;
    for channel in wanted.channels {
        let columns = channel_columns(channel)?;
        let allow: Vec<String> = channel.allow.iter().map(ToString::to_string).collect();
        let (kind, keys) = match existing.remove(&channel.name) {
            None => (ChangeKind::Add, Vec::new()),
            Some(row) => match differing(&row, &columns, wanted.source) {
                (changed, _) if changed.is_empty() => continue,
                (_, keys) => (ChangeKind::Change, keys),
            },
        };
        // A changed channel gets a fresh start: what the provider said was about the old settings.
        sqlx::query(
            "INSERT INTO channels (name, notifier, enabled, settings, filter, allow, limits, source, flow, proxy)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (name) DO UPDATE SET notifier = EXCLUDED.notifier, enabled = EXCLUDED.enabled,
               settings = EXCLUDED.settings, filter = EXCLUDED.filter, allow = EXCLUDED.allow,
               limits = EXCLUDED.limits, source = EXCLUDED.source, flow = EXCLUDED.flow, proxy = EXCLUDED.proxy, tokens = NULL, tokens_at = NULL,
               learned = '{}', paused_until = NULL, broken_at = NULL, broken_reason = NULL, delivered_at = NULL,
               updated_at = now()",
        )
        .bind(&channel.name)
        .bind(&channel.notifier)
        .bind(channel.enabled)
        .bind(&columns["settings"])
        .bind(&columns["filter"])
        .bind(allow)
        .bind(&columns["limits"])
        .bind(wanted.source.as_str())
        .bind(&columns["digest"])
        .bind(&columns["proxy"])
        .execute(&mut *connection)
        .await?;
        // What waits for its old hours, or for the end of a pause, is looked at again. Nobody waits for a job in hand.
        sqlx::query(
            "UPDATE jobs SET available_at = now() WHERE id IN (
               SELECT j.id FROM jobs j JOIN channels c ON c.id = j.lane
               WHERE c.name = $1 AND j.queue = 'notifications' AND j.reserved_until IS NULL AND j.available_at > now()
               FOR UPDATE OF j SKIP LOCKED)",
        )
        .bind(&channel.name)
        .execute(&mut *connection)
        .await?;
        applied.changes.push(Change { kind, table: "channel", name: channel.name.clone(), keys });
    }
    let gone = absent(existing, wanted.source);
    settle_absent(connection, "channel", gone, wanted.absent, applied).await
}

async fn apply_monitors(
    connection: &mut Session,
    wanted: Wanted<'_>,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    let mut existing = existing_monitors(connection).await?;
    let channel_ids: HashMap<String, i64> = sqlx::query_as("SELECT name, id FROM channels")
        .fetch_all(&mut *connection)
        .await?
        .into_iter()
        .collect();
    let mut added = 0;
    let (mut children, mut left) = (Vec::new(), Vec::new());
    for monitor in wanted.monitors {
        let columns = monitor_columns(monitor)?;
        let before = existing.remove(&monitor.name);
        let (kind, changed, keys) = match &before {
            None => (ChangeKind::Add, Vec::new(), Vec::new()),
            Some(row) => match differing(row, &columns, wanted.source) {
                (changed, _) if changed.is_empty() => continue,
                (changed, keys) => (ChangeKind::Change, changed, keys),
            },
        };
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO monitors (name, enabled, check_spec, policy, target, group_name, tags, source)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (name) DO UPDATE SET enabled = EXCLUDED.enabled, check_spec = EXCLUDED.check_spec,
               policy = EXCLUDED.policy, target = EXCLUDED.target, group_name = EXCLUDED.group_name,
               tags = EXCLUDED.tags, source = EXCLUDED.source, updated_at = now()
             RETURNING id",
        )
        .bind(&monitor.name)
        .bind(monitor.enabled)
        .bind(&columns["check"])
        .bind(&columns["policy"])
        .bind(monitor.check.target())
        .bind(&monitor.group)
        .bind(&columns["tags"])
        .bind(wanted.source.as_str())
        .fetch_one(&mut *connection)
        .await?;
        let channels: Vec<i64> =
            monitor.channels.iter().filter_map(|name| channel_ids.get(name)).copied().collect();
        sqlx::query("DELETE FROM monitor_channels WHERE monitor_id = $1 AND channel_id <> ALL ($2)")
            .bind(id)
            .bind(&channels)
            .execute(&mut *connection)
            .await?;
        sqlx::query("INSERT INTO monitor_channels SELECT $1, unnest($2::bigint[]) ON CONFLICT DO NOTHING")
            .bind(id)
            .bind(&channels)
            .execute(&mut *connection)
            .await?;
        let interval = monitor.policy.interval;
        // A new monitor, and one that checks something else now, is looked at soon, not a whole interval later.
        let soon =
            changed.is_empty() || ["check", "enabled", "locations"].iter().any(|key| changed.contains(key));
        // With a shorter interval what was heard a moment ago would be long ago.
        let anew = soon || changed.contains(&"policy");
        let wait = first_check_after(added, interval);
        added += usize::from(soon);
        sqlx::query(
            "INSERT INTO monitor_states AS s (monitor_id, active, interval_ms, phase_ms, next_check_at, timeout_ms)
             VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), $7)
             ON CONFLICT (monitor_id) DO UPDATE SET active = EXCLUDED.active, interval_ms = EXCLUDED.interval_ms,
               phase_ms = EXCLUDED.phase_ms, timeout_ms = EXCLUDED.timeout_ms,
               awaited_since = CASE WHEN $8 THEN now() ELSE s.awaited_since END,
               next_check_at = CASE WHEN $6 THEN EXCLUDED.next_check_at
                                    ELSE least(s.next_check_at, following_slot($3, $4, now())) END",
        )
        .bind(id)
        .bind(monitor.enabled)
        .bind(to_ms(interval))
        .bind(to_ms(phase(&monitor.name, interval)))
        .bind(wait.as_secs_f64())
        .bind(soon)
        .bind(i32::try_from(monitor.policy.timeout.as_millis()).unwrap_or(i32::MAX))
        .bind(anew)
        .execute(&mut *connection)
        .await?;
        let moved = set_locations(connection, id, &monitor.locations, anew).await?;
        if moved || !monitor.enabled {
            left.push(id);
        }
        children.push((id, monitor.parent.as_deref()));
        applied.changes.push(Change { kind, table: "monitor", name: monitor.name.clone(), keys });
    }
    drop_waiting_checks(connection, &left).await?;
    set_parents(connection, &children).await?;
    let gone = absent(existing, wanted.source);
    settle_absent(connection, "monitor", gone, wanted.absent, applied).await?;
    // Of all that are disabled by now, by whatever: so the property heals itself.
    applied.ended.extend(unwatched::end(connection, &[]).await?);
    Ok(())
}

/// Says from where a monitor is looked at, and whether that is news. What is known from where it was looked at before stays. When
/// it is looked at `anew`, each is waited for as one that was added now.
async fn set_locations(
    connection: &mut Session,
    monitor: i64,
    locations: &[Location],
    anew: bool,
) -> Result<bool, StoreError> {
    let names: Vec<&str> = locations.iter().map(Location::as_str).collect();
    let changed = sqlx::query(
        "WITH gone AS (DELETE FROM monitor_locations WHERE monitor_id = $1 AND location <> ALL ($2) RETURNING 1),
         added AS (INSERT INTO monitor_locations (monitor_id, location) SELECT $1, unnest($2) ON CONFLICT DO NOTHING RETURNING 1)
         SELECT 1 FROM gone UNION ALL SELECT 1 FROM added",
    )
    .bind(monitor)
    .bind(names)
    .fetch_all(&mut *connection)
    .await?;
    if anew {
        sqlx::query("UPDATE monitor_locations SET awaited_since = now() WHERE monitor_id = $1")
            .bind(monitor)
            .execute(&mut *connection)
            .await?;
    }
    if changed.is_empty() {
        return Ok(false);
    }
    // What failed in a row elsewhere is no streak here.
    sqlx::query(
        "UPDATE monitor_states SET streak = 0, streak_since = NULL, downs = 0, downs_since = NULL WHERE monitor_id = $1",
    )
    .bind(monitor)
    .execute(connection)
    .await?;
    Ok(true)
}

/// Gives monitors their parents, by name, when all of them are there.
async fn set_parents(connection: &mut Session, children: &[(i64, Option<&str>)]) -> Result<(), StoreError> {
    let (ids, parents): (Vec<i64>, Vec<Option<&str>>) = children.iter().copied().unzip();
    sqlx::query(
        "UPDATE monitors m SET parent_id = p.id
         FROM unnest($1::bigint[], $2::text[]) AS child(id, parent) LEFT JOIN monitors p ON p.name = child.parent
         WHERE m.id = child.id AND m.parent_id IS DISTINCT FROM p.id",
    )
    .bind(ids)
    .bind(parents)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE monitors m SET is_parent = NOT is_parent
         WHERE is_parent <> (id IN (SELECT parent_id FROM monitors WHERE parent_id IS NOT NULL))",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The rows of `source` among `left`, which nobody asked for.
fn absent(left: HashMap<String, Existing>, source: Source) -> BTreeMap<String, Existing> {
    left.into_iter().filter(|(_, row)| row.source == source.as_str()).collect()
}

async fn settle_absent(
    connection: &mut Session,
    table: &'static str,
    gone: BTreeMap<String, Existing>,
    absent: Absent,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = gone.values().map(|row| row.id).collect();
    if absent == Absent::Keep || ids.is_empty() {
        applied.unwanted.extend(gone.into_keys().map(|name| format!("{table} {name}")));
        return Ok(());
    }
    if table == "monitor" {
        drop_waiting_checks(connection, &ids).await?;
    }
    let disabled: HashSet<i64> = match (absent, table) {
        (Absent::Remove, "monitor") => {
            applied.ended.extend(unwatched::end(connection, &ids).await?);
            remove(connection, &ids, &[
                "UPDATE incidents i SET monitor_name = m.name, target = m.target FROM monitors m
                 WHERE m.id = i.monitor_id AND m.id = ANY ($1)",
                "DELETE FROM monitors WHERE id = ANY ($1)",
            ])
            .await?;
            ids.into_iter().collect()
        }
        (Absent::Remove, _) => {
            remove(connection, &ids, &[
                "DELETE FROM jobs WHERE queue = 'notifications' AND lane = ANY ($1)",
                "DELETE FROM failed_jobs WHERE queue = 'notifications' AND lane = ANY ($1)",
                include_str!("../queries/leave_channels.sql"),
                "DELETE FROM channels WHERE id = ANY ($1)",
            ])
            .await?;
            ids.into_iter().collect()
        }
        (_, "monitor") => sqlx::query_scalar(
            "WITH off AS (UPDATE monitors SET enabled = false, updated_at = now() WHERE id = ANY ($1) AND enabled RETURNING id)
             UPDATE monitor_states s SET active = false FROM off WHERE s.monitor_id = off.id RETURNING off.id",
        )
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?
        .into_iter()
        .collect(),
        _ => sqlx::query_scalar("UPDATE channels SET enabled = false, updated_at = now() WHERE id = ANY ($1) AND enabled RETURNING id")
            .bind(&ids)
            .fetch_all(&mut *connection)
            .await?
            .into_iter()
            .collect(),
    };
    applied.changes.extend(
        gone.into_iter().filter(|(_, row)| disabled.contains(&row.id)).map(|(name, _)| Change {
            kind: ChangeKind::Remove,
            table,
            name,
            keys: Vec::new(),
        }),
    );
    Ok(())
}

/// Removes the rows with these ids, by these statements.
async fn remove(
    connection: &mut Session,
    ids: &[i64],
    statements: &[&'static str],
) -> Result<(), StoreError> {
    for statement in statements.iter().copied() {
        sqlx::query(statement).bind(ids).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn drop_waiting_checks(connection: &mut Session, monitors: &[i64]) -> Result<(), StoreError> {
    if monitors.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM jobs WHERE holds_checks(queue) AND subject = ANY ($1)")
        .bind(monitors)
        .execute(connection)
        .await?;
    Ok(())
}

fn json<T: serde::Serialize>(column: &'static str, name: &str, value: &T) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(|error| StoreError::Row {
        column,
        row: format!("`{name}`"),
        reason: error.to_string(),
    })
}

fn channel_columns(channel: &Channel) -> Result<BTreeMap<&'static str, Value>, StoreError> {
    let name = channel.name.as_str();
    Ok(BTreeMap::from([
        ("notifier", Value::from(channel.notifier.as_str())),
        ("enabled", Value::from(channel.enabled)),
        ("settings", json("settings", name, &channel.settings)?),
        ("filter", json("filter", name, &channel.filter)?),
        ("allow", json("allow", name, &channel.allow)?),
        ("limits", json("limits", name, &channel.limits)?),
        ("digest", json("flow", name, &channel.flow)?),
        ("proxy", json("proxy", name, &channel.proxy)?),
    ]))
}

fn monitor_columns(monitor: &Monitor) -> Result<BTreeMap<&'static str, Value>, StoreError> {
    let name = monitor.name.as_str();
    let mut channels = monitor.channels.clone();
    channels.sort_unstable();
    channels.dedup();
    let mut locations: Vec<&str> = monitor.locations.iter().map(Location::as_str).collect();
    locations.sort_unstable();
    Ok(BTreeMap::from([
        ("enabled", Value::from(monitor.enabled)),
        ("check", json("check_spec", name, &monitor.check)?),
        ("policy", json("policy", name, &monitor.policy)?),
        ("group", Value::from(monitor.group.clone())),
        ("tags", json("tags", name, &monitor.tags)?),
        ("parent", Value::from(monitor.parent.clone())),
        ("channels", Value::from(channels)),
        ("locations", Value::from(locations)),
    ]))
}

async fn existing_channels(connection: &mut Session) -> Result<HashMap<String, Existing>, StoreError> {
    let rows = sqlx::query("SELECT id, name, source, notifier, enabled, settings, filter, to_jsonb(allow) AS allow, limits, flow, proxy FROM channels")
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let columns = BTreeMap::from([
                ("notifier", Value::from(row.try_get::<String, _>("notifier")?)),
                ("enabled", Value::from(row.try_get::<bool, _>("enabled")?)),
                ("settings", row.try_get("settings")?),
                ("filter", row.try_get("filter")?),
                ("allow", row.try_get("allow")?),
                ("limits", row.try_get("limits")?),
                ("digest", row.try_get("flow")?),
                ("proxy", row.try_get("proxy")?),
            ]);
            Ok((
                row.try_get("name")?,
                Existing { id: row.try_get("id")?, source: row.try_get("source")?, columns },
            ))
        })
        .collect()
}

async fn existing_monitors(connection: &mut Session) -> Result<HashMap<String, Existing>, StoreError> {
    let rows = sqlx::query(
        "SELECT m.id, m.name, m.source, m.enabled, m.check_spec, m.policy, m.group_name, m.tags, p.name AS parent,
                coalesce((SELECT array_agg(c.name ORDER BY c.name COLLATE \"C\") FROM monitor_channels mc
                          JOIN channels c ON c.id = mc.channel_id WHERE mc.monitor_id = m.id), '{}') AS channels,
                coalesce((SELECT array_agg(l.location ORDER BY l.location COLLATE \"C\") FROM monitor_locations l
                          WHERE l.monitor_id = m.id), '{}') AS locations
         FROM monitors m LEFT JOIN monitors p ON p.id = m.parent_id",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let columns = BTreeMap::from([
                ("enabled", Value::from(row.try_get::<bool, _>("enabled")?)),
                ("check", row.try_get("check_spec")?),
                ("policy", row.try_get("policy")?),
                ("group", Value::from(row.try_get::<Option<String>, _>("group_name")?)),
                ("tags", row.try_get("tags")?),
                ("parent", Value::from(row.try_get::<Option<String>, _>("parent")?)),
                ("channels", Value::from(row.try_get::<Vec<String>, _>("channels")?)),
                ("locations", Value::from(row.try_get::<Vec<String>, _>("locations")?)),
            ]);
            Ok((
                row.try_get("name")?,
                Existing { id: row.try_get("id")?, source: row.try_get("source")?, columns },
            ))
        })
        .collect()
}
