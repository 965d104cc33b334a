//! `uptime worker`: runs the jobs of one queue, or of both.

use crate::args::{Global, WorkerArgs, WorkerCommand};
use crate::commands::check::checker;
use crate::database::Database;
use crate::exit::{CommandError, Exit};
use crate::file::{self, ConfigFile};
use crate::output::Printer;
use crate::{settings, signals};
use futures_util::future::join_all;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uptime_core::config::{MONITOR_CHECKS, NOTIFICATIONS, QueueSection, QueueSettings};
use uptime_engine::checks::Checks;
use uptime_engine::deliveries::Deliveries;
use uptime_engine::worker::{self, WorkerOptions};
use uptime_engine::{Activity, Observer};
use uptime_notifier::NotifierHost;
use uptime_store::{Store, StoreError};

/// Connections: what settles and claims, what listens, and for deliveries what records them side by side.
const CONNECTIONS: u32 = 8;

pub async fn run(global: &Global, command: WorkerCommand, printer: &Printer) -> Result<Exit, CommandError> {
    let notifiers = file::notifiers(global)?;
    let mut file = file::read(global, &notifiers).await?;
    let (args, queues): (WorkerArgs, &[&str]) = match command {
        WorkerCommand::MonitorChecks(args) => (args, &[MONITOR_CHECKS]),
        WorkerCommand::Notifications(args) => (args, &[NOTIFICATIONS]),
        WorkerCommand::All(args) => (args, &[MONITOR_CHECKS, NOTIFICATIONS]),
    };
    let mut queues = options(queues, file.as_ref(), &args)?;
    let (stop, mut reload) = (signals::stop()?, signals::Reload::new()?);
    let database =
        Database::open(settings::database(global, file.as_ref())?, CONNECTIONS, printer, true).await?;
    let away = Arc::new(Notify::new());
    database.keep_alive(Arc::clone(&away), stop.clone());
    let observer: Observer = Arc::new(move |activity| {
        if matches!(activity, Activity::DatabaseAway { .. }) {
            away.notify_one();
        }
    });
    let workers = Workers { store: database.store.clone(), notifiers: notifiers.clone(), observer };
    let outcome = loop {
        let round = stop.child_token();
        let mut running = pin!(workers.run(queues.clone(), round.clone()));
        tokio::select! {
            ended = &mut running => break ended,
            () = reload.asked() => round.cancel(),
        }
        if let Err(error) = running.await {
            break Err(error);
        }
        // A file with errors changes nothing: what is known runs on.
        match reread(global, &notifiers, &mut file, |file| {
            options(queues_of(&queues).as_slice(), file, &args)
        })
        .await
        {
            Ok(read) => queues = read,
            Err(error) => printer.error(&error),
        }
    };
    database.close().await;
    outcome.map(|()| Exit::Ok)
}

/// Reads the file again, for `use_it`.
pub async fn reread<T>(
    global: &Global,
    notifiers: &NotifierHost,
    file: &mut Option<ConfigFile>,
    use_it: impl FnOnce(Option<&ConfigFile>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let read = file::read(global, notifiers).await?;
    let used = use_it(read.as_ref())?;
    *file = read;
    tracing::info!("configuration read again");
    Ok(used)
}

/// What workers run with.
pub struct Workers {
    pub store: Store,
    pub notifiers: NotifierHost,
    pub observer: Observer,
}

impl Workers {
    /// Runs a worker for each queue until `stop`; when one ends with an error the others are stopped too.
    pub async fn run(
        &self,
        queues: Vec<(&'static str, WorkerOptions)>,
        stop: CancellationToken,
    ) -> Result<(), CommandError> {
        let running = queues.into_iter().map(|(queue, options)| {
            let stop = stop.clone();
            async move {
                let ended = self.run_queue(queue, options, stop.clone()).await;
                if ended.is_err() {
                    stop.cancel();
                }
                ended
            }
        });
        join_all(running).await.into_iter().collect()
    }

    async fn run_queue(
        &self,
        queue: &str,
        options: WorkerOptions,
        stop: CancellationToken,
    ) -> Result<(), CommandError> {
        let (store, observer) = (self.store.clone(), Arc::clone(&self.observer));
        let QueueSettings { tries, backoff, .. } = options.settings.clone();
        let ended = if queue == MONITOR_CHECKS {
            let handler = Checks::new(store.clone(), checker()?, Arc::clone(&observer), tries, backoff);
            worker::run(store, Arc::new(handler), options, observer, stop).await
        } else {
            let notifiers = self.notifiers.clone();
            let handler = Deliveries::new(store.clone(), notifiers, Arc::clone(&observer), tries, backoff);
            worker::run(store, Arc::new(handler), options, observer, stop).await
        };
        ended.map_err(needs_a_person)?;
        Ok(())
    }
}

/// A supervisor starts the worker again; the log says why it ended.
fn needs_a_person(error: StoreError) -> StoreError {
    tracing::error!(%error, hint = error.hint(), "worker ends");
    error
}

/// Each queue's options: flags over the file over the defaults.
pub fn options(
    queues: &[&'static str],
    file: Option<&ConfigFile>,
    args: &WorkerArgs,
) -> Result<Vec<(&'static str, WorkerOptions)>, CommandError> {
    let flags = QueueSection {
        sleep: args.sleep,
        tries: args.tries,
        timeout: args.timeout,
        backoff: args.backoff.clone(),
        retry_after: None,
        concurrency: args.concurrency,
    };
    let options_of = |queue: &'static str| {
        let of_file = file.and_then(|file| file.config.queues.section(queue)).cloned().unwrap_or_default();
        let settings = QueueSettings::defaults(queue).with(&of_file).with(&flags);
        settings.check()?;
        let options = WorkerOptions {
            settings,
            grace: args.grace,
            max_jobs: if args.once { Some(1) } else { args.max_jobs },
            max_time: args.max_time,
            stop_when_empty: args.once || args.stop_when_empty,
        };
        Ok((queue, options))
    };
    queues.iter().copied().map(options_of).collect()
}

fn queues_of(options: &[(&'static str, WorkerOptions)]) -> Vec<&'static str> {
    options.iter().map(|(queue, _)| *queue).collect()
}
