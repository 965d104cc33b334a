//! `uptime schedule`: enqueues what is due. Silent when all is well.

use crate::args::{Global, ScheduleArgs};
use crate::commands::check::checker;
use crate::commands::worker::reread;
use crate::database::{Absent, Database};
use crate::exit::{CommandError, Exit};
use crate::file::{self, ConfigFile};
use crate::output::{Entry, Printer, rfc3339};
use crate::watchdog::Watchdog;
use crate::{settings, signals};
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uptime_core::monitor::CheckSpec;
use uptime_core::secret::access::Access;
use uptime_core::target;
use uptime_engine::heartbeat::Heartbeat;
use uptime_engine::scheduler::{self, LoopOptions, SCHEDULE};
use uptime_engine::{Activity, Observer};

/// What a single run enqueues ahead: cron comes again after a minute.
const CRON_MINUTE: Duration = Duration::from_mins(1);

/// The shortest beat of a loop. Slots between two beats are met all the same: it sleeps until the next.
const EVERY_MIN: Duration = Duration::from_millis(100);

pub async fn run(global: &Global, args: &ScheduleArgs, printer: &Printer) -> Result<Exit, CommandError> {
    if args.every.is_some_and(|every| every < EVERY_MIN) {
        return Err(CommandError::new(Exit::Usage, "`--every` is below 100ms").hint("write `--every 1s`"));
    }
    let looping = match args.every {
        Some(every) => Some((every, signals::stop()?, signals::Reload::new()?)),
        None => None,
    };
    let mut notifiers = file::notifiers(global)?;
    let mut file = file::read(global, &notifiers).await?;
    let choice = settings::database(global, file.as_ref())?;
    let heartbeat = heartbeat(file.as_ref())?;
    let Some((every, stop, mut reload)) = looping else {
        let absent = if args.dry_run { Absent::Refuse } else { Absent::Create };
        let database = Database::open(choice, absent, 2, printer, true).await?;
        let outcome = once(&database, args, heartbeat.as_ref(), printer).await;
        database.close().await;
        return outcome.map(|()| Exit::Ok);
    };
    let watchdog = Watchdog::new(&[SCHEDULE], &stop);
    let database = Database::open(choice, Absent::Create, 2, printer, true).await?;
    let outcome = {
        let options = LoopOptions { every, horizon: args.horizon.unwrap_or_default(), heartbeat };
        let mut running = pin!(again_and_again(&database, options, &watchdog, stop));
        loop {
            tokio::select! {
                ended = &mut running => break ended,
                () = reload.asked() => {}
            }
            watchdog.reloading();
            // Of the file a scheduler needs only where the database is and where its heartbeat goes, and it stays with those.
            if let Err(error) = reread(global, &mut notifiers, &mut file, |_| Ok(())).await {
                printer.error(&error);
            }
        }
    };
    database.close().await;
    outcome.map(|()| Exit::Ok)
}

async fn once(
    database: &Database,
    args: &ScheduleArgs,
    heartbeat: Option<&Heartbeat>,
    printer: &Printer,
) -> Result<(), CommandError> {
    let horizon = args.horizon.unwrap_or(CRON_MINUTE);
    if args.dry_run {
        return dry_run(database, horizon, printer).await;
    }
    scheduler::schedule_once(&database.store, horizon, heartbeat).await?;
    Ok(())
}

async fn again_and_again(
    database: &Database,
    options: LoopOptions,
    watchdog: &Watchdog,
    stop: CancellationToken,
) -> Result<(), CommandError> {
    let away = Arc::new(Notify::new());
    database.keep_alive(Arc::clone(&away), stop.clone());
    let observer: Observer = watchdog.watch(Arc::new(move |activity| {
        if matches!(activity, Activity::DatabaseAway { .. }) {
            away.notify_one();
        }
    }));
    scheduler::schedule_loop(database.store.clone(), options, observer, stop).await?;
    Ok(())
}

/// Where the file has the heartbeat go.
pub fn heartbeat(file: Option<&ConfigFile>) -> Result<Option<Heartbeat>, CommandError> {
    let Some(reference) = file.and_then(|file| file.config.heartbeat.url.as_ref()) else { return Ok(None) };
    let wrong = |why: String, hint: String| {
        CommandError::new(Exit::Config, format!("`[heartbeat] url`: {why}")).hint(hint)
    };
    let url = uptime_check::secrets::resolve_line(reference, &Access::operator())
        .map_err(|error| wrong(error.to_string(), error.hint()))?;
    // What is wrong with it could show it.
    match target::parse(url.expose().trim()) {
        Ok(spec @ CheckSpec::Http(_)) => Ok(Some(Heartbeat::new(checker(Access::operator())?, spec))),
        _ => Err(wrong(
            "it is no web address".into(),
            "write an address such as `https://hc.example.com/ping/…`".into(),
        )),
    }
}

async fn dry_run(database: &Database, horizon: Duration, printer: &Printer) -> Result<(), CommandError> {
    let due = database.store.due(horizon).await?;
    let entries = due.into_iter().map(|due| Entry {
        json: json!({ "monitor": due.name, "target": due.target, "slot_at": rfc3339(due.slot_at) }),
        cells: vec![printer.time(Some(due.slot_at)).into(), due.name.into(), due.target.into()],
    });
    printer.list("due", &["slot", "monitor", "target"], entries.collect());
    Ok(())
}
