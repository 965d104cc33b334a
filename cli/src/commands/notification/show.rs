//! `uptime notification show`: what was to be told, and each try with the provider's words.

use super::{came_of, ms, none_has, state_style};
use crate::exit::{CommandError, Exit};
use crate::output::{FAINT, GOOD, HINT, ODD, Printer, rfc3339};
use jiff::Timestamp;
use serde_json::{Value, json};
use uptime_core::event::EventType;
use uptime_core::notification::NotificationState;
use uptime_store::Store;
use uptime_store::by_operator::{Name, Notification, NotificationFilter, Try};

pub async fn show(store: &Store, name: Name, printer: &Printer) -> Result<Exit, CommandError> {
    let Some(id) = store.notifications_named(&[name]).await?.remove(&name) else {
        return Err(none_has(&[name]));
    };
    let filter = NotificationFilter { ids: Some(&[id]), ..NotificationFilter::default() };
    let Some(notification) = store.notifications(filter, 1).await?.pop() else {
        return Err(none_has(&[name]));
    };
    let tries: Vec<Try> = store.tries_of(&[id]).await?.into_iter().map(|(_, tried)| tried).collect();
    if printer.is_json() {
        printer.json(&json(&notification, &tries));
        return Ok(Exit::Ok);
    }
    let (terminal, now) = (printer.is_terminal(), store.now().await?);
    let when = |at| printer.instant(at, now);
    if terminal {
        let style = state_style(notification.state);
        printer.line(format!("notification {id}: {style}{}{style:#}", notification.state));
    } else {
        printer.fact(0, "id", &id.to_string());
        printer.fact(0, "state", notification.state.as_str());
    }
    for (name, value) in what(&notification, when) {
        printer.fact(WIDTH, name, &value);
    }
    for tried in &tries {
        if terminal { details(tried, when, printer) } else { printer.line(columns(tried)) }
    }
    if let Some(command) = retry_command(&notification) {
        printer.fact(WIDTH, "retry", &if terminal { format!("{HINT}{command}{HINT:#}") } else { command });
    }
    Ok(Exit::Ok)
}

/// Of the names of facts.
const WIDTH: usize = 10;

fn json(notification: &Notification, tries: &[Try]) -> Value {
    let tries: Vec<Value> = tries
        .iter()
        .map(|tried| {
            json!({
                "attempt": tried.attempt, "at": rfc3339(tried.started_at), "duration_ms": ms(tried),
                "outcome": tried.outcome, "status_code": tried.status, "message": tried.message,
            })
        })
        .collect();
    let mut whole = super::json(notification);
    whole["message"] = notification.message.as_deref().into();
    whole["remote_id"] = notification.remote_id.as_deref().into();
    whole["members"] = notification.members.into();
    whole["tries"] = tries.into();
    json!({ "schema_version": 1, "notification": whole })
}

/// What there is to say of it, by name.
fn what(notification: &Notification, when: impl Fn(Timestamp) -> String) -> Vec<(&'static str, String)> {
    let mut what = vec![
        ("delivery", notification.delivery.to_string()),
        ("channel", notification.channel.clone()),
        ("event", notification.event.clone()),
    ];
    what.extend(notification.monitor.clone().map(|monitor| ("monitor", monitor)));
    what.extend(notification.incident.map(|incident| ("incident", incident.to_string())));
    // An end bears the words of the opening: they say what is over, not what is.
    let words = if is_end(&notification.event) { "cause" } else { "message" };
    what.extend(notification.message.clone().map(|message| (words, message)));
    if let Some(digest) = notification.digest {
        what.push(("digest", digest.to_string()));
    }
    if notification.members > 0 {
        what.push(("members", notification.members.to_string()));
    }
    // Of one that failed its tries say it.
    let reason = notification.last_error.clone().filter(|_| is_given_up(notification.state));
    what.extend(reason.map(|reason| ("reason", reason)));
    what.push(("attempts", notification.attempts.to_string()));
    what.push(("created", when(notification.created_at)));
    what.extend(notification.delivered_at.map(|at| ("delivered", when(at))));
    what.extend(notification.remote_id.clone().map(|id| ("remote id", id)));
    what
}

/// A try, for a person.
fn details(tried: &Try, when: impl Fn(Timestamp) -> String, printer: &Printer) {
    let style = if tried.outcome == "delivered" { GOOD } else { ODD };
    let (name, came) = if tried.was_made() {
        (format!("try {}", tried.attempt), came_of(tried))
    } else {
        ("no try".into(), if tried.outcome == "waits" { "put off".into() } else { tried.outcome.clone() })
    };
    let when = when(tried.started_at);
    printer.line(format!("  {FAINT}{name:<WIDTH$}{FAINT:#} {style}{came}{style:#}, {when}"));
    tried.message.iter().for_each(|words| printer.fact(WIDTH, "", words));
}

/// A try, for a program.
fn columns(tried: &Try) -> String {
    let status = tried.status.map(|status| status.to_string()).unwrap_or_default();
    let words = tried.message.as_deref().unwrap_or_default();
    let (at, outcome) = (rfc3339(tried.started_at), &tried.outcome);
    if tried.was_made() {
        format!("try\t{}\t{at}\t{}\t{outcome}\t{status}\t{words}", tried.attempt, ms(tried))
    } else {
        format!("not-told\t{at}\t{outcome}\t{words}")
    }
}

fn is_end(event: &str) -> bool {
    event == EventType::Up.as_str()
}

/// Whether nobody will be told, and nothing went wrong.
fn is_given_up(state: NotificationState) -> bool {
    matches!(state, NotificationState::Muted | NotificationState::Discarded)
}

fn retry_command(notification: &Notification) -> Option<String> {
    let may = matches!(notification.state, NotificationState::Failed | NotificationState::Muted);
    may.then(|| format!("uptime notification retry {}", notification.digest.unwrap_or(notification.id)))
}
