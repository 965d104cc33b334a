//! `uptime schedule`: enqueues what is due. Silent when all is well.

use crate::args::ScheduleArgs;
use crate::config::file::{self, ConfigFile};
use crate::prelude::*;
use crate::runtime::database::{Database, MissingDatabase};
use crate::runtime::descriptors::checker;
use crate::runtime::heartbeat::Heartbeats;
use crate::runtime::service::{Round, Service};
use uptime_core::monitor::CheckSpec;
use uptime_core::secret::access::Access;
use uptime_core::target;
use uptime_engine::heartbeat::Heartbeat;
use uptime_engine::scheduler::{self, LoopOptions, SCHEDULE};
use uptime_store::schedule::DueMonitor;

/// What a single run enqueues ahead: cron comes again after a minute.
const CRON_MINUTE: Duration = Duration::from_mins(1);

/// The shortest beat of a loop. Slots between two beats are met all the same: it sleeps until the next.
const EVERY_MIN: Duration = Duration::from_millis(100);

pub async fn run(global: &Global, args: &ScheduleArgs, printer: &Printer) -> Result<Exit> {
    if args.every.is_some_and(|every| every < EVERY_MIN) {
        return Err(usage_error("`--every` is below 100ms").hint("write `--every 1s`"));
    }
    match args.every {
        Some(every) => in_a_loop(global, args, every, printer).await?,
        None => once(global, args, printer).await?,
    }
    Ok(Exit::Ok)
}

async fn once(global: &Global, args: &ScheduleArgs, printer: &Printer) -> Result<()> {
    let file = file::read(global, &file::notifiers(global)?).await?;
    let choice = file::database(global, file.as_ref())?;
    let heartbeat = heartbeat(file.as_ref())?;
    let missing = if args.dry_run { MissingDatabase::Refuse } else { MissingDatabase::Create };
    let database = Database::open(choice, missing, 2, printer, true).await?;
    let horizon = args.horizon.unwrap_or(CRON_MINUTE);
    database
        .during(async |Database { store, .. }| {
            if args.dry_run {
                return dry_run(store, horizon, printer).await;
            }
            scheduler::schedule_once(store, horizon, heartbeat.as_ref()).await?;
            Ok(())
        })
        .await
}

async fn in_a_loop(global: &Global, args: &ScheduleArgs, every: Duration, printer: &Printer) -> Result<()> {
    let mut service = Service::new(global, printer)?;
    service.file = file::read(global, &service.notifiers).await?;
    let choice = file::database(global, service.file.as_ref())?;
    let horizon = args.horizon.unwrap_or_default();
    let plan = |file: Option<&ConfigFile>| Ok(LoopOptions { every, horizon, heartbeat: heartbeat(file)? });
    let planned = plan(service.file.as_ref())?;
    let heartbeats = Heartbeats::new(&[SCHEDULE], &service.stop);
    let database = Database::open(choice, MissingDatabase::Create, 2, printer, true).await?;
    let begin = async |options: &LoopOptions, _: &_| {
        let scheduler = Some(options.clone());
        Ok(Round { queues: Vec::new(), scheduler, observer: Arc::new(|_| ()), finish: || () })
    };
    let outcome = service.run(&database, heartbeats, planned, plan, begin).await;
    database.close().await;
    outcome
}

/// Where the file has the heartbeat go.
pub fn heartbeat(file: Option<&ConfigFile>) -> Result<Option<Heartbeat>> {
    let Some(reference) = file.and_then(|file| file.config.heartbeat.url.as_ref()) else { return Ok(None) };
    let wrong = |why: String, hint: String| config_error(format!("`[heartbeat] url`: {why}")).hint(hint);
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

async fn dry_run(store: &Store, horizon: Duration, printer: &Printer) -> Result<()> {
    let due = store.due(horizon).await?;
    let columns: &[Column<DueMonitor>] = &[
        ("slot", |due, printer| printer.time(Some(due.slot_at)).into()),
        ("monitor", |due, _| due.name.as_str().into()),
        ("target", |due, _| due.target.as_str().into()),
    ];
    let json = |due: &DueMonitor| json!({ "monitor": due.name, "target": due.target, "slot_at": rfc3339(due.slot_at) });
    printer.list("due", columns, &due, json);
    Ok(())
}
