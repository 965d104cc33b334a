//! `uptime queue`: what is in the queues, what failed, and what operators say to them. A file for each kind of question.

mod busy;
mod clear;
mod control;
mod failed;
mod forget;
mod monitor;
mod retry;

use crate::args::{MonitorArgs, QueueCommand, QueuesArgs};
use crate::commands::require;
use crate::output::counted;
use crate::prelude::*;
use uptime_core::id::JobId;
use uptime_store::failed::Selection;

pub async fn run(store: &Store, command: QueueCommand, printer: &Printer) -> Result<Exit> {
    require_known(store, named(&command)).await?;
    match command {
        QueueCommand::Monitor(args) => match args.watch {
            None => monitor::once(store, &args, printer).await,
            Some(every) => monitor::watch(store, &args, every, printer).await,
        },
        QueueCommand::Failed { ids, queue, limit } if ids.is_empty() => {
            failed::list(store, queue.as_deref(), limit, printer).await
        }
        QueueCommand::Failed { ids, .. } => failed::show(store, &ids, printer).await,
        QueueCommand::Retry { ids, queue, range } => {
            retry::retry(store, &retry::selection(&ids, queue, range.as_deref())?, printer).await
        }
        QueueCommand::Forget { ids, dry_run } => forget::forget(store, &ids, dry_run, printer).await,
        QueueCommand::Flush { queue, hours, yes, dry_run } => {
            forget::flush(store, queue, hours, (Some(yes), dry_run), printer).await
        }
        // For cron: without a question, and without a word when there are none.
        QueueCommand::PruneFailed { hours, dry_run } => {
            forget::flush(store, None, hours, (None, dry_run), printer).await
        }
        QueueCommand::Clear { queue, yes, dry_run } => {
            clear::clear(store, &queue, yes, dry_run, printer).await
        }
        QueueCommand::Pause(QueuesArgs { queues }) => control::pause(store, &queues, true, printer).await,
        QueueCommand::Resume(QueuesArgs { queues }) => control::pause(store, &queues, false, printer).await,
        QueueCommand::Restart { queues } => control::restart(store, queues, printer).await,
    }
}

/// The queues that a command names.
fn named(command: &QueueCommand) -> &[String] {
    match command {
        QueueCommand::Monitor(MonitorArgs { queues, .. })
        | QueueCommand::Pause(QueuesArgs { queues })
        | QueueCommand::Resume(QueuesArgs { queues })
        | QueueCommand::Restart { queues } => queues,
        QueueCommand::Failed { queue, .. }
        | QueueCommand::Retry { queue, .. }
        | QueueCommand::Flush { queue, .. } => queue.as_slice(),
        QueueCommand::Clear { queue, .. } => std::slice::from_ref(queue),
        QueueCommand::Forget { .. } | QueueCommand::PruneFailed { .. } => &[],
    }
}

/// A queue that there is not is a slip of the keys: waiting for its jobs, or pausing it, would say nothing.
async fn require_known(store: &Store, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let known = store.known_queues().await?;
    names.iter().try_for_each(|name| require("queue", name, &known))
}

/// Those of `named` that were not among what was found.
fn missing<'a>(which: &'a Selection, found: &[JobId]) -> Vec<&'a JobId> {
    which.ids.iter().flatten().filter(|id| !found.contains(id)).collect()
}

fn none_has(missing: &[&JobId]) -> CommandError {
    let ids: Vec<String> = missing.iter().map(ToString::to_string).collect();
    answer_no(format!("no failed job has the id {}", ids.join(", ")))
        .hint("`uptime queue failed` lists them; somebody else may have retried it")
}

/// `1 job`, `1,204 jobs`.
fn jobs(count: impl TryInto<i64>) -> String {
    counted(count, "job")
}
