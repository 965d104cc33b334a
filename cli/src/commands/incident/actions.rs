//! What people do with incidents, one after the other: each is done or refused by itself, and said as soon as it is.

use super::UNKNOWN_HINT;
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::{Value, json};
use tracing::info;
use uptime_core::id::IncidentId;
use uptime_core::incident::{ActionRefused, By, IncidentAction};
use uptime_store::Store;
use uptime_store::incidents::Outcome;

pub async fn run(
    store: &Store,
    ids: Vec<IncidentId>,
    action: IncidentAction,
    who: &str,
    note: Option<&str>,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let mut asked = Vec::new();
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for id in ids {
        // Named twice is meant once.
        if asked.contains(&id) {
            continue;
        }
        asked.push(id);
        let outcome = match store.do_to_incident(id, action, By { who, note }).await {
            Ok(outcome) => outcome,
            Err(error) => {
                failures.insert(0, CommandError::from(error));
                break;
            }
        };
        let mut json = json!({ "id": id, "action": action.as_str(), "by": who, "note": note });
        match outcome {
            Outcome::Done { monitor, channels_told } => {
                info!(
                    incident = id.0,
                    monitor,
                    who,
                    note,
                    channels_told = channels_told.join(","),
                    "incident {}",
                    action.as_str()
                );
                json["done"] = true.into();
                json["monitor"] = monitor.as_str().into();
                json["told"] = channels_told.as_slice().into();
                if !printer.is_json() {
                    print_done(id, &monitor, action, who, &channels_told, printer);
                }
            }
            Outcome::Refused { monitor, refusal } => {
                let error = format!("incident {id} of `{monitor}` {refusal}");
                json["done"] = false.into();
                json["monitor"] = monitor.into();
                json["error"] = error.as_str().into();
                failures.push(CommandError::new(Exit::No, error).hint(hint(id, &refusal)));
            }
            Outcome::Unknown => {
                let error = format!("there is no incident {id}");
                json["done"] = false.into();
                json["error"] = error.as_str().into();
                failures.push(CommandError::new(Exit::No, error).hint(UNKNOWN_HINT));
            }
        }
        done.push(json);
    }
    if printer.is_json() {
        printer.list("incidents", &[], &done, Value::clone);
    }
    // The last one is said by the caller, like that of any command.
    let last = failures.pop();
    for failure in failures {
        printer.error(&failure);
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
    let channels_told = match (action.event_type(), channels_told) {
        (None, _) => String::new(),
        (Some(_), []) => "; nobody will be told".into(),
        (Some(_), channels_told) => format!("; will be told: {}", channels_told.join(", ")),
    };
    printer.line(format!("incident {id} of {monitor}: {done}{channels_told}"));
}

fn hint(id: IncidentId, refusal: &ActionRefused) -> String {
    match refusal {
        ActionRefused::Acknowledged { .. } => {
            format!("`uptime incident unack {id}` first, if somebody else does now")
        }
        ActionRefused::Ended { .. }
        | ActionRefused::NotAcknowledged
        | ActionRefused::Muted { .. }
        | ActionRefused::NotMuted => {
            format!("`uptime incident show {id}` prints all details")
        }
    }
}
