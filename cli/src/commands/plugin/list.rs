//! `uptime plugin list`: what there is, and how it is.

use super::card::Card;
use crate::args::Global;
use crate::config::{file, plugins};
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Printer};
use anstyle::Style;
use uptime_core::text::printable;

/// As much of a SHA-256 as a person compares.
const SHORT: usize = 12;

pub async fn run(global: &Global, printer: &Printer) -> Result<Exit, CommandError> {
    let notifiers = file::notifiers(global)?;
    let look = plugins::look(global);
    let added = plugins::registry(global).and_then(|registry| Ok(registry.installed()?)).unwrap_or_default();
    let mut cards = Vec::new();
    for source in notifiers.sources() {
        let grant =
            added.iter().find(|added| added.name == source.name).and_then(|added| added.grant.clone());
        cards.push(Card::of(source.clone(), grant, &notifiers, &look).await);
    }
    printer.list("plugins", COLUMNS, &cards, Card::json);
    Ok(Exit::Ok)
}

const COLUMNS: &[Column<Card>] = &[
    ("name", |card, _| card.source.name.as_str().into()),
    ("version", |card, _| card.version().into()),
    ("origin", |card, _| card.source.origin.as_str().into()),
    ("state", |card, _| {
        let (state, style) = card.state();
        Cell::styled(state, style)
    }),
    ("sha256", |card, _| {
        let sha256 = card.sha256().map(|sha256| sha256[..SHORT].to_owned()).unwrap_or_default();
        Cell::styled(sha256, Style::new()).spare()
    }),
    ("hosts", |card, _| hosts(card).join(", ").into()),
    ("channels", |card, _| printable(&card.channels.join(", "), 300).into()),
    ("why", |card, _| Cell::cut(card.examined.as_ref().err().map(ToString::to_string).unwrap_or_default())),
];

fn hosts(card: &Card) -> Vec<String> {
    let shown = |(host, granted)| if granted { host } else { format!("{host} (not granted)") };
    card.hosts().into_iter().map(shown).collect()
}
