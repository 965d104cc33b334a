//! `uptime channel`: who is told, and whether that works.

use crate::args::ChannelCommand;
use crate::commands::service::quote;
use crate::commands::{hint_of_known, unknown};
use crate::config::{file, plugins};
use crate::output::plain;
use crate::prelude::*;
use uptime_core::event::Event;
use uptime_core::id::DeliveryId;
use uptime_core::redaction::Redactor;
use uptime_core::secret::Secret;
use uptime_engine::deliveries::{DeliveryError, Resolved};
use uptime_notifier::{Receipt, RequestPreview};
use uptime_store::notifications::ChannelRow;
use uuid::Uuid;

pub async fn run(store: &Store, command: (&Global, ChannelCommand), printer: &Printer) -> Result<Exit> {
    let (channels, now) = (store.channels().await?, store.now().await?);
    let (global, name, dry_run) = match command {
        (global, ChannelCommand::Test { name, dry_run }) => (global, name, dry_run),
        (_, ChannelCommand::List) => {
            let counts = store.outstanding().await?.by_channel;
            let listed = |channel: ChannelRow| Listed {
                paused_until: channel.paused_until.filter(|until| *until > now),
                outstanding: counts.get(&channel.id).copied().unwrap_or_default(),
                channel,
            };
            let listed: Vec<Listed> = channels.into_iter().map(listed).collect();
            printer.list("channels", COLUMNS, &listed, Listed::json);
            return Ok(Exit::Ok);
        }
    };
    let channel = channels.iter().find(|channel| channel.name == name).ok_or_else(|| {
        let known: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
        let is_in_file = plugins::outline(global).channels.iter().any(|(channel, _)| *channel == name);
        let not_applied = "it is in the file, and not yet in the database: `uptime apply`".to_owned();
        unknown("channel", &name, if is_in_file { not_applied } else { hint_of_known(&name, &known) })
    })?;
    let notifiers = file::notifiers(global)?;
    let access = file::access(file::read(global, &notifiers).await?.as_ref());
    let (installation, began) = (store.installation().await?, std::time::Instant::now());
    let (event, resolved) =
        (Event::test(now).sent_as(DeliveryId(Uuid::now_v7())), Resolved::new(channel, &access));
    if dry_run {
        let resolved = resolved?;
        let requests = notifiers.preview(resolved.delivery(&event, installation, now)).await?;
        preview(&name, requests, &resolved.hidden, printer);
        return Ok(Exit::Ok);
    }
    let told = match resolved {
        Ok(resolved) => {
            let told = notifiers.notify(resolved.delivery(&event, installation, now)).await;
            told.map_err(DeliveryError::from)
        }
        Err(error) => Err(error),
    };
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    let json = json!({
        "channel": name, "delivered": told.is_ok(), "delivery_id": event.delivery_id, "took_ms": took_ms,
    });
    let receipt = told.map_err(|error| {
        let error = refused(channel, error);
        let json = with(json.clone(), json!({ "error": error.message, "hint": error.hint }));
        CommandError { json: Some(json), ..error }
    })?;
    let Receipt { status, remote_id, detail, .. } = receipt;
    let json = with(json, json!({ "status": status, "remote_id": remote_id, "detail": detail }));
    printer.answer(json, || {
        let status = status.map(|status| format!(", status {status}")).unwrap_or_default();
        let words = detail.or(remote_id.map(|id| format!("message {id}")));
        let words = words.map(|words| format!(": {}", plain(&words))).unwrap_or_default();
        printer.line(format!("{GOOD}delivered{GOOD:#} to {name} in {took_ms:.0} ms{status}{words}"));
    });
    store.channel_delivered(channel.id).await?;
    Ok(Exit::Ok)
}

/// Whatever the class: the answer to "does this channel work" is no, unless it is the configuration's fault.
fn refused(channel: &ChannelRow, error: DeliveryError) -> CommandError {
    let error = CommandError::from(error);
    let exit = if error.exit == Exit::Config { Exit::Config } else { Exit::No };
    let message = format!("channel `{}` did not get the message: {}", channel.name, error.message);
    CommandError { exit, message, ..error }
}

fn preview(channel: &str, mut requests: Vec<RequestPreview>, hidden: &[Secret], printer: &Printer) {
    let redactor = Redactor::of("•••", hidden);
    for request in &mut requests {
        let mask = |text: &str| redactor.redact(text);
        request.url = mask(&request.url);
        request.body = request.body.as_deref().map(mask);
        for (_, value) in &mut request.headers {
            *value = mask(value);
        }
    }
    printer.answer(json!({ "channel": channel, "requests": requests }), || {
        for request in &requests {
            printer.outside(format!("{} {}", request.method, request.url));
            for (name, value) in &request.headers {
                printer.line(format!("{FAINT}{}: {}{FAINT:#}", plain(name), plain(value)));
            }
            printer.line("");
            printer.outside(request.body.as_deref().unwrap_or_default());
        }
    });
}

/// A channel as it is listed.
struct Listed {
    channel: ChannelRow,
    paused_until: Option<Timestamp>,
    outstanding: u32,
}

impl Listed {
    fn state(&self) -> &'static str {
        let channel = &self.channel;
        // A changed channel is not flagged any more, and a probe that fails flags nobody.
        match (channel.enabled, channel.broken_at.or(channel.failing_since)) {
            (false, _) => "paused",
            (true, Some(_)) => "broken",
            (true, None) if self.paused_until.is_some() => "paused",
            (true, None) if channel.delivered_at.is_none() => "untried",
            (true, None) => "ok",
        }
    }

    fn why(&self, printer: &Printer) -> String {
        let Self { channel, paused_until, outstanding } = self;
        let why = match (&channel.broken_reason, paused_until) {
            _ if !channel.enabled => "`enabled = false`".into(),
            (Some(reason), _) => reason.clone(),
            (None, _) if self.state() == "broken" => {
                "its last messages failed: `uptime queue failed` has them".into()
            }
            (None, Some(until)) => format!("its provider wants nothing until {}", printer.time(Some(*until))),
            (None, None) if self.state() == "untried" => {
                format!("nothing was delivered yet: `uptime channel test {}`", quote::shell(&channel.name))
            }
            (None, None) if channel.left_out.is_empty() => String::new(),
            (None, None) => {
                let left_out = channel.left_out.join("`, `");
                format!("its provider refuses `{left_out}`: left out, and tried again later")
            }
        };
        match outstanding {
            0 => why,
            count if why.is_empty() => format!("{count} announcements outstanding"),
            count => format!("{count} announcements outstanding: {why}"),
        }
    }

    fn json(&self) -> Value {
        let ChannelRow { name, notifier, enabled, broken_reason, failing_since, left_out, .. } =
            &self.channel;
        json!({
            "name": name, "notifier": notifier, "enabled": enabled, "state": self.state(),
            "broken_reason": broken_reason, "paused_until": self.paused_until.map(rfc3339),
            "failing_since": failing_since.map(rfc3339), "left_out": left_out, "outstanding": self.outstanding,
        })
    }
}

const COLUMNS: &[Column<Listed>] = &[
    ("name", |one, _| one.channel.name.as_str().into()),
    ("notifier", |one, _| one.channel.notifier.as_str().into()),
    ("state", |one, _| {
        let style = match one.state() {
            "ok" => GOOD,
            "broken" => BAD,
            _ => ODD,
        };
        Cell::styled(one.state(), style)
    }),
    ("why", |one, printer| Cell::cause(one.why(printer))),
];
