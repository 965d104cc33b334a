//! What is checked: a target that was typed, or a monitor of the file by its name.

use super::flags;
use crate::args::CheckArgs;
use crate::commands::service::quote;
use crate::config::locate;
use crate::prelude::*;
use uptime_core::config::{self, Notifiers};
use uptime_core::monitor::{CheckSpec, Monitor, Policy};
use uptime_core::target;

pub(super) struct CheckTarget {
    /// As it was typed, so that an answer finds its question, but for what may be a secret.
    pub(super) shown: String,
    pub(super) spec: CheckSpec,
    pub(super) timeout: Duration,
}

/// All that is asked for, with the flags.
pub(super) fn subjects(global: &Global, args: &CheckArgs) -> Result<Vec<Arc<CheckTarget>>> {
    let mut of_file = None;
    let mut subjects = Vec::with_capacity(args.targets.len());
    for typed in &args.targets {
        let mut subject = match target::parse(typed) {
            Ok(spec) => CheckTarget { shown: target::shown(typed), spec, timeout: Policy::default().timeout },
            Err(error) => {
                // A name has no scheme.
                if of_file.is_none() && !typed.contains("://") {
                    of_file = Some(read_file(global)?.unwrap_or_default());
                }
                let monitors = || of_file.iter().flat_map(|(_, monitors)| monitors);
                let found = monitors().find(|monitor| monitor.name == *typed).ok_or_else(|| {
                    let unknown = usage_error(error.to_string());
                    let names = monitors().map(|monitor| monitor.name.as_str());
                    unknown.hint(did_you_mean(typed, names).unwrap_or_else(|| error.hint()))
                })?;
                let Monitor { name, check, policy, .. } = found.clone();
                CheckTarget { shown: name, spec: check, timeout: policy.timeout }
            }
        };
        if flags::any(args) {
            let made;
            let (file, name) = match &of_file {
                Some((text, _)) if !typed.contains("://") => (text, typed.as_str()),
                _ => {
                    made = config::file_of(&subject.spec);
                    (&made, "target")
                }
            };
            let base = flags::Base { file, name, spec: &subject.spec };
            (subject.spec, subject.timeout) = flags::read(args, &base)?;
        }
        subjects.push(Arc::new(subject));
    }
    flags::refuse_unused(args, &subjects.iter().map(|subject| &subject.spec).collect::<Vec<_>>())?;
    Ok(subjects)
}

/// The file's monitors, without a look at its plugins: nothing is told to anybody.
pub fn monitors_of_file(global: &Global) -> Result<Option<Vec<Monitor>>> {
    Ok(read_file(global)?.map(|(_, monitors)| monitors))
}

fn read_file(global: &Global) -> Result<Option<(String, Vec<Monitor>)>> {
    let Some(path) = locate::find(global) else { return Ok(None) };
    let text = locate::text(&path, global)?;
    let channels = config::config_outline(&text).channels.into_iter();
    let silent: Vec<String> = channels.map(|(_, notifier)| notifier).collect();
    let reading = config::read(&text, Notifiers { described: &[], silent: &silent });
    let config = reading.config.ok_or_else(|| {
        config_error(format!("`{}` has errors", path.display()))
            .hint(format!("{} says which", look_over(global)))
    })?;
    Ok(Some((text, config.monitors)))
}

/// The command that says what is wrong with the file, to be pasted.
fn look_over(global: &Global) -> String {
    match &global.config {
        Some(path) => format!("`uptime config check --config {}`", quote::shell(&path.display().to_string())),
        None => "`uptime config check`".into(),
    }
}
