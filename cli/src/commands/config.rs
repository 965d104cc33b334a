//! `uptime config` and `uptime init`: the file, looked over and begun.

use crate::args::{ConfigCommand, Global, InitArgs};
use crate::exit::{CommandError, Exit};
use crate::file;
use crate::output::{Cell, Entry, Printer};
use anstyle::Style;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use uptime_core::config;

pub async fn run(global: &Global, command: &ConfigCommand, printer: &Printer) -> Result<Exit, CommandError> {
    let notifiers = file::notifiers(global)?;
    match command {
        ConfigCommand::Check => {
            let file = file::require(global, &notifiers).await?;
            if let Some(warnings) = &file.warnings {
                printer.note(warnings.trim_end());
            }
            let (channels, monitors) = (file.config.channels.len(), file.config.monitors.len());
            let path = file.path.display();
            if printer.is_json() {
                printer.json(&json!({ "schema_version": 1, "file": path.to_string(), "channels": channels, "monitors": monitors }));
            } else {
                printer.line(format!(
                    "{path} is valid: {}, {}",
                    counted(monitors, "monitor"),
                    counted(channels, "channel")
                ));
            }
        }
        ConfigCommand::Schema => {
            let mut descriptions = Vec::new();
            for name in notifiers.names() {
                match notifiers.describe(&name).await {
                    Ok(description) => descriptions.push(description),
                    Err(error) => printer.warning(format!("{error}; its keys are not listed")),
                }
            }
            let whole = |text: String| Cell::styled(text, Style::new());
            let entries = config::reference(&descriptions).into_iter().map(|key| Entry {
                json: json!({
                    "table": key.table, "when": key.when, "key": key.key, "takes": key.takes, "default": key.default, "doc": key.doc,
                }),
                cells: vec![
                    match &key.when {
                        Some(when) => whole(format!("{} ({when})", key.table)),
                        None => whole(key.table),
                    },
                    whole(key.key),
                    whole(key.takes),
                    whole(key.default.unwrap_or_default()),
                    Cell::wrapped(key.doc),
                ],
            });
            printer.list("keys", &["table", "key", "takes", "default", "meaning"], entries.collect());
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

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
