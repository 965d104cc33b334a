//! `uptime db`: where the database is, how it is, and its schema.

use crate::args::DbCommand;
use crate::config::file::{self, DatabaseChoice};
use crate::prelude::*;
use crate::runtime::database::{Database, MissingDatabase, no_database};
use uptime_postgres::ServerState;

pub async fn run(global: &Global, command: &DbCommand, printer: &Printer) -> Result<Exit> {
    let notifiers = file::notifiers(global)?;
    let file = file::read(global, &notifiers).await?;
    let choice = file::database(global, file.as_ref())?;
    match command {
        DbCommand::Migrate => {
            let database = Database::open(choice, MissingDatabase::Create, 2, printer, false).await?;
            let version = database.during(version).await?;
            let line = || printer.line(format!("the schema has version {version}"));
            printer.answer(json!({ "version": version }), line);
            Ok(Exit::Ok)
        }
        DbCommand::Status => status(choice, printer).await,
        DbCommand::Url => url(choice, printer),
        DbCommand::Stop { force } => stop(choice, *force, printer),
    }
}

async fn version(database: &Database) -> Result<i64> {
    Ok(database.store.version().await?)
}

async fn status(choice: DatabaseChoice, printer: &Printer) -> Result<Exit> {
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
            Some(database.during(version).await?)
        }
    };
    let known = Store::known_version();
    let json = json!({
        "database": kind, "directory": place, "server": state, "pid": pid, "version": version,
        "known_version": known,
    });
    printer.answer(json, || {
        let pid = pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
        let place = place.map(|place| format!("directory\t{place}"));
        let schema = version.map(|version| format!("schema\tversion {version}, this uptime knows {known}"));
        let lines = [Some(format!("database\t{kind}")), place, Some(format!("server\t{state}{pid}")), schema];
        lines.iter().flatten().for_each(|line| printer.line(line));
    });
    Ok(Exit::Ok)
}

fn url(choice: DatabaseChoice, printer: &Printer) -> Result<Exit> {
    let DatabaseChoice::Embedded(data_dir) = choice else {
        return Err(not_ours("its URL may hold a password, and is yours already"));
    };
    match uptime_postgres::status(&data_dir)?.server {
        ServerState::Running { url, .. } => {
            printer.line(url);
            Ok(Exit::Ok)
        }
        _ => Err(answer_no("the embedded PostgreSQL does not run now")
            .hint("it runs while a worker, a scheduler or `uptime up` does")),
    }
}

fn stop(choice: DatabaseChoice, force: bool, printer: &Printer) -> Result<Exit> {
    let DatabaseChoice::Embedded(data_dir) = choice else {
        return Err(not_ours("stop it where it was started"));
    };
    let stopped = uptime_postgres::stop(&data_dir, force)?;
    let line = || printer.line(if stopped { "stopped" } else { "it did not run" });
    printer.answer(json!({ "stopped": stopped }), line);
    Ok(Exit::Ok)
}

fn not_ours(hint: &str) -> CommandError {
    usage_error("the database is not the embedded one").hint(hint)
}
