//! `uptime queue retry`: another chance for failed jobs, in chunks, so that a million of them are no more in memory than
//! a few, and what is done stays done when it is broken off.

use super::{jobs, missing, none_has};
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::json;
use uptime_core::id::JobId;
use uptime_store::Store;
use uptime_store::failed::{Retried, Selection};

/// A person is shown each of so many jobs; of more, how many there were.
const LINES_MAX: u64 = 20;

#[derive(Default)]
struct Tally {
    put_back: u64,
    waits_already: u64,
    superseded: u64,
}

/// Which jobs the words of the command line mean.
pub fn selection(
    ids: &[String],
    queue: Option<String>,
    range: Option<&str>,
) -> Result<Selection, CommandError> {
    let range = range.map(parse_range).transpose()?;
    let ids = if range.is_some() || ids == ["all"] {
        None
    } else {
        Some(ids.iter().map(|id| job_id(id)).collect::<Result<Vec<_>, _>>()?)
    };
    Ok(Selection { ids, range, queue, failed_by: None })
}

pub async fn retry(store: &Store, which: &Selection, printer: &Printer) -> Result<Exit, CommandError> {
    let total = store.count_failed(which).await?;
    let too_many = printer.is_terminal() && total > LINES_MAX;
    let lines = !printer.is_json() && !too_many;
    let bar = printer.progress("putting back", total);
    let (mut tally, mut found, mut after) = (Tally::default(), Vec::new(), None);
    loop {
        let chunk = store.retry_failed(which, after).await?;
        let Some((last, _)) = chunk.last() else { break };
        after = Some(*last);
        for (id, retried) in &chunk {
            if lines {
                printer.line(format!("{id}\t{}", word(*retried)));
            }
            tally.count(*retried);
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
        printer.object(json!({
            "retried": tally.put_back, "already_waiting": tally.waits_already, "superseded": tally.superseded,
            "missing": missing,
        }));
    } else if !lines {
        printer.line(tally.sentence());
    } else if tally.all() == 0 && missing.is_empty() {
        printer.note("no failed jobs");
    }
    if missing.is_empty() { Ok(Exit::Ok) } else { Err(none_has(&missing)) }
}

impl Tally {
    fn count(&mut self, retried: Retried) {
        match retried {
            Retried::PutBack => self.put_back += 1,
            Retried::WaitsAlready => self.waits_already += 1,
            Retried::Superseded => self.superseded += 1,
        }
    }

    fn all(&self) -> u64 {
        self.put_back + self.waits_already + self.superseded
    }

    fn sentence(&self) -> String {
        let mut sentence = format!("{} put back", jobs(self.put_back));
        for (count, why) in [
            (self.waits_already, "another job for it waits already"),
            (self.superseded, "a later notification takes its place"),
        ] {
            if count > 0 {
                sentence = format!("{sentence}; {} dropped: {why}", jobs(count));
            }
        }
        sentence
    }
}

fn word(retried: Retried) -> &'static str {
    match retried {
        Retried::PutBack => "put back",
        Retried::WaitsAlready => "dropped: another job for it waits already",
        Retried::Superseded => "dropped: a later notification takes its place",
    }
}

fn job_id(text: &str) -> Result<JobId, CommandError> {
    text.parse().map(JobId).map_err(|_| {
        CommandError::new(Exit::Usage, format!("`{text}` is no job id"))
            .hint("give ids as `uptime queue failed` shows them, or `all`")
    })
}

fn parse_range(range: &str) -> Result<std::ops::RangeInclusive<JobId>, CommandError> {
    let wrong = || {
        CommandError::new(Exit::Usage, format!("`{range}` is no range of ids")).hint("write it as `10-20`")
    };
    let (first, last) = range.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (job_id(first).map_err(|_| wrong())?, job_id(last).map_err(|_| wrong())?);
    if first > last {
        return Err(wrong());
    }
    Ok(first..=last)
}
