//! `uptime help` and `uptime completions`: the guides, and the tables that are kept in code.

use crate::env;
use crate::prelude::*;
use crate::usage;

/// The guides by topic, as they stand in `cli/guide`.
const GUIDES: [(&str, &str); 7] = [
    ("architecture", include_str!("../../guide/architecture.md")),
    ("channels", include_str!("../../guide/channels.md")),
    ("checks", include_str!("../../guide/checks.md")),
    ("deploying", include_str!("../../guide/deploying.md")),
    ("incidents", include_str!("../../guide/incidents.md")),
    ("plugins", include_str!("../../guide/plugins.md")),
    ("queues", include_str!("../../guide/queues.md")),
];

pub fn run(topic: &[String], printer: &Printer) -> Result<Exit> {
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
        [topic] if let Some((_, guide)) = GUIDES.iter().find(|(name, _)| name == topic) => {
            printer.line(guide.trim_end());
        }
        names => {
            let mut command = usage::command();
            command.build();
            let mut found = &mut command;
            for name in names {
                found = found.find_subcommand_mut(name).ok_or_else(|| {
                    usage_error(format!("there is no command or topic `{}`", names.join(" "))).hint(format!(
                        "`uptime help` lists the commands; topics are {}, exit-codes and env",
                        GUIDES.map(|(name, _)| name).join(", ")
                    ))
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
