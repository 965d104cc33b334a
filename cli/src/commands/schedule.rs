//! `uptime schedule`: enqueues what is due. Silent when all is well.

use crate::args::{Global, ScheduleArgs};
use crate::database::Database;
use crate::exit::{CommandError, Exit};
use crate::output::{Entry, Printer, rfc3339};
use crate::{file, settings, signals};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use uptime_engine::{Activity, Observer, scheduler};

/// What a single run enqueues ahead: cron comes again after a minute.
const CRON_MINUTE: Duration = Duration::from_mins(1);

/// The shortest beat of a loop. Slots between two beats are met all the same: it sleeps until the next.
const EVERY_MIN: Duration = Duration::from_millis(100);

pub async fn run(global: &Global, args: &ScheduleArgs, printer: &Printer) -> Result<Exit, CommandError> {
    if args.every.is_some_and(|every| every < EVERY_MIN) {
        return Err(CommandError::new(Exit::Usage, "`--every` is below 100ms").hint("write `--every 1s`"));
    }
    let notifiers = file::notifiers(global)?;
    let file = file::read(global, &notifiers).await?;
    let database = Database::open(settings::database(global, file.as_ref())?, 2, printer, true).await?;
    let outcome = schedule(&database, args, printer).await;
    database.close().await;
    outcome
}

async fn schedule(database: &Database, args: &ScheduleArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let Some(every) = args.every else {
        let horizon = args.horizon.unwrap_or(CRON_MINUTE);
        if args.dry_run {
            dry_run(database, horizon, printer).await?;
        } else {
            scheduler::schedule_once(&database.store, horizon).await?;
        }
        return Ok(Exit::Ok);
    };
    let stop = signals::stop()?;
    let away = Arc::new(Notify::new());
    database.keep_alive(Arc::clone(&away), stop.clone());
    let observer: Observer = Arc::new(move |activity| {
        if matches!(activity, Activity::DatabaseAway { .. }) {
            away.notify_one();
        }
    });
    scheduler::schedule_loop(database.store.clone(), every, args.horizon.unwrap_or_default(), observer, stop)
        .await?;
    Ok(Exit::Ok)
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
