//! `uptime plugin inspect`: all there is to know of a plugin, or of a file that may become one.

use super::report::PluginReport;
use crate::config::{file, plugins};
use crate::prelude::*;
use uptime_core::config::ConfigOutline;
use uptime_notifier::registry::read_component;
use uptime_notifier::{Component, NotifierError, Origin, PluginSource};

pub async fn run(global: &Global, plugin: &str, printer: &Printer) -> Result<Exit> {
    // No plugin's name has either.
    let is_file = plugin.contains(|c| c == '.' || std::path::is_separator(c));
    let report =
        if is_file { of_file(global, Path::new(plugin)).await? } else { of_name(global, plugin).await? };
    report.answer(json!({}), printer);
    // It was shown, whatever it is; whether it can be used is in the exit code, too.
    report.inspected()?;
    Ok(Exit::Ok)
}

async fn of_file(global: &Global, path: &Path) -> Result<PluginReport> {
    let bytes = read_component(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut source = PluginSource { origin: Origin::File, ..PluginSource::of_bytes(name, bytes) };
    let notifiers = file::host_of(global, source.clone())?;
    let mut report = PluginReport::of(source.clone(), None, &notifiers, &ConfigOutline::default()).await;
    if let Ok(inspected) = &report.inspected {
        source.name = printable(&inspected.own_name, 60);
        report.source = source;
    }
    Ok(report)
}

async fn of_name(global: &Global, name: &str) -> Result<PluginReport> {
    let notifiers = file::notifiers(global)?;
    let Some(source) = notifiers.sources().find(|source| source.name == name).cloned() else {
        return Err(NotifierError::Unknown { name: name.to_owned(), known: notifiers.names() }.into());
    };
    let installed = plugins::registry(global).ok().and_then(|registry| registry.find(name).ok()?);
    let grant = installed.clone().filter(|_| source.origin == Origin::Installed).and_then(|it| it.grant);
    let mut report = PluginReport::of(source, grant, &notifiers, &plugins::outline(global)).await;
    // What is not trusted is looked at all the same, for whoever wonders whether it should be.
    if matches!(report.inspected, Err(NotifierError::Untrusted { .. })) {
        let bytes = match &report.source.component {
            Component::File { path, .. } => read_component(path).ok(),
            _ => installed.and_then(|it| it.component().ok()),
        };
        if let Some(bytes) = bytes {
            let untrusted =
                PluginSource { component: Component::Bytes(bytes.into()), ..report.source.clone() };
            report.unproved = file::host_of(global, untrusted)?.inspect(name).await.ok();
        }
    }
    Ok(report)
}
