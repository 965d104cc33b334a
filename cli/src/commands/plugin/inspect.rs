//! `uptime plugin inspect`: all there is to know of a plugin, or of a file that may become one.

use super::card::Card;
use crate::args::Global;
use crate::config::{file, plugins};
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::json;
use std::path::Path;
use uptime_core::config::FirstLook;
use uptime_notifier::registry::{Installed, read_component};
use uptime_notifier::{Component, NotifierError, NotifierHost, Origin, PluginSource};

pub async fn run(global: &Global, plugin: &str, printer: &Printer) -> Result<Exit, CommandError> {
    // No plugin's name has either.
    let is_file = plugin.contains(|c| c == '.' || std::path::is_separator(c));
    let card =
        if is_file { of_file(global, Path::new(plugin)).await? } else { of_name(global, plugin).await? };
    if printer.is_json() {
        printer.json(&json!({ "schema_version": 1, "plugin": card.json() }));
    } else {
        card.print(printer);
    }
    // It was shown, whatever it is; whether it can be used is in the exit code, too.
    card.examined()?;
    Ok(Exit::Ok)
}

async fn of_file(global: &Global, path: &Path) -> Result<Card, CommandError> {
    let bytes = read_component(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut source = PluginSource { origin: Origin::File, ..PluginSource::of_bytes(name, bytes) };
    let notifiers = NotifierHost::with_plugins(file::host_options(global), [source.clone()])?;
    let mut card = Card::of(source.clone(), None, &notifiers, &FirstLook::default()).await;
    if let Ok(examined) = &card.examined {
        source.name = uptime_core::text::printable(&examined.own_name, 60);
        card.source = source;
    }
    Ok(card)
}

async fn of_name(global: &Global, name: &str) -> Result<Card, CommandError> {
    let notifiers = file::notifiers(global)?;
    let Some(source) = notifiers.sources().find(|source| source.name == name).cloned() else {
        let known = notifiers.names();
        let error = NotifierError::Unknown { name: name.to_owned(), known };
        return Err(error.into());
    };
    let grant = grant_of(global, &source);
    let look = plugins::look(global);
    let mut card = Card::of(source, grant, &notifiers, &look).await;
    // What is not trusted is looked at all the same, for whoever wonders whether it should be.
    if matches!(card.examined, Err(NotifierError::Untrusted { .. }))
        && let Some(bytes) = bytes_of(global, &card.source)
    {
        let untrusted = PluginSource { component: Component::Bytes(bytes.into()), ..card.source.clone() };
        let host = NotifierHost::with_plugins(file::host_options(global), [untrusted])?;
        card.unproved = host.examine(name).await.ok();
    }
    Ok(card)
}

fn installed(global: &Global, name: &str) -> Option<Installed> {
    plugins::registry(global).ok()?.find(name).ok()?
}

fn grant_of(global: &Global, source: &PluginSource) -> Option<uptime_notifier::registry::Grant> {
    installed(global, &source.name).filter(|_| source.origin == Origin::Installed)?.grant
}

fn bytes_of(global: &Global, source: &PluginSource) -> Option<Vec<u8>> {
    match &source.component {
        Component::File { path, .. } => read_component(path).ok(),
        _ => installed(global, &source.name)?.component().ok(),
    }
}
