//! `uptime plugin remove`: an added plugin goes, unless a channel needs it.

use super::added;
use crate::args::{Global, RemoveArgs};
use crate::config::plugins;
use crate::confirm::confirm;
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::json;
use uptime_core::text::printable;

pub fn run(global: &Global, args: &RemoveArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let registry = plugins::registry(global)?;
    let installed = added(&registry, &args.name)?;
    let name = installed.name.as_str();
    let outline = plugins::outline(global);
    let is_of_file = outline.plugins.iter().any(|section| section.name == name && section.file.is_some());
    let users: Vec<String> = outline
        .channels
        .iter()
        .filter(|(_, notifier)| notifier == name && !is_of_file)
        .map(|(channel, _)| format!("`{}`", printable(channel, 100)))
        .collect();
    if !users.is_empty() && !args.force {
        return Err(CommandError::new(
            Exit::No,
            format!("`{name}` is used by {}, which would be told nothing any more", users.join(", ")),
        )
        .hint("take the channel out of the file first, or add `--force`"));
    }
    confirm(&format!("this removes the plugin `{name}` and what it was granted"), args.yes)?;
    registry.remove(name)?;
    if printer.is_json() {
        printer.json(&json!({ "schema_version": 1, "removed": name }));
    } else {
        let left = if users.is_empty() {
            String::new()
        } else {
            format!("; {} can't be told anything until it is added again", users.join(", "))
        };
        printer.note(format!("`{name}` is removed{left}"));
    }
    Ok(Exit::Ok)
}
