//! `uptime notification retry` and `discard`: another chance for what failed or was muted, or none for what waits or failed.
//! Each notification gets it exactly once, however many ask for it; what a worker is running is left to it. A dry run does all
//! of it and takes it back, so it says what would be.

use super::{Requested, find, none_has, notifications};
use crate::confirm::confirm;
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use crate::who::who;
use serde_json::{Value, json};
use std::time::Duration;
use tracing::info;
use uptime_core::id::NotificationId;
use uptime_core::notification::NotificationState;
use uptime_store::by_operator::{Again, Discarded, Name, Selection};
use uptime_store::failed::Retried;
use uptime_store::{Store, StoreError};

pub enum NotificationAction {
    Retry {
        /// Of all: those in this state.
        state: NotificationState,
    },
    /// Nobody is told of them any more.
    Discard {
        /// Who wants it, if that was said.
        by: Option<String>,
        /// Whether that needs no question.
        yes: bool,
    },
}

enum ActionResult {
    Done,
    /// It had nothing to say any more, and is done with: no reason for an error, as with `queue retry`.
    Dropped(&'static str),
    /// A worker is running it.
    Runs,
    /// It is in a state that the action is not for.
    Is(NotificationState),
}

impl NotificationAction {
    fn done(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "put back",
            Self::Discard { .. } => "discarded",
        }
    }

    /// Its name in JSON.
    fn key(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retried",
            Self::Discard { .. } => "discarded",
        }
    }

    fn progress(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "putting back",
            Self::Discard { .. } => "discarding",
        }
    }

    fn states(&self) -> &[NotificationState] {
        match self {
            Self::Retry { state } => std::slice::from_ref(state),
            Self::Discard { .. } => &[NotificationState::Queued, NotificationState::Failed],
        }
    }

    /// Why one that is in another state is left.
    fn left(&self, result: &ActionResult) -> Option<String> {
        let only = match self {
            Self::Retry { .. } => "only what failed or was muted can be tried again",
            Self::Discard { .. } => "only what is queued or failed can be discarded",
        };
        match result {
            ActionResult::Done | ActionResult::Dropped(_) => None,
            ActionResult::Runs => Some("left: it is being delivered at this moment".into()),
            ActionResult::Is(state) => Some(format!("left: it is {state}, and {only}")),
        }
    }

    async fn to(
        &self,
        store: &Store,
        ids: &[NotificationId],
        by: &str,
        dry_run: bool,
    ) -> Result<Vec<(NotificationId, ActionResult)>, StoreError> {
        Ok(match self {
            Self::Retry { .. } => {
                let again = store.retry_notifications(ids, dry_run).await?;
                again.into_iter().map(|(id, again)| (id, again.into())).collect()
            }
            Self::Discard { .. } => {
                let ends = store.discard_notifications(ids, by, dry_run).await?;
                ends.into_iter().map(|(id, end)| (id, end.into())).collect()
            }
        })
    }

    /// Asks before so many are told to nobody. Gives who wants that.
    fn permit(&self, count: u64, of: &str) -> Result<String, CommandError> {
        let Self::Discard { by, yes } = self else { return Ok(String::new()) };
        let by = who(by.clone())?;
        if count > 0 {
            confirm(&format!("this discards {}{of}, which nobody will be told", notifications(count)), *yes)?;
        }
        Ok(by)
    }
}

impl From<Again> for ActionResult {
    fn from(again: Again) -> Self {
        match again {
            Again::Retried(Retried::PutBack) => Self::Done,
            Again::Retried(Retried::WaitsAlready) => Self::Dropped("another job for it waits already"),
            Again::Retried(Retried::Superseded) => Self::Dropped(SUPERSEDED),
            Again::Is(state) => Self::Is(state),
        }
    }
}

impl From<Discarded> for ActionResult {
    fn from(end: Discarded) -> Self {
        match end {
            Discarded::Done => Self::Done,
            Discarded::Runs => Self::Runs,
            Discarded::Is(state) => Self::Is(state),
        }
    }
}

const SUPERSEDED: &str = "a later notification of its incident was delivered or waits";

/// Does it to those that were named, or to all of a channel, or of all channels.
pub async fn run(
    store: &Store,
    action: &NotificationAction,
    (asked, channel): (Requested, Option<&str>),
    dry_run: bool,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    match asked {
        Requested::Named(names) => named(store, action, &names, dry_run, printer).await,
        Requested::All => all(store, action, channel, dry_run, printer).await,
    }
}

/// What was named has to be there, and to be done.
async fn named(
    store: &Store,
    action: &NotificationAction,
    names: &[Name],
    dry_run: bool,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let (ids, missing) = find(store, names).await?;
    let by = match action {
        NotificationAction::Discard { .. } if !dry_run && !ids.is_empty() => {
            let planned = action.to(store, &ids, "", true).await?;
            let count = planned.iter().filter(|(_, result)| matches!(result, ActionResult::Done)).count();
            action.permit(u64::try_from(count).unwrap_or(u64::MAX), "")?
        }
        NotificationAction::Discard { .. } | NotificationAction::Retry { .. } => String::new(),
    };
    let would = if dry_run { "would be " } else { "" };
    let (mut changed, mut dropped, mut left) = (0_u64, 0_u64, Vec::new());
    for (id, result) in action.to(store, &ids, &by, dry_run).await? {
        let line = match result {
            ActionResult::Done => {
                changed += 1;
                if !dry_run {
                    info!(notification = id.0, "notification {} by hand", action.done());
                }
                format!("{would}{}", action.done())
            }
            ActionResult::Dropped(why) => {
                dropped += 1;
                format!("{would}dropped: {why}")
            }
            other => {
                let why = action.left(&other).unwrap_or_default();
                left.push((id, why.clone()));
                why
            }
        };
        if !printer.is_json() {
            printer.line(format!("{id}\t{line}"));
        }
    }
    if printer.is_json() {
        let left: Vec<Value> = left.iter().map(|(id, why)| json!({ "id": id, "why": why })).collect();
        let missing = missing.iter().map(|name| match name {
            Name::Id(id) => json!(id),
            Name::Delivery(id) => json!(id),
        });
        let missing: Vec<Value> = missing.collect();
        let mut answer =
            json!({ action.key(): changed, "left": left, "missing": missing, "dry_run": dry_run });
        if matches!(action, NotificationAction::Retry { .. }) {
            answer["dropped"] = dropped.into();
        }
        printer.object(answer);
    }
    if !missing.is_empty() {
        return Err(none_has(&missing));
    }
    let Some((id, _)) = left.first() else { return Ok(Exit::Ok) };
    let count = u64::try_from(left.len()).unwrap_or(u64::MAX);
    let error = format!("{} left as {}", notifications(count), if count == 1 { "it is" } else { "they are" });
    Err(CommandError::new(Exit::No, error)
        .hint(format!("`uptime notification show {id}` prints all details")))
}

async fn all(
    store: &Store,
    action: &NotificationAction,
    channel: Option<&str>,
    dry_run: bool,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    // What comes after the question is not what was asked about.
    let as_of = store.instant_before(Duration::ZERO).await?;
    let which = Selection { channel, states: action.states(), as_of };
    let total = store.count_notifications(which).await?;
    let by = if dry_run || total == 0 {
        String::new()
    } else {
        let of = channel.map(|channel| format!(" of `{channel}`")).unwrap_or_default();
        action.permit(total, &of)?
    };
    let (mut changed, mut dropped, mut running, mut after) = (0_u64, 0_u64, 0_u64, None);
    let bar = printer.progress(action.progress(), total);
    loop {
        let ids = store.next_notifications(which, after).await?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        for (_, result) in action.to(store, &ids, &by, dry_run).await? {
            match result {
                ActionResult::Done => changed += 1,
                ActionResult::Dropped(_) => dropped += 1,
                ActionResult::Runs => running += 1,
                // Somebody else was quicker.
                ActionResult::Is(_) => {}
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    if !dry_run {
        info!(channel, changed, dropped, running, "notifications {} by hand", action.done());
    }
    let (key, beside, word, why) = match action {
        NotificationAction::Retry { .. } => ("dropped", dropped, "dropped", format!(": {SUPERSEDED}")),
        NotificationAction::Discard { .. } => ("running", running, "being delivered", String::new()),
    };
    let done = format!("{}{}", if dry_run { "would be " } else { "" }, action.done());
    let more = match beside {
        0 => String::new(),
        count => format!("; {} {word}{why}", notifications(count)),
    };
    printer.done(
        json!({ action.key(): changed, key: beside, "left": [], "missing": [], "dry_run": dry_run }),
        format!("{done}\t{changed}\t{word}\t{beside}"),
        format!("{} {done}{more}", notifications(changed)),
    );
    Ok(Exit::Ok)
}
