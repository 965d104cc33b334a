//! `uptime notification discard`: nobody is told any more. What a worker has in hand is left to it.

use super::{Answers, find, notifications};
use crate::confirm::confirm;
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::json;
use std::time::Duration;
use tracing::info;
use uptime_store::Store;
use uptime_store::by_hand::{Discarded, Name, NotificationFilter, Selection};

const WANTED: &[&str] = &["queued", "paused", "failed"];

/// Those that were named. Their names are the question's answer: none is asked.
pub async fn named(
    store: &Store,
    names: &[Name],
    dry_run: bool,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let (ids, missing) = find(store, names).await?;
    let mut answers = Answers {
        done: "discarded",
        key: "discarded",
        dry_run,
        changed: 0,
        dropped: None,
        left: Vec::new(),
        missing,
    };
    if dry_run {
        let filter = NotificationFilter { ids: Some(&ids), ..NotificationFilter::default() };
        let mut found = store.notifications(filter, i64::MAX).await?;
        found.sort_by_key(|notification| ids.iter().position(|id| *id == notification.id));
        for notification in found {
            let left = !WANTED.contains(&notification.state.as_str());
            answers.named(notification.id, left.then(|| is(&notification.state)), printer);
        }
        return answers.finish(printer);
    }
    for (id, discarded) in store.discard_notifications(&ids).await? {
        let left = match discarded {
            Discarded::Done => {
                info!(notification = id.0, "notification discarded by hand");
                None
            }
            Discarded::Runs => Some("left: it is being delivered at this moment".to_owned()),
            Discarded::Is(state) => Some(is(&state)),
        };
        answers.named(id, left, printer);
    }
    answers.finish(printer)
}

/// All of a channel that wait or failed.
pub async fn all(
    store: &Store,
    channel: &str,
    (yes, dry_run): (bool, bool),
    printer: &Printer,
) -> Result<Exit, CommandError> {
    // What comes after the question is not what was asked about.
    let as_of = store.instant_before(Duration::ZERO).await?;
    let which = Selection { channel: Some(channel), states: WANTED, as_of };
    let total = store.count_notifications(which).await?;
    let count = i64::try_from(total).unwrap_or(i64::MAX);
    if total > 0 && !dry_run {
        let what =
            format!("this discards {} of `{channel}`, which nobody will be told", notifications(count));
        confirm(&what, yes)?;
    }
    let (mut discarded, mut run, mut after) = (0_i64, 0_i64, None);
    let bar = printer.progress("discarding", total);
    while let Some(ids) = if dry_run { None } else { Some(store.next_notifications(which, after).await?) } {
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        for (_, end) in store.discard_notifications(&ids).await? {
            match end {
                Discarded::Done => discarded += 1,
                Discarded::Runs => run += 1,
                Discarded::Is(_) => {}
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    if !dry_run {
        info!(channel, discarded, run, "notifications discarded by hand");
    }
    let done = if dry_run { count } else { discarded };
    let word = if dry_run { "would be discarded" } else { "discarded" };
    if printer.is_json() {
        printer.json(&json!({
            "schema_version": 1, "discarded": done, "running": run, "left": [], "missing": [], "dry_run": dry_run,
        }));
    } else if printer.is_terminal() {
        let rest = if run > 0 { format!("; {} being delivered", notifications(run)) } else { String::new() };
        printer.line(format!("{} {word}{rest}", notifications(done)));
    } else {
        printer.line(format!("{word}\t{done}\tbeing delivered\t{run}"));
    }
    Ok(Exit::Ok)
}

fn is(state: &str) -> String {
    format!("left: it is {state}, and only what is queued or failed can be discarded")
}
