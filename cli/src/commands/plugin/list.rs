//! `uptime plugin list`: what there is, and how it is.

use super::report::PluginReport;
use crate::config::{file, plugins};
use crate::prelude::*;

/// As much of a SHA-256 as a person compares.
const SHORT: usize = 12;

pub async fn run(global: &Global, printer: &Printer) -> Result<Exit> {
    let notifiers = file::notifiers(global)?;
    let outline = plugins::outline(global);
    let added = plugins::registry(global).and_then(|registry| Ok(registry.installed()?)).unwrap_or_default();
    let mut cards = Vec::new();
    for source in notifiers.sources() {
        let grant =
            added.iter().find(|added| added.name == source.name).and_then(|added| added.grant.clone());
        cards.push(PluginReport::of(source.clone(), grant, &notifiers, &outline).await);
    }
    printer.list("plugins", COLUMNS, &cards, PluginReport::json);
    Ok(Exit::Ok)
}

const COLUMNS: &[Column<PluginReport>] = &[
    ("name", |report, _| report.source.name.as_str().into()),
    ("version", |report, _| report.version().into()),
    ("origin", |report, _| report.source.origin.as_str().into()),
    ("state", |report, _| {
        let (state, style) = report.state();
        Cell::styled(state, style)
    }),
    ("sha256", |report, _| {
        let sha256 = report.sha256().map(|sha256| sha256[..SHORT].to_owned()).unwrap_or_default();
        Cell::styled(sha256, Style::new()).spare()
    }),
    ("hosts", |report, _| hosts(report).join(", ").into()),
    ("channels", |report, _| printable(&report.channels.join(", "), 300).into()),
    ("why", |report, _| {
        Cell::cut(report.inspected.as_ref().err().map(ToString::to_string).unwrap_or_default())
    }),
];

fn hosts(report: &PluginReport) -> Vec<String> {
    let shown = |(host, granted)| if granted { host } else { format!("{host} (not granted)") };
    report.hosts().into_iter().map(shown).collect()
}
