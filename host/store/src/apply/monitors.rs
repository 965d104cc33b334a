//! The monitors of a source. Each kind of row is written by one statement for many of them.

use super::{DesiredState, Existing, differing, removal, settle_absent};
use crate::Result;
use crate::applied::{Applied, AppliedChange, ChangeKind, Source};
use crate::incidents::unwatched;
use crate::row::{bind, column, write_rows};
use crate::session::Session;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use uptime_core::changes::KeyChange;
use uptime_core::duration::to_ms;
use uptime_core::monitor::{Location, Monitor};
use uptime_core::schedule::{first_check_after, phase};

/// How many monitors one statement writes.
const CHUNK: usize = 5_000;

/// A monitor that is not as it is wanted.
struct MonitorChange<'a> {
    /// 0 until it is written.
    id: i64,
    monitor: &'a Monitor,
    /// A new monitor, and one that checks something else now, is looked at soon, not a whole interval later: so many have
    /// been before it.
    ordinal: Option<usize>,
    /// Its results are awaited from now on: with a shorter interval what was heard a moment ago would be long ago.
    is_awaited: bool,
}

pub(super) async fn apply(
    connection: &mut Session,
    wanted: DesiredState<'_>,
    applied: &mut Applied,
) -> Result<()> {
    let channel_ids: HashMap<String, i64> = sqlx::query_as("SELECT name, id FROM channels")
        .fetch_all(&mut *connection)
        .await?
        .into_iter()
        .collect();
    let (mut existing, left) = compare(connection, wanted).await?;
    let (mut differ, mut added) = (Vec::new(), 0);
    for monitor in wanted.monitors {
        let (kind, is_soon, is_awaited, keys) = match existing.remove(monitor.name.as_str()) {
            None => (ChangeKind::Add, true, true, Vec::new()),
            Some(Compared::Same) => continue,
            Some(Compared::Differs { is_soon, is_awaited, keys }) => {
                (ChangeKind::Alter, is_soon, is_awaited, keys)
            }
        };
        differ.push(MonitorChange { id: 0, monitor, ordinal: is_soon.then_some(added), is_awaited });
        added += usize::from(is_soon);
        applied.changes.push(AppliedChange { kind, table: "monitor", name: monitor.name.clone(), keys });
    }
    for chunk in differ.chunks_mut(CHUNK) {
        write_monitors(connection, chunk, wanted.source).await?;
        write_states(connection, chunk).await?;
        write_channels(connection, chunk, &channel_ids).await?;
        let mut left = write_locations(connection, chunk).await?;
        left.extend(chunk.iter().filter(|change| !change.monitor.enabled).map(|change| change.id));
        drop_waiting_checks(connection, &left).await?;
    }
    set_parents(connection, &differ).await?;
    let gone = removal(left, wanted.source);
    settle_absent(connection, "monitor", gone, wanted.removal, applied).await?;
    // Of all that are disabled by now, by whatever: so the property heals itself.
    applied.ended.extend(unwatched::end(connection, &[]).await?);
    Ok(())
}

/// What a wanted monitor is in the database.
enum Compared {
    Same,
    Differs { is_soon: bool, is_awaited: bool, keys: Vec<KeyChange> },
}

/// The wanted monitors that are there, by name, and the rows that are not wanted. One row at a time: a hundred thousand would
/// take a gigabyte, and are compared while the database reads on.
async fn compare<'a>(
    connection: &mut Session,
    wanted: DesiredState<'a>,
) -> Result<(HashMap<&'a str, Compared>, HashMap<String, Existing>)> {
    let by_name: HashMap<&str, &Monitor> =
        wanted.monitors.iter().map(|monitor| (monitor.name.as_str(), monitor)).collect();
    let (mut compared, mut left) = (HashMap::with_capacity(by_name.len()), HashMap::new());
    let mut rows = sqlx::query_as(MONITORS).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let row: Existing = row;
        let Some((name, monitor)) = by_name.get_key_value(row.name.as_str()) else {
            left.insert(row.name.clone(), row);
            continue;
        };
        let columns = monitor_columns(monitor);
        let (changed, keys) = differing(&row, &columns, wanted.source)?;
        let has = |key| changed.contains(&key);
        let is_soon = has("check") || has("enabled") || has("locations");
        let is_awaited = is_soon || has("policy");
        let is =
            if changed.is_empty() { Compared::Same } else { Compared::Differs { is_soon, is_awaited, keys } };
        compared.insert(*name, is);
    }
    Ok((compared, left))
}

async fn write_monitors(
    connection: &mut Session,
    changes: &mut [MonitorChange<'_>],
    source: Source,
) -> Result<()> {
    let upsert = sqlx::query_as(
        "INSERT INTO monitors (name, enabled, check_spec, policy, target, group_name, tags, source)
         SELECT *, $8 FROM unnest($1::text[], $2::boolean[], $3::jsonb[], $4::jsonb[], $5::text[], $6::text[], $7::jsonb[])
         ON CONFLICT (name) DO UPDATE SET enabled = EXCLUDED.enabled, check_spec = EXCLUDED.check_spec,
           policy = EXCLUDED.policy, target = EXCLUDED.target, group_name = EXCLUDED.group_name,
           tags = EXCLUDED.tags, source = EXCLUDED.source, updated_at = now()
         RETURNING name, id",
    );
    let upsert = bind!(
        upsert,
        column(&*changes, |change| change.monitor.name.as_str()),
        column(changes, |change| change.monitor.enabled),
        column(changes, |change| json!(change.monitor.check)),
        column(changes, |change| json!(change.monitor.policy)),
        column(changes, |change| change.monitor.check.target()),
        column(changes, |change| change.monitor.group.as_deref()),
        column(changes, |change| json!(change.monitor.tags)),
        source.as_str(),
    );
    let ids: HashMap<String, i64> = upsert.fetch_all(connection).await?.into_iter().collect();
    for change in changes {
        change.id = ids[&change.monitor.name];
    }
    Ok(())
}

async fn write_states(connection: &mut Session, changes: &[MonitorChange<'_>]) -> Result<()> {
    // A slot that stays is 'infinity', a wait that goes on '-infinity'.
    write_rows!(
        connection,
        "INSERT INTO monitor_states AS s (monitor_id, active, interval_ms, phase_ms, next_check_at, timeout_ms, awaited_since)
         SELECT id, active, interval_ms, phase_ms, coalesce(now() + make_interval(secs => wait), 'infinity'), timeout_ms,
                CASE WHEN is_awaited THEN now() ELSE '-infinity' END
         FROM unnest($1::bigint[], $2::boolean[], $3::bigint[], $4::bigint[], $5::double precision[], $6::integer[], $7::boolean[])
              c(id, active, interval_ms, phase_ms, wait, timeout_ms, is_awaited)
         ON CONFLICT (monitor_id) DO UPDATE SET active = EXCLUDED.active, interval_ms = EXCLUDED.interval_ms,
           phase_ms = EXCLUDED.phase_ms, timeout_ms = EXCLUDED.timeout_ms,
           awaited_since = greatest(s.awaited_since, EXCLUDED.awaited_since),
           next_check_at = CASE WHEN EXCLUDED.next_check_at < 'infinity' THEN EXCLUDED.next_check_at
                                ELSE least(s.next_check_at, following_slot(EXCLUDED.interval_ms, EXCLUDED.phase_ms, now())) END",
        changes,
        |change| change.id,
        |change| change.monitor.enabled,
        |change| to_ms(change.monitor.policy.interval),
        |change| to_ms(phase(&change.monitor.name, change.monitor.policy.interval)),
        |change| change.ordinal.map(|ordinal| first_check_after(ordinal, change.monitor.policy.interval)),
        |change| i32::try_from(change.monitor.policy.timeout.as_millis()).unwrap_or(i32::MAX),
        |change| change.is_awaited,
    );
    Ok(())
}

async fn write_channels(
    connection: &mut Session,
    changes: &[MonitorChange<'_>],
    channel_ids: &HashMap<String, i64>,
) -> Result<()> {
    let of_it = |change: &MonitorChange<'_>| {
        let id = change.id;
        let channels = change.monitor.channels.iter().filter_map(|name| channel_ids.get(name)).copied();
        channels.map(move |channel| (id, channel)).collect::<Vec<_>>()
    };
    let (monitors, channels): (Vec<i64>, Vec<i64>) = changes.iter().flat_map(of_it).unzip();
    let leave = sqlx::query(
        "DELETE FROM monitor_channels m WHERE m.monitor_id = ANY ($1)
           AND NOT EXISTS (SELECT FROM unnest($2::bigint[], $3::bigint[]) w(monitor, channel)
                           WHERE w.monitor = m.monitor_id AND w.channel = m.channel_id)",
    );
    bind!(leave, column(changes, |change| change.id), &monitors, &channels).execute(&mut *connection).await?;
    let join = sqlx::query(
        "INSERT INTO monitor_channels SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT DO NOTHING",
    );
    bind!(join, monitors, channels).execute(connection).await?;
    Ok(())
}

/// Writes from where monitors are looked at, and gives those of which that is news. What is known from where they were looked at
/// before stays. What is awaited is so from each location, as from one that was added now.
async fn write_locations(connection: &mut Session, changes: &[MonitorChange<'_>]) -> Result<Vec<i64>> {
    let (mut monitors, mut locations) = (Vec::new(), Vec::new());
    for change in changes {
        monitors.extend(change.monitor.locations.iter().map(|_| change.id));
        locations.extend(change.monitor.locations.iter().map(Location::as_str));
    }
    let set = sqlx::query_scalar(
        "WITH wanted AS MATERIALIZED (SELECT * FROM unnest($2::bigint[], $3::text[]) w(monitor_id, location)),
         gone AS (
           DELETE FROM monitor_locations l WHERE l.monitor_id = ANY ($1)
             AND NOT EXISTS (SELECT FROM wanted w WHERE w.monitor_id = l.monitor_id AND w.location = l.location)
           RETURNING monitor_id),
         added AS (
           INSERT INTO monitor_locations (monitor_id, location) SELECT * FROM wanted ON CONFLICT DO NOTHING RETURNING monitor_id)
         SELECT monitor_id FROM gone UNION SELECT monitor_id FROM added",
    );
    let ids = column(changes, |change| change.id);
    let moved: Vec<i64> = bind!(set, ids, monitors, locations).fetch_all(&mut *connection).await?;
    let awaited: Vec<i64> =
        changes.iter().filter(|change| change.is_awaited).map(|change| change.id).collect();
    let wait = sqlx::query("UPDATE monitor_locations SET awaited_since = now() WHERE monitor_id = ANY ($1)");
    bind!(wait, awaited).execute(&mut *connection).await?;
    // What failed in a row elsewhere is no streak here.
    let forget = "UPDATE monitor_states SET streak = 0, streak_since = NULL, downs = 0, downs_since = NULL
                  WHERE monitor_id = ANY ($1)";
    write_rows!(connection, forget, &moved, |id| *id);
    Ok(moved)
}

/// Gives monitors their parents, by name, when all of them are there.
async fn set_parents(connection: &mut Session, changes: &[MonitorChange<'_>]) -> Result<()> {
    let set = sqlx::query(
        "UPDATE monitors m SET parent_id = p.id
         FROM unnest($1::bigint[], $2::text[]) AS child(id, parent) LEFT JOIN monitors p ON p.name = child.parent
         WHERE m.id = child.id AND m.parent_id IS DISTINCT FROM p.id",
    );
    let parents = column(changes, |change| change.monitor.parent.as_deref());
    bind!(set, column(changes, |change| change.id), parents).execute(&mut *connection).await?;
    let mark = sqlx::query(
        "UPDATE monitors m SET is_parent = NOT is_parent
         WHERE is_parent <> (id IN (SELECT parent_id FROM monitors WHERE parent_id IS NOT NULL))",
    );
    mark.execute(connection).await?;
    Ok(())
}

pub(super) async fn drop_waiting_checks(connection: &mut Session, monitors: &[i64]) -> Result<()> {
    if monitors.is_empty() {
        return Ok(());
    }
    let drop = sqlx::query("DELETE FROM jobs WHERE holds_checks(queue) AND subject = ANY ($1)");
    bind!(drop, monitors).execute(connection).await?;
    Ok(())
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

const MONITORS: &str =
    "SELECT m.id, m.name, m.source, json_build_object('check', m.check_spec, 'enabled', m.enabled, 'group', m.group_name,
            'parent', p.name, 'policy', m.policy, 'tags', m.tags, 'channels', coalesce(c.names, '{}'),
            'locations', coalesce(l.names, '{}'))::text AS columns
     FROM monitors m LEFT JOIN monitors p ON p.id = m.parent_id
     LEFT JOIN (SELECT mc.monitor_id, array_agg(c.name ORDER BY c.name COLLATE \"C\") AS names
                FROM monitor_channels mc JOIN channels c ON c.id = mc.channel_id GROUP BY mc.monitor_id) c ON c.monitor_id = m.id
     LEFT JOIN (SELECT monitor_id, array_agg(location ORDER BY location COLLATE \"C\") AS names
                FROM monitor_locations GROUP BY monitor_id) l ON l.monitor_id = m.id";
