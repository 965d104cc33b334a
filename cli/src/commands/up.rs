//! `uptime up`: everything in one process, for the first minute with `uptime` and for a small installation.

mod display;

use crate::args::{Global, UpArgs, WorkerArgs};
use crate::commands::check::parse;
use crate::commands::schedule::heartbeat;
use crate::commands::worker::{Ended, Workers, checks_at_once, checks_section, options, reread};
use crate::database::{self, Database};
use crate::descriptors::{self, Descriptors};
use crate::exit::{CommandError, Exit};
use crate::file::{self, ConfigFile};
use crate::output::Printer;
use crate::watchdog::Watchdog;
use crate::{settings, signals};
use display::Display;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uptime_core::channel::{Channel, ChannelFilter, Setting};
use uptime_core::config::{ChecksSection, MONITOR_CHECKS, NOTIFICATIONS};
use uptime_core::flow::Flow;
use uptime_core::grant::HostGrant;
use uptime_core::maintenance::Maintenance;
use uptime_core::monitor::{Monitor, Policy};
use uptime_core::notifier::LimitChanges;
use uptime_core::schedule::fingerprint;
use uptime_core::secret::SecretRef;
use uptime_core::secret::access::Access;
use uptime_engine::heartbeat::Heartbeat;
use uptime_engine::lateness;
use uptime_engine::scheduler::{LoopOptions, SCHEDULE, schedule_loop};
use uptime_engine::worker::WorkerOptions;
use uptime_engine::{Activity, Observer};
use uptime_notifier::NotifierHost;
use uptime_store::Store;
use uptime_store::catalogue::{Absent, Source, Wanted};
use url::Url;

/// Connections: two workers, their listeners, the scheduler, deliveries side by side.
const CONNECTIONS: u32 = 12;

/// How often the scheduler looks, when no slot is due earlier.
const SCHEDULE_EVERY: Duration = Duration::from_secs(1);

/// How often targets may be checked; the file's limits.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(7 * 24);

pub async fn run(global: &Global, args: UpArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let (stop, paused, mut reload) = (signals::stop()?, signals::paused()?, signals::Reload::new()?);
    let descriptors = descriptors::raise();
    let mut notifiers = file::notifiers(global)?;
    let mut file = file::read_to_apply(global, &notifiers).await?;
    let mut plan = Plan::new(&args, file.as_ref(), &paused)?;
    if let Some(warnings) = file.as_ref().and_then(|file| file.warnings.as_ref()) {
        printer.note(warnings.trim_end());
    }
    if let Some(monitor) = plan.of_file.1.iter().find(|monitor| !monitor.locations.is_empty()) {
        let location = &monitor.locations[0];
        printer.note(format!(
            "monitors with `locations`, such as `{}`, are checked by workers of theirs: `uptime worker {MONITOR_CHECKS} --location {location}`",
            monitor.name
        ));
    }
    let watchdog = Watchdog::new(&[MONITOR_CHECKS, NOTIFICATIONS, SCHEDULE], &stop);
    if let Some(file) = &file {
        printer.note(format!("configuration: {}", file.path.display()));
    }
    let choice = settings::database(global, file.as_ref())?;
    let database = Database::open(choice, database::Absent::Create, CONNECTIONS, printer, false).await?;
    if let Some(run_for) = args.run_for {
        let stop = stop.clone();
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
    let earlier = if sole.is_some() { Absent::Disable } else { Absent::Keep };
    let outcome = loop {
        let round = stop.child_token();
        let mut running = pin!(watch(
            &database,
            (notifiers.clone(), descriptors),
            (plan.clone(), earlier),
            &watchdog,
            printer,
            round.clone()
        ));
        tokio::select! {
            ended = &mut running => match ended {
                // Nobody would start it again: it begins a new round instead.
                Ok(Ended::Restart) => {}
                ended => break ended,
            },
            () = reload.asked() => {
                watchdog.reloading();
                round.cancel();
                if let Err(error) = running.await {
                    break Err(error);
                }
            }
        }
        match reread(global, &mut notifiers, &mut file, |file| Plan::new(&args, file, &paused)).await {
            Ok(read) => plan = read,
            Err(error) => printer.error(&error),
        }
    };
    drop(sole);
    database.close().await;
    outcome.map(|_| Exit::Ok)
}

/// What is watched, who is told, and how the workers run.
#[derive(Clone)]
struct Plan {
    of_file: (Vec<Channel>, Vec<Monitor>),
    /// What the file says of maintenance; `None`: there is no file. A command line says nothing of it.
    maintenance: Option<Vec<(String, Maintenance)>>,
    of_command_line: (Vec<Channel>, Vec<Monitor>),
    queues: Vec<(&'static str, WorkerOptions)>,
    checks: ChecksSection,
    access: Access,
    heartbeat: Option<Heartbeat>,
}

impl Plan {
    fn new(
        args: &UpArgs,
        file: Option<&ConfigFile>,
        paused: &watch::Receiver<bool>,
    ) -> Result<Self, CommandError> {
        let of_command_line = from_command_line(args, file)?;
        let of_file =
            file.map(|file| (file.config.channels.clone(), file.config.monitors.clone())).unwrap_or_default();
        if of_command_line.1.is_empty() && of_file.1.is_empty() {
            return Err(CommandError::new(Exit::Usage, "there is nothing to watch")
                .hint("name a target: `uptime up https://example.com`, or write a file: `uptime init`"));
        }
        let queues = options(&[MONITOR_CHECKS, NOTIFICATIONS], file, &worker_flags(args), paused)?;
        let maintenance = file.map(|file| file.config.maintenance.clone());
        let (checks, access, heartbeat) = (checks_section(file), file::access(file), heartbeat(file)?);
        Ok(Self { of_file, maintenance, of_command_line, queues, checks, access, heartbeat })
    }

    /// Brings it into the database. What an earlier command line watched and this one does not keeps its history and
    /// rests, or goes on: `earlier`.
    async fn apply(&self, store: &Store, earlier: Absent) -> Result<(), CommandError> {
        for (source, (channels, monitors), maintenance, absent) in [
            (Source::File, &self.of_file, self.maintenance.as_deref(), Absent::Keep),
            (Source::CommandLine, &self.of_command_line, None, earlier),
        ] {
            store.apply(Wanted { source, channels, monitors, maintenance, absent }, false).await?;
        }
        Ok(())
    }
}

/// Runs the scheduler and both workers until `stop`.
async fn watch(
    database: &Database,
    (notifiers, descriptors): (NotifierHost, Descriptors),
    (plan, earlier): (Plan, Absent),
    watchdog: &Watchdog,
    printer: &Printer,
    stop: CancellationToken,
) -> Result<Ended, CommandError> {
    plan.apply(&database.store, earlier).await?;
    let display = Arc::new(Display::new(database.store.monitor_summaries().await?, printer));
    let told_to_stop = tokio::spawn({
        let (display, stop) = (Arc::clone(&display), stop.clone());
        async move {
            stop.cancelled().await;
            display.stopping();
        }
    });
    let away = Arc::new(Notify::new());
    database.keep_alive(Arc::clone(&away), stop.clone());
    let observer: Observer = {
        let display = Arc::clone(&display);
        lateness::watch(watchdog.watch(Arc::new(move |activity| {
            if matches!(activity, Activity::DatabaseAway { .. }) {
                away.notify_one();
            }
            display.show(&activity);
        })))
    };
    let (store, watchdog) = (database.store.clone(), watchdog.clone());
    let at_once = checks_at_once(descriptors, CONNECTIONS, &plan.queues);
    let workers = Workers {
        store,
        notifiers,
        access: plan.access,
        checks: plan.checks,
        at_once,
        metrics: None,
        observer: Arc::clone(&observer),
        watchdog,
    };
    let scheduling = async {
        let store = database.store.clone();
        let options =
            LoopOptions { every: SCHEDULE_EVERY, horizon: Duration::ZERO, heartbeat: plan.heartbeat };
        let ended = schedule_loop(store, options, observer, stop.clone()).await;
        stop.cancel();
        ended
    };
    let working = async {
        let ended = workers.run(plan.queues, stop.clone()).await;
        stop.cancel();
        ended
    };
    let (worked, scheduled) = tokio::join!(working, scheduling);
    told_to_stop.abort();
    display.close();
    scheduled?;
    worked
}

/// The file's and the defaults' settings, but for the grace.
fn worker_flags(args: &UpArgs) -> WorkerArgs {
    WorkerArgs {
        sleep: None,
        tries: None,
        timeout: None,
        backoff: None,
        concurrency: None,
        max_jobs: None,
        max_time: None,
        queues: Vec::new(),
        memory: None,
        once: false,
        stop_when_empty: false,
        listen: None,
        grace: args.grace,
    }
}

/// The channels and monitors that the command line names.
fn from_command_line(
    args: &UpArgs,
    file: Option<&ConfigFile>,
) -> Result<(Vec<Channel>, Vec<Monitor>), CommandError> {
    if !INTERVAL.contains(&args.interval) {
        return Err(CommandError::new(Exit::Usage, "`--interval` is not from a second to seven days")
            .hint("write `--interval 30s`"));
    }
    let of_file: Vec<&str> = file
        .map(|file| file.config.channels.iter().map(|channel| channel.name.as_str()).collect())
        .unwrap_or_default();
    let mut channels = Vec::new();
    let mut told: Vec<String> = Vec::new();
    for notify in &args.notify {
        if notify.contains("://") {
            let channel = webhook(notify)?;
            told.push(channel.name.clone());
            channels.push(channel);
        } else if of_file.contains(&notify.as_str()) {
            told.push(notify.clone());
        } else {
            let known = if of_file.is_empty() {
                "the file has none".to_owned()
            } else {
                format!("the file has {}", of_file.join(", "))
            };
            return Err(CommandError::new(
                Exit::Usage,
                format!("`--notify {notify}` names no channel and is no URL"),
            )
            .hint(known));
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
fn webhook(text: &str) -> Result<Channel, CommandError> {
    let wrong = |why: String| {
        CommandError::new(Exit::Usage, format!("`--notify`: {why}"))
            .hint("give an address such as `https://example.com/hook`")
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
        flow: Flow::default(),
        allow: vec![grant],
        limits: LimitChanges::default(),
        proxy: None,
    })
}
