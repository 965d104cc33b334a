//! `uptime worker`: runs the jobs of one queue, or of both.

use crate::args::{Global, WorkerArgs, WorkerCommand};
use crate::commands::check::checker;
use crate::database::{Absent, Database};
use crate::descriptors::{self, Descriptors};
use crate::exit::{CommandError, Exit};
use crate::file::{self, ConfigFile};
use crate::listen;
use crate::metrics::Metrics;
use crate::output::Printer;
use crate::watchdog::Watchdog;
use crate::{settings, signals};
use futures_util::future::join_all;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uptime_core::config::{
    ChecksSection, MONITOR_CHECKS, NOTIFICATIONS, QueueSection, QueueSettings, is_checks,
};
use uptime_core::monitor::Location;
use uptime_core::secret::access::Access;
use uptime_engine::checks::Checks;
use uptime_engine::deliveries::Deliveries;
use uptime_engine::hosts::Bounds;
use uptime_engine::lateness;
use uptime_engine::sight::Sight;
use uptime_engine::worker::{self, WorkerOptions, host_name};
use uptime_engine::{Activity, Observer};
use uptime_notifier::NotifierHost;
use uptime_store::{Store, StoreError};

/// Connections: what settles and claims, what listens, and for deliveries what records them side by side.
const CONNECTIONS: u32 = 8;

/// What a process has open when it can't be counted.
const SURELY_OPEN: u64 = 16;

pub async fn run(global: &Global, command: WorkerCommand, printer: &Printer) -> Result<Exit, CommandError> {
    // First: a stop that comes while it starts is a stop in order, too.
    let (stop, paused, mut reload) = (signals::stop()?, signals::paused()?, signals::Reload::new()?);
    let descriptors = descriptors::raise();
    let mut notifiers = file::notifiers(global)?;
    let mut file = file::read(global, &notifiers).await?;
    if let Some(warnings) = file.as_ref().and_then(|file| file.warnings.as_ref()) {
        printer.note(warnings.trim_end());
    }
    let (args, queues, location) = match command {
        WorkerCommand::MonitorChecks { worker, place } => (worker, vec![MONITOR_CHECKS], place.location),
        WorkerCommand::Notifications(worker) => (worker, vec![NOTIFICATIONS], None),
        WorkerCommand::All { worker, place } => (worker, vec![MONITOR_CHECKS, NOTIFICATIONS], place.location),
    };
    // Before the database is waited for: whoever took the port already is to be known at once.
    let listener = match args.listen {
        Some(address) => Some(listen::bind(address).await?),
        None => None,
    };
    let names = located(chosen(&queues, &args.queues)?, location.as_ref());
    let mut queues = options(&names, file.as_ref(), &args, &paused)?;
    let watchdog = Watchdog::new(&names, &stop);
    let choice = settings::database(global, file.as_ref())?;
    let database = Database::open(choice, Absent::Create, CONNECTIONS, printer, true).await?;
    let place = location.as_ref().map(Location::as_str);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        queues = names.join(","),
        location = place,
        "worker started"
    );
    if let Some(location) = &location {
        warn_of_unknown(location, &database.store).await?;
    }
    let metrics = listener.is_some().then(|| Metrics::new(descriptors));
    let serving = listener
        .zip(metrics.clone())
        .map(|(listener, metrics)| tokio::spawn(listen::serve(listener, metrics)));
    let away = Arc::new(Notify::new());
    database.keep_alive(Arc::clone(&away), stop.clone());
    let observer: Observer = watchdog.watch(Arc::new(move |activity| {
        if matches!(activity, Activity::DatabaseAway { .. }) {
            away.notify_one();
        }
    }));
    let observer = metrics.as_ref().map_or(Arc::clone(&observer), |metrics| metrics.watch(observer));
    let observer = lateness::watch(observer);
    let outcome = loop {
        let workers = Workers {
            store: database.store.clone(),
            notifiers: notifiers.clone(),
            access: file::access(file.as_ref()),
            checks: checks_section(file.as_ref()),
            metrics: metrics.clone(),
            at_once: checks_at_once(descriptors, CONNECTIONS, &queues),
            observer: Arc::clone(&observer),
            watchdog: watchdog.clone(),
        };
        let round = stop.child_token();
        let mut running = pin!(workers.run(queues.clone(), round.clone()));
        tokio::select! {
            ended = &mut running => break ended,
            () = reload.asked() => {
                watchdog.reloading();
                round.cancel();
            }
        }
        match running.await {
            Ok(Ended::Done) => {}
            ended => break ended,
        }
        // A file with errors changes nothing: what is known runs on.
        match reread(global, &mut notifiers, &mut file, |file| options(&names, file, &args, &paused)).await {
            Ok(read) => queues = read,
            Err(error) => printer.error(&error),
        }
    };
    if let Some(serving) = serving {
        serving.abort();
    }
    database.close().await;
    // After a restart was asked for too: a supervisor starts the next, with the program as it is then.
    outcome.map(|_| Exit::Ok)
}

/// Reads the file again, for `use_it`, and looks again which plugins there are.
pub async fn reread<T>(
    global: &Global,
    notifiers: &mut NotifierHost,
    file: &mut Option<ConfigFile>,
    use_it: impl FnOnce(Option<&ConfigFile>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let found = file::notifiers(global)?;
    let read = file::read(global, &found).await?;
    let used = use_it(read.as_ref())?;
    (*notifiers, *file) = (found, read);
    tracing::info!("configuration read again");
    Ok(used)
}

pub struct Workers {
    pub store: Store,
    pub notifiers: NotifierHost,
    /// The secrets of this host that rows of the database may refer to.
    pub access: Access,
    /// What the file says of all checks.
    pub checks: ChecksSection,
    /// How many checks there are descriptors for.
    pub at_once: usize,
    /// Is told where to look for what is true at a moment.
    pub metrics: Option<Metrics>,
    pub observer: Observer,
    /// Is told of the queues' loops that begin and end.
    pub watchdog: Watchdog,
}

impl Workers {
    /// Runs a worker for each queue until `stop`; when one ends with an error, or to be restarted, the others are stopped
    /// too.
    pub async fn run(
        &self,
        queues: Vec<(&'static str, WorkerOptions)>,
        stop: CancellationToken,
    ) -> Result<Ended, CommandError> {
        for (queue, _) in &queues {
            self.watchdog.begins(queue);
        }
        let running = queues.into_iter().map(|(queue, options)| {
            let stop = stop.clone();
            async move {
                let ended = self.run_queue(queue, options, stop.clone()).await;
                self.watchdog.ends(queue);
                if let Some(metrics) = &self.metrics {
                    metrics.ended(queue);
                }
                if !matches!(ended, Ok(Ended::Done)) {
                    stop.cancel();
                }
                ended
            }
        });
        let stalls = self.metrics.as_ref().map(Metrics::stalls).unwrap_or_default();
        let ended = tokio::select! {
            ended = join_all(running) => ended,
            never = stalls.watch(&self.store, &self.observer) => match never {},
        };
        let ended: Vec<Ended> = ended.into_iter().collect::<Result<_, _>>()?;
        Ok(if ended.contains(&Ended::Restart) { Ended::Restart } else { Ended::Done })
    }

    async fn run_queue(
        &self,
        queue: &'static str,
        mut options: WorkerOptions,
        stop: CancellationToken,
    ) -> Result<Ended, CommandError> {
        let (store, observer) = (self.store.clone(), Arc::clone(&self.observer));
        let ended = if is_checks(queue) {
            let QueueSettings { tries, backoff, .. } = options.settings.clone();
            let (checker, sight) = (
                checker(self.access.clone())?,
                Sight::new(host_name(), self.checks.witnesses.clone()).map(Arc::new),
            );
            // What can't run is left to others, and waits in the queue.
            let slots = &mut options.settings.concurrency;
            *slots = u32::try_from(self.at_once).map_or(*slots, |at_once| at_once.min(*slots));
            let per_host = usize::try_from(self.checks.per_host).unwrap_or(usize::MAX);
            let bounds = Arc::new(Bounds::new(per_host, self.at_once));
            if let Some(metrics) = &self.metrics {
                metrics.look_at(Arc::clone(&bounds), sight.clone());
            }
            let handler = Checks::new(
                queue,
                store.clone(),
                checker.clone(),
                bounds,
                sight.clone(),
                Arc::clone(&observer),
                tries,
                backoff,
            );
            let working = worker::run(store.clone(), Arc::new(handler), options, Arc::clone(&observer), stop);
            match sight {
                None => working.await,
                // Also while it winds down: what still runs may have to ask.
                Some(sight) => tokio::select! {
                    ended = working => ended,
                    never = sight.watch(&store, &checker, &observer) => match never {},
                },
            }
        } else {
            let notifiers = self.notifiers.clone();
            let (access, observing) = (self.access.clone(), Arc::clone(&observer));
            let handler = Deliveries::new(store.clone(), notifiers, access, observing, &options.settings)?;
            worker::run(store, Arc::new(handler), options, observer, stop).await
        };
        let summary = ended.map_err(needs_a_person)?;
        Ok(if summary.restart { Ended::Restart } else { Ended::Done })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// They were stopped, or had done what they were to do.
    Done,
    Restart,
}

/// How many checks there are descriptors for, beside `connections` to the database and what the other queues open. Said
/// when it is less than the file or the command line asks for.
pub fn checks_at_once(
    descriptors: Descriptors,
    connections: u32,
    queues: &[(&'static str, WorkerOptions)],
) -> usize {
    let others = queues.iter().filter(|(queue, _)| !is_checks(queue));
    // A delivery has a connection, and asks a name server.
    let deliveries: u64 = others.map(|(_, options)| 2 * u64::from(options.settings.concurrency)).sum();
    // One more connection listens.
    let others = descriptors::open().unwrap_or(SURELY_OPEN) + u64::from(connections) + 1 + deliveries;
    let at_once = descriptors.checks_at_once(others);
    let wanted = queues
        .iter()
        .find(|(queue, _)| is_checks(queue))
        .map(|(_, options)| usize::try_from(options.settings.concurrency).unwrap_or(usize::MAX));
    if let (Some(limit), Some(wanted)) = (descriptors.limit, wanted) {
        if at_once < wanted {
            tracing::warn!(
                limit,
                at_once,
                concurrency = wanted,
                hint = "raise `ulimit -n` (systemd: `LimitNOFILE=`, supervisor: `minfds`)",
                "fewer checks at once than asked for: the limit of file descriptors is low"
            );
        } else {
            tracing::info!(limit, at_once = wanted, "file descriptors suffice for the checks at once");
        }
    }
    at_once
}

/// What the file says of all checks.
pub fn checks_section(file: Option<&ConfigFile>) -> ChecksSection {
    file.map(|file| file.config.checks.clone()).unwrap_or_default()
}

/// The queues of a command's that `--queue` chooses; all of them when it is not there.
fn chosen(of: &[&'static str], names: &[String]) -> Result<Vec<&'static str>, CommandError> {
    let find = |name: &String| {
        of.iter().copied().find(|queue| queue == name).ok_or_else(|| {
            CommandError::new(Exit::Usage, format!("this worker has no queue `{name}`"))
                .hint(format!("it works on {}; `uptime worker all` works on every queue", of.join(" and ")))
        })
    };
    if names.is_empty() { Ok(of.to_vec()) } else { names.iter().map(find).collect() }
}

/// A name that no monitor has may be a slip of the keys; or the file comes later.
async fn warn_of_unknown(location: &Location, store: &Store) -> Result<(), CommandError> {
    let known = store.locations().await?;
    if !known.contains(location.as_str()) {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        tracing::warn!(%location, known, "no monitor names this location: there is nothing to check from here");
    }
    Ok(())
}

/// The queues as they are called where the worker runs.
fn located(queues: Vec<&'static str>, location: Option<&Location>) -> Vec<&'static str> {
    let Some(location) = location else { return queues };
    // Kept as long as the process: it has one location.
    let of_location: &'static str = location.queue().leak();
    queues.into_iter().map(|queue| if is_checks(queue) { of_location } else { queue }).collect()
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
    paused: &watch::Receiver<bool>,
) -> Result<Vec<(&'static str, WorkerOptions)>, CommandError> {
    let flags = QueueSection {
        sleep: args.sleep,
        tries: args.tries,
        timeout: args.timeout,
        backoff: args.backoff.clone(),
        retry_after: None,
        concurrency: args.concurrency,
        probe: None,
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
            max_memory: args.memory.and_then(|mib| usize::try_from(u64::from(mib) << 20).ok()),
            stop_when_empty: args.once || args.stop_when_empty,
            paused: paused.clone(),
        };
        Ok((queue, options))
    };
    queues.iter().copied().map(options_of).collect()
}
