//! A process that runs on: `worker`, `schedule --every` and `up` are rounds of the same roles. A round ends when it is
//! told to stop, when the file is to be read again, or when its work is done.

use super::database::Database;
use super::descriptors::{self, Descriptors};
use super::heartbeat::Heartbeats;
use super::metrics::Metrics;
use super::signals;
use crate::config::file::{self, ConfigFile};
use crate::prelude::*;
use futures_util::future::join_all;
use std::pin::pin;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;
use uptime_core::config::ChecksSection;
use uptime_core::queue::{QueueSettings, is_checks};
use uptime_core::secret::access::Access;
use uptime_engine::checks::Checks;
use uptime_engine::deliveries::Deliveries;
use uptime_engine::hosts::Bounds;
use uptime_engine::own_network::NetworkProbe;
use uptime_engine::scheduler::{LoopOptions, schedule_loop};
use uptime_engine::worker::{self, WorkerOptions, host_name};
use uptime_engine::{Activity, Observer};
use uptime_notifier::NotifierHost;
use uptime_store::StoreError;

/// What a process has open when it can't be counted.
const SURELY_OPEN: u64 = 16;

pub struct Service<'a> {
    global: &'a Global,
    printer: &'a Printer,
    pub stop: CancellationToken,
    reload: Signal,
    pub descriptors: Descriptors,
    pub notifiers: NotifierHost,
    pub file: Option<ConfigFile>,
    /// Is told where to look for what is true at a moment.
    pub metrics: Option<Metrics>,
    /// Whether a round follows one that was asked to end by `queue restart`: nobody would start another `up`.
    pub restarts: bool,
}

/// The queues that a process works on, with their options.
pub type Queues = Vec<(&'static str, WorkerOptions)>;

/// What a round does, who is told what happens, and what is done when it has ended.
pub struct Round<F> {
    pub queues: Queues,
    pub scheduler: Option<LoopOptions>,
    pub observer: Observer,
    pub finish: F,
}

/// How a round, or a worker of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It was stopped, or had done what it was to do.
    Done,
    Restart,
}

impl<'a> Service<'a> {
    /// Listens for signals first: a stop that comes while it starts is a stop in order, too.
    pub fn new(global: &'a Global, printer: &'a Printer) -> Result<Self> {
        Ok(Self {
            global,
            printer,
            stop: signals::stop()?,
            reload: signals::reload()?,
            descriptors: descriptors::raise(),
            notifiers: file::notifiers(global)?,
            file: None,
            metrics: None,
            restarts: false,
        })
    }

    /// Rounds until one ends that no other follows. `plan` makes of the file what `begin` begins a round with.
    pub async fn run<P, F: FnOnce()>(
        mut self,
        database: &Database,
        heartbeats: Heartbeats,
        mut planned: P,
        plan: impl Fn(Option<&ConfigFile>) -> Result<P>,
        begin: impl AsyncFn(&P, &CancellationToken) -> Result<Round<F>>,
    ) -> Result<()> {
        let away = database.keep_alive(self.stop.clone());
        loop {
            let stop = self.stop.child_token();
            let Round { queues, scheduler, observer, finish } = begin(&planned, &stop).await?;
            let away = Arc::clone(&away);
            let crew = Crew {
                store: database.store.clone(),
                notifiers: self.notifiers.clone(),
                access: file::access(self.file.as_ref()),
                checks: self.file.as_ref().map(|file| file.config.checks.clone()).unwrap_or_default(),
                at_once: checks_at_once(self.descriptors, database.connections, &queues),
                metrics: self.metrics.clone(),
                observer: heartbeats.watch(Arc::new(move |activity| {
                    if matches!(activity, Activity::DatabaseAway { .. }) {
                        away.notify_one();
                    }
                    observer(activity);
                })),
                heartbeats: heartbeats.clone(),
            };
            let mut running = pin!(crew.run(queues, scheduler, stop.clone()));
            let (ended, reloads) = tokio::select! {
                ended = &mut running => (ended, false),
                _ = self.reload.recv() => {
                    heartbeats.reloading();
                    stop.cancel();
                    (running.await, true)
                }
            };
            finish();
            let goes_on = match ended? {
                Ended::Done => reloads,
                Ended::Restart => self.restarts,
            };
            if !goes_on {
                return Ok(());
            }
            // A file with errors changes nothing: what is known runs on.
            match self.reread(&plan).await {
                Ok(read) => planned = read,
                Err(error) => self.printer.error(&error),
            }
        }
    }

    /// Reads the file again, for `plan`, and looks again which plugins there are.
    async fn reread<P>(&mut self, plan: impl Fn(Option<&ConfigFile>) -> Result<P>) -> Result<P> {
        let notifiers = file::notifiers(self.global)?;
        let file = file::read(self.global, &notifiers).await?;
        let planned = plan(file.as_ref())?;
        (self.notifiers, self.file) = (notifiers, file);
        tracing::info!("configuration read again");
        Ok(planned)
    }
}

/// Who does the work of a round.
struct Crew {
    store: Store,
    notifiers: NotifierHost,
    /// The secrets of this host that rows of the database may refer to.
    access: Access,
    /// What the file says of all checks.
    checks: ChecksSection,
    /// How many checks there are descriptors for.
    at_once: usize,
    metrics: Option<Metrics>,
    observer: Observer,
    /// Is told of the queues' loops that begin and end.
    heartbeats: Heartbeats,
}

impl Crew {
    /// The scheduler and the workers until `stop`, or until one of the two ends.
    async fn run(
        &self,
        queues: Queues,
        scheduler: Option<LoopOptions>,
        stop: CancellationToken,
    ) -> Result<Ended> {
        let scheduling = async {
            let Some(options) = scheduler else { return Ok(()) };
            let observer = Arc::clone(&self.observer);
            let ended = schedule_loop(self.store.clone(), options, observer, stop.clone()).await;
            stop.cancel();
            ended
        };
        let working = async {
            if queues.is_empty() {
                return Ok(Ended::Done);
            }
            let ended = self.work(queues, stop.clone()).await;
            stop.cancel();
            ended
        };
        let (worked, scheduled) = tokio::join!(working, scheduling);
        scheduled?;
        worked
    }

    /// Runs a worker for each queue; when one ends with an error, or to be restarted, the others are stopped too.
    async fn work(&self, queues: Queues, stop: CancellationToken) -> Result<Ended> {
        for (queue, _) in &queues {
            self.heartbeats.set_ended(queue, false);
        }
        let running = queues.into_iter().map(|(queue, options)| {
            let stop = stop.clone();
            async move {
                let ended = self.run_queue(queue, options, stop.clone()).await;
                self.heartbeats.set_ended(queue, true);
                if !matches!(ended, Ok(Ended::Done)) {
                    stop.cancel();
                }
                ended
            }
        });
        let ended = tokio::select! {
            ended = join_all(running) => ended,
            never = self.heartbeats.stalls.watch(&self.store, &self.observer) => match never {},
        };
        let ended: Vec<Ended> = ended.into_iter().collect::<Result<_, _>>()?;
        Ok(if ended.contains(&Ended::Restart) { Ended::Restart } else { Ended::Done })
    }

    async fn run_queue(
        &self,
        queue: &'static str,
        mut options: WorkerOptions,
        stop: CancellationToken,
    ) -> Result<Ended> {
        let (store, observer) = (self.store.clone(), Arc::clone(&self.observer));
        let ended = if is_checks(queue) {
            let QueueSettings { tries, backoff, .. } = options.settings.clone();
            let checker = descriptors::checker(self.access.clone())?;
            let own_network = NetworkProbe::new(host_name(), self.checks.witnesses.clone()).map(Arc::new);
            // What can't run is left to others, and waits in the queue.
            let slots = &mut options.settings.concurrency;
            *slots = u32::try_from(self.at_once).map_or(*slots, |at_once| at_once.min(*slots));
            let per_host = usize::try_from(self.checks.per_host).unwrap_or(usize::MAX);
            let bounds = Arc::new(Bounds::new(per_host, self.at_once));
            if let Some(metrics) = &self.metrics {
                metrics.look_at(Arc::clone(&bounds), own_network.clone());
            }
            let (seen, told) = (own_network.clone(), Arc::clone(&observer));
            let handler =
                Checks::new(queue, store.clone(), checker.clone(), bounds, seen, told, tries, backoff);
            let working = worker::run(store.clone(), Arc::new(handler), options, Arc::clone(&observer), stop);
            match own_network {
                None => working.await,
                // Also while it winds down: what still runs may have to ask.
                Some(own_network) => tokio::select! {
                    ended = working => ended,
                    never = own_network.watch(&store, &checker, &observer) => match never {},
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

/// How many checks there are descriptors for, beside `connections` to the database and what the other queues open. Said
/// when it is less than the file or the command line asks for.
pub fn checks_at_once(descriptors: Descriptors, connections: u32, queues: &Queues) -> usize {
    let others = queues.iter().filter(|(queue, _)| !is_checks(queue));
    // A delivery has a connection, and asks a name server.
    let deliveries: u64 = others.map(|(_, options)| 2 * u64::from(options.settings.concurrency)).sum();
    // One more connection listens.
    let others = descriptors::open().unwrap_or(SURELY_OPEN) + u64::from(connections) + 1 + deliveries;
    let at_once = descriptors.checks_at_once(others);
    let of_checks = queues.iter().find(|(queue, _)| is_checks(queue));
    let wanted = of_checks.map(|(_, options)| options.settings.concurrency.try_into().unwrap_or(usize::MAX));
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

/// A supervisor starts the worker again; the log says why it ended.
fn needs_a_person(error: StoreError) -> StoreError {
    tracing::error!(%error, hint = error.hint(), "worker ends");
    error
}
