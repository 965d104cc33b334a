//! `uptime notification retry` and `discard`: another chance for what failed or was muted, or none for what waits or failed.
//! Each notification gets it exactly once, however many ask for it; what a worker is running is left to it. A dry run does all
//! of it and takes it back, so it says what would be.

use super::{Requested, find, none_has, notifications};
use crate::prelude::*;
use crate::who::who;
use tracing::info;
use uptime_core::id::NotificationId;
use uptime_core::notification::NotificationState;
use uptime_store::by_operator::{Again, Discarded, Name, Selection};
use uptime_store::failed::Retried;

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

type ActionResults = Vec<(NotificationId, ActionResult)>;

impl NotificationAction {
    /// The words for that it was done, in text and as a key of JSON, and for that it goes on.
    fn words(&self) -> [&'static str; 3] {
        match self {
            Self::Retry { .. } => ["put back", "retried", "putting back"],
            Self::Discard { .. } => ["discarded", "discarded", "discarding"],
        }
    }

    fn states(&self) -> &[NotificationState] {
        match self {
            Self::Retry { state } => std::slice::from_ref(state),
            Self::Discard { .. } => &[NotificationState::Queued, NotificationState::Failed],
        }
    }

    /// Why one that is in another state is left.
    fn left(&self, state: NotificationState) -> String {
        let only = match self {
            Self::Retry { .. } => "only what failed or was muted can be tried again",
            Self::Discard { .. } => "only what is queued or failed can be discarded",
        };
        format!("left: it is {state}, and {only}")
    }

    async fn to(
        &self,
        store: &Store,
        ids: &[NotificationId],
        by: &str,
        dry_run: bool,
    ) -> Result<ActionResults> {
        if let Self::Discard { .. } = self {
            let result = |end| match end {
                Discarded::Done => ActionResult::Done,
                Discarded::Runs => ActionResult::Runs,
                Discarded::Is(state) => ActionResult::Is(state),
            };
            let ends = store.discard_notifications(ids, by, dry_run).await?;
            return Ok(ends.into_iter().map(|(id, end)| (id, result(end))).collect());
        }
        let result = |again| match again {
            Again::Retried(Retried::PutBack) => ActionResult::Done,
            Again::Retried(Retried::WaitsAlready) => {
                ActionResult::Dropped("another job for it waits already")
            }
            Again::Retried(Retried::Superseded) => ActionResult::Dropped(SUPERSEDED),
            Again::Is(state) => ActionResult::Is(state),
        };
        let again = store.retry_notifications(ids, dry_run).await?;
        Ok(again.into_iter().map(|(id, again)| (id, result(again))).collect())
    }

    /// Asks before so many are told to nobody. Gives who wants that.
    fn permit(&self, count: impl TryInto<i64>, of: &str) -> Result<String> {
        let Self::Discard { by, yes } = self else { return Ok(String::new()) };
        let (by, count) = (who(by.clone())?, count.try_into().unwrap_or(i64::MAX));
        if count > 0 {
            confirm(&format!("this discards {}{of}, which nobody will be told", notifications(count)), *yes)?;
        }
        Ok(by)
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
) -> Result<Exit> {
    if let Requested::Named(names) = asked {
        return named(store, action, &names, dry_run, printer).await;
    }
    // What comes after the question is not what was asked about.
    let as_of = store.instant_before(Duration::ZERO).await?;
    let which = Selection { channel, states: action.states(), as_of };
    let total = store.count_notifications(which).await?;
    let of = channel.map(|channel| format!(" of `{channel}`")).unwrap_or_default();
    let by = if dry_run || total == 0 { String::new() } else { action.permit(total, &of)? };
    let (mut changed, mut dropped, mut running, mut after) = (0_u64, 0_u64, 0_u64, None);
    let [done, done_key, progress] = action.words();
    let bar = printer.progress(progress, total);
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
        info!(channel, changed, dropped, running, "notifications {done} by hand");
    }
    let (key, beside, word, why) = match action {
        NotificationAction::Retry { .. } => ("dropped", dropped, "dropped", format!(": {SUPERSEDED}")),
        NotificationAction::Discard { .. } => ("running", running, "being delivered", String::new()),
    };
    let done = format!("{}{done}", if dry_run { "would be " } else { "" });
    let more = match beside {
        0 => String::new(),
        count => format!("; {} {word}{why}", notifications(count)),
    };
    printer.done(
        json!({ done_key: changed, key: beside, "left": [], "missing": [], "dry_run": dry_run }),
        format!("{done}\t{changed}\t{word}\t{beside}"),
        format!("{} {done}{more}", notifications(changed)),
    );
    Ok(Exit::Ok)
}

/// What was named has to be there, and to be done.
async fn named(
    store: &Store,
    action: &NotificationAction,
    names: &[Name],
    dry_run: bool,
    printer: &Printer,
) -> Result<Exit> {
    let (ids, missing) = find(store, names).await?;
    let mut by = String::new();
    if matches!(action, NotificationAction::Discard { .. }) && !dry_run && !ids.is_empty() {
        let planned = action.to(store, &ids, "", true).await?;
        by = action
            .permit(planned.iter().filter(|(_, result)| matches!(result, ActionResult::Done)).count(), "")?;
    }
    let ([done, key, _], would) = (action.words(), if dry_run { "would be " } else { "" });
    let (mut changed, mut dropped, mut left) = (0, 0, Vec::new());
    for (id, result) in action.to(store, &ids, &by, dry_run).await? {
        let mut leave = |why: String| {
            left.push(json!({ "id": id, "why": why }));
            why
        };
        let line = match result {
            ActionResult::Done => {
                changed += 1;
                if !dry_run {
                    info!(notification = id.0, "notification {done} by hand");
                }
                format!("{would}{done}")
            }
            ActionResult::Dropped(why) => {
                dropped += 1;
                format!("{would}dropped: {why}")
            }
            ActionResult::Runs => leave("left: it is being delivered at this moment".into()),
            ActionResult::Is(state) => leave(action.left(state)),
        };
        if !printer.is_json() {
            printer.line(format!("{id}\t{line}"));
        }
    }
    let mut answer = json!({ key: changed, "left": left, "missing": missing, "dry_run": dry_run });
    if matches!(action, NotificationAction::Retry { .. }) {
        answer["dropped"] = dropped.into();
    }
    printer.answer(answer, || ());
    if !missing.is_empty() {
        return Err(none_has(&missing));
    }
    let Some(first) = left.first() else { return Ok(Exit::Ok) };
    let they = if left.len() == 1 { "it is" } else { "they are" };
    let error = answer_no(format!("{} left as {they}", notifications(left.len())));
    Err(error.hint(format!("`uptime notification show {}` prints all details", first["id"])))
}
