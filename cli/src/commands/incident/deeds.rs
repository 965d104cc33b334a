//! What people do with incidents, one after the other: each is done or refused by itself, and said as soon as it is.

use super::UNKNOWN_HINT;
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::{Value, json};
use tracing::info;
use uptime_core::id::IncidentId;
use uptime_core::incident::{By, Deed, Refusal};
use uptime_store::Store;
use uptime_store::incidents::Outcome;

pub async fn run(
    store: &Store,
    ids: Vec<IncidentId>,
    deed: Deed,
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
        let outcome = match store.do_to_incident(id, deed, By { who, note }).await {
            Ok(outcome) => outcome,
            Err(error) => {
                failures.insert(0, CommandError::from(error));
                break;
            }
        };
        let mut json = json!({ "id": id, "action": deed.as_str(), "by": who, "note": note });
        match outcome {
            Outcome::Done { monitor, told } => {
                info!(
                    incident = id.0,
                    monitor,
                    who,
                    note,
                    told = told.join(","),
                    "incident {}",
                    deed.as_str()
                );
                json["done"] = true.into();
                json["monitor"] = monitor.as_str().into();
                json["told"] = told.as_slice().into();
                if !printer.is_json() {
                    say(id, &monitor, deed, who, &told, printer);
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

fn say(id: IncidentId, monitor: &str, deed: Deed, who: &str, told: &[String], printer: &Printer) {
    if !printer.is_terminal() {
        printer.line(format!("{id}\t{}\t{monitor}\t{}", deed.as_str(), told.join(",")));
        return;
    }
    let done = match deed {
        Deed::Acknowledge { lasting: None } => format!("{who} takes care of it until it ends"),
        Deed::Acknowledge { lasting: Some(lasting) } => {
            format!("{who} takes care of it for {}", uptime_core::duration::format(lasting))
        }
        Deed::Unacknowledge => "nobody takes care of it any more, and reminders go on".into(),
        Deed::Mute => "nothing more will be told of it, not even its end".into(),
        Deed::Unmute => "it is told of again".into(),
        Deed::Resolve => format!("ended by {who}"),
        Deed::Comment => "noted".into(),
    };
    let told = match (deed.event_type(), told) {
        (None, _) => String::new(),
        (Some(_), []) => "; nobody will be told".into(),
        (Some(_), told) => format!("; will be told: {}", told.join(", ")),
    };
    printer.line(format!("incident {id} of {monitor}: {done}{told}"));
}

fn hint(id: IncidentId, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Acknowledged { .. } => {
            format!("`uptime incident unack {id}` first, if somebody else does now")
        }
        Refusal::Ended { .. } | Refusal::NotAcknowledged | Refusal::Muted { .. } | Refusal::NotMuted => {
            format!("`uptime incident show {id}` prints all details")
        }
    }
}
