//! `uptime monitor`: what is watched, and how it is.

use crate::args::{Global, MonitorCommand};
use crate::commands::{ask, check};
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, FAINT, Printer, ms, rfc3339, state_style};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uptime_core::liveness::{Freshness, STALE_INTERVALS};
use uptime_store::maintenance::MaintenanceRow;
use uptime_store::summaries::{LocationSummary, MonitorSummary};

pub async fn run(global: &Global, command: &MonitorCommand, printer: &Printer) -> Result<Exit, CommandError> {
    let MonitorCommand::List = command;
    let (monitors, windows, now) = ask(global, printer, async |store| {
        Ok((store.monitor_summaries().await?, store.maintenance_windows().await?, store.now().await?))
    })
    .await?;
    let left_over: Option<Vec<String>> = left_over(global, &monitors);
    let listed: Vec<Listed> = monitors
        .into_iter()
        .map(|monitor| Listed {
            maintenance: covering(&monitor, &windows, now),
            in_file: left_over.as_ref().map(|names| !names.contains(&monitor.name)),
            monitor,
        })
        .collect();
    if listed.is_empty() && !printer.is_json() {
        printer.note("no monitors: `uptime apply` brings in those of the file");
    }
    printer.list("monitors", COLUMNS, &listed, Listed::json);
    if let Some(names) = left_over.filter(|names| !names.is_empty()) {
        let names = names.join(", ");
        printer.warning(format!("no longer in the file, but still watched: {names}"));
        printer.hint("`uptime apply --prune` removes what is no longer in the file");
    }
    Ok(Exit::Ok)
}

/// Monitors that a file brought in and that it no longer has; `None` where there is no file that can be read.
fn left_over(global: &Global, monitors: &[MonitorSummary]) -> Option<Vec<String>> {
    let of_file: BTreeSet<String> =
        check::monitors_of_file(global).ok()??.into_iter().map(|monitor| monitor.name).collect();
    let of_a_file = monitors.iter().filter(|monitor| monitor.of_file && monitor.enabled);
    Some(of_a_file.map(|monitor| monitor.name.clone()).filter(|name| !of_file.contains(name)).collect())
}

/// The window that a monitor is in, the one that lasts longest, and when that is over.
fn covering(
    monitor: &MonitorSummary,
    windows: &[MaintenanceRow],
    now: Timestamp,
) -> Option<(String, Timestamp)> {
    let concerning = windows
        .iter()
        .filter(|row| row.window.concerns(&monitor.name, monitor.group.as_deref(), &monitor.tags));
    let covering = concerning.filter_map(|row| Some((row.name.clone(), row.window.covers(now)?)));
    covering.max_by_key(|(_, until)| *until)
}

/// A monitor as it is listed.
struct Listed {
    monitor: MonitorSummary,
    /// The window that it is in, and when that is over.
    maintenance: Option<(String, Timestamp)>,
    in_file: Option<bool>,
}

impl Listed {
    fn state(&self) -> &str {
        match (self.monitor.freshness, &self.maintenance) {
            (Freshness::Idle, _) => "paused",
            // In a window, too: what is told is held back, but checks go on.
            (Freshness::Stale(_), _) => "stale",
            (Freshness::Fresh, Some(_)) => "maintenance",
            (Freshness::Fresh, None) => self.monitor.state.as_str(),
        }
    }

    fn json(&self) -> Value {
        let monitor = &self.monitor;
        let until =
            self.maintenance.as_ref().map(|(_, until)| *until).filter(|until| *until < Timestamp::MAX);
        json!({
            "name": monitor.name, "type": monitor.kind, "target": monitor.target, "state": self.state(),
            "last_known_state": monitor.state, "since": monitor.since.map(rfc3339),
            "last_check_at": monitor.last_check_at.map(rfc3339), "last_outcome": monitor.last_outcome,
            "last_message": monitor.last_message, "interval_s": monitor.interval.as_secs_f64(),
            "enabled": monitor.enabled, "locations": monitor.locations.iter().map(location).collect::<Vec<_>>(),
            "maintenance": self.maintenance.as_ref().map(|(name, _)| name),
            "maintenance_until": until.map(rfc3339), "in_file": self.in_file,
        })
    }
}

const COLUMNS: &[Column<Listed>] = &[
    ("state", |one, _| Cell::styled(one.state(), state_style(one.state()))),
    ("name", |one, _| one.monitor.name.as_str().into()),
    ("target", |one, _| Cell::from(one.monitor.target.as_str()).spare()),
    ("since", |one, printer| printer.time(one.monitor.since).into()),
    ("last check", |one, printer| printer.time(one.monitor.last_check_at).into()),
    ("ms", |one, _| Cell::count(&one.monitor.last_latency.map(ms).unwrap_or_default()).spare()),
    ("why", |one, _| why(&one.monitor).in_style(FAINT)),
];

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
