//! `uptime queue`: what is in the queues, what failed, and another chance for it.

use crate::args::{Global, QueueCommand};
use crate::commands::open;
use crate::exit::{CommandError, Exit};
use crate::output::{BAD, Cell, Entry, ODD, Printer, rfc3339, span};
use serde_json::json;
use std::collections::BTreeSet;
use uptime_core::id::JobId;
use uptime_store::Store;
use uptime_store::queue::{FailedJob, QueueSize, Retried};

pub async fn run(global: &Global, command: QueueCommand, printer: &Printer) -> Result<Exit, CommandError> {
    let database = open(global, printer).await?;
    let store = &database.store;
    let outcome = match command {
        QueueCommand::Monitor { queues, max } => monitor(store, &queues, max, printer).await,
        QueueCommand::Failed { queue, limit } => failed(store, queue.as_deref(), limit, printer).await,
        QueueCommand::Retry { ids, queue, range } => {
            retry(store, &ids, queue.as_deref(), range.as_deref(), printer).await
        }
    };
    database.close().await;
    outcome
}

async fn monitor(
    store: &Store,
    queues: &[String],
    max: i64,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let sizes = store.queue_sizes(queues).await?;
    let known = store.queue_sizes(&[]).await?;
    if let Some(unknown) = queues.iter().find(|name| known.iter().all(|size| size.queue != **name)) {
        let names: Vec<&str> = known.iter().map(|size| size.queue.as_str()).collect();
        return Err(CommandError::new(Exit::Usage, format!("there is no queue `{unknown}`"))
            .hint(format!("there are: {}", names.join(", "))));
    }
    let over = sizes.iter().any(|size| is_over(size, max));
    let entries = sizes.iter().map(|size| size_entry(size, max)).collect();
    printer.list(
        "queues",
        &["queue", "ready", "delayed", "reserved", "failed", "oldest wait", "per second"],
        entries,
    );
    Ok(if over { Exit::No } else { Exit::Ok })
}

/// As in Laravel: all rows count, and the limit itself is over it.
fn is_over(size: &QueueSize, max: i64) -> bool {
    size.size() >= max
}

fn size_entry(size: &QueueSize, max: i64) -> Entry {
    let per_second = (size.per_second * 10.0).round() / 10.0;
    let wait = size.oldest_wait_ms.map_or("–".into(), |ms| span(ms.unsigned_abs() / 1_000));
    let over = is_over(size, max);
    Entry {
        json: json!({
            "queue": size.queue,
            "ready": size.ready,
            "delayed": size.delayed,
            "reserved": size.reserved,
            "failed": size.failed,
            "oldest_wait_ms": size.oldest_wait_ms,
            "per_second": per_second,
            "over_max": over,
        }),
        cells: vec![
            if over { Cell::styled(size.queue.as_str(), BAD) } else { size.queue.as_str().into() },
            size.ready.to_string().into(),
            size.delayed.to_string().into(),
            size.reserved.to_string().into(),
            if size.failed > 0 { Cell::styled(size.failed.to_string(), ODD) } else { "0".into() },
            wait.into(),
            format!("{per_second:.1}").into(),
        ],
    }
}

async fn failed(
    store: &Store,
    queue: Option<&str>,
    limit: i64,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let jobs = store.failed_jobs(queue, limit).await?;
    let entries: Vec<Entry> = jobs.iter().map(|job| failed_entry(job, printer)).collect();
    let none = entries.is_empty();
    printer.list("jobs", &["id", "queue", "subject", "attempts", "failed", "error"], entries);
    if none && printer.is_terminal() && !printer.is_json() {
        printer.note("no failed jobs");
    } else if !none && printer.is_terminal() && !printer.is_json() {
        printer.note("hint: `uptime queue retry ID` or `uptime queue retry all`");
    }
    Ok(Exit::Ok)
}

fn failed_entry(job: &FailedJob, printer: &Printer) -> Entry {
    let error = job.errors.last().map(|error| error.error.as_str()).unwrap_or_default();
    let each: Vec<_> = job
        .errors
        .iter()
        .map(|error| json!({ "attempt": error.attempt, "at": rfc3339(error.at), "error": error.error }))
        .collect();
    Entry {
        json: json!({
            "id": job.id,
            "queue": job.queue,
            "subject": job.subject,
            "attempts": job.attempts,
            "error": error,
            "errors": each,
            "failed_at": rfc3339(job.failed_at),
        }),
        cells: vec![
            job.id.to_string().into(),
            job.queue.as_str().into(),
            job.subject.as_str().into(),
            job.attempts.to_string().into(),
            printer.time(Some(job.failed_at)).into(),
            error.into(),
        ],
    }
}

async fn retry(
    store: &Store,
    ids: &[String],
    queue: Option<&str>,
    range: Option<&str>,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let chosen = match range {
        Some(range) => Some(range_ids(store, queue, range).await?),
        None if ids == ["all"] => None,
        None => Some(ids.iter().map(|id| job_id(id)).collect::<Result<Vec<_>, _>>()?),
    };
    let retried = store.retry_failed(chosen.as_deref(), queue).await?;
    let count = |outcome| retried.iter().filter(|(_, retried)| *retried == outcome).count();
    let found: BTreeSet<JobId> = retried.iter().map(|(id, _)| *id).collect();
    let missing: Vec<String> =
        chosen.iter().flatten().filter(|id| !found.contains(id)).map(ToString::to_string).collect();
    if printer.is_json() {
        printer.json(&json!({
            "schema_version": 1,
            "retried": count(Retried::PutBack),
            "already_waiting": count(Retried::WaitsAlready),
            "superseded": count(Retried::Superseded),
            "missing": missing,
        }));
    } else {
        for (id, retried) in &retried {
            let outcome = match retried {
                Retried::PutBack => "put back",
                Retried::WaitsAlready => "dropped: another job for it waits already",
                Retried::Superseded => "dropped: a later notification of its incident was delivered",
            };
            printer.line(format!("{id}\t{outcome}"));
        }
        if retried.is_empty() && missing.is_empty() {
            printer.note("no failed jobs");
        }
    }
    // A range may have gaps; a job that was named has to be there.
    if missing.is_empty() || range.is_some() {
        return Ok(Exit::Ok);
    }
    Err(CommandError::new(Exit::No, format!("no failed job has the id {}", missing.join(", ")))
        .hint("`uptime queue failed` shows which there are; somebody else may have retried it"))
}

fn job_id(text: &str) -> Result<JobId, CommandError> {
    text.parse().map(JobId).map_err(|_| {
        CommandError::new(Exit::Usage, format!("`{text}` is no job id"))
            .hint("give ids as `uptime queue failed` shows them, or `all`")
    })
}

async fn range_ids(store: &Store, queue: Option<&str>, range: &str) -> Result<Vec<JobId>, CommandError> {
    let wrong = || {
        CommandError::new(Exit::Usage, format!("`{range}` is no range of ids")).hint("write it as `10-20`")
    };
    let (first, last) = range.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (job_id(first).map_err(|_| wrong())?, job_id(last).map_err(|_| wrong())?);
    if first > last {
        return Err(wrong());
    }
    let jobs = store.failed_jobs(queue, i64::MAX).await?;
    Ok(jobs.into_iter().map(|job| job.id).filter(|id| (first..=last).contains(id)).collect())
}
