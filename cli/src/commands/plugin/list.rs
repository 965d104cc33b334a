//! `uptime plugin list`: what there is, and how it is.

use super::card::Card;
use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Entry, Printer};
use crate::{file, plugins};
use anstyle::Style;
use uptime_core::text::printable;

/// As much of a SHA-256 as a person compares.
const SHORT: usize = 12;

pub async fn run(global: &Global, printer: &Printer) -> Result<Exit, CommandError> {
    let notifiers = file::notifiers(global)?;
    let look = plugins::look(global);
    let added = plugins::registry(global).and_then(|registry| Ok(registry.installed()?)).unwrap_or_default();
    let mut entries = Vec::new();
    for source in notifiers.sources() {
        let grant =
            added.iter().find(|added| added.name == source.name).and_then(|added| added.grant.clone());
        entries.push(entry(&Card::of(source.clone(), grant, &notifiers, &look).await));
    }
    let headers = ["name", "version", "origin", "state", "sha256", "hosts", "channels", "why"];
    printer.list("plugins", &headers, entries);
    Ok(Exit::Ok)
}

fn entry(card: &Card) -> Entry {
    let (state, style) = card.state();
    let hosts: Vec<String> = card
        .hosts()
        .into_iter()
        .map(|(host, granted)| if granted { host } else { format!("{host} (not granted)") })
        .collect();
    let sha256 = card.sha256().map(|sha256| sha256[..SHORT].to_owned()).unwrap_or_default();
    let why = card.examined.as_ref().err().map(ToString::to_string).unwrap_or_default();
    Entry {
        json: card.json(),
        cells: vec![
            card.source.name.as_str().into(),
            card.version().into(),
            card.source.origin.as_str().into(),
            Cell::styled(state, style),
            Cell::styled(sha256, Style::new()).spare(),
            hosts.join(", ").into(),
            printable(&card.channels.join(", "), 300).into(),
            Cell::cut(why),
        ],
    }
}
