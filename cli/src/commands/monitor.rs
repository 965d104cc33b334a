//! `uptime monitor`: what is watched, and how it is.

use crate::commands::check;
use crate::output::{ms, state_style};
use crate::prelude::*;
use std::collections::BTreeSet;
use uptime_core::liveness::{Freshness, STALE_INTERVALS};
use uptime_store::maintenance::MaintenanceRow;
use uptime_store::summaries::{LocationSummary, MonitorSummary};

pub async fn list(store: &Store, global: &Global, printer: &Printer) -> Result<Exit> {
    let (monitors, windows) = (store.monitor_summaries().await?, store.maintenance_windows().await?);
    let (now, left_over) = (store.now().await?, left_over(global, &monitors));
    let listed = |monitor: MonitorSummary| Listed {
        maintenance: covering(&monitor, &windows, now),
        in_file: left_over.as_ref().map(|names| !names.contains(&monitor.name)),
        monitor,
    };
    let listed: Vec<Listed> = monitors.into_iter().map(listed).collect();
    if listed.is_empty() && !printer.is_json() {
        printer.note("no monitors: `uptime apply` brings in those of the file");
    }
    printer.list("monitors", COLUMNS, &listed, Listed::json);
    if let Some(names) = left_over.filter(|names| !names.is_empty()) {
        printer.warning(format!("no longer in the file, but still watched: {}", names.join(", ")));
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
fn covering(of: &MonitorSummary, windows: &[MaintenanceRow], now: Timestamp) -> Option<(String, Timestamp)> {
    let concerning =
        windows.iter().filter(|row| row.window.concerns(&of.name, of.group.as_deref(), &of.tags));
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

fn is_stale(freshness: Freshness) -> bool {
    matches!(freshness, Freshness::Stale(_))
}

fn location(summary: &LocationSummary) -> Value {
    let LocationSummary { local, freshness, last_check_at, last_outcome, last_message } = summary;
    let state = if is_stale(*freshness) { "stale" } else { local.state.status.as_str() };
    json!({
        "name": local.location.as_str(), "state": state, "since": local.state.since.map(rfc3339),
        "last_check_at": last_check_at.map(rfc3339), "last_outcome": last_outcome, "last_message": last_message,
    })
}

/// Why a monitor is shown as it is: first what has no results, then what its locations say; the last message is one's alone.
fn why(monitor: &MonitorSummary) -> Cell {
    let message = monitor.last_message.as_deref().unwrap_or_default();
    if is_stale(monitor.freshness) {
        return Cell::cut(format!("no result for {STALE_INTERVALS} intervals; was {}", monitor.state));
    }
    if monitor.locations.is_empty() {
        return Cell::cause(message);
    }
    let stale = monitor.locations.iter().filter(|summary| is_stale(summary.freshness));
    let stale: Vec<&str> = stale.map(|summary| summary.local.location.as_str()).collect();
    let stale = (!stale.is_empty()).then(|| format!("stale in {}", stale.join(", ")));
    let words = [stale.as_deref(), monitor.seen.as_deref(), Some(message)].into_iter().flatten();
    Cell::cut(words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" · "))
}
