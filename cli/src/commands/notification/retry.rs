//! `uptime notification retry`: another chance for what failed or was muted, exactly once, however many ask for it.

use super::{Answers, find, notifications};
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::json;
use std::time::Duration;
use tracing::info;
use uptime_store::Store;
use uptime_store::by_hand::{Again, Name, NotificationFilter, Selection};
use uptime_store::failed::Retried;

/// Those that were named.
pub async fn named(
    store: &Store,
    names: &[Name],
    dry_run: bool,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let (ids, missing) = find(store, names).await?;
    let mut answers = Answers {
        done: "put back",
        key: "retried",
        dry_run,
        changed: 0,
        dropped: Some(0),
        left: Vec::new(),
        missing,
    };
    if dry_run {
        let filter = NotificationFilter { ids: Some(&ids), ..NotificationFilter::default() };
        let mut found = store.notifications(filter, i64::MAX).await?;
        found.sort_by_key(|notification| ids.iter().position(|id| *id == notification.id));
        for notification in found {
            let left = !matches!(notification.state.as_str(), "failed" | "muted");
            answers.named(notification.id, left.then(|| is(&notification.state)), printer);
        }
        return answers.finish(printer);
    }
    for (id, again) in store.retry_notifications(&ids).await? {
        match again {
            Again::Retried(Retried::PutBack) => {
                info!(notification = id.0, "notification put back by hand");
                answers.named(id, None, printer);
            }
            // Done with, and no reason for an error: as with `queue retry`.
            Again::Retried(retried) => {
                answers.dropped = answers.dropped.map(|dropped| dropped + 1);
                if !printer.is_json() {
                    printer.line(format!("{id}\t{}", word(retried)));
                }
            }
            Again::Is(state) => answers.named(id, Some(is(&state)), printer),
        }
    }
    answers.finish(printer)
}

/// All of a channel, or of all channels, that are in this state.
pub async fn all(
    store: &Store,
    channel: Option<&str>,
    state: &str,
    dry_run: bool,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let as_of = store.instant_before(Duration::ZERO).await?;
    let which = Selection { channel, states: &[state], as_of };
    let total = store.count_notifications(which).await?;
    let (mut retried, mut dropped, mut after) = (0_u64, 0_u64, None);
    let bar = printer.progress("putting back", total);
    while let Some(ids) = if dry_run { None } else { Some(store.next_notifications(which, after).await?) } {
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        for (_, again) in store.retry_notifications(&ids).await? {
            match again {
                Again::Retried(Retried::PutBack) => retried += 1,
                Again::Retried(_) => dropped += 1,
                // Somebody else was quicker.
                Again::Is(_) => {}
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    info!(channel, state, retried, dropped, "notifications put back by hand");
    let count = if dry_run { total } else { retried };
    if printer.is_json() {
        printer.json(&json!({
            "schema_version": 1, "retried": count, "dropped": dropped, "left": [], "missing": [], "dry_run": dry_run,
        }));
    } else if printer.is_terminal() {
        let word = if dry_run { "would be put back" } else { "put back" };
        let more = match dropped {
            0 => String::new(),
            dropped => format!("; {} dropped: {}", notifications(signed(dropped)), SUPERSEDED),
        };
        printer.line(format!("{} {word}{more}", notifications(signed(count))));
    } else {
        let word = if dry_run { "would be put back" } else { "put back" };
        printer.line(format!("{word}\t{count}\tdropped\t{dropped}"));
    }
    Ok(Exit::Ok)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn is(state: &str) -> String {
    format!("left: it is {state}, and only what failed or was muted can be tried again")
}

const SUPERSEDED: &str = "a later notification of its incident was delivered or waits";

fn word(retried: Retried) -> String {
    match retried {
        Retried::PutBack => "put back".into(),
        Retried::WaitsAlready => "dropped: another job for it waits already".into(),
        Retried::Superseded => format!("dropped: {SUPERSEDED}"),
    }
}
