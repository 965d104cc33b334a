//! `uptime plugin`: the notifier plugins, one file a command.

mod add;
mod build;
mod inspect;
mod list;
mod loaded;
mod new;
mod remove;
mod report;
mod test;
mod trust;

use crate::args::{GrantArgs, PluginCommand};
use crate::commands::unknown;
use crate::prelude::*;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::LimitChanges;
use uptime_notifier::is_built_in;
use uptime_notifier::registry::{Grant, Installed, Registry};

pub async fn run(global: &Global, command: PluginCommand, printer: &Printer) -> Result<Exit> {
    // What the file says of plugins is taken as far as it can be read; a file that was named has to be there.
    if let Some(path) = global.config.as_ref().filter(|path| !path.is_file()) {
        return Err(config_error(format!("`{}` is no file", path.display()))
            .hint("`--config FILE` names the configuration file; without it the usual one is looked for"));
    }
    match command {
        PluginCommand::List => list::run(global, printer).await,
        PluginCommand::Inspect { plugin } => inspect::run(global, &plugin, printer).await,
        PluginCommand::Add(args) => add::run(global, &args, printer).await,
        PluginCommand::Trust(args) => trust::run(global, &args, printer).await,
        PluginCommand::Remove(args) => remove::run(global, &args, printer),
        PluginCommand::New(args) => new::run(&args, printer),
        PluginCommand::Build(args) => build::run(global, &args, printer).await,
        PluginCommand::Test(args) => test::run(global, &args, printer).await,
    }
}

/// What is granted from now on: what was, and what the command line says.
fn granted(before: Option<&Grant>, args: &GrantArgs) -> Result<(Vec<HostGrant>, LimitChanges)> {
    let kept = before.filter(|_| !args.anew).map(|grant| (grant.allow.clone(), grant.limits.clone()));
    let (mut allow, mut limits) = kept.unwrap_or_default();
    for grant in &args.allow {
        if !allow.contains(grant) {
            allow.push(grant.clone());
        }
    }
    for (limit, value) in &args.limits {
        limits.set(*limit, *value).map_err(usage_error)?;
    }
    Ok((allow, limits))
}

/// The added plugin `name`; where there is none, what there is instead.
fn added(registry: &Registry, name: &str) -> Result<Installed> {
    let all = registry.installed()?;
    if let Some(found) = all.iter().find(|plugin| plugin.name == name) {
        return Ok(found.clone());
    }
    let shown = printable(name, 60);
    if is_built_in(name) {
        return Err(usage_error(format!("`{shown}` is built in, and stays as it is"))
            .hint(format!("`[plugins.{shown}]` of the file can set its `allow` and its `limits`")));
    }
    let hint = did_you_mean(name, all.iter().map(|plugin| plugin.name.as_str())).unwrap_or_else(|| {
        "`uptime plugin list` shows what there is; of those of the file, the file says what is trusted".into()
    });
    Err(unknown("added plugin", name, hint))
}
