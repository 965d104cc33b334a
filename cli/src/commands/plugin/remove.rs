//! `uptime plugin remove`: an added plugin goes, unless a channel needs it.

use super::added;
use crate::args::RemoveArgs;
use crate::config::plugins;
use crate::prelude::*;

pub fn run(global: &Global, args: &RemoveArgs, printer: &Printer) -> Result<Exit> {
    let registry = plugins::registry(global)?;
    let installed = added(&registry, &args.name)?;
    let name = installed.name.as_str();
    let outline = plugins::outline(global);
    let is_of_file = plugins::is_of_file(&outline, name);
    let users = if is_of_file { Vec::new() } else { plugins::users(&outline, name) };
    let users = listed(users.iter().map(|channel| printable(channel, 100)));
    if !users.is_empty() && !args.force {
        let why = format!("`{name}` is used by {users}, which would be told nothing any more");
        return Err(answer_no(why).hint("take the channel out of the file first, or add `--force`"));
    }
    confirm(&format!("this removes the plugin `{name}` and what it was granted"), args.yes)?;
    registry.remove(name)?;
    printer.answer(json!({ "removed": name }), || {
        let left = format!("; {users} can't be told anything until it is added again");
        printer.note(format!("`{name}` is removed{}", if users.is_empty() { "" } else { &left }));
    });
    Ok(Exit::Ok)
}
