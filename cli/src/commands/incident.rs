//! `uptime incident`: what went down, when it was back, and what people do about it. A file for each kind of question.

mod actions;
mod timeline;

use crate::args::{ActArgs, IncidentCommand};
use crate::commands::require;
use crate::output::span;
use crate::prelude::*;
use crate::who::who;
use uptime_core::duration::elapsed;
use uptime_core::id::IncidentId;
use uptime_core::incident::{By, IncidentAction};
use uptime_store::summaries::{IncidentFilter, IncidentSummary};

pub async fn run(store: &Store, command: IncidentCommand, printer: &Printer) -> Result<Exit> {
    let (act, action) = match command {
        IncidentCommand::List { open, monitor, limit } => {
            let filter = IncidentFilter { open, monitor: monitor.as_deref(), id: None };
            return list(store, filter, limit, printer).await;
        }
        IncidentCommand::Show { id } => return timeline::show(store, id, printer).await,
        IncidentCommand::Ack { lasting, until_recovery: _, act } => {
            (act, IncidentAction::Acknowledge { lasting })
        }
        IncidentCommand::Unack(act) => (act, IncidentAction::Unacknowledge),
        IncidentCommand::Mute(act) => (act, IncidentAction::Mute),
        IncidentCommand::Unmute(act) => (act, IncidentAction::Unmute),
        IncidentCommand::Resolve(act) => (act, IncidentAction::Resolve),
        IncidentCommand::Comment { id, text, by } => {
            (ActArgs { ids: vec![id], by, note: Some(text) }, IncidentAction::Comment)
        }
    };
    let by = By { who: &who(act.by)?, note: act.note.as_deref() };
    actions::run(store, &act.ids, action, by, printer).await
}

async fn list(store: &Store, filter: IncidentFilter<'_>, limit: i64, printer: &Printer) -> Result<Exit> {
    if let Some(monitor) = filter.monitor {
        require("monitor", monitor, &store.monitor_names().await?)?;
    }
    let incidents = store.incidents(filter, limit).await?;
    printer.list("incidents", COLUMNS, &incidents, json);
    let hint = |first: &IncidentSummary| format!("`uptime incident show {}` prints its timeline", first.id);
    printer.below_list("no incidents", incidents.first().map(hint));
    Ok(Exit::Ok)
}

fn json(incident: &IncidentSummary) -> Value {
    let IncidentSummary { id, monitor, severity, cause, acknowledged, muted, .. } = incident;
    let (acknowledged, muted) = (acknowledged.as_ref(), muted.as_ref());
    json!({
        "id": id, "monitor": monitor, "state": state(incident), "severity": severity, "cause": cause,
        "started_at": rfc3339(incident.started_at), "ended_at": incident.ended_at.map(rfc3339),
        "resolved_by": incident.resolved_by,
        "acknowledged_by": acknowledged.map(|mark| &mark.by),
        "acknowledged_at": acknowledged.map(|mark| rfc3339(mark.at)),
        "acknowledged_until": acknowledged.and_then(|mark| mark.until).map(rfc3339),
        "muted_by": muted.map(|mark| &mark.by), "muted_at": muted.map(|mark| rfc3339(mark.at)),
    })
}

const COLUMNS: &[Column<IncidentSummary>] = &[
    ("id", |incident, _| Cell::count(&incident.id)),
    ("state", |incident, _| Cell::styled(state(incident), state_style(incident))),
    ("severity", |incident, _| Cell::styled(incident.severity.as_str(), severity_style(incident))),
    ("monitor", |incident, _| incident.monitor.as_str().into()),
    ("started", |incident, printer| printer.time(Some(incident.started_at)).into()),
    ("lasted", |incident, _| Cell::from(lasted(incident)).spare()),
    ("ack", |incident, _| Cell::from(care(incident)).spare()),
    ("cause", |incident, _| Cell::cause(incident.cause.as_str())),
];

fn care(incident: &IncidentSummary) -> String {
    let by = incident.acknowledged.as_ref().map(|mark| mark.by.as_str());
    match (by, incident.muted.is_some()) {
        (None, false) => "–".to_owned(),
        (None, true) => "muted".into(),
        (Some(by), false) => by.into(),
        (Some(by), true) => format!("{by}, muted"),
    }
}

/// How it stands. `recovered`: a check saw the end; `resolved`: an operator ended it.
fn state(incident: &IncidentSummary) -> &'static str {
    match (incident.ended_at, incident.unwatched, &incident.resolved_by) {
        (None, ..) => "open",
        (Some(_), true, _) => "unwatched",
        (Some(_), false, Some(_)) => "resolved",
        (Some(_), false, None) => "recovered",
    }
}

fn state_style(incident: &IncidentSummary) -> Style {
    match state(incident) {
        "open" => BAD,
        "recovered" => GOOD,
        // Whether it is up nobody knows.
        _ => FAINT,
    }
}

fn severity_style(incident: &IncidentSummary) -> Style {
    match (incident.ended_at, incident.severity.as_str()) {
        (Some(_), _) => FAINT,
        (None, "degraded") => ODD,
        (None, _) => BAD,
    }
}

fn lasted(incident: &IncidentSummary) -> String {
    incident.ended_at.map_or("–".into(), |end| span(elapsed(incident.started_at, end).as_secs()))
}

/// What is said of an id that there is not.
fn unknown(id: IncidentId) -> CommandError {
    answer_no(format!("there is no incident {id}")).hint("`uptime incident list` lists them")
}
