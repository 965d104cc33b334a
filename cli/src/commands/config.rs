//! `uptime config` and `uptime init`: the file, looked over and begun.

use crate::args::{ConfigCommand, InitArgs};
use crate::config::file;
use crate::output::many;
use crate::prelude::*;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use uptime_core::config::{self, KeyDoc};

pub async fn run(global: &Global, command: &ConfigCommand, printer: &Printer) -> Result<Exit> {
    let notifiers = file::notifiers(global)?;
    match command {
        ConfigCommand::Check => {
            let file = file::require(global, &notifiers).await?;
            file::warn(Some(&file), printer);
            let (channels, monitors) = (file.config.channels.len(), file.config.monitors.len());
            let path = file.path.display().to_string();
            let json = json!({ "file": path, "channels": channels, "monitors": monitors });
            let (monitors, channels) = (many(monitors, "monitor"), many(channels, "channel"));
            printer.answer(json, || printer.line(format!("{path} is valid: {monitors}, {channels}")));
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
            printer.list("keys", columns, &config::reference(&descriptions), |key| json!(key));
        }
    }
    Ok(Exit::Ok)
}

/// Writes the starter file, and never over another.
pub fn init(args: &InitArgs, printer: &Printer) -> Result<Exit> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(&args.path).map_err(|error| {
        let (kind, failed) = (error.kind(), unwritable(&args.path, &error));
        if kind == ErrorKind::AlreadyExists {
            failed.hint("name another: `uptime init FILE`")
        } else {
            failed
        }
    })?;
    file.write_all(config::STARTER.as_bytes())?;
    let path = args.path.display();
    printer.note(format!("{path} written. Next: edit it, `uptime config check`, `uptime up`"));
    Ok(Exit::Ok)
}
