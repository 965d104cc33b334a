//! `uptime queue failed`: the list, and the all details of one.

use super::none_has;
use crate::output::ago;
use crate::prelude::*;
use uptime_core::id::JobId;
use uptime_store::failed::FailedJob;
use uptime_store::notifications::OutstandingCounts;

/// The failed list, newest first.
pub async fn list(store: &Store, queue: Option<&str>, limit: i64, printer: &Printer) -> Result<Exit> {
    let jobs = store.failed_jobs(queue, limit).await?;
    let counts = store.outstanding().await?;
    printer.list("jobs", COLUMNS, &jobs, |job| json(job, &counts));
    let total: u32 = jobs.iter().map(|job| outstanding(job, &counts)).sum();
    if total > 0 {
        let what = match total {
            1 => "1 announcement is outstanding: sent as soon as its channel works again".to_owned(),
            _ => format!("{total} announcements are outstanding: sent as soon as their channels work again"),
        };
        printer.note(what);
    }
    let hint = |job: &FailedJob| format!("`uptime queue failed {}` prints all details", job.id);
    printer.below_list("no failed jobs", jobs.first().map(hint));
    if let Some(job) = jobs.first() {
        let retry = retry_command(job);
        printer.hint(format!("`{retry}` tries it again, `uptime queue retry all` tries all"));
    }
    Ok(Exit::Ok)
}

pub async fn show(store: &Store, ids: &[JobId], printer: &Printer) -> Result<Exit> {
    let jobs = store.failed_jobs_by_id(ids).await?;
    if printer.is_json() {
        let counts = store.outstanding().await?;
        printer.list("jobs", COLUMNS, &jobs, |job| json(job, &counts));
    } else {
        let now = store.now().await?;
        for (nth, job) in jobs.iter().enumerate() {
            if nth > 0 {
                printer.line("");
            }
            details(job, now, printer);
        }
    }
    let missing: Vec<&JobId> = ids.iter().filter(|id| jobs.iter().all(|job| job.id != **id)).collect();
    if missing.is_empty() { Ok(Exit::Ok) } else { Err(none_has(&missing)) }
}

/// How many announcements are sent by themselves when the job's channel works again.
fn outstanding(job: &FailedJob, counts: &OutstandingCounts) -> u32 {
    let notification = job.notification.as_ref();
    notification.and_then(|one| counts.by_notification.get(&one.id)).copied().unwrap_or_default()
}

fn json(job: &FailedJob, counts: &OutstandingCounts) -> Value {
    let errors: Vec<Value> = job
        .errors
        .iter()
        .map(|error| json!({ "attempt": error.attempt, "at": rfc3339(error.at), "error": error.error }))
        .collect();
    let notification = job.notification.as_ref();
    json!({
        "id": job.id, "queue": job.queue, "subject": job.subject, "attempts": job.attempts,
        "error": last_error(job), "errors": errors, "created_at": rfc3339(job.created_at),
        "failed_at": rfc3339(job.failed_at),
        "event": notification.map(|notification| &notification.event),
        "monitor": notification.map(|notification| &notification.monitor),
        "incident_id": notification.and_then(|notification| notification.incident),
        "delivery_id": notification.map(|notification| notification.delivery_id),
        "outstanding": outstanding(job, counts),
    })
}

const COLUMNS: &[Column<FailedJob>] = &[
    ("id", |job, _| job.id.to_string().into()),
    ("queue", |job, _| job.queue.as_str().into()),
    ("subject", |job, _| job.subject.as_str().into()),
    ("attempts", |job, _| Cell::count(&job.attempts)),
    ("failed", |job, printer| printer.time(Some(job.failed_at)).into()),
    ("error", |job, _| Cell::cause(last_error(job))),
];

fn last_error(job: &FailedJob) -> &str {
    job.errors.last().map(|error| error.error.as_str()).unwrap_or_default()
}

/// What there is to say of it, by name: what it was about, what it was to tell.
fn what(job: &FailedJob) -> Vec<(&'static str, String)> {
    let mut what = vec![("queue", job.queue.clone()), ("subject", job.subject.clone())];
    if let Some(notification) = &job.notification {
        let incident = notification.incident.map(|id| format!(", incident {id}")).unwrap_or_default();
        what.push(("message", format!("{} of {}{incident}", notification.event, notification.monitor)));
        what.push(("delivery", notification.delivery_id.to_string()));
    } else if job.queue == uptime_store::NOTIFICATIONS {
        what.push(("message", "its notification was removed".into()));
    }
    what.push(("attempts", job.attempts.to_string()));
    what
}

fn details(job: &FailedJob, now: Timestamp, printer: &Printer) {
    let (terminal, retry) = (printer.is_terminal(), retry_command(job));
    let when = |at| {
        let at_faint = format!("{} {FAINT}{}{FAINT:#}", ago(at, now), rfc3339(at));
        if terminal { at_faint } else { rfc3339(at) }
    };
    let fact = |name: &str, value: &str| {
        let shown = format!("  {FAINT}{name:<10}{FAINT:#} {value}");
        printer.line(if terminal { shown } else { format!("{name}\t{value}") });
    };
    if terminal {
        printer.line(format!("failed job {BAD}{}{BAD:#}", job.id));
    } else {
        fact("id", &job.id.to_string());
    }
    for (name, value) in what(job) {
        fact(name, &value);
    }
    fact("enqueued", &when(job.created_at));
    fact("failed", &when(job.failed_at));
    for error in &job.errors {
        if terminal {
            fact(&format!("attempt {}", error.attempt), &when(error.at));
            fact("", &error.error);
        } else {
            fact("error", &format!("{}\t{}\t{}", error.attempt, when(error.at), error.error));
        }
    }
    fact("retry", &if terminal { format!("{HINT}{retry}{HINT:#}") } else { retry });
}

fn retry_command(job: &FailedJob) -> String {
    format!("uptime queue retry {}", job.id)
}
