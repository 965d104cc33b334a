//! What is to be watched and who is to be told: the database is made what a file (or a command line) says, in one
//! transaction.
//!
//! Every row remembers where it came from, so that applying a file never touches what a command line brought in.
//! Applying the same thing twice changes nothing.

mod monitors;

pub use crate::applied::{Applied, AppliedChange, ChangeKind, Source};
pub use crate::incidents::unwatched::Ended;

use crate::applied::moved;
use crate::error::unreadable;
use crate::incidents::unwatched;
use crate::row::{bind, rows};
use crate::session::Session;
use crate::{Result, Store, maintenance};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use uptime_core::changes::{KeyChange, changes};
use uptime_core::channel::Channel;
use uptime_core::maintenance::Maintenance;
use uptime_core::monitor::Monitor;

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
        // What is applied may be a hundred thousand rows, and statistics are of another hour: a planner that believes tables
        // small would go through all of them for each.
        sqlx::query("SELECT set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true)")
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
        monitors::apply(&mut transaction, wanted, &mut applied).await?;
        if let Some(windows) = wanted.maintenance {
            maintenance::apply(&mut transaction, windows, wanted.source, &mut applied).await?;
        }
        transaction.end(dry_run).await?;
        Ok(applied)
    }
}

rows! {
    /// A row as it is.
    struct Existing {
        id: i64,
        name: String,
        source: String,
        /// Those that may differ, as JSON.
        columns: String,
    }
}

/// What of `existing` is not what is wanted: its columns, and the keys in them.
fn differing<'w>(
    existing: &Existing,
    wanted: &'w Value,
    source: Source,
) -> Result<(Vec<&'w str>, Vec<KeyChange>)> {
    let before: Map<String, Value> = serde_json::from_str(&existing.columns)
        .map_err(|error| unreadable("columns", format!("`{}`", existing.name), &error))?;
    let old = |column: &str| before.get(column).unwrap_or(&Value::Null);
    let wanted = wanted.as_object().into_iter().flatten();
    let differing: Vec<_> = wanted.filter(|(column, value)| old(column) != *value).collect();
    let mut columns: Vec<&str> = differing.iter().map(|(column, _)| column.as_str()).collect();
    let mut keys: Vec<KeyChange> =
        differing.into_iter().flat_map(|(column, value)| changes(column, old(column), value)).collect();
    let moved = moved(&existing.source, source);
    columns.extend((!moved.is_empty()).then_some("source"));
    keys.extend(moved);
    Ok((columns, keys))
}

async fn apply_channels(
    connection: &mut Session,
    wanted: DesiredState<'_>,
    applied: &mut Applied,
) -> Result<()> {
    let rows: Vec<Existing> = sqlx::query_as(CHANNELS).fetch_all(&mut *connection).await?;
    let mut existing: HashMap<String, Existing> =
        rows.into_iter().map(|row| (row.name.clone(), row)).collect();
    for channel in wanted.channels {
        let columns = channel_columns(channel);
        let (kind, keys) = match existing.remove(&channel.name) {
            None => (ChangeKind::Add, Vec::new()),
            Some(row) => match differing(&row, &columns, wanted.source)? {
                (changed, _) if changed.is_empty() => continue,
                (_, keys) => (ChangeKind::Alter, keys),
            },
        };
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
    let gone = removal(existing, wanted.source);
    settle_absent(connection, "channel", gone, wanted.removal, applied).await
}

/// The rows of `source` among `left`, which nobody asked for.
fn removal(left: HashMap<String, Existing>, source: Source) -> BTreeMap<String, Existing> {
    left.into_iter().filter(|(_, row)| row.source == source.as_str()).collect()
}

async fn settle_absent(
    connection: &mut Session,
    table: &'static str,
    gone: BTreeMap<String, Existing>,
    removal: Removal,
    applied: &mut Applied,
) -> Result<()> {
    let ids: Vec<i64> = gone.values().map(|row| row.id).collect();
    if removal == Removal::Keep || ids.is_empty() {
        applied.unwanted.extend(gone.into_keys().map(|name| format!("{table} {name}")));
        return Ok(());
    }
    if table == "monitor" {
        monitors::drop_waiting_checks(connection, &ids).await?;
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

const CHANNELS: &str =
    "SELECT id, name, source, json_build_object('allow', allow, 'digest', digest_policy, 'enabled', enabled, 'filter', filter,
            'limits', limits, 'notifier', notifier, 'proxy', proxy, 'settings', settings)::text AS columns
     FROM channels";
