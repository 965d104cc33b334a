//! `uptime notification`: who was told what, and another try or none. A file for each kind of question.

mod actions;
mod show;

use crate::args::{NotificationCommand, notification_name};
use crate::commands::require;
use crate::output::counted;
use crate::prelude::*;
use actions::NotificationAction;
use uptime_core::id::NotificationId;
use uptime_core::notification::NotificationState;
use uptime_store::by_operator::{Name, Notification, NotificationFilter, Try};

pub async fn run(store: &Store, command: NotificationCommand, printer: &Printer) -> Result<Exit> {
    match command {
        NotificationCommand::List { channel, state, incident, event, limit } => {
            let filter =
                NotificationFilter { ids: None, channel: channel.as_deref(), state, incident, event };
            list(store, filter, limit, printer).await
        }
        NotificationCommand::Show { id } => show::show(store, id, printer).await,
        NotificationCommand::Retry { ids, channel, state, dry_run } => {
            let asked = Requested::parse(&ids)?;
            if matches!(asked, Requested::Named(_)) && (channel.is_some() || state.is_some()) {
                return Err(only_with_all("`--channel` and `--state` go"));
            }
            require_channel(store, channel.as_deref()).await?;
            let action = NotificationAction::Retry { state: state.unwrap_or(NotificationState::Failed) };
            actions::run(store, &action, (asked, channel.as_deref()), dry_run, printer).await
        }
        NotificationCommand::Discard { ids, channel, by, yes, dry_run } => {
            require_channel(store, channel.as_deref()).await?;
            let asked = Requested::parse(&ids)?;
            match (&asked, &channel) {
                (Requested::Named(_), Some(_)) => return Err(only_with_all("`--channel` goes")),
                (Requested::All, None) => {
                    return Err(usage_error("`all` is not enough to discard notifications")
                        .hint("name their channel: `uptime notification discard all --channel NAME`"));
                }
                (Requested::Named(_), None) | (Requested::All, Some(_)) => {}
            }
            let action = NotificationAction::Discard { by, yes };
            actions::run(store, &action, (asked, channel.as_deref()), dry_run, printer).await
        }
    }
}

/// Which notifications the words of the command line mean.
enum Requested {
    All,
    Named(Vec<Name>),
}

impl Requested {
    fn parse(words: &[String]) -> Result<Self> {
        if words == ["all"] {
            return Ok(Self::All);
        }
        let mut names = Vec::new();
        for word in words {
            let name = notification_name(word).map_err(|hint| {
                let word = uptime_core::text::printable(word, 100);
                usage_error(format!("`{word}` is no notification")).hint(hint)
            })?;
            // Named twice is meant once.
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self::Named(names))
    }
}

fn only_with_all(what: &str) -> CommandError {
    usage_error(format!("{what} with `all`, not with ids"))
        .hint("`uptime notification list --channel NAME` shows those of a channel")
}

async fn require_channel(store: &Store, channel: Option<&str>) -> Result<()> {
    let Some(channel) = channel else { return Ok(()) };
    let known: Vec<String> = store.channels().await?.into_iter().map(|channel| channel.name).collect();
    require("channel", channel, &known)
}

async fn list(store: &Store, filter: NotificationFilter<'_>, limit: i64, printer: &Printer) -> Result<Exit> {
    require_channel(store, filter.channel).await?;
    let notifications = store.notifications(filter, limit).await?;
    printer.list("notifications", COLUMNS, &notifications, json);
    let hint = |first: &Notification| format!("`uptime notification show {}` prints all details", first.id);
    printer.below_list("no notifications", notifications.first().map(hint));
    Ok(Exit::Ok)
}

fn json(notification: &Notification) -> Value {
    let Notification { id, delivery, channel, event, monitor, incident, digest, state, .. } = notification;
    json!({
        "id": id, "delivery_id": delivery, "channel": channel, "event": event, "monitor": monitor,
        "incident_id": incident, "digest_id": digest, "state": state, "attempts": notification.attempts,
        "last_error": notification.last_error, "created_at": rfc3339(notification.created_at),
        "delivered_at": notification.delivered_at.map(rfc3339),
    })
}

const COLUMNS: &[Column<Notification>] = &[
    ("id", |one, _| Cell::count(&one.id)),
    ("state", |one, _| Cell::styled(one.state.as_str(), state_style(one.state))),
    ("channel", |one, _| one.channel.as_str().into()),
    ("event", |one, _| one.event.as_str().into()),
    ("monitor", |one, _| one.monitor.clone().unwrap_or_default().into()),
    ("incident", |one, _| one.incident.map_or_else(|| Cell::count(&"–"), |id| Cell::count(&id)).spare()),
    ("tries", |one, _| Cell::count(&one.attempts).spare()),
    ("created", |one, printer| printer.time(Some(one.created_at)).into()),
    ("error", |one, _| Cell::cause(one.last_error.clone().unwrap_or_default())),
];

fn state_style(state: NotificationState) -> Style {
    match state {
        NotificationState::Delivered => GOOD,
        NotificationState::Failed => BAD,
        NotificationState::Queued | NotificationState::Paused => ODD,
        NotificationState::Muted | NotificationState::Discarded => FAINT,
    }
}

/// What there is by each name, in the order of the names, and those that nothing has.
async fn find(store: &Store, names: &[Name]) -> Result<(Vec<NotificationId>, Vec<Name>)> {
    let known = store.notifications_named(names).await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match known.get(name) {
            Some(id) if found.contains(id) => {}
            Some(id) => found.push(*id),
            None => missing.push(*name),
        }
    }
    Ok((found, missing))
}

/// What came of a try, in words: `delivered in 12 ms, status 200`, `failed after 5 ms, status 500`.
pub fn came_of(tried: &Try) -> String {
    let status = tried.status.map(|status| format!(", status {status}")).unwrap_or_default();
    let came = match tried.outcome.as_str() {
        "delivered" => "delivered in",
        "permanent" => "failed for good after",
        "config" => "failed for the channel's settings after",
        _ => "failed after",
    };
    format!("{came} {} ms{status}", ms(tried))
}

pub fn try_json(tried: &Try) -> Value {
    json!({
        "attempt": tried.attempt, "at": rfc3339(tried.started_at), "duration_ms": ms(tried),
        "outcome": tried.outcome, "status_code": tried.status, "message": tried.message,
    })
}

/// How long a try took, in milliseconds.
pub fn ms(tried: &Try) -> u64 {
    u64::try_from(tried.took.as_millis()).unwrap_or(u64::MAX)
}

fn none_has(missing: &[Name]) -> CommandError {
    let name = |name: &Name| match name {
        Name::Id(id) => id.to_string(),
        Name::Delivery(id) => id.to_string(),
    };
    let names: Vec<String> = missing.iter().map(name).collect();
    answer_no(format!("no notification has the id {}", names.join(", ")))
        .hint("`uptime notification list` lists them")
}

/// `1 notification`, `1,204 notifications`.
fn notifications(count: impl TryInto<i64>) -> String {
    counted(count, "notification")
}
