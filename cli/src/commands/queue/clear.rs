//! `uptime queue clear`: what waits in a queue is deleted; what runs is left to its workers.

use super::jobs;
use crate::prelude::*;
use uptime_core::queue::kind;
use uptime_store::operations::QueueSize;
use uptime_store::operations::control::Cleared;

pub async fn clear(store: &Store, queue: &str, yes: bool, dry_run: bool, printer: &Printer) -> Result<Exit> {
    // What comes after the question is not what was asked about.
    let as_of = store.instant_before(Duration::ZERO).await?;
    let before = size(store, queue).await?;
    if dry_run {
        let planned = Cleared { ready: before.ready, delayed: before.delayed };
        say(queue, planned, before.reserved, true, printer);
        return Ok(Exit::Ok);
    }
    let waiting = (before.ready + before.delayed).unsigned_abs();
    if waiting > 0 {
        let and = kind(queue).map_or("", |kind| kind.clearing);
        confirm(&format!("this deletes {} waiting in `{queue}`{and}", jobs(waiting)), yes)?;
    }
    let bar = printer.progress("deleting", waiting);
    let (mut cleared, mut position) = (Cleared::default(), None);
    while let Some((chunk, reached)) = store.clear_queue(queue, as_of, position).await? {
        cleared.ready += chunk.ready;
        cleared.delayed += chunk.delayed;
        position = Some(reached);
        bar.inc((chunk.ready + chunk.delayed).unsigned_abs());
    }
    bar.finish_and_clear();
    say(queue, cleared, size(store, queue).await?.reserved, false, printer);
    Ok(Exit::Ok)
}

async fn size(store: &Store, queue: &str) -> Result<QueueSize> {
    let sizes = store.queue_sizes(&[queue.to_owned()]).await?;
    sizes.into_iter().next().ok_or_else(|| bug(format!("`{queue}` has no size")))
}

fn say(queue: &str, cleared: Cleared, reserved: i64, dry_run: bool, printer: &Printer) {
    let Cleared { ready, delayed } = cleared;
    let deleted = ready + delayed;
    let word = if dry_run { "would be deleted" } else { "deleted" };
    let parts = format!(" ({} ready, {} delayed)", printer.number(ready), printer.number(delayed));
    let parts = if ready > 0 && delayed > 0 { &parts } else { "" };
    let run = match reserved {
        0 => "none runs".into(),
        1 => "1 still runs".into(),
        many => format!("{} still run", printer.number(many)),
    };
    printer.done(
        json!({
            "queue": queue, "deleted": deleted, "ready": ready, "delayed": delayed, "reserved": reserved,
            "dry_run": dry_run,
        }),
        format!("{queue}\t{word}\t{deleted}\tstill run\t{reserved}"),
        format!("{} {word} from `{queue}`{parts}; {run}", jobs(deleted)),
    );
}
