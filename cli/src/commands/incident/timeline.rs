//! `uptime incident show`: an incident's whole timeline, for a person or a program.

use super::{lasted, severity_style, state, state_style, unknown};
use crate::commands::notification::{came_of, ms, try_json};
use crate::output::{Facts, beside};
use crate::prelude::*;
use uptime_core::id::IncidentId;
use uptime_core::incident::Mark;
use uptime_core::notification::NotificationState;
use uptime_store::by_operator::{Notification, Try};
use uptime_store::incidents::timeline::{Timeline, TimelineEntry, What};
use uptime_store::summaries::IncidentSummary;

pub async fn show(store: &Store, id: IncidentId, printer: &Printer) -> Result<Exit> {
    let timeline = store.incident_timeline(id).await?.ok_or_else(|| unknown(id))?;
    let outstanding = store.outstanding().await?.by_incident.get(&id).copied().unwrap_or_default();
    if printer.is_json() {
        printer.object(json(&timeline, outstanding));
        return Ok(Exit::Ok);
    }
    let (incident, now, id) = (&timeline.incident, store.now().await?, id.to_string());
    let said = [("id", &*id), ("state", state(incident)), ("severity", incident.severity.as_str())];
    let facts = summary(incident, outstanding, |at| printer.instant(at, now));
    printer.details(&title(incident), &said, 11, facts);
    if printer.is_terminal() {
        printer.lines(timeline_lines(&timeline));
    } else {
        printer.line("");
        let line = |entry: &TimelineEntry| format!("{}\t{}", rfc3339(entry.at), columns(entry));
        printer.lines(timeline.entries.iter().map(line));
    }
    if timeline.checks_left_out > 0 {
        printer.warning(format!(
            "the checks are cut: {} more rows of them are left out",
            timeline.checks_left_out
        ));
    }
    Ok(Exit::Ok)
}

fn json(timeline: &Timeline, outstanding: u32) -> Value {
    let incident = &timeline.incident;
    let details = json!({
        "target": incident.target, "class": incident.class, "expected": incident.expected, "got": incident.got,
        "failures": incident.failures, "outstanding": outstanding, "opened_at": rfc3339(incident.opened_at),
        "resolved_at": incident.resolved_at.map(rfc3339),
    });
    json!({
        "incident": with(super::json(incident), details), "checks_left_out": timeline.checks_left_out,
        "timeline": timeline.entries.iter().map(entry_json).collect::<Vec<_>>(),
    })
}

fn entry_json(entry: &TimelineEntry) -> Value {
    let of = |notice: &Notification| {
        json!({
            "notification_id": notice.id, "delivery_id": notice.delivery, "channel": notice.channel,
            "event": notice.event,
        })
    };
    let what = match &entry.what {
        What::Checks { location, count, until, outcome, degraded, class, message, last_message } => json!({
            "kind": "checks", "location": location, "count": count, "until": rfc3339(*until), "outcome": outcome,
            "degraded": degraded, "class": class, "message": message, "last_message": last_message,
        }),
        What::Event { kind, who, note } => json!({ "kind": kind, "who": who, "note": note }),
        What::Notice(notice) => {
            let came =
                json!({ "state": notice.state, "attempts": notice.attempts, "digest_id": notice.digest });
            with(with(of(notice), came), json!({ "kind": "notice" }))
        }
        What::Try { notice, tried } if !tried.was_made() => {
            let why = json!({ "outcome": tried.outcome, "message": why_none(notice, tried) });
            with(with(of(notice), why), json!({ "kind": "not-told" }))
        }
        What::Try { notice, tried } => with(with(of(notice), try_json(tried)), json!({ "kind": "try" })),
    };
    with(what, json!({ "at": rfc3339(entry.at) }))
}

/// Why no try was made. One of an earlier version left the reason of what it muted at the notice alone.
fn why_none<'a>(notice: &'a Notification, tried: &'a Try) -> Option<&'a str> {
    tried.message.as_deref().or(notice.last_error.as_deref().filter(|_| tried.outcome == "muted"))
}

/// What there is to say of the incident itself, by name.
fn summary(incident: &IncidentSummary, outstanding: u32, when: impl Fn(Timestamp) -> String) -> Facts {
    let mark = |mark: &Mark| {
        let until = mark.until.map(|until| format!(", until {}", when(until))).unwrap_or_default();
        format!("{}, {}{until}", mark.by, when(mark.at))
    };
    let (expected, got) = incident.expected.clone().zip(incident.got.clone()).unzip();
    vec![
        ("monitor", Some(incident.monitor.clone())),
        ("target", Some(incident.target.clone())),
        ("cause", Some(incident.cause.clone())),
        ("expected", expected),
        ("got", got),
        ("failures", Some(incident.failures.to_string())),
        ("started", Some(when(incident.started_at))),
        ("ended", incident.ended_at.map(&when)),
        ("lasted", incident.ended_at.map(|_| lasted(incident))),
        ("resolved by", incident.resolved_by.clone()),
        ("ack", incident.acknowledged.as_ref().map(mark)),
        ("muted", incident.muted.as_ref().map(mark)),
        ("outstanding", (outstanding > 0).then(|| outstanding.to_string())),
    ]
}

/// What happened, for a program: a word first.
fn columns(entry: &TimelineEntry) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let of = |notice: &Notification| format!("{}\t{}\t{}", notice.id, notice.channel, notice.event);
    match &entry.what {
        What::Checks { location, count, until, outcome, degraded, message, .. } => {
            let word = if *degraded { "degraded" } else { outcome.as_str() };
            format!("checks\t{count}\t{word}\t{}\t{}\t{}", rfc3339(*until), text(message), text(location))
        }
        What::Event { kind, who, note } => format!("{kind}\t{}\t{}", text(who), text(note)),
        What::Notice(notice) => format!("notice\t{}\t{}", of(notice), notice.state),
        What::Try { notice, tried } if !tried.was_made() => {
            let why = why_none(notice, tried).unwrap_or_default();
            format!("not-told\t{}\t{}\t{why}", of(notice), tried.outcome)
        }
        What::Try { notice, tried } => {
            let Try { attempt, outcome, message, .. } = tried;
            let status = tried.status.map(|status| status.to_string()).unwrap_or_default();
            format!("try\t{}\t{attempt}\t{}\t{outcome}\t{status}\t{}", of(notice), ms(tried), text(message))
        }
    }
}

/// The columns that an instant and a word take.
const BEFORE: usize = 2 + 8 + 2 + 14 + 2;

fn title(incident: &IncidentSummary) -> String {
    let style = severity_style(incident);
    let (state, ended) = (state(incident), state_style(incident));
    let end = incident.ended_at.map(|_| format!(", {ended}{state}{ended:#}")).unwrap_or_default();
    format!("incident {style}{}{style:#}: {style}{}{style:#}{end}", incident.id, incident.severity)
}

/// What happened, for a person: a day above its entries.
fn timeline_lines(timeline: &Timeline) -> Vec<String> {
    let (incident, mut lines) = (&timeline.incident, Vec::new());
    let mut day = String::new();
    for entry in &timeline.entries {
        let date = entry.at.strftime("%Y-%m-%d").to_string();
        if date != day {
            lines.push(String::new());
            lines.push(format!("  {FAINT}{date}, UTC{FAINT:#}"));
            day = date;
        }
        let (word, style, text) = entry_line(entry);
        let time = entry.at.strftime("%H:%M:%S");
        lines.push(
            format!("  {FAINT}{time}{FAINT:#}  {style}{word:<14}{style:#}  {}", beside(BEFORE, &text))
                .trim_end()
                .to_owned(),
        );
    }
    if incident.ended_at.is_none() && incident.acknowledged.is_none() {
        lines.push(String::new());
        lines.push(format!("  take care of it: {HINT}uptime incident ack {}{HINT:#}", incident.id));
    }
    lines
}

/// A word, its colour, and the rest.
fn entry_line(entry: &TimelineEntry) -> (String, Style, String) {
    match &entry.what {
        What::Checks { location, outcome, degraded, .. } => {
            let style = match (outcome.as_str(), degraded) {
                ("up", false) => GOOD,
                ("down", _) => BAD,
                _ => ODD,
            };
            let from = location.as_ref().map(|location| format!("from {location}: ")).unwrap_or_default();
            ("check".into(), style, format!("{from}{}", checks(&entry.what)))
        }
        What::Event { kind, who, note } => {
            let style = match kind.as_str() {
                "opened" | "worsened" | "escalated" => BAD,
                "resolved" => GOOD,
                _ => HINT,
            };
            let text = match (who, note) {
                (None, note) => note.clone().unwrap_or_default(),
                (Some(who), None) => format!("by {who}"),
                (Some(who), Some(note)) => format!("by {who}: {note}"),
            };
            (kind.clone(), style, text)
        }
        What::Notice(notice) => ("notice".into(), Style::new(), notice_text(notice)),
        What::Try { notice, tried } if !tried.was_made() => {
            let why = why_none(notice, tried).map(|why| format!(": {why}")).unwrap_or_default();
            let word = if tried.outcome == "waits" { "put off" } else { "not told" };
            (word.into(), FAINT, format!("{} for {}{why}", notice.event, notice.channel))
        }
        What::Try { notice, tried } => {
            let style = if tried.outcome == "delivered" { GOOD } else { ODD };
            ("try".into(), style, try_text(notice, tried))
        }
    }
}

/// `down: connection refused`, `14 checks failed the same way until 12:03:04: connection refused`.
fn checks(what: &What) -> String {
    let What::Checks { count, until, outcome, degraded, message, last_message, .. } = what else {
        return String::new();
    };
    let (word, verb) = match (outcome.as_str(), degraded) {
        ("down", _) => ("down", "failed"),
        ("up", false) => ("up", "were up"),
        ("up", true) => ("degraded", "were degraded"),
        _ => ("inconclusive", "were inconclusive"),
    };
    let because =
        |message: &Option<String>| message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    if *count == 1 {
        return format!("{word}{}", because(message));
    }
    let until = until.strftime("%H:%M:%S");
    if word == "up" {
        return format!("{count} checks {verb} until {until}");
    }
    if message == last_message {
        return format!("{count} checks {verb} the same way until {until}{}", because(message));
    }
    format!("{count} checks {verb} until {until}; first{}; last{}", because(message), because(last_message))
}

fn notice_text(notice: &Notification) -> String {
    let tries = match (notice.state, notice.attempts) {
        (_, 0) | (NotificationState::Delivered, 1) => String::new(),
        (_, 1) => " after 1 try".into(),
        (_, attempts) => format!(" after {attempts} tries"),
    };
    let digest = notice.digest.map(|digest| format!(", with digest {digest}")).unwrap_or_default();
    let is_out = matches!(notice.state, NotificationState::Muted | NotificationState::Discarded);
    let why = notice.last_error.as_ref().filter(|_| is_out).map(|why| format!(": {why}")).unwrap_or_default();
    format!(
        "{} for {} (notification {}): {}{tries}{digest}{why}",
        notice.event, notice.channel, notice.id, notice.state
    )
}

fn try_text(notice: &Notification, tried: &Try) -> String {
    let words = tried.message.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
    format!("{} for {}, try {}: {}{words}", notice.event, notice.channel, tried.attempt, came_of(tried))
}
