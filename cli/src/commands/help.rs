//! `uptime help` and `uptime completions`: the tables that are kept in code.

use crate::env;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Printer};
use crate::usage;
use anstyle::Style;
use serde_json::json;

pub fn run(topic: &[String], printer: &Printer) -> Result<Exit, CommandError> {
    match topic.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["exit-codes"] => {
            let columns: &[Column<(Exit, &str)>] = &[
                ("code", |(exit, _), _| (*exit as u8).to_string().into()),
                ("meaning", |(_, meaning), _| Cell::wrapped(*meaning)),
            ];
            let json = |(exit, meaning): &(Exit, &str)| json!({ "code": *exit as u8, "meaning": meaning });
            printer.list("exit_codes", columns, Exit::ALL, json);
        }
        ["env"] => {
            let columns: &[Column<(&str, &str)>] = &[
                ("variable", |(name, _), _| Cell::styled(*name, Style::new())),
                ("meaning", |(_, meaning), _| Cell::wrapped(*meaning)),
            ];
            let json = |(name, meaning): &(&str, &str)| json!({ "name": name, "meaning": meaning });
            printer.list("variables", columns, env::ALL, json);
        }
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
                    .hint("`uptime help` shows the commands; the topics are `exit-codes` and `env`")
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
