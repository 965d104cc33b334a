//! `uptime plugin add`: a component becomes a plugin of this installation, trusted as it is now.

use super::granted;
use super::loaded::inspect;
use super::report::PluginReport;
use crate::args::{AddArgs, Global};
use crate::config::{file, plugins};
use crate::confirm::confirm;
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use jiff::Timestamp;
use serde_json::json;
use uptime_core::config::ConfigOutline;
use uptime_core::notifier::name_problem;
use uptime_core::text::printable;
use uptime_notifier::registry::{Grant, Installed, read_component};
use uptime_notifier::{NotifierHost, Origin, PluginSource, is_built_in};

pub async fn run(global: &Global, args: &AddArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let registry = plugins::registry(global)?;
    let bytes = read_component(&args.file)?;
    let file_name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(name) = &args.name {
        check_name(name)?;
    }
    let (allow, limits) = granted(None, &args.grants)?;
    let provisional = args.name.clone().unwrap_or_else(|| printable(&file_name, 60));
    let mut source = PluginSource { limits, allow, ..PluginSource::of_bytes(provisional, bytes.clone()) };
    // Compiles it into the cache, too, so that no worker has to.
    let notifiers = NotifierHost::with_plugins(file::host_options(global), [source.clone()])?;
    let inspected = inspect(&notifiers, &source.name, bytes.len(), printer).await?;
    source.name = args.name.clone().unwrap_or_else(|| inspected.own_name.clone());
    check_name(&source.name)?;
    let before = registry.find(&source.name)?;
    let kept = before.as_ref().and_then(|before| before.grant.as_ref());
    (source.allow, source.limits) =
        granted(kept.map(|grant| (grant.allow.as_slice(), &grant.limits)), &args.grants)?;
    let outline = plugins::outline(global);
    let grant = Grant {
        sha256: inspected.sha256.clone(),
        source: file_name,
        granted_at: Timestamp::now(),
        allow: source.allow.clone(),
        limits: source.limits.clone(),
    };
    let uses = |(_, notifier): &&(String, String)| *notifier == source.name;
    let channels = outline.channels.iter().filter(uses).map(|(channel, _)| channel.clone()).collect();
    let report = PluginReport {
        channels,
        grant: Some(grant.clone()),
        inspected: Ok(inspected),
        unproved: None,
        source,
    };
    if let Some(before) = &before {
        let old = old_card(global, before).await?;
        confirm(&replaces(&old, &report), args.yes)?;
    }
    let name = report.source.name.as_str();
    registry.put(name, &bytes, &grant)?;
    if printer.is_json() {
        printer.json(&json!({ "schema_version": 1, "replaced": before.is_some(), "plugin": report.json() }));
    } else {
        report.print(printer);
    }
    say_next(&report, &outline, before.is_some(), printer);
    Ok(Exit::Ok)
}

fn check_name(name: &str) -> Result<(), CommandError> {
    let shown = printable(name, 60);
    if is_built_in(name) {
        return Err(CommandError::new(
            Exit::Usage,
            format!("`{shown}` is built in, and nothing takes its place"),
        )
        .hint(format!("give yours a name of its own: `--name my-{shown}`")));
    }
    match name_problem(name) {
        Some(problem) => Err(CommandError::new(
            Exit::Usage,
            format!("`{shown}` can't be the name of a plugin: a name {problem}"),
        )
        .hint("give it another: `--name hello`")),
        None => Ok(()),
    }
}

/// The plugin that is there, looked at.
async fn old_card(global: &Global, before: &Installed) -> Result<PluginReport, CommandError> {
    let source = before.source();
    let notifiers = NotifierHost::with_plugins(file::host_options(global), [source.clone()])?;
    Ok(PluginReport::of(source, before.grant.clone(), &notifiers, &ConfigOutline::default()).await)
}

/// What replacing `old` by `new` changes.
fn replaces(old: &PluginReport, new: &PluginReport) -> String {
    let version = |report: &PluginReport| match report.version() {
        version if version.is_empty() => "of an unknown version".to_owned(),
        version => version,
    };
    let sha256 = |report: &PluginReport| report.sha256().map_or("unknown", |sha256| &sha256[..12]).to_owned();
    let asked_before = old.hosts();
    let more: Vec<String> = new
        .hosts()
        .into_iter()
        .filter(|(host, _)| asked_before.iter().all(|(before, _)| before != host))
        .map(|(host, _)| format!("`{host}`"))
        .collect();
    let asks = if more.is_empty() {
        "no new hosts are asked for".to_owned()
    } else {
        format!("it now asks for {}", more.join(", "))
    };
    let grants = match new.source.allow.as_slice() {
        [] => "nothing is granted".to_owned(),
        allow => {
            let allow: Vec<String> = allow.iter().map(|grant| format!("`{grant}`")).collect();
            format!("granted: {}", allow.join(", "))
        }
    };
    format!(
        "this replaces `{}` {} ({}) by {} ({}); {asks}; {grants}",
        new.source.name,
        version(old),
        sha256(old),
        version(new),
        sha256(new),
    )
}

/// What the operator does next, or should know.
fn say_next(report: &PluginReport, outline: &ConfigOutline, replaced: bool, printer: &Printer) {
    let name = report.source.name.as_str();
    if outline.plugins.iter().any(|section| section.name == name && section.file.is_some()) {
        printer.warning(format!("the file brings a `{name}` of its own, which comes before this one"));
    }
    let ungranted: Vec<String> =
        report.hosts().into_iter().filter(|(_, granted)| !granted).map(|(host, _)| host).collect();
    if !ungranted.is_empty() {
        let allow: Vec<String> = ungranted.iter().map(|host| format!("--allow '{host}'")).collect();
        printer.warning(format!("`{name}` asks for {}, which it was not granted", ungranted.join(", ")));
        printer.note(format!("hint: `uptime plugin trust {name} {}` grants it", allow.join(" ")));
    }
    debug_assert!(report.source.origin == Origin::Installed);
    report.remains_possible().into_iter().for_each(|line| printer.note(line));
    if replaced {
        printer.note(format!(
            "`{name}` is replaced. Workers that run take it after SIGHUP, or `uptime queue restart`"
        ));
    } else {
        printer.note(format!("`{name}` is added. Next: `notifier = \"{name}\"` in a channel's table"));
    }
}
