//! `uptime plugin inspect`: all there is to know of a plugin, or of a file that may become one.

use super::report::PluginReport;
use crate::args::Global;
use crate::config::{file, plugins};
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::json;
use std::path::Path;
use uptime_core::config::ConfigOutline;
use uptime_notifier::registry::{Installed, read_component};
use uptime_notifier::{Component, NotifierError, NotifierHost, Origin, PluginSource};

pub async fn run(global: &Global, plugin: &str, printer: &Printer) -> Result<Exit, CommandError> {
    // No plugin's name has either.
    let is_file = plugin.contains(|c| c == '.' || std::path::is_separator(c));
    let report =
        if is_file { of_file(global, Path::new(plugin)).await? } else { of_name(global, plugin).await? };
    if printer.is_json() {
        printer.json(&json!({ "schema_version": 1, "plugin": report.json() }));
    } else {
        report.print(printer);
    }
    // It was shown, whatever it is; whether it can be used is in the exit code, too.
    report.inspected()?;
    Ok(Exit::Ok)
}

async fn of_file(global: &Global, path: &Path) -> Result<PluginReport, CommandError> {
    let bytes = read_component(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut source = PluginSource { origin: Origin::File, ..PluginSource::of_bytes(name, bytes) };
    let notifiers = NotifierHost::with_plugins(file::host_options(global), [source.clone()])?;
    let mut report = PluginReport::of(source.clone(), None, &notifiers, &ConfigOutline::default()).await;
    if let Ok(inspected) = &report.inspected {
        source.name = uptime_core::text::printable(&inspected.own_name, 60);
        report.source = source;
    }
    Ok(report)
}

async fn of_name(global: &Global, name: &str) -> Result<PluginReport, CommandError> {
    let notifiers = file::notifiers(global)?;
    let Some(source) = notifiers.sources().find(|source| source.name == name).cloned() else {
        let known = notifiers.names();
        let error = NotifierError::Unknown { name: name.to_owned(), known };
        return Err(error.into());
    };
    let grant = grant_of(global, &source);
    let outline = plugins::outline(global);
    let mut report = PluginReport::of(source, grant, &notifiers, &outline).await;
    // What is not trusted is looked at all the same, for whoever wonders whether it should be.
    if matches!(report.inspected, Err(NotifierError::Untrusted { .. }))
        && let Some(bytes) = bytes_of(global, &report.source)
    {
        let untrusted = PluginSource { component: Component::Bytes(bytes.into()), ..report.source.clone() };
        let host = NotifierHost::with_plugins(file::host_options(global), [untrusted])?;
        report.unproved = host.inspect(name).await.ok();
    }
    Ok(report)
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
