//! The commands, one file a noun.

mod apply;
mod channel;
mod check;
mod config;
mod db;
mod help;
mod incident;
mod maintenance;
mod monitor;
mod notification;
mod plugin;
mod queue;
mod schedule;
mod service;
mod up;
mod worker;

use crate::args::{Args, Command, MonitorCommand};
use crate::config::file;
use crate::config::locate;
use crate::prelude::*;
use crate::runtime::database::{Database, MissingDatabase};

/// Runs the command that was asked for.
pub async fn run(args: Args, printer: &Printer) -> Result<Exit> {
    let Args { ref global, command } = args;
    if command.creates()
        && let Ok(dir) = locate::data_dir(global)
        && let Err(error) = uptime_postgres::create_data_dir(&dir)
    {
        // Who needs more of it than the cache of compiled plugins says so.
        tracing::debug!(%error, "no data directory");
    }
    match command {
        Command::Check(args) => check::run(global, &args, printer).await,
        Command::Up(args) => up::run(global, args, printer).await,
        Command::Init(args) => config::init(&args, printer),
        Command::Apply(args) => apply::run(global, &args, printer).await,
        Command::Schedule(args) => schedule::run(global, &args, printer).await,
        Command::Worker(command) => worker::run(global, command, printer).await,
        Command::Queue(command) => ask(global, printer, command, queue::run).await,
        Command::Monitor(MonitorCommand::List) => ask(global, printer, global, monitor::list).await,
        Command::Channel(command) => ask(global, printer, (global, command), channel::run).await,
        Command::Maintenance(command) => ask(global, printer, command, maintenance::run).await,
        Command::Incident(command) => ask(global, printer, command, incident::run).await,
        Command::Notification(command) => ask(global, printer, command, notification::run).await,
        Command::Plugin(command) => plugin::run(global, command, printer).await,
        Command::Config(command) => config::run(global, &command, printer).await,
        Command::Db(command) => db::run(global, &command, printer).await,
        Command::Service(command) => service::run(global, &command, printer).await,
        Command::Completions { shell } => Ok(help::completions(shell, printer)),
        Command::Help { topic } => help::run(&topic, printer),
    }
}

/// Runs a command that asks the database something, and ends then.
async fn ask<C>(
    global: &Global,
    printer: &Printer,
    command: C,
    run: impl AsyncFnOnce(&Store, C, &Printer) -> Result<Exit>,
) -> Result<Exit> {
    let file = file::read(global, &file::notifiers(global)?).await?;
    let choice = file::database(global, file.as_ref())?;
    let database = Database::open(choice, MissingDatabase::Refuse, 2, printer, true).await?;
    database.during(async |database| run(&database.store, command, printer).await).await
}

/// Which channels will be told of something.
fn will_be_told(told: &[String]) -> String {
    if told.is_empty() { "nobody will be told".into() } else { format!("will be told: {}", told.join(", ")) }
}

/// The way out for a name that there is not: the one that was meant, and which there are.
fn hint_of_known(wrong: &str, known: &[String]) -> String {
    let all = match known {
        [] => "there is none: write one into the file, then `uptime apply`".to_owned(),
        known if known.len() > NAMES_MAX => format!("there are {}", known.len()),
        known => format!("there are: {}", known.join(", ")),
    };
    match did_you_mean(wrong, known.iter().map(String::as_str)) {
        Some(hint) => format!("{hint} {all}"),
        None => all,
    }
}

const NAMES_MAX: usize = 20;

/// A name that nothing has is a slip of the keys: an empty answer would say something else.
fn require(kind: &str, name: &str, known: &[String]) -> Result<()> {
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(unknown(kind, name, hint_of_known(name, known)))
}

/// The one answer to an unknown name, whatever it was to name.
fn unknown(kind: &str, name: &str, hint: String) -> CommandError {
    usage_error(format!("there is no {kind} `{}`", printable(name, 100))).hint(hint)
}
