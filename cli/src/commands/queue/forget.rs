//! `uptime queue forget`, `flush` and `prune-failed`: failed jobs that get no other chance.

use super::{jobs, missing, none_has};
use crate::prelude::*;
use uptime_core::id::JobId;
use uptime_store::failed::Selection;

/// Deletes the named ones. Their names are the question's answer: none is asked.
pub async fn forget(store: &Store, ids: &[JobId], dry_run: bool, printer: &Printer) -> Result<Exit> {
    let which = Selection::of(ids);
    let found = if dry_run {
        store.failed_jobs_by_id(ids).await?.into_iter().map(|job| job.id).collect()
    } else {
        delete(store, &which, 0, printer).await?.1
    };
    let missing = missing(&which, &found);
    printer.answer(json!({ "deleted": found.len(), "missing": missing, "dry_run": dry_run }), || {
        let word = if dry_run { "would be deleted" } else { "deleted" };
        printer.lines(found.iter().map(|id| format!("{id}\t{word}")));
    });
    if missing.is_empty() { Ok(Exit::Ok) } else { Err(none_has(&missing)) }
}

/// Deletes all, or those that failed `hours` ago or earlier. What fails while somebody thinks about the question stays.
/// `yes`: whether the answer is known; `None`: nobody is asked, nor told of nothing.
pub async fn flush(
    store: &Store,
    queue: Option<String>,
    hours: i64,
    (yes, dry_run): (Option<bool>, bool),
    printer: &Printer,
) -> Result<Exit> {
    // By the database's clock.
    let failed_by = store.instant_before(Duration::from_hours(hours.unsigned_abs())).await?;
    let which = Selection { queue, failed_by: Some(failed_by), ..Selection::default() };
    let count = store.count_failed(&which).await?;
    if let Some(yes) = yes.filter(|_| count > 0 && !dry_run) {
        let of = which.queue.as_ref().map(|queue| format!(" of `{queue}`")).unwrap_or_default();
        let age = if hours > 0 { format!(" that failed {hours} h ago or earlier") } else { String::new() };
        confirm(&format!("this deletes {} from the failed list{of}{age}", jobs(count)), yes)?;
    }
    let deleted = if dry_run { count } else { delete(store, &which, count, printer).await?.0 };
    if deleted > 0 || yes.is_some() || printer.is_terminal() || printer.is_json() {
        let word = if dry_run { "would be deleted" } else { "deleted" };
        printer.done(
            json!({ "deleted": deleted, "dry_run": dry_run }),
            format!("{word}\t{deleted}"),
            format!("{} {word}", jobs(deleted)),
        );
    }
    Ok(Exit::Ok)
}

/// Gives how many were deleted, and for a selection by ids which.
async fn delete(
    store: &Store,
    which: &Selection,
    total: u64,
    printer: &Printer,
) -> Result<(u64, Vec<JobId>)> {
    let bar = printer.progress("deleting", total);
    let (mut count, mut found, mut after) = (0, Vec::new(), None);
    loop {
        let chunk = store.delete_failed(which, after).await?;
        let Some(last) = chunk.last() else { break };
        after = Some(*last);
        let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        count += len;
        bar.inc(len);
        if which.ids.is_some() {
            found.extend(chunk);
        }
    }
    bar.finish_and_clear();
    Ok((count, found))
}
