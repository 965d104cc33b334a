//! `uptime config` and `uptime init`: the file, looked over and begun.

use crate::args::{ConfigCommand, Global, InitArgs};
use crate::config::file;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Column, Printer};
use anstyle::Style;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use uptime_core::config::{self, KeyDoc};

pub async fn run(global: &Global, command: &ConfigCommand, printer: &Printer) -> Result<Exit, CommandError> {
    let notifiers = file::notifiers(global)?;
    match command {
        ConfigCommand::Check => {
            let file = file::require(global, &notifiers).await?;
            file::warn(Some(&file), printer);
            let (channels, monitors) = (file.config.channels.len(), file.config.monitors.len());
            let path = file.path.display();
            let json = json!({ "file": path.to_string(), "channels": channels, "monitors": monitors });
            let line =
                format!("{path} is valid: {}, {}", many(monitors, "monitor"), many(channels, "channel"));
            printer.done(json, &line, &line);
        }
        ConfigCommand::Schema => {
            let mut descriptions = Vec::new();
            for name in notifiers.names() {
                match notifiers.describe(&name).await {
                    Ok(description) => descriptions.push(description),
                    Err(error) => printer.warning(format!("{error}; its keys are not listed")),
                }
            }
            let columns: &[Column<KeyDoc>] = &[
                ("table", |key, _| match &key.when {
                    Some(when) => Cell::styled(format!("{} ({when})", key.table), Style::new()),
                    None => Cell::styled(key.table.as_str(), Style::new()),
                }),
                ("key", |key, _| Cell::styled(key.key.as_str(), Style::new())),
                ("takes", |key, _| Cell::styled(key.takes.as_str(), Style::new())),
                ("default", |key, _| Cell::styled(key.default.clone().unwrap_or_default(), Style::new())),
                ("meaning", |key, _| Cell::wrapped(key.doc.as_str())),
            ];
            printer.list("keys", columns, &config::reference(&descriptions), |key| {
                json!({
                    "table": key.table, "when": key.when, "key": key.key, "takes": key.takes,
                    "default": key.default, "doc": key.doc,
                })
            });
        }
    }
    Ok(Exit::Ok)
}

/// Writes the starter file, and never over another.
pub fn init(args: &InitArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let path = args.path.display();
    let mut file = OpenOptions::new().write(true).create_new(true).open(&args.path).map_err(|error| {
        let error_kind = error.kind();
        let failed = CommandError::new(Exit::Config, format!("`{path}` can't be written: {error}"));
        if error_kind == std::io::ErrorKind::AlreadyExists {
            failed.hint("name another: `uptime init FILE`")
        } else {
            failed
        }
    })?;
    file.write_all(config::STARTER.as_bytes())?;
    printer.note(format!("{path} written. Next: edit it, `uptime config check`, `uptime up`"));
    Ok(Exit::Ok)
}

fn many(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
