//! `uptime incident`: what went down, and when it was back.

use crate::args::{Global, IncidentCommand};
use crate::commands::open;
use crate::exit::{CommandError, Exit};
use crate::output::{Cell, Entry, Printer, rfc3339, span, state_style};
use serde_json::json;
use uptime_store::reading::IncidentSummary;

pub async fn run(
    global: &Global,
    command: &IncidentCommand,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let IncidentCommand::List { open: open_only, limit } = *command;
    let database = open(global, printer).await?;
    let incidents = database.store.incidents(open_only, limit).await;
    database.close().await;
    let entries = incidents?.iter().map(|incident| entry(incident, printer)).collect();
    printer.list("incidents", &["id", "state", "monitor", "started", "lasted", "cause"], entries);
    Ok(Exit::Ok)
}

fn entry(incident: &IncidentSummary, printer: &Printer) -> Entry {
    let state = if incident.ended_at.is_none() { "open" } else { "resolved" };
    let lasted = incident
        .ended_at
        .map_or("–".into(), |end| span(end.duration_since(incident.started_at).as_secs().unsigned_abs()));
    Entry {
        json: json!({
            "id": incident.id,
            "monitor": incident.monitor,
            "state": state,
            "severity": incident.severity,
            "cause": incident.cause,
            "started_at": rfc3339(incident.started_at),
            "ended_at": incident.ended_at.map(rfc3339),
            "acknowledged_by": incident.acknowledged_by,
        }),
        cells: vec![
            incident.id.to_string().into(),
            Cell::styled(state, state_style(if state == "open" { "down" } else { "up" })),
            incident.monitor.as_str().into(),
            printer.time(Some(incident.started_at)).into(),
            lasted.into(),
            incident.cause.as_str().into(),
        ],
    }
}
