//! `uptime worker`: runs the jobs of one queue, or of both.

use crate::args::{Global, WorkerArgs, WorkerCommand};
use crate::commands::check::checker;
use crate::database::Database;
use crate::exit::{CommandError, Exit};
use crate::file::{self, ConfigFile};
use crate::output::Printer;
use crate::{settings, signals};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uptime_core::config::{MONITOR_CHECKS, NOTIFICATIONS, QueueSection, QueueSettings};
use uptime_engine::checks::Checks;
use uptime_engine::deliveries::Deliveries;
use uptime_engine::worker::{self, WorkerOptions, WorkerSummary};
use uptime_engine::{Activity, Observer};
use uptime_notifier::NotifierHost;
use uptime_store::{Store, StoreError};

/// Connections: what settles and claims, what listens, and for deliveries what records them side by side.
const CONNECTIONS: u32 = 8;

pub async fn run(global: &Global, command: WorkerCommand, printer: &Printer) -> Result<Exit, CommandError> {
    let notifiers = file::notifiers(global)?;
    let file = file::read(global, &notifiers).await?;
    let (args, checks, deliveries) = match command {
        WorkerCommand::MonitorChecks(args) => (args, true, false),
        WorkerCommand::Notifications(args) => (args, false, true),
        WorkerCommand::All(args) => (args, true, true),
    };
    let for_checks = options(MONITOR_CHECKS, file.as_ref(), &args)?;
    let for_deliveries = options(NOTIFICATIONS, file.as_ref(), &args)?;
    let stop = signals::stop()?;
    let database =
        Database::open(settings::database(global, file.as_ref())?, CONNECTIONS, printer, true).await?;
    let away = Arc::new(Notify::new());
    database.keep_alive(Arc::clone(&away), stop.clone());
    let observer: Observer = Arc::new(move |activity| {
        if matches!(activity, Activity::DatabaseAway { .. }) {
            away.notify_one();
        }
    });
    let store = &database.store;
    let outcome = match (checks, deliveries) {
        (true, false) => run_checks(store, for_checks, observer, stop).await,
        (false, true) => run_deliveries(store, notifiers, for_deliveries, observer, stop).await,
        _ => {
            let both = run_both(store, notifiers, (for_checks, for_deliveries), observer, stop);
            both.await
        }
    };
    database.close().await;
    outcome.map(|_| Exit::Ok)
}

/// Both queues; when one ends with an error the other is stopped too.
pub async fn run_both(
    store: &Store,
    notifiers: NotifierHost,
    (for_checks, for_deliveries): (WorkerOptions, WorkerOptions),
    observer: Observer,
    stop: CancellationToken,
) -> Result<WorkerSummary, CommandError> {
    let checks = stopping(&stop, run_checks(store, for_checks, Arc::clone(&observer), stop.clone()));
    let deliveries =
        stopping(&stop, run_deliveries(store, notifiers, for_deliveries, observer, stop.clone()));
    let (checks, deliveries) = tokio::join!(checks, deliveries);
    let (checks, deliveries) = (checks?, deliveries?);
    Ok(WorkerSummary {
        settled: checks.settled + deliveries.settled,
        released: checks.released + deliveries.released,
    })
}

async fn stopping<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let ended = work.await;
    if ended.is_err() {
        stop.cancel();
    }
    ended
}

async fn run_checks(
    store: &Store,
    options: WorkerOptions,
    observer: Observer,
    stop: CancellationToken,
) -> Result<WorkerSummary, CommandError> {
    let QueueSettings { tries, backoff, .. } = options.settings.clone();
    let handler = Checks::new(store.clone(), checker()?, Arc::clone(&observer), tries, backoff);
    Ok(worker::run(store.clone(), Arc::new(handler), options, observer, stop)
        .await
        .map_err(needs_a_person)?)
}

async fn run_deliveries(
    store: &Store,
    notifiers: NotifierHost,
    options: WorkerOptions,
    observer: Observer,
    stop: CancellationToken,
) -> Result<WorkerSummary, CommandError> {
    let QueueSettings { tries, backoff, .. } = options.settings.clone();
    let handler = Deliveries::new(store.clone(), notifiers, Arc::clone(&observer), tries, backoff);
    Ok(worker::run(store.clone(), Arc::new(handler), options, observer, stop)
        .await
        .map_err(needs_a_person)?)
}

/// A supervisor starts the worker again; the log says why it ended.
fn needs_a_person(error: StoreError) -> StoreError {
    tracing::error!(%error, hint = error.hint(), "worker ends");
    error
}

/// A queue's options: flags over the file over the defaults.
pub fn options(
    queue: &str,
    file: Option<&ConfigFile>,
    args: &WorkerArgs,
) -> Result<WorkerOptions, CommandError> {
    let of_file = file.and_then(|file| file.config.queues.section(queue)).cloned().unwrap_or_default();
    let flags = QueueSection {
        sleep: args.sleep,
        tries: args.tries,
        timeout: args.timeout,
        backoff: args.backoff.clone(),
        retry_after: None,
        concurrency: args.concurrency,
    };
    let settings = QueueSettings::defaults(queue).with(&of_file).with(&flags);
    settings.check()?;
    Ok(WorkerOptions {
        settings,
        grace: args.grace,
        max_jobs: if args.once { Some(1) } else { args.max_jobs },
        max_time: args.max_time,
        stop_when_empty: args.once || args.stop_when_empty,
    })
}
