//! `uptime service`: what keeps this installation running, for whoever is to keep it running.
//!
//! A definition works as it is printed: paths are absolute, words are quoted as their reader wants it, a stop gives what
//! runs its grace. No secret is in it; what has to be given by hand is said in a comment and on stderr.

mod cron;
mod installation;
pub mod quote;
mod supervisor;
mod systemd;
mod windows;

use crate::args::{ServiceArgs, ServiceCommand};
use crate::prelude::*;
use installation::Installation;
use serde::Serialize;
use uptime_core::queue::{MONITOR_CHECKS, NOTIFICATIONS};

/// What is printed for one kind of supervision.
#[derive(Debug, Default)]
struct Printed {
    files: Vec<Definition>,
    /// The commands that bring them to life, where the files can't say it themselves.
    commands: Vec<String>,
    /// What else has to be done by hand, for stderr.
    hints: Vec<String>,
}

/// A file that somebody else reads.
#[derive(Debug, Serialize)]
struct Definition {
    path: String,
    content: String,
}

/// Processes that run on, and are the same.
#[derive(Debug)]
struct Processes<'s> {
    name: String,
    what: &'static str,
    command: Vec<&'s str>,
    count: u32,
}

impl<'s> Processes<'s> {
    /// Those of an installation, the scheduler first. A host may have none of a kind.
    fn of(service: &'s ServiceArgs) -> Vec<Self> {
        let check = ["worker", MONITOR_CHECKS];
        let of_location = service.location.iter().flat_map(|location| ["--location", location.as_str()]);
        let check: Vec<&str> = check.into_iter().chain(of_location).collect();
        let deliver = vec!["worker", NOTIFICATIONS];
        let of = |name, what, command, count| Self { name: format!("uptime-{name}"), what, command, count };
        let all = [
            of("schedule", "scheduler", vec!["schedule", "--every", "1s"], 1),
            of(MONITOR_CHECKS, "check worker", check, service.checks),
            of(NOTIFICATIONS, "notification worker", deliver, service.notifications),
        ];
        // The others are where the database is.
        let is_wanted = |each: &Self| service.location.is_none() || each.command.contains(&MONITOR_CHECKS);
        all.into_iter().filter(|each| each.count > 0 && is_wanted(each)).collect()
    }

    fn in_words(service: &ServiceArgs) -> String {
        let ServiceArgs { checks, notifications, .. } = service;
        match &service.location {
            Some(location) => format!("{checks} check workers of the location {location}"),
            None => format!("the scheduler, {checks} check and {notifications} notification workers"),
        }
    }

    /// Of workers there may be several; of the scheduler one is enough.
    fn is_worker(&self) -> bool {
        self.command.first() == Some(&"worker")
    }
}

pub async fn run(global: &Global, command: &ServiceCommand, printer: &Printer) -> Result<Exit> {
    let (find, mut is_written) = (Installation::find, false);
    let printed = match command {
        ServiceCommand::Supervisor { service, user, logs } => {
            let installation = find(global, service.binary.as_deref(), user.as_deref(), None).await?;
            supervisor::programs(&installation, service, logs.as_deref())?
        }
        ServiceCommand::Systemd { service, user, into } => {
            let becomes = Some(systemd::USER);
            let installation = find(global, service.binary.as_deref(), user.as_deref(), becomes).await?;
            let printed = systemd::units(&installation, service, into.as_deref())?;
            if let Some(folder) = into {
                systemd::write(&printed.files, folder)?;
            }
            is_written = into.is_some();
            printed
        }
        ServiceCommand::Cron { binary } => cron::lines(&find(global, binary.as_deref(), None, None).await?),
        ServiceCommand::Windows { service, logs } => windows::commands(global, service, logs.as_deref())?,
    };
    show(&printed, is_written, printer);
    Ok(Exit::Ok)
}

/// A file as it is; several with their paths before them, as comments; of those that were written the paths.
fn show(printed: &Printed, is_written: bool, printer: &Printer) {
    match printed.files.as_slice() {
        files if printer.is_json() => {
            printer.list("files", &[], files, |file| json!(file));
        }
        files if is_written => files.iter().for_each(|file| printer.line(&file.path)),
        [file] => printer.line(file.content.trim_end()),
        files => {
            printer.lines(files.iter().map(|file| format!("# {}\n{}", file.path, file.content)));
            printer.line("# As root:");
            printed.commands.iter().for_each(|command| printer.line(format!("#   {command}")));
        }
    }
    printed.hints.iter().for_each(|hint| printer.note(format!("hint: {hint}")));
    if is_written {
        printer.note("Next, as root:");
        printed.commands.iter().for_each(|command| printer.note(format!("  {command}")));
    }
}
