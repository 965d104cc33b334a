//! `uptime worker`: runs the jobs of one queue, or of both.

use crate::args::{WorkerArgs, WorkerCommand};
use crate::config::file::{self, ConfigFile};
use crate::prelude::*;
use crate::runtime::database::{Database, MissingDatabase};
use crate::runtime::heartbeat::Heartbeats;
use crate::runtime::metrics::Metrics;
use crate::runtime::service::{Queues, Round, Service};
use crate::runtime::{listen, signals};
use tokio::sync::watch;
use uptime_core::monitor::Location;
use uptime_core::queue::{MONITOR_CHECKS, NOTIFICATIONS, QueueSection, QueueSettings, is_checks, names};
use uptime_engine::worker::WorkerOptions;
use uptime_engine::{Observer, lateness};

/// Connections: what settles and claims, what listens, and for deliveries what records them side by side.
const CONNECTIONS: u32 = 8;

pub async fn run(global: &Global, command: WorkerCommand, printer: &Printer) -> Result<Exit> {
    let mut service = Service::new(global, printer)?;
    let paused = signals::paused()?;
    service.file = file::read(global, &service.notifiers).await?;
    file::warn(service.file.as_ref(), printer);
    let (args, queues, location) = match command {
        WorkerCommand::MonitorChecks(args) => (args.worker, vec![MONITOR_CHECKS], args.location),
        WorkerCommand::Notifications(worker) => (worker, vec![NOTIFICATIONS], None),
        WorkerCommand::All(args) => (args.worker, names().into(), args.location),
    };
    // Before the database is waited for: whoever took the port already is to be known at once.
    let listener = match args.listen {
        Some(address) => Some(listen::bind(address).await?),
        None => None,
    };
    let names = located(chosen(&queues, &args.queues)?, location.as_ref());
    let plan = |file: Option<&ConfigFile>| options(&names, file, &args, &paused);
    let planned = plan(service.file.as_ref())?;
    let heartbeats = Heartbeats::new(&names, &service.stop);
    let choice = file::database(global, service.file.as_ref())?;
    let database = Database::open(choice, MissingDatabase::Create, CONNECTIONS, printer, true).await?;
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
    let mut observer: Observer = Arc::new(|_| ());
    let serving = listener.map(|listener| {
        let metrics = Metrics::new(service.descriptors, heartbeats.stalls.clone());
        observer = metrics.watch(Arc::clone(&observer));
        service.metrics = Some(metrics.clone());
        tokio::spawn(listen::serve(listener, metrics, heartbeats.clone()))
    });
    let observer = lateness::watch(observer);
    let begin = async |queues: &Queues, _: &_| {
        Ok(Round { queues: queues.clone(), scheduler: None, observer: Arc::clone(&observer), finish: || () })
    };
    let outcome = service.run(&database, heartbeats, planned, plan, begin).await;
    if let Some(serving) = serving {
        serving.abort();
    }
    database.close().await;
    // After a restart was asked for too: a supervisor starts the next, with the program as it is then.
    outcome.map(|()| Exit::Ok)
}

/// The queues of a command's that `--queue` chooses; all of them when it is not there.
fn chosen(of: &[&'static str], names: &[String]) -> Result<Vec<&'static str>> {
    let find = |name: &String| {
        of.iter().copied().find(|queue| queue == name).ok_or_else(|| {
            usage_error(format!("this worker has no queue `{name}`"))
                .hint(format!("it works on {}; `uptime worker all` works on every queue", of.join(" and ")))
        })
    };
    if names.is_empty() { Ok(of.to_vec()) } else { names.iter().map(find).collect() }
}

/// A name that no monitor has may be a slip of the keys; or the file comes later.
async fn warn_of_unknown(location: &Location, store: &Store) -> Result<()> {
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

/// Each queue's options: flags over the file over the defaults.
pub fn options(
    queues: &[&'static str],
    file: Option<&ConfigFile>,
    args: &WorkerArgs,
    paused: &watch::Receiver<bool>,
) -> Result<Queues> {
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
        let of_file =
            file.map_or_else(|| QueueSettings::defaults(queue), |file| file.config.queues.settings(queue));
        let settings = of_file.with(&flags);
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
