//! `uptime db`: where the database is, how it is, and its schema.

use crate::args::{DbCommand, Global};
use crate::config::file::{self, DatabaseChoice};
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use crate::runtime::database::{Database, MissingDatabase, no_database};
use serde_json::json;
use uptime_postgres::ServerState;
use uptime_store::Store;

pub async fn run(global: &Global, command: &DbCommand, printer: &Printer) -> Result<Exit, CommandError> {
    let notifiers = file::notifiers(global)?;
    let file = file::read(global, &notifiers).await?;
    let choice = file::database(global, file.as_ref())?;
    match command {
        DbCommand::Migrate => {
            let database = Database::open(choice, MissingDatabase::Create, 2, printer, false).await?;
            let version = database.store.version().await;
            database.close().await;
            let version = version?;
            let line = format!("the schema has version {version}");
            printer.done(json!({ "version": version }), &line, &line);
            Ok(Exit::Ok)
        }
        DbCommand::Status => status(choice, printer).await,
        DbCommand::Url => url(choice, printer),
        DbCommand::Stop { force } => stop(choice, *force, printer),
    }
}

async fn status(choice: DatabaseChoice, printer: &Printer) -> Result<Exit, CommandError> {
    let (kind, place, state, pid) = match &choice {
        DatabaseChoice::Url(_) => ("url", None, "foreign", None),
        DatabaseChoice::Embedded(data_dir) => {
            let status = uptime_postgres::status(data_dir)?;
            if status.version.is_none() {
                return Err(no_database(&format!("in `{}`", data_dir.display())));
            }
            let (state, pid) = match status.server {
                ServerState::Stopped => ("stopped", None),
                ServerState::Changing => ("changing", None),
                ServerState::Running { pid, .. } => ("running", Some(pid)),
            };
            ("embedded", Some(status.cluster.display().to_string()), state, pid)
        }
    };
    // A server that is stopped is not started to be asked.
    let version = match &choice {
        DatabaseChoice::Embedded(_) if state != "running" => None,
        _ => {
            let database = Database::open(choice, MissingDatabase::Refuse, 1, printer, true).await?;
            let version = database.store.version().await;
            database.close().await;
            Some(version?)
        }
    };
    if printer.is_json() {
        printer.object(json!({
            "database": kind, "directory": place, "server": state, "pid": pid,
            "version": version, "known_version": Store::known_version(),
        }));
        return Ok(Exit::Ok);
    }
    printer.line(format!("database\t{kind}"));
    if let Some(place) = place {
        printer.line(format!("directory\t{place}"));
    }
    let pid = pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
    printer.line(format!("server\t{state}{pid}"));
    if let Some(version) = version {
        printer.line(format!("schema\tversion {version}, this uptime knows {}", Store::known_version()));
    }
    Ok(Exit::Ok)
}

fn url(choice: DatabaseChoice, printer: &Printer) -> Result<Exit, CommandError> {
    let DatabaseChoice::Embedded(data_dir) = choice else {
        return Err(not_ours("its URL may hold a password, and is yours already"));
    };
    match uptime_postgres::status(&data_dir)?.server {
        ServerState::Running { url, .. } => {
            printer.line(url);
            Ok(Exit::Ok)
        }
        _ => Err(CommandError::new(Exit::No, "the embedded PostgreSQL does not run now")
            .hint("it runs while a worker, a scheduler or `uptime up` does")),
    }
}

fn stop(choice: DatabaseChoice, force: bool, printer: &Printer) -> Result<Exit, CommandError> {
    let DatabaseChoice::Embedded(data_dir) = choice else {
        return Err(not_ours("stop it where it was started"));
    };
    let stopped = uptime_postgres::stop(&data_dir, force)?;
    let line = if stopped { "stopped" } else { "it did not run" };
    printer.done(json!({ "stopped": stopped }), line, line);
    Ok(Exit::Ok)
}

fn not_ours(hint: &str) -> CommandError {
    CommandError::new(Exit::Usage, "the database is not the embedded one").hint(hint)
}
