//! What people do with incidents, one after the other: each is done or refused by itself, and said as soon as it is.

use super::unknown;
use crate::commands::will_be_told;
use crate::prelude::*;
use std::collections::HashSet;
use tracing::info;
use uptime_core::id::IncidentId;
use uptime_core::incident::{ActionRefused, By, IncidentAction};
use uptime_store::incidents::Outcome;

pub async fn run(
    store: &Store,
    ids: &[IncidentId],
    action: IncidentAction,
    by: By<'_>,
    printer: &Printer,
) -> Result<Exit> {
    let (By { who, note }, word) = (by, action.as_str());
    let (mut asked, mut done, mut failures) = (HashSet::new(), Vec::new(), Vec::new());
    // Named twice is meant once.
    for id in ids.iter().copied().filter(|id| asked.insert(id.0)) {
        let outcome = match store.do_to_incident(id, action, by).await {
            Ok(outcome) => outcome,
            Err(error) => {
                failures.insert(0, CommandError::from(error));
                break;
            }
        };
        let mut refuse = |error: CommandError| {
            let message = error.message.clone();
            failures.push(error);
            json!({ "done": false, "error": message })
        };
        let came = match outcome {
            Outcome::Done { monitor, channels_told } => {
                info!(incident = id.0, monitor, who, note, told = channels_told.join(","), "incident {word}");
                if !printer.is_json() {
                    print_done(id, &monitor, action, who, &channels_told, printer);
                }
                json!({ "done": true, "monitor": monitor, "told": channels_told })
            }
            Outcome::Refused { monitor, refusal } => {
                let error = answer_no(format!("incident {id} of `{monitor}` {refusal}"));
                with(refuse(error.hint(hint(id, &refusal))), json!({ "monitor": monitor }))
            }
            Outcome::Unknown => refuse(unknown(id)),
        };
        done.push(with(json!({ "id": id, "action": word, "by": who, "note": note }), came));
    }
    if printer.is_json() {
        printer.list("incidents", &[], &done, Value::clone);
    }
    // The last one is said by the caller, like that of any command.
    let last = failures.pop();
    for failure in &failures {
        printer.error(failure);
    }
    last.map_or(Ok(Exit::Ok), Err)
}

fn print_done(
    id: IncidentId,
    monitor: &str,
    action: IncidentAction,
    who: &str,
    channels_told: &[String],
    printer: &Printer,
) {
    if !printer.is_terminal() {
        printer.line(format!("{id}\t{}\t{monitor}\t{}", action.as_str(), channels_told.join(",")));
        return;
    }
    let done = match action {
        IncidentAction::Acknowledge { lasting: None } => format!("{who} takes care of it until it ends"),
        IncidentAction::Acknowledge { lasting: Some(lasting) } => {
            format!("{who} takes care of it for {}", uptime_core::duration::format(lasting))
        }
        IncidentAction::Unacknowledge => "nobody takes care of it any more, and reminders go on".into(),
        IncidentAction::Mute => "nothing more will be told of it, not even its end".into(),
        IncidentAction::Unmute => "it is told of again".into(),
        IncidentAction::Resolve => format!("ended by {who}"),
        IncidentAction::Comment => "noted".into(),
    };
    let channels_told =
        action.event_type().map(|_| format!("; {}", will_be_told(channels_told))).unwrap_or_default();
    printer.line(format!("incident {id} of {monitor}: {done}{channels_told}"));
}

fn hint(id: IncidentId, refusal: &ActionRefused) -> String {
    if matches!(refusal, ActionRefused::Acknowledged { .. }) {
        return format!("`uptime incident unack {id}` first, if somebody else does now");
    }
    format!("`uptime incident show {id}` prints all details")
}
