//! `uptime channel`: who is told, and whether that works.

use crate::args::{ChannelCommand, Global};
use crate::commands::service::quote;
use crate::commands::{ask, hint_of_known, unknown};
use crate::config::file;
use crate::config::plugins;
use crate::exit::{CommandError, Exit};
use crate::output::{BAD, Cell, Column, FAINT, GOOD, ODD, Printer, plain, rfc3339};
use jiff::Timestamp;
use serde_json::{Value, json};
use uptime_core::event::Event;
use uptime_core::id::DeliveryId;
use uptime_core::redaction::Redactor;
use uptime_core::secret::access::Access;
use uptime_engine::deliveries::{DeliveryError, Resolved};
use uptime_notifier::NotifierHost;
use uptime_store::Store;
use uptime_store::notifications::{ChannelRow, OutstandingCounts};
use uuid::Uuid;

pub async fn run(global: &Global, command: ChannelCommand, printer: &Printer) -> Result<Exit, CommandError> {
    ask(global, printer, async |store| with(store, global, command, printer).await).await
}

async fn with(
    store: &Store,
    global: &Global,
    command: ChannelCommand,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let (channels, now) = (store.channels().await?, store.now().await?);
    let counts = store.outstanding().await?;
    match command {
        ChannelCommand::List => {
            let columns: &[Column<(Value, [Cell; 4])>] = &[
                ("name", |(_, [name, ..]), _| name.clone()),
                ("notifier", |(_, [_, notifier, ..]), _| notifier.clone()),
                ("state", |(_, [.., state, _]), _| state.clone()),
                ("why", |(_, [.., why]), _| why.clone()),
            ];
            let rows: Vec<_> = channels.iter().map(|channel| entry(channel, &counts, now, printer)).collect();
            printer.list("channels", columns, &rows, |(json, _)| json.clone());
            Ok(Exit::Ok)
        }
        ChannelCommand::Test { name, dry_run } => {
            let channel = channels.iter().find(|channel| channel.name == name).ok_or_else(|| {
                let known: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
                let is_in_file =
                    plugins::outline(global).channels.iter().any(|(channel, _)| *channel == name);
                let not_applied = "it is in the file, and not yet in the database: `uptime apply`".to_owned();
                unknown("channel", &name, if is_in_file { not_applied } else { hint_of_known(&name, &known) })
            })?;
            let notifiers = file::notifiers(global)?;
            let access = file::access(file::read(global, &notifiers).await?.as_ref());
            let installation = store.installation().await?;
            if dry_run {
                return preview(&notifiers, &access, channel, installation, now, printer).await;
            }
            let done = test(&notifiers, &access, channel, installation, now, printer).await?;
            store.channel_delivered(channel.id).await?;
            Ok(done)
        }
    }
}

async fn test(
    notifiers: &NotifierHost,
    access: &Access,
    channel: &ChannelRow,
    installation: Uuid,
    now: Timestamp,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let event = Event::test(now).sent_as(DeliveryId(Uuid::now_v7()));
    let began = std::time::Instant::now();
    let told = match Resolved::new(channel, access) {
        Ok(resolved) => {
            let delivery = resolved.delivery(&event, installation, now);
            notifiers.notify(delivery).await.map_err(DeliveryError::from)
        }
        Err(error) => Err(error),
    };
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    match told {
        Ok(receipt) => {
            if printer.is_json() {
                printer.json(&json!({
                    "schema_version": 1, "channel": channel.name, "delivered": true, "delivery_id": event.delivery_id,
                    "status": receipt.status, "remote_id": receipt.remote_id, "detail": receipt.detail, "took_ms": took_ms,
                }));
            } else {
                let status = receipt.status.map(|status| format!(", status {status}")).unwrap_or_default();
                let message = receipt.remote_id.map(|id| format!("message {id}"));
                let words = receipt.detail.or(message).map(|words| format!(": {}", plain(&words)));
                let words = words.unwrap_or_default();
                printer.line(format!(
                    "{GOOD}delivered{GOOD:#} to {} in {took_ms:.0} ms{status}{words}",
                    channel.name
                ));
            }
            Ok(Exit::Ok)
        }
        Err(error) => {
            let error = refused(channel, error);
            let json = json!({
                "schema_version": 1, "channel": channel.name, "delivered": false, "delivery_id": event.delivery_id,
                "error": error.message, "hint": error.hint, "took_ms": took_ms,
            });
            Err(CommandError { json: Some(json), ..error })
        }
    }
}

/// Whatever the class: the answer to "does this channel work" is no, unless it is the configuration's fault.
fn refused(channel: &ChannelRow, error: DeliveryError) -> CommandError {
    let error = CommandError::from(error);
    let exit = if error.exit == Exit::Config { Exit::Config } else { Exit::No };
    CommandError {
        exit,
        message: format!("channel `{}` was not told: {}", channel.name, error.message),
        ..error
    }
}

async fn preview(
    notifiers: &NotifierHost,
    access: &Access,
    channel: &ChannelRow,
    installation: Uuid,
    now: Timestamp,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    let (event, resolved) =
        (Event::test(now).sent_as(DeliveryId(Uuid::now_v7())), Resolved::new(channel, access)?);
    let delivery = resolved.delivery(&event, installation, now);
    let redactor = Redactor::of("•••", &resolved.hidden);
    let mut requests = notifiers.preview(delivery).await?;
    for request in &mut requests {
        let mask = |text: &str| redactor.redact(text);
        request.url = mask(&request.url);
        request.body = request.body.as_deref().map(mask);
        for (_, value) in &mut request.headers {
            *value = mask(value);
        }
    }
    if printer.is_json() {
        let requests: Vec<_> = requests
            .iter()
            .map(|request| {
                json!({ "method": request.method, "url": request.url, "headers": request.headers, "body": request.body })
            })
            .collect();
        printer.json(&json!({ "schema_version": 1, "channel": channel.name, "requests": requests }));
        return Ok(Exit::Ok);
    }
    for request in requests {
        printer.outside(format!("{} {}", request.method, request.url));
        for (name, value) in &request.headers {
            printer.line(format!("{FAINT}{}: {}{FAINT:#}", plain(name), plain(value)));
        }
        printer.line("");
        printer.outside(request.body.as_deref().unwrap_or_default());
    }
    Ok(Exit::Ok)
}

fn entry(
    channel: &ChannelRow,
    counts: &OutstandingCounts,
    now: Timestamp,
    printer: &Printer,
) -> (Value, [Cell; 4]) {
    let outstanding = counts.by_channel.get(&channel.id).copied().unwrap_or_default();
    let paused_until = channel.paused_until.filter(|until| *until > now);
    // A changed channel is not flagged any more, and a probe that fails flags nobody.
    let state = match (channel.enabled, channel.broken_at.or(channel.failing_since)) {
        (false, _) => "paused",
        (true, Some(_)) => "broken",
        (true, None) if paused_until.is_some() => "paused",
        (true, None) if channel.delivered_at.is_none() => "untried",
        (true, None) => "ok",
    };
    let why = match (&channel.broken_reason, paused_until) {
        _ if !channel.enabled => "`enabled = false`".into(),
        (Some(reason), _) => reason.clone(),
        (None, _) if state == "broken" => "its last messages failed: `uptime queue failed` has them".into(),
        (None, Some(until)) => format!("its provider wants nothing until {}", printer.time(Some(until))),
        (None, None) if state == "untried" => {
            format!("nothing was delivered yet: `uptime channel test {}`", quote::shell(&channel.name))
        }
        (None, None) if channel.left_out.is_empty() => String::new(),
        (None, None) => {
            format!(
                "its provider refuses `{}`: left out, and tried again later",
                channel.left_out.join("`, `")
            )
        }
    };
    let why = match outstanding {
        0 => why,
        count if why.is_empty() => format!("{count} announcements outstanding"),
        count => format!("{count} announcements outstanding: {why}"),
    };
    let style = match state {
        "ok" => GOOD,
        "broken" => BAD,
        "paused" | "untried" => ODD,
        _ => FAINT,
    };
    let json = json!({
        "name": channel.name,
        "notifier": channel.notifier,
        "enabled": channel.enabled,
        "state": state,
        "broken_reason": channel.broken_reason,
        "paused_until": paused_until.map(rfc3339),
        "failing_since": channel.failing_since.map(rfc3339),
        "left_out": channel.left_out,
        "outstanding": outstanding,
    });
    let (name, notifier) = (channel.name.as_str(), channel.notifier.as_str());
    (json, [name.into(), notifier.into(), Cell::styled(state, style), Cell::cause(why)])
}
