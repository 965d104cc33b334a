//! `uptime notification show`: what was to be told, and each try with the provider's words.

use super::{came_of, ms, none_has, state_style};
use crate::exit::{CommandError, Exit};
use crate::output::{FAINT, GOOD, HINT, ODD, Printer, ago, beside, rfc3339};
use jiff::Timestamp;
use serde_json::{Value, json};
use uptime_core::event::EventType;
use uptime_store::Store;
use uptime_store::by_hand::{Name, Notification, NotificationFilter, Try};

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
    let lines = if printer.is_terminal() {
        story(&notification, &tries, store.now().await?)
    } else {
        facts(&notification, &tries)
    };
    for line in lines {
        printer.line(line);
    }
    Ok(Exit::Ok)
}

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
    let reason = notification.last_error.clone().filter(|_| is_given_up(&notification.state));
    what.extend(reason.map(|reason| ("reason", reason)));
    what.push(("attempts", notification.attempts.to_string()));
    what.push(("created", when(notification.created_at)));
    what.extend(notification.delivered_at.map(|at| ("delivered", when(at))));
    what.extend(notification.remote_id.clone().map(|id| ("remote id", id)));
    what
}

fn story(notification: &Notification, tries: &[Try], now: Timestamp) -> Vec<String> {
    let when = |at| format!("{} ({})", ago(at, now), rfc3339(at));
    let named = |name: &str, value: &str| format!("  {FAINT}{name:<10}{FAINT:#} {}", beside(13, value));
    let style = state_style(&notification.state);
    let mut lines = vec![format!("notification {}: {style}{}{style:#}", notification.id, notification.state)];
    lines.extend(what(notification, when).iter().map(|(name, value)| named(name, value)));
    for tried in tries {
        let style = if tried.outcome == "delivered" { GOOD } else { ODD };
        let (name, came) = if tried.was_made() {
            (format!("try {}", tried.attempt), came_of(tried))
        } else {
            ("no try".into(), if tried.outcome == "waits" { "put off".into() } else { tried.outcome.clone() })
        };
        let when = when(tried.started_at);
        lines.push(format!("  {FAINT}{name:<10}{FAINT:#} {style}{came}{style:#}, {when}"));
        lines.extend(tried.message.as_ref().map(|words| named("", words)));
    }
    if let Some(command) = retry_command(notification) {
        lines.push(format!("  {FAINT}{:<10}{FAINT:#} {HINT}{command}{HINT:#}", "retry"));
    }
    lines
}

/// For a program: a name and its values on each line.
fn facts(notification: &Notification, tries: &[Try]) -> Vec<String> {
    let mut lines = vec![format!("id\t{}", notification.id), format!("state\t{}", notification.state)];
    lines.extend(what(notification, rfc3339).iter().map(|(name, value)| format!("{name}\t{value}")));
    lines.extend(tries.iter().map(|tried| {
        let status = tried.status.map(|status| status.to_string()).unwrap_or_default();
        let words = tried.message.as_deref().unwrap_or_default();
        let (at, ms) = (rfc3339(tried.started_at), ms(tried));
        if !tried.was_made() {
            return format!("not-told\t{at}\t{}\t{words}", tried.outcome);
        }
        format!("try\t{}\t{at}\t{ms}\t{}\t{status}\t{words}", tried.attempt, tried.outcome)
    }));
    lines.extend(retry_command(notification).map(|command| format!("retry\t{command}")));
    lines
}

fn is_end(event: &str) -> bool {
    event == EventType::Up.as_str()
}

/// Whether nobody will be told, and nothing went wrong.
fn is_given_up(state: &str) -> bool {
    matches!(state, "muted" | "discarded")
}

fn retry_command(notification: &Notification) -> Option<String> {
    let may = matches!(notification.state.as_str(), "failed" | "muted");
    may.then(|| format!("uptime notification retry {}", notification.digest.unwrap_or(notification.id)))
}
