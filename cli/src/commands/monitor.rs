//! `uptime monitor`: what is watched, and how it is.

use crate::args::{Global, MonitorCommand};
use crate::commands::{check, open};
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Entry, FAINT, Printer, ms, rfc3339, state_style};
use anstyle::Style;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uptime_core::liveness::{Freshness, STALE_INTERVALS};
use uptime_store::maintenance::MaintenanceRow;
use uptime_store::reading::{LocationSummary, MonitorSummary};

pub async fn run(global: &Global, command: &MonitorCommand, printer: &Printer) -> Result<Exit, CommandError> {
    let MonitorCommand::List = command;
    let database = open(global, printer).await?;
    let store = &database.store;
    let (monitors, windows, now) =
        (store.monitor_summaries().await, store.maintenance_windows().await, store.now().await);
    database.close().await;
    let (windows, now) = (windows?, now?);
    let monitors = monitors?;
    let left_over = left_over(global, &monitors);
    let entries: Vec<Entry> = monitors
        .iter()
        .map(|monitor| {
            let mut entry = entry(monitor, covering(monitor, &windows, now), printer);
            entry.json["in_file"] =
                left_over.as_ref().map(|names| !names.contains(&monitor.name.as_str())).into();
            entry
        })
        .collect();
    if entries.is_empty() && !printer.is_json() {
        printer.note("no monitors: `uptime apply` brings in those of the file");
    }
    printer.list("monitors", &["state", "name", "target", "since", "last check", "ms", "why"], entries);
    if let Some(names) = left_over.filter(|names| !names.is_empty()) {
        let names = names.join(", ");
        printer.warning(format!("no longer in the file, but still watched: {names}"));
        printer.hint("`uptime apply --prune` removes what is no longer in the file");
    }
    Ok(Exit::Ok)
}

/// Monitors that a file brought in and that it no longer has; `None` where there is no file that can be read.
fn left_over<'m>(global: &Global, monitors: &'m [MonitorSummary]) -> Option<Vec<&'m str>> {
    let of_file: BTreeSet<String> =
        check::monitors_of_file(global).ok()??.into_iter().map(|monitor| monitor.name).collect();
    let of_a_file = monitors.iter().filter(|monitor| monitor.of_file && monitor.enabled);
    Some(of_a_file.map(|monitor| monitor.name.as_str()).filter(|name| !of_file.contains(*name)).collect())
}

/// The window that a monitor is in, the one that lasts longest, and when that is over.
fn covering<'w>(
    monitor: &MonitorSummary,
    windows: &'w [MaintenanceRow],
    now: Timestamp,
) -> Option<(&'w str, Timestamp)> {
    let concerning = windows
        .iter()
        .filter(|row| row.window.concerns(&monitor.name, monitor.group.as_deref(), &monitor.tags));
    let covering = concerning.filter_map(|row| Some((row.name.as_str(), row.window.covers(now)?)));
    covering.max_by_key(|(_, until)| *until)
}

fn entry(monitor: &MonitorSummary, maintenance: Option<(&str, Timestamp)>, printer: &Printer) -> Entry {
    let state = match (monitor.freshness, maintenance) {
        (Freshness::Idle, _) => "paused",
        // In a window, too: what is told is held back, but checks go on.
        (Freshness::Stale(_), _) => "stale",
        (Freshness::Fresh, Some(_)) => "maintenance",
        (Freshness::Fresh, None) => monitor.state.as_str(),
    };
    Entry {
        json: json!({
            "name": monitor.name,
            "type": monitor.kind,
            "target": monitor.target,
            "state": state,
            "last_known_state": monitor.state,
            "since": monitor.since.map(rfc3339),
            "last_check_at": monitor.last_check_at.map(rfc3339),
            "last_outcome": monitor.last_outcome,
            "last_message": monitor.last_message,
            "interval_s": monitor.interval.as_secs_f64(),
            "enabled": monitor.enabled,
            "locations": monitor.locations.iter().map(location).collect::<Vec<_>>(),
            "maintenance": maintenance.map(|(name, _)| name),
            "maintenance_until": maintenance.map(|(_, until)| until).filter(|until| *until < Timestamp::MAX).map(rfc3339),
        }),
        cells: vec![
            Cell::styled(state, state_style(state)),
            monitor.name.as_str().into(),
            Cell::from(monitor.target.as_str()).spare(),
            printer.time(monitor.since).into(),
            printer.time(monitor.last_check_at).into(),
            Cell::number(monitor.last_latency.map(ms).unwrap_or_default(), Style::new()).spare(),
            why(monitor).in_style(FAINT),
        ],
    }
}

fn location(summary: &LocationSummary) -> Value {
    let LocationSummary { local, freshness, last_check_at, last_outcome, last_message } = summary;
    json!({
        "name": local.location.as_str(),
        "state": if matches!(freshness, Freshness::Stale(_)) { "stale" } else { local.state.status.as_str() },
        "since": local.state.since.map(rfc3339),
        "last_check_at": last_check_at.map(rfc3339),
        "last_outcome": last_outcome,
        "last_message": last_message,
    })
}

/// Why a monitor is shown as it is: first what has no results, then what its locations say; the last message is one's alone.
fn why(monitor: &MonitorSummary) -> Cell {
    let message = monitor.last_message.as_deref().unwrap_or_default();
    if matches!(monitor.freshness, Freshness::Stale(_)) {
        return Cell::cut(format!("no result for {STALE_INTERVALS} intervals; was {}", monitor.state));
    }
    let is_stale = |summary: &&LocationSummary| matches!(summary.freshness, Freshness::Stale(_));
    let stale: Vec<&str> =
        monitor.locations.iter().filter(is_stale).map(|summary| summary.local.location.as_str()).collect();
    let stale = (!stale.is_empty()).then(|| format!("stale in {}", stale.join(", ")));
    let words: Vec<&str> = [stale.as_deref(), monitor.seen.as_deref(), Some(message)]
        .into_iter()
        .flatten()
        .filter(|words| !words.is_empty())
        .collect();
    if monitor.locations.is_empty() { Cell::cause(message) } else { Cell::cut(words.join(" · ")) }
}
