//! What is to be watched and who is to be told: the database is made what a file (or a command line) says, in one
//! transaction.
//!
//! Every row remembers where it came from, so that applying a file never touches what a command line brought in.
//! Applying the same thing twice changes nothing.

pub use crate::applied::{Applied, AppliedChange, ChangeKind, Source};
pub use crate::incidents::unwatched::Ended;

use crate::applied::moved;
use crate::incidents::unwatched;
use crate::row::{bind, kept_as_json, rows};
use crate::session::Session;
use crate::{Result, Store, maintenance};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uptime_core::changes::{KeyChange, changes};
use uptime_core::channel::Channel;
use uptime_core::duration::to_ms;
use uptime_core::maintenance::Maintenance;
use uptime_core::monitor::{Location, Monitor};
use uptime_core::schedule::{first_check_after, phase};

/// What becomes of the rows of a source that it no longer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    Keep,
    /// They stay, with their history, and are not active.
    Disable,
    /// They go. What was told stays, and so do the incidents.
    Remove,
}

/// The wanted state of one source.
#[derive(Clone, Copy, Debug)]
pub struct DesiredState<'a> {
    pub source: Source,
    pub channels: &'a [Channel],
    /// All its monitors; their channels may be of any source.
    pub monitors: &'a [Monitor],
    /// All its maintenance windows, by name; `None`: they are not its business.
    pub maintenance: Option<&'a [(String, Maintenance)]>,
    /// What becomes of the others of this source.
    pub removal: Removal,
}

impl Store {
    /// Makes the rows of a source what is wanted. With `dry_run` everything is done and taken back.
    pub async fn apply(&self, wanted: DesiredState<'_>, dry_run: bool) -> Result<Applied> {
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
        transaction.end(dry_run).await?;
        Ok(applied)
    }
}

kept_as_json!(Map<String, Value>);

rows! {
    /// A row as it is, by the columns that may differ.
    struct Existing {
        id: i64,
        name: String,
        source: String,
        columns: Map<String, Value>,
    }
}

/// The change that makes a row what is wanted: its kind, the columns that differ, and the keys in them. `None`: it is so
/// already.
fn change(
    existing: Option<Existing>,
    wanted: &Value,
    source: Source,
) -> Option<(ChangeKind, Vec<&str>, Vec<KeyChange>)> {
    let Some(existing) = existing else { return Some((ChangeKind::Add, Vec::new(), Vec::new())) };
    let old = |column: &str| existing.columns.get(column).unwrap_or(&Value::Null);
    let wanted = wanted.as_object().into_iter().flatten();
    let differing: Vec<_> = wanted.filter(|(column, value)| old(column) != *value).collect();
    let mut columns: Vec<&str> = differing.iter().map(|(column, _)| column.as_str()).collect();
    let mut keys: Vec<KeyChange> =
        differing.into_iter().flat_map(|(column, value)| changes(column, old(column), value)).collect();
    let moved = moved(&existing.source, source);
    columns.extend((!moved.is_empty()).then_some("source"));
    keys.extend(moved);
    (!columns.is_empty()).then_some((ChangeKind::Alter, columns, keys))
}

async fn apply_channels(
    connection: &mut Session,
    wanted: DesiredState<'_>,
    applied: &mut Applied,
) -> Result<()> {
    let mut existing = existing(connection, CHANNELS).await?;
    for channel in wanted.channels {
        let columns = channel_columns(channel);
        let row = existing.remove(&channel.name);
        let Some((kind, _, keys)) = change(row, &columns, wanted.source) else { continue };
        // A changed channel gets a fresh start: what the provider said was about the old settings.
        let upsert = sqlx::query(
            "INSERT INTO channels (name, notifier, enabled, settings, filter, allow, limits, source, digest_policy, proxy)
             SELECT $1, c.notifier, c.enabled, c.settings, c.filter, c.allow, c.limits, $3, c.digest, coalesce(c.proxy, 'null')
             FROM jsonb_to_record($2) c(notifier text, enabled boolean, settings jsonb, filter jsonb, allow text[], limits jsonb,
                                        digest jsonb, proxy jsonb)
             ON CONFLICT (name) DO UPDATE SET notifier = EXCLUDED.notifier, enabled = EXCLUDED.enabled,
               settings = EXCLUDED.settings, filter = EXCLUDED.filter, allow = EXCLUDED.allow,
               limits = EXCLUDED.limits, source = EXCLUDED.source, digest_policy = EXCLUDED.digest_policy, proxy = EXCLUDED.proxy, tokens = NULL, tokens_at = NULL,
               learned = '{}', paused_until = NULL, broken_at = NULL, broken_reason = NULL, delivered_at = NULL,
               updated_at = now()",
        );
        let source = wanted.source.as_str();
        bind!(upsert, &channel.name, &columns, source).execute(&mut *connection).await?;
        // What waits for its old hours, or for the end of a pause, is looked at again. Nobody waits for a job in flight.
        let wake = sqlx::query(
            "UPDATE jobs SET available_at = now() WHERE id IN (
               SELECT j.id FROM jobs j JOIN channels c ON c.id = j.concurrency_key
               WHERE c.name = $1 AND j.queue = 'notifications' AND j.reserved_until IS NULL AND j.available_at > now()
               FOR UPDATE OF j SKIP LOCKED)",
        );
        bind!(wake, &channel.name).execute(&mut *connection).await?;
        applied.changes.push(AppliedChange { kind, table: "channel", name: channel.name.clone(), keys });
    }
    settle_absent(connection, "channel", existing, wanted, applied).await
}

async fn apply_monitors(
    connection: &mut Session,
    wanted: DesiredState<'_>,
    applied: &mut Applied,
) -> Result<()> {
    let mut existing = existing(connection, MONITORS).await?;
    let channel_ids: HashMap<String, i64> = sqlx::query_as("SELECT name, id FROM channels")
        .fetch_all(&mut *connection)
        .await?
        .into_iter()
        .collect();
    let mut added = 0;
    let (mut children, mut left) = (Vec::new(), Vec::new());
    for monitor in wanted.monitors {
        let columns = monitor_columns(monitor);
        let row = existing.remove(&monitor.name);
        let Some((kind, changed, keys)) = change(row, &columns, wanted.source) else { continue };
        let upsert = sqlx::query_scalar(
            "INSERT INTO monitors (name, enabled, check_spec, policy, target, group_name, tags, source)
             SELECT $1, m.enabled, m.check, m.policy, $3, m.group, m.tags, $4
             FROM jsonb_to_record($2) m(enabled boolean, \"check\" jsonb, policy jsonb, \"group\" text, tags jsonb)
             ON CONFLICT (name) DO UPDATE SET enabled = EXCLUDED.enabled, check_spec = EXCLUDED.check_spec,
               policy = EXCLUDED.policy, target = EXCLUDED.target, group_name = EXCLUDED.group_name,
               tags = EXCLUDED.tags, source = EXCLUDED.source, updated_at = now()
             RETURNING id",
        );
        let (target, source) = (monitor.check.target(), wanted.source.as_str());
        let id: i64 =
            bind!(upsert, &monitor.name, &columns, target, source).fetch_one(&mut *connection).await?;
        let channels: Vec<i64> =
            monitor.channels.iter().filter_map(|name| channel_ids.get(name)).copied().collect();
        let leave =
            sqlx::query("DELETE FROM monitor_channels WHERE monitor_id = $1 AND channel_id <> ALL ($2)");
        bind!(leave, id, &channels).execute(&mut *connection).await?;
        let join = sqlx::query(
            "INSERT INTO monitor_channels SELECT $1, unnest($2::bigint[]) ON CONFLICT DO NOTHING",
        );
        bind!(join, id, channels).execute(&mut *connection).await?;
        let interval = monitor.policy.interval;
        // A new monitor, and one that checks something else now, is looked at soon, not a whole interval later.
        let soon =
            changed.is_empty() || ["check", "enabled", "locations"].iter().any(|key| changed.contains(key));
        // With a shorter interval what was heard a moment ago would be long ago.
        let anew = soon || changed.contains(&"policy");
        let wait = first_check_after(added, interval);
        added += usize::from(soon);
        let state = sqlx::query(
            "INSERT INTO monitor_states AS s (monitor_id, active, interval_ms, phase_ms, next_check_at, timeout_ms)
             VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), $7)
             ON CONFLICT (monitor_id) DO UPDATE SET active = EXCLUDED.active, interval_ms = EXCLUDED.interval_ms,
               phase_ms = EXCLUDED.phase_ms, timeout_ms = EXCLUDED.timeout_ms,
               awaited_since = CASE WHEN $8 THEN now() ELSE s.awaited_since END,
               next_check_at = CASE WHEN $6 THEN EXCLUDED.next_check_at
                                    ELSE least(s.next_check_at, following_slot($3, $4, now())) END",
        );
        let phase = to_ms(phase(&monitor.name, interval));
        let timeout = i32::try_from(monitor.policy.timeout.as_millis()).unwrap_or(i32::MAX);
        bind!(state, id, monitor.enabled, to_ms(interval), phase, wait, soon, timeout, anew)
            .execute(&mut *connection)
            .await?;
        let moved = set_locations(connection, id, &monitor.locations, anew).await?;
        if moved || !monitor.enabled {
            left.push(id);
        }
        children.push((id, monitor.parent.as_deref()));
        applied.changes.push(AppliedChange { kind, table: "monitor", name: monitor.name.clone(), keys });
    }
    drop_waiting_checks(connection, &left).await?;
    set_parents(connection, &children).await?;
    settle_absent(connection, "monitor", existing, wanted, applied).await?;
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
) -> Result<bool> {
    let names: Vec<&str> = locations.iter().map(Location::as_str).collect();
    let set = sqlx::query(
        "WITH gone AS (DELETE FROM monitor_locations WHERE monitor_id = $1 AND location <> ALL ($2) RETURNING 1),
         added AS (INSERT INTO monitor_locations (monitor_id, location) SELECT $1, unnest($2) ON CONFLICT DO NOTHING RETURNING 1)
         SELECT 1 FROM gone UNION ALL SELECT 1 FROM added",
    );
    let changed = bind!(set, monitor, names).fetch_all(&mut *connection).await?;
    if anew {
        let wait = sqlx::query("UPDATE monitor_locations SET awaited_since = now() WHERE monitor_id = $1");
        bind!(wait, monitor).execute(&mut *connection).await?;
    }
    if changed.is_empty() {
        return Ok(false);
    }
    // What failed in a row elsewhere is no streak here.
    let forget = sqlx::query(
        "UPDATE monitor_states SET streak = 0, streak_since = NULL, downs = 0, downs_since = NULL WHERE monitor_id = $1",
    );
    bind!(forget, monitor).execute(connection).await?;
    Ok(true)
}

/// Gives monitors their parents, by name, when all of them are there.
async fn set_parents(connection: &mut Session, children: &[(i64, Option<&str>)]) -> Result<()> {
    let (ids, parents): (Vec<i64>, Vec<Option<&str>>) = children.iter().copied().unzip();
    let set = sqlx::query(
        "UPDATE monitors m SET parent_id = p.id
         FROM unnest($1::bigint[], $2::text[]) AS child(id, parent) LEFT JOIN monitors p ON p.name = child.parent
         WHERE m.id = child.id AND m.parent_id IS DISTINCT FROM p.id",
    );
    bind!(set, ids, parents).execute(&mut *connection).await?;
    let mark = sqlx::query(
        "UPDATE monitors m SET is_parent = NOT is_parent
         WHERE is_parent <> (id IN (SELECT parent_id FROM monitors WHERE parent_id IS NOT NULL))",
    );
    mark.execute(connection).await?;
    Ok(())
}

/// Settles the rows of the source among `left`, which nobody asked for.
async fn settle_absent(
    connection: &mut Session,
    table: &'static str,
    left: HashMap<String, Existing>,
    DesiredState { source, removal, .. }: DesiredState<'_>,
    applied: &mut Applied,
) -> Result<()> {
    let gone: BTreeMap<String, Existing> =
        left.into_iter().filter(|(_, row)| row.source == source.as_str()).collect();
    let ids: Vec<i64> = gone.values().map(|row| row.id).collect();
    if removal == Removal::Keep || ids.is_empty() {
        applied.unwanted.extend(gone.into_keys().map(|name| format!("{table} {name}")));
        return Ok(());
    }
    if table == "monitor" {
        drop_waiting_checks(connection, &ids).await?;
    }
    if (removal, table) == (Removal::Remove, "monitor") {
        applied.ended.extend(unwatched::end(connection, &ids).await?);
    }
    let statements: &[&'static str] = match (removal, table) {
        (Removal::Remove, "monitor") => &[
            "UPDATE incidents i SET monitor_name = m.name, target = m.target FROM monitors m
             WHERE m.id = i.monitor_id AND m.id = ANY ($1)",
            "DELETE FROM monitors WHERE id = ANY ($1) RETURNING id",
        ],
        (Removal::Remove, _) => &[
            "DELETE FROM jobs WHERE queue = 'notifications' AND concurrency_key = ANY ($1)",
            "DELETE FROM failed_jobs WHERE queue = 'notifications' AND concurrency_key = ANY ($1)",
            include_str!("../queries/leave_channels.sql"),
            "DELETE FROM channels WHERE id = ANY ($1) RETURNING id",
        ],
        (_, "monitor") => &[
            "WITH off AS (UPDATE monitors SET enabled = false, updated_at = now() WHERE id = ANY ($1) AND enabled RETURNING id)
             UPDATE monitor_states s SET active = false FROM off WHERE s.monitor_id = off.id RETURNING off.id",
        ],
        _ => &["UPDATE channels SET enabled = false, updated_at = now() WHERE id = ANY ($1) AND enabled RETURNING id"],
    };
    let mut settled: Vec<i64> = Vec::new();
    for statement in statements.iter().copied() {
        settled = bind!(sqlx::query_scalar(statement), &ids).fetch_all(&mut *connection).await?;
    }
    let is_settled = |(_, row): &(String, Existing)| settled.contains(&row.id);
    let removed = |(name, _)| AppliedChange { kind: ChangeKind::Remove, table, name, keys: Vec::new() };
    applied.changes.extend(gone.into_iter().filter(is_settled).map(removed));
    Ok(())
}

async fn drop_waiting_checks(connection: &mut Session, monitors: &[i64]) -> Result<()> {
    if monitors.is_empty() {
        return Ok(());
    }
    let drop = sqlx::query("DELETE FROM jobs WHERE holds_checks(queue) AND subject = ANY ($1)");
    bind!(drop, monitors).execute(connection).await?;
    Ok(())
}

fn channel_columns(channel: &Channel) -> Value {
    let Channel { notifier, enabled, settings, filter, allow, limits, digest_policy, proxy, .. } = channel;
    json!({
        "allow": allow,
        "digest": digest_policy,
        "enabled": enabled,
        "filter": filter,
        "limits": limits,
        "notifier": notifier,
        "proxy": proxy,
        "settings": settings,
    })
}

fn monitor_columns(monitor: &Monitor) -> Value {
    let Monitor { enabled, check, policy, group, tags, parent, .. } = monitor;
    let channels: BTreeSet<&str> = monitor.channels.iter().map(String::as_str).collect();
    let locations: BTreeSet<&str> = monitor.locations.iter().map(Location::as_str).collect();
    json!({
        "channels": channels,
        "check": check,
        "enabled": enabled,
        "group": group,
        "locations": locations,
        "parent": parent,
        "policy": policy,
        "tags": tags,
    })
}

const CHANNELS: &str =
    "SELECT id, name, source, jsonb_build_object('allow', allow, 'digest', digest_policy, 'enabled', enabled, 'filter', filter,
            'limits', limits, 'notifier', notifier, 'proxy', proxy, 'settings', settings) AS columns
     FROM channels";

const MONITORS: &str =
    "SELECT m.id, m.name, m.source, jsonb_build_object('check', m.check_spec, 'enabled', m.enabled, 'group', m.group_name,
            'parent', p.name, 'policy', m.policy, 'tags', m.tags,
            'channels', coalesce((SELECT array_agg(c.name ORDER BY c.name COLLATE \"C\") FROM monitor_channels mc
                                  JOIN channels c ON c.id = mc.channel_id WHERE mc.monitor_id = m.id), '{}'),
            'locations', coalesce((SELECT array_agg(l.location ORDER BY l.location COLLATE \"C\") FROM monitor_locations l
                                   WHERE l.monitor_id = m.id), '{}')) AS columns
     FROM monitors m LEFT JOIN monitors p ON p.id = m.parent_id";

/// The rows of a table, by name.
async fn existing(connection: &mut Session, table: &'static str) -> Result<HashMap<String, Existing>> {
    let rows: Vec<Existing> = sqlx::query_as(table).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
}
