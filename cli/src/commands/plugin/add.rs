//! `uptime plugin add`: a component becomes a plugin of this installation, trusted as it is now.

use super::granted;
use super::loaded::inspect;
use super::report::PluginReport;
use crate::args::AddArgs;
use crate::config::{file, plugins};
use crate::prelude::*;
use uptime_core::config::ConfigOutline;
use uptime_core::notifier::name_problem;
use uptime_notifier::registry::{Grant, read_component};
use uptime_notifier::{Origin, PluginSource, is_built_in};

pub async fn run(global: &Global, args: &AddArgs, printer: &Printer) -> Result<Exit> {
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
    let notifiers = file::host_of(global, source.clone())?;
    let inspected = inspect(&notifiers, &source.name, bytes.len(), printer).await?;
    source.name = args.name.clone().unwrap_or_else(|| inspected.own_name.clone());
    check_name(&source.name)?;
    let before = registry.find(&source.name)?;
    let kept = before.as_ref().and_then(|before| before.grant.as_ref());
    (source.allow, source.limits) = granted(kept, &args.grants)?;
    let outline = plugins::outline(global);
    let grant = Grant {
        sha256: inspected.sha256.clone(),
        source: file_name,
        granted_at: Timestamp::now(),
        allow: source.allow.clone(),
        limits: source.limits.clone(),
    };
    let channels = plugins::users(&outline, &source.name);
    let report = PluginReport {
        channels,
        grant: Some(grant.clone()),
        inspected: Ok(inspected),
        unproved: None,
        source,
    };
    if let Some(before) = &before {
        let (source, grant) = (before.source(), before.grant.clone());
        let notifiers = file::host_of(global, source.clone())?;
        let old = PluginReport::of(source, grant, &notifiers, &ConfigOutline::default()).await;
        confirm(&replaces(&old, &report), args.yes)?;
    }
    let name = report.source.name.as_str();
    registry.put(name, &bytes, &grant)?;
    report.answer(json!({ "replaced": before.is_some() }), printer);
    say_next(&report, &outline, before.is_some(), printer);
    Ok(Exit::Ok)
}

fn check_name(name: &str) -> Result<()> {
    let shown = printable(name, 60);
    if is_built_in(name) {
        return Err(usage_error(format!("`{shown}` is built in, and nothing takes its place"))
            .hint(format!("give yours a name of its own: `--name my-{shown}`")));
    }
    let Some(problem) = name_problem(name) else { return Ok(()) };
    Err(usage_error(format!("`{shown}` can't be the name of a plugin: a name {problem}"))
        .hint("give it another: `--name hello`"))
}

/// What replacing `old` by `new` changes.
fn replaces(old: &PluginReport, new: &PluginReport) -> String {
    let version = |report: &PluginReport| match report.version() {
        version if version.is_empty() => "of an unknown version".to_owned(),
        version => version,
    };
    let sha256 = |report: &PluginReport| report.sha256().map_or("unknown", |sha256| &sha256[..12]).to_owned();
    let asked_before = old.hosts();
    let is_new = |host: &String| asked_before.iter().all(|(before, _)| before != host);
    let asks = match listed(new.hosts().into_iter().map(|(host, _)| host).filter(is_new)) {
        none if none.is_empty() => "no new hosts are asked for".to_owned(),
        more => format!("it now asks for {more}"),
    };
    let grants = match new.source.allow.as_slice() {
        [] => "nothing is granted".to_owned(),
        allow => format!("granted: {}", listed(allow)),
    };
    let [old, becomes] = [old, new].map(|report| format!("{} ({})", version(report), sha256(report)));
    format!("this replaces `{}` {old} by {becomes}; {asks}; {grants}", new.source.name)
}

/// What the operator does next, or should know.
fn say_next(report: &PluginReport, outline: &ConfigOutline, replaced: bool, printer: &Printer) {
    let name = report.source.name.as_str();
    if plugins::is_of_file(outline, name) {
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
    printer.note(if replaced {
        format!("`{name}` is replaced. Workers that run take it after SIGHUP, or `uptime queue restart`")
    } else {
        format!("`{name}` is added. Next: `notifier = \"{name}\"` in a channel's table")
    });
}
