//! `uptime schedule`: enqueues what is due. Silent when all is well.

use crate::args::{Global, ScheduleArgs};
use crate::commands::worker::reread;
use crate::database::{Absent, Database};
use crate::exit::{CommandError, Exit};
use crate::output::{Entry, Printer, rfc3339};
use crate::watchdog::Watchdog;
use crate::{file, settings, signals};
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uptime_engine::scheduler::{self, SCHEDULE};
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
    let Some((every, stop, mut reload)) = looping else {
        let absent = if args.dry_run { Absent::Refuse } else { Absent::Create };
        let database = Database::open(choice, absent, 2, printer, true).await?;
        let outcome = once(&database, args, printer).await;
        database.close().await;
        return outcome.map(|()| Exit::Ok);
    };
    let watchdog = Watchdog::new(&[SCHEDULE], &stop);
    let database = Database::open(choice, Absent::Create, 2, printer, true).await?;
    let outcome = {
        let horizon = args.horizon.unwrap_or_default();
        let mut running = pin!(again_and_again(&database, every, horizon, &watchdog, stop));
        loop {
            tokio::select! {
                ended = &mut running => break ended,
                () = reload.asked() => {}
            }
            watchdog.reloading();
            // Of the file a scheduler needs only where the database is, and it stays with the one that it has.
            if let Err(error) = reread(global, &mut notifiers, &mut file, |_| Ok(())).await {
                printer.error(&error);
            }
        }
    };
    database.close().await;
    outcome.map(|()| Exit::Ok)
}

async fn once(database: &Database, args: &ScheduleArgs, printer: &Printer) -> Result<(), CommandError> {
    let horizon = args.horizon.unwrap_or(CRON_MINUTE);
    if args.dry_run {
        return dry_run(database, horizon, printer).await;
    }
    scheduler::schedule_once(&database.store, horizon).await?;
    Ok(())
}

async fn again_and_again(
    database: &Database,
    every: Duration,
    horizon: Duration,
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
    scheduler::schedule_loop(database.store.clone(), every, horizon, observer, stop).await?;
    Ok(())
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
