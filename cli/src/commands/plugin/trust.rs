//! `uptime plugin trust`: what lies there now is trusted, and perhaps granted more.

use super::report::PluginReport;
use super::{added, granted};
use crate::args::{Global, TrustArgs};
use crate::config::{file, plugins};
use crate::confirm::confirm;
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use jiff::Timestamp;
use serde_json::json;
use uptime_notifier::registry::Grant;
use uptime_notifier::{Component, NotifierHost, PluginSource, sha256};

pub async fn run(global: &Global, args: &TrustArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let registry = plugins::registry(global)?;
    let installed = added(&registry, &args.name)?;
    // What is shown, trusted and kept are these bytes, whatever becomes of the file meanwhile.
    let bytes = installed.component()?;
    let found = sha256(&bytes);
    let before = installed.grant.as_ref();
    let (allow, limits) = granted(before.map(|grant| (grant.allow.as_slice(), &grant.limits)), &args.grants)?;
    let grant = Grant {
        sha256: found.clone(),
        source: before.map_or_else(|| "unknown".into(), |grant| grant.source.clone()),
        granted_at: Timestamp::now(),
        allow: allow.clone(),
        limits: limits.clone(),
    };
    let component = Component::Bytes(bytes.clone().into());
    let source = PluginSource { component, allow, limits, ..installed.source() };
    let notifiers = NotifierHost::with_plugins(file::host_options(global), [source.clone()])?;
    let report = PluginReport::of(source, Some(grant.clone()), &notifiers, &plugins::outline(global)).await;
    report.inspected()?;
    let trusted = before.map(|grant| grant.sha256.as_str());
    let is_same = trusted == Some(found.as_str());
    if !is_same {
        let instead = match trusted {
            Some(trusted) => format!("in place of {trusted}"),
            None => "and what it was granted can't be read and is gone".to_owned(),
        };
        let version = report.version();
        confirm(
            &format!("this trusts `{}` {version} as it is now, {found}, {instead}", args.name),
            args.yes,
        )?;
    }
    let changed =
        !is_same || before.is_none_or(|before| before.allow != grant.allow || before.limits != grant.limits);
    if changed {
        registry.put(&args.name, &bytes, &grant)?;
    }
    if printer.is_json() {
        printer.json(&json!({ "schema_version": 1, "changed": changed, "plugin": report.json() }));
    } else {
        report.print(printer);
    }
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
