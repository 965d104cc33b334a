//! `uptime notification show`: what was to be told, and each try with the provider's words.

use super::{came_of, ms, none_has, state_style, try_json};
use crate::output::Facts;
use crate::prelude::*;
use uptime_core::event::EventType;
use uptime_core::notification::NotificationState;
use uptime_store::by_operator::{Name, Notification, NotificationFilter, Try};

pub async fn show(store: &Store, name: Name, printer: &Printer) -> Result<Exit> {
    let none = || none_has(&[name]);
    let id = store.notifications_named(&[name]).await?.remove(&name).ok_or_else(none)?;
    let filter = NotificationFilter { ids: Some(&[id]), ..NotificationFilter::default() };
    let notification = store.notifications(filter, 1).await?.pop().ok_or_else(none)?;
    let tries: Vec<Try> = store.tries_of(&[id]).await?.into_iter().map(|(_, tried)| tried).collect();
    if printer.is_json() {
        printer.object(json(&notification, &tries));
        return Ok(Exit::Ok);
    }
    let (terminal, now, state) = (printer.is_terminal(), store.now().await?, notification.state);
    let (when, style, id) = (|at| printer.instant(at, now), state_style(state), id.to_string());
    let title = format!("notification {id}: {style}{state}{style:#}");
    let said = [("id", &*id), ("state", state.as_str())];
    printer.details(&title, &said, WIDTH, what(&notification, when));
    for tried in &tries {
        if terminal { details(tried, when, printer) } else { printer.line(columns(tried)) }
    }
    if matches!(state, NotificationState::Failed | NotificationState::Muted) {
        let id = notification.digest.unwrap_or(notification.id);
        let command = format!("uptime notification retry {id}");
        printer.fact(WIDTH, "retry", &if terminal { format!("{HINT}{command}{HINT:#}") } else { command });
    }
    Ok(Exit::Ok)
}

/// Of the names of facts.
const WIDTH: usize = 10;

fn json(notification: &Notification, tries: &[Try]) -> Value {
    let Notification { message, remote_id, members, .. } = notification;
    let tries: Vec<Value> = tries.iter().map(try_json).collect();
    let details = json!({ "message": message, "remote_id": remote_id, "members": members, "tries": tries });
    json!({ "notification": with(super::json(notification), details) })
}

/// What there is to say of it, by name.
fn what(notification: &Notification, when: impl Fn(Timestamp) -> String) -> Facts {
    // An end bears the words of the opening: they say what is over, not what is.
    let words = if notification.event == EventType::Up.as_str() { "cause" } else { "message" };
    // Where nobody will be told and nothing went wrong; of one that failed its tries say it.
    let is_given_up = matches!(notification.state, NotificationState::Muted | NotificationState::Discarded);
    vec![
        ("delivery", Some(notification.delivery.to_string())),
        ("channel", Some(notification.channel.clone())),
        ("event", Some(notification.event.clone())),
        ("monitor", notification.monitor.clone()),
        ("incident", notification.incident.map(|incident| incident.to_string())),
        (words, notification.message.clone()),
        ("digest", notification.digest.map(|digest| digest.to_string())),
        ("members", (notification.members > 0).then(|| notification.members.to_string())),
        ("reason", notification.last_error.clone().filter(|_| is_given_up)),
        ("attempts", Some(notification.attempts.to_string())),
        ("created", Some(when(notification.created_at))),
        ("delivered", notification.delivered_at.map(when)),
        ("remote id", notification.remote_id.clone()),
    ]
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
