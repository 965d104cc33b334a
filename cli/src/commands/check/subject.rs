//! What is checked: a target that was typed, or a monitor of the file by its name.

use super::flags;
use crate::args::{CheckArgs, Global};
use crate::commands::service::quote;
use crate::config::locate;
use crate::exit::{CommandError, Exit};
use std::time::Duration;
use uptime_core::config::{self, Notifiers};
use uptime_core::monitor::{CheckSpec, Monitor, Policy};
use uptime_core::target;
use uptime_core::text::did_you_mean;

pub(super) struct Subject {
    /// As it was typed, so that an answer finds its question, but for what may be a secret.
    pub(super) shown: String,
    pub(super) spec: CheckSpec,
    pub(super) timeout: Duration,
}

/// All that is asked for, with the flags.
pub(super) fn subjects(global: &Global, args: &CheckArgs) -> Result<Vec<Subject>, CommandError> {
    let mut monitors = None;
    let mut subjects = Vec::with_capacity(args.targets.len());
    for typed in &args.targets {
        subjects.push(match target::parse(typed) {
            Ok(spec) => {
                let timeout = args.timeout.unwrap_or(Policy::default().timeout);
                Subject { shown: target::shown(typed), spec, timeout }
            }
            Err(error) => {
                // A name has no scheme.
                let found = if typed.contains("://") { None } else { named(global, typed, &mut monitors)? };
                let monitor = found.ok_or_else(|| {
                    let unknown = CommandError::new(Exit::Usage, error.to_string());
                    let names = monitors.iter().flatten().map(|monitor: &Monitor| monitor.name.as_str());
                    unknown.hint(did_you_mean(typed, names).unwrap_or_else(|| error.hint()))
                })?;
                let timeout = args.timeout.unwrap_or(monitor.policy.timeout);
                Subject { shown: monitor.name, spec: monitor.check, timeout }
            }
        });
    }
    let mut specs: Vec<&mut CheckSpec> = subjects.iter_mut().map(|subject| &mut subject.spec).collect();
    flags::apply(args, &mut specs)?;
    Ok(subjects)
}

fn named(
    global: &Global,
    name: &str,
    monitors: &mut Option<Vec<Monitor>>,
) -> Result<Option<Monitor>, CommandError> {
    if monitors.is_none() {
        *monitors = Some(monitors_of_file(global)?.unwrap_or_default());
    }
    Ok(monitors.iter().flatten().find(|monitor| monitor.name == name).cloned())
}

/// The file's monitors, without a look at its plugins: nothing is told to anybody.
pub fn monitors_of_file(global: &Global) -> Result<Option<Vec<Monitor>>, CommandError> {
    let Some(path) = locate::find(global) else { return Ok(None) };
    let text = locate::text(&path, global)?;
    let silent: Vec<String> =
        config::first_look(&text).channels.into_iter().map(|(_, notifier)| notifier).collect();
    let reading = config::read(&text, Notifiers { described: &[], silent: &silent });
    let config = reading.config.ok_or_else(|| {
        CommandError::new(Exit::Config, format!("`{}` has errors", path.display()))
            .hint(format!("{} says which", look_over(global)))
    })?;
    Ok(Some(config.monitors))
}

/// The command that says what is wrong with the file, to be pasted.
fn look_over(global: &Global) -> String {
    match &global.config {
        Some(path) => format!("`uptime config check --config {}`", quote::shell(&path.display().to_string())),
        None => "`uptime config check`".into(),
    }
}
