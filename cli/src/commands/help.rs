//! `uptime help` and `uptime completions`: the tables that are kept in code, and the guides.

use crate::env;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Entry, Printer};
use crate::usage;
use anstyle::Style;
use serde_json::json;

const PLUGINS: &str = include_str!("../../guide/plugins.md");

pub fn run(topic: &[String], printer: &Printer) -> Result<Exit, CommandError> {
    match topic.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["exit-codes"] => {
            let entries = Exit::ALL.iter().map(|(exit, meaning)| Entry {
                json: json!({ "code": *exit as u8, "meaning": meaning }),
                cells: vec![(*exit as u8).to_string().into(), Cell::wrapped(*meaning)],
            });
            printer.list("exit_codes", &["code", "meaning"], entries.collect());
        }
        ["env"] => {
            let entries = env::ALL.iter().map(|(name, meaning)| Entry {
                json: json!({ "name": name, "meaning": meaning }),
                cells: vec![Cell::styled(*name, Style::new()), Cell::wrapped(*meaning)],
            });
            printer.list("variables", &["variable", "meaning"], entries.collect());
        }
        ["plugins"] => printer.line(PLUGINS.trim_end()),
        names => {
            let mut command = usage::command();
            command.build();
            let mut found = &mut command;
            for name in names {
                found = found.find_subcommand_mut(name).ok_or_else(|| {
                    CommandError::new(
                        Exit::Usage,
                        format!("there is no command or topic `{}`", names.join(" ")),
                    )
                    .hint(
                        "`uptime help` shows the commands; the topics are `exit-codes`, `env` and `plugins`",
                    )
                })?;
            }
            printer.line(found.render_long_help().ansi().to_string().trim_end());
        }
    }
    Ok(Exit::Ok)
}

pub fn completions(shell: clap_complete::Shell, printer: &Printer) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut usage::command(), "uptime", &mut script);
    printer.line(String::from_utf8_lossy(&script).trim_end());
    Exit::Ok
}
