//! `uptime up`: everything in one process, for the first minute with `uptime` and for a small installation.

mod display;

use crate::args::{UpArgs, WorkerArgs};
use crate::commands::check::parse;
use crate::commands::schedule::heartbeat;
use crate::commands::worker::options;
use crate::config::file::{self, ConfigFile};
use crate::prelude::*;
use crate::runtime::database::{self, Database};
use crate::runtime::heartbeat::Heartbeats;
use crate::runtime::service::{Queues, Round, Service};
use crate::runtime::signals;
use display::Display;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uptime_core::channel::{Channel, ChannelFilter, Setting};
use uptime_core::grant::HostGrant;
use uptime_core::maintenance::Maintenance;
use uptime_core::monitor::{Monitor, Policy};
use uptime_core::notifier::LimitChanges;
use uptime_core::queue::{MONITOR_CHECKS, NOTIFICATIONS, names};
use uptime_core::route::DigestPolicy;
use uptime_core::schedule::fingerprint;
use uptime_core::secret::SecretRef;
use uptime_engine::lateness;
use uptime_engine::scheduler::{LoopOptions, SCHEDULE};
use uptime_store::apply::{DesiredState, Removal, Source};
use url::Url;

/// Connections: two workers, their listeners, the scheduler, deliveries side by side.
const CONNECTIONS: u32 = 12;

/// How often the scheduler looks, when no slot is due earlier.
const SCHEDULE_EVERY: Duration = Duration::from_secs(1);

/// How often targets may be checked; the file's limits.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(7 * 24);

pub async fn run(global: &Global, args: UpArgs, printer: &Printer) -> Result<Exit> {
    let mut service = Service::new(global, printer)?;
    service.restarts = true;
    let paused = signals::paused()?;
    service.file = file::read_to_apply(global, &service.notifiers).await?;
    let plan = |file: Option<&ConfigFile>| Plan::new(&args, file, &paused);
    let planned = plan(service.file.as_ref())?;
    file::warn(service.file.as_ref(), printer);
    if let Some(monitor) = planned.of_file.1.iter().find(|monitor| !monitor.locations.is_empty()) {
        let location = &monitor.locations[0];
        printer.note(format!(
            "monitors with `locations`, such as `{}`, are checked by workers of theirs: `uptime worker {MONITOR_CHECKS} --location {location}`",
            monitor.name
        ));
    }
    let heartbeats = Heartbeats::new(&[MONITOR_CHECKS, NOTIFICATIONS, SCHEDULE], &service.stop);
    if let Some(file) = &service.file {
        printer.note(format!("configuration: {}", file.path.display()));
    }
    let choice = file::database(global, service.file.as_ref())?;
    let database =
        Database::open(choice, database::MissingDatabase::Create, CONNECTIONS, printer, false).await?;
    if let Some(run_for) = args.run_for {
        let stop = service.stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(run_for).await;
            stop.cancel();
        });
    }
    // Kept as long as this runs: whoever comes second rests nobody's targets.
    let sole = database.store.sole("up").await?;
    if sole.is_none() {
        printer.note("another `uptime up` runs on this database: what it watches is watched on");
    }
    let earlier = if sole.is_some() { Removal::Disable } else { Removal::Keep };
    let begin = async |plan: &Plan, stop: &CancellationToken| {
        plan.apply(&database.store, earlier).await?;
        let display = Arc::new(Display::new(database.store.monitor_summaries().await?, printer));
        let (told, stopping, shown) = (stop.clone(), Arc::clone(&display), Arc::clone(&display));
        let told_to_stop = tokio::spawn(async move {
            told.cancelled().await;
            stopping.stopping();
        });
        let observer = lateness::watch(Arc::new(move |activity| shown.show(&activity)));
        let finish = move || {
            told_to_stop.abort();
            display.close();
        };
        Ok(Round { queues: plan.queues.clone(), scheduler: Some(plan.scheduler.clone()), observer, finish })
    };
    let outcome = service.run(&database, heartbeats, planned, plan, begin).await;
    drop(sole);
    database.close().await;
    outcome.map(|()| Exit::Ok)
}

/// What is watched, who is told, and how the workers and the scheduler run.
struct Plan {
    of_file: (Vec<Channel>, Vec<Monitor>),
    /// What the file says of maintenance; `None`: there is no file. A command line says nothing of it.
    maintenance: Option<Vec<(String, Maintenance)>>,
    of_command_line: (Vec<Channel>, Vec<Monitor>),
    queues: Queues,
    scheduler: LoopOptions,
}

impl Plan {
    fn new(args: &UpArgs, file: Option<&ConfigFile>, paused: &watch::Receiver<bool>) -> Result<Self> {
        let of_command_line = from_command_line(args, file)?;
        let of_file =
            file.map(|file| (file.config.channels.clone(), file.config.monitors.clone())).unwrap_or_default();
        if of_command_line.1.is_empty() && of_file.1.is_empty() {
            return Err(usage_error("there is nothing to watch")
                .hint("name a target: `uptime up https://example.com`, or write a file: `uptime init`"));
        }
        // The file's and the defaults' settings, but for the grace.
        let flags = WorkerArgs { grace: args.grace, ..WorkerArgs::default() };
        let queues = options(&names(), file, &flags, paused)?;
        let maintenance = file.map(|file| file.config.maintenance.clone());
        let scheduler =
            LoopOptions { every: SCHEDULE_EVERY, horizon: Duration::ZERO, heartbeat: heartbeat(file)? };
        Ok(Self { of_file, maintenance, of_command_line, queues, scheduler })
    }

    /// Brings it into the database. What an earlier command line watched and this one does not keeps its history and
    /// rests, or goes on: `earlier`.
    async fn apply(&self, store: &Store, earlier: Removal) -> Result<()> {
        for (source, (channels, monitors), maintenance, removal) in [
            (Source::File, &self.of_file, self.maintenance.as_deref(), Removal::Keep),
            (Source::CommandLine, &self.of_command_line, None, earlier),
        ] {
            store.apply(DesiredState { source, channels, monitors, maintenance, removal }, false).await?;
        }
        Ok(())
    }
}

/// The channels and monitors that the command line names.
fn from_command_line(args: &UpArgs, file: Option<&ConfigFile>) -> Result<(Vec<Channel>, Vec<Monitor>)> {
    if !INTERVAL.contains(&args.interval) {
        let error = usage_error("`--interval` must be between 1s and 7d");
        return Err(error.hint("write `--interval 30s`"));
    }
    let of_file = file.into_iter().flat_map(|file| &file.config.channels);
    let of_file: Vec<&str> = of_file.map(|channel| channel.name.as_str()).collect();
    let (mut channels, mut told) = (Vec::new(), Vec::new());
    for notify in &args.notify {
        if notify.contains("://") {
            let channel = webhook(notify)?;
            told.push(channel.name.clone());
            channels.push(channel);
        } else if of_file.contains(&notify.as_str()) {
            told.push(notify.clone());
        } else {
            let known = if of_file.is_empty() { "none".to_owned() } else { of_file.join(", ") };
            let error = usage_error(format!("`--notify {notify}` names no channel and is no URL"));
            return Err(error.hint(format!("the file has {known}")));
        }
    }
    if args.notify.is_empty() {
        told = of_file.iter().map(ToString::to_string).collect();
    }
    let policy = Policy {
        interval: args.interval,
        retry_interval: Policy::default().retry_interval.min(args.interval),
        ..Policy::default()
    };
    let mut monitors: BTreeMap<String, Monitor> = BTreeMap::new();
    for check in parse(&args.targets)? {
        // Targets that differ only in what is not shown of them are two all the same.
        let target = check.target();
        let name = (1..=args.targets.len())
            .map(|number| if number == 1 { target.clone() } else { format!("{target} #{number}") })
            .find(|name| monitors.get(name).is_none_or(|other| other.check == check))
            .unwrap_or(target);
        let monitor = Monitor {
            name: name.clone(),
            enabled: true,
            check,
            policy: policy.clone(),
            channels: told.clone(),
            locations: Vec::new(),
            parent: None,
            group: None,
            tags: BTreeMap::new(),
        };
        monitors.insert(name, monitor);
    }
    Ok((channels, monitors.into_values().collect()))
}

/// A webhook to an address, named after it: two command lines at once may tell two. That the operator typed it is the grant for its origin, plain or private as it may be.
fn webhook(text: &str) -> Result<Channel> {
    let wrong = |why: String| {
        usage_error(format!("`--notify`: {why}")).hint("give an address such as `https://example.com/hook`")
    };
    let url = Url::parse(text).map_err(|error| wrong(format!("the address can't be read: {error}")))?;
    let grant = HostGrant::origin_of(&url)
        .ok_or_else(|| wrong(format!("`{}` addresses are not spoken", url.scheme())))?;
    Ok(Channel {
        name: format!("{grant} {:04x}", fingerprint(url.as_str()) & 0xffff),
        notifier: "webhook".into(),
        enabled: true,
        settings: BTreeMap::from([("url".to_owned(), Setting::Text(SecretRef::Literal(url.into())))]),
        filter: ChannelFilter::default(),
        digest_policy: DigestPolicy::default(),
        allow: vec![grant],
        limits: LimitChanges::default(),
        proxy: None,
    })
}
