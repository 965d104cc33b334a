//! `uptime plugin trust`: what lies there now is trusted, and perhaps granted more.

use super::report::PluginReport;
use super::{added, granted};
use crate::args::TrustArgs;
use crate::config::{file, plugins};
use crate::prelude::*;
use uptime_notifier::registry::Grant;
use uptime_notifier::{Component, PluginSource, sha256};

pub async fn run(global: &Global, args: &TrustArgs, printer: &Printer) -> Result<Exit> {
    let registry = plugins::registry(global)?;
    let installed = added(&registry, &args.name)?;
    // What is shown, trusted and kept are these bytes, whatever becomes of the file meanwhile.
    let bytes = installed.component()?;
    let found = sha256(&bytes);
    let before = installed.grant.as_ref();
    let (allow, limits) = granted(before, &args.grants)?;
    let grant = Grant {
        sha256: found.clone(),
        source: before.map_or_else(|| "unknown".into(), |grant| grant.source.clone()),
        granted_at: Timestamp::now(),
        allow: allow.clone(),
        limits: limits.clone(),
    };
    let component = Component::Bytes(bytes.clone().into());
    let source = PluginSource { component, allow, limits, ..installed.source() };
    let notifiers = file::host_of(global, source.clone())?;
    let report = PluginReport::of(source, Some(grant.clone()), &notifiers, &plugins::outline(global)).await;
    report.inspected()?;
    let trusted = before.map(|grant| grant.sha256.as_str());
    let is_same = trusted == Some(found.as_str());
    if !is_same {
        let instead = match trusted {
            Some(trusted) => format!("in place of {trusted}"),
            None => "and what it was granted can't be read and is gone".to_owned(),
        };
        let (name, version) = (&args.name, report.version());
        confirm(&format!("this trusts `{name}` {version} as it is now, {found}, {instead}"), args.yes)?;
    }
    let grants_more = |before: &Grant| before.allow != grant.allow || before.limits != grant.limits;
    let changed = !is_same || before.is_none_or(grants_more);
    if changed {
        registry.put(&args.name, &bytes, &grant)?;
    }
    report.answer(json!({ "changed": changed }), printer);
    let name = &args.name;
    printer.note(if changed {
        format!(
            "`{name}` is trusted. Grants and limits reach workers that run with SIGHUP, or `uptime queue restart`; what \
             failed meanwhile waits for `uptime queue retry all --queue notifications`"
        )
    } else {
        format!("nothing to change: `{name}` was trusted already")
    });
    Ok(Exit::Ok)
}
