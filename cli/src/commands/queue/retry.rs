//! `uptime queue retry`: another chance for failed jobs, in chunks, so that a million of them are no more in memory than
//! a few, and what is done stays done when it is broken off.

use super::{jobs, missing, none_has};
use crate::prelude::*;
use uptime_core::id::JobId;
use uptime_store::failed::{Retried, Selection};

/// A person is shown each of so many jobs; of more, how many there were.
const LINES_MAX: u64 = 20;

/// What becomes of a failed job: its name in JSON, and why it is dropped, if it is.
const ENDS: [(Retried, &str, Option<&str>); 3] = [
    (Retried::PutBack, "retried", None),
    (Retried::WaitsAlready, "already_waiting", Some("another job for it waits already")),
    (Retried::Superseded, "superseded", Some("a later notification takes its place")),
];

/// Which jobs the words of the command line mean.
pub fn selection(ids: &[String], queue: Option<String>, range: Option<&str>) -> Result<Selection> {
    let range = range.map(parse_range).transpose()?;
    let is_all = range.is_some() || ids == ["all"];
    let ids = (!is_all).then(|| ids.iter().map(|id| job_id(id)).collect::<Result<_>>()).transpose()?;
    Ok(Selection { ids, range, queue, failed_by: None })
}

pub async fn retry(store: &Store, which: &Selection, printer: &Printer) -> Result<Exit> {
    let total = store.count_failed(which).await?;
    let too_many = printer.is_terminal() && total > LINES_MAX;
    let lines = !printer.is_json() && !too_many;
    let bar = printer.progress("putting back", total);
    let (mut counts, mut found, mut after) = ([0; ENDS.len()], Vec::new(), None);
    loop {
        let chunk = store.retry_failed(which, after).await?;
        let Some((last, _)) = chunk.last() else { break };
        after = Some(*last);
        for (id, retried) in &chunk {
            for ((_, _, why), count) in ENDS.iter().zip(&mut counts).filter(|((end, ..), _)| end == retried) {
                *count += 1;
                if lines {
                    let word = why.map_or_else(|| "put back".into(), |why| format!("dropped: {why}"));
                    printer.line(format!("{id}\t{word}"));
                }
            }
        }
        if which.ids.is_some() {
            found.extend(chunk.iter().map(|(id, _)| *id));
        }
        bar.inc(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    // A range may have gaps; a job that was named has to be there.
    let missing = missing(which, &found);
    if printer.is_json() {
        let mut answer = json!({ "missing": missing });
        ENDS.iter().zip(counts).for_each(|((_, key, _), count)| answer[key] = count.into());
        printer.object(answer);
    } else if !lines {
        printer.line(summary(&counts));
    } else if counts.iter().sum::<u64>() == 0 && missing.is_empty() {
        printer.note("no failed jobs");
    }
    if missing.is_empty() { Ok(Exit::Ok) } else { Err(none_has(&missing)) }
}

fn summary(counts: &[u64]) -> String {
    let parts = ENDS.iter().zip(counts).filter_map(|((_, _, why), count)| match why {
        None => Some(format!("{} put back", jobs(*count))),
        Some(why) => (*count > 0).then(|| format!("{} dropped: {why}", jobs(*count))),
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn job_id(text: &str) -> Result<JobId> {
    text.parse().map(JobId).map_err(|_| {
        usage_error(format!("`{text}` is no job id"))
            .hint("give ids as `uptime queue failed` shows them, or `all`")
    })
}

fn parse_range(range: &str) -> Result<std::ops::RangeInclusive<JobId>> {
    let wrong = || usage_error(format!("`{range}` is no range of ids")).hint("write it as `10-20`");
    let (first, last) = range.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (job_id(first).map_err(|_| wrong())?, job_id(last).map_err(|_| wrong())?);
    if first > last { Err(wrong()) } else { Ok(first..=last) }
}
