//! `uptime notification …`: who was told what, each try of it, and another try or none.

use super::name;
use clap::{Subcommand, ValueEnum};
use uptime_core::event::EventType;
use uptime_core::id::{DeliveryId, IncidentId, NotificationId};
use uptime_store::by_hand::Name;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub enum NotificationCommand {
    /// Notifications, the newest first
    List {
        /// Only those for this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Only those of this incident
        #[arg(long, value_name = "ID", value_parser = incident_id)]
        incident: Option<IncidentId>,
        /// Only those of this type: `down`, `up`, …
        #[arg(long, value_name = "TYPE", value_parser = event)]
        event: Option<EventType>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// The whole story of one: what was told, and each try with the provider's words
    #[command(override_usage = "uptime notification show [OPTIONS] <ID>")]
    Show {
        /// As `notification list` shows it, or the delivery id that its receiver knows
        #[arg(value_name = "ID", value_parser = notification_name)]
        id: Name,
    },
    /// Give failed and muted notifications another chance
    ///
    /// One that is not wanted (its channel is disabled, its incident is muted) is muted again when it is to be delivered. One
    /// after which a later one of its incident was delivered is dropped: nobody is told "down" of what is up.
    #[command(override_usage = "uptime notification retry [OPTIONS] <ID>...\n       \
                                uptime notification retry [OPTIONS] all")]
    Retry {
        /// Ids or delivery ids, as `notification list` shows them, or `all` that failed
        #[arg(required = true, value_name = "ID|all")]
        ids: Vec<String>,
        /// With `all`: of this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// With `all`: those in this state [default: failed]
        #[arg(long, value_enum)]
        state: Option<RetryState>,
        /// Say what would be tried again, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Let nobody be told of queued and failed notifications any more
    ///
    /// What a worker has in hand is left to it; who discarded the rest is kept with it. When an incident's opening is discarded, its end is told all the same, and
    /// says from when to when it was down.
    #[command(override_usage = "uptime notification discard [OPTIONS] <ID>...\n       \
                                uptime notification discard [OPTIONS] all --channel <NAME>")]
    Discard {
        /// Ids or delivery ids, as `notification list` shows them, or `all` of a channel
        #[arg(required = true, value_name = "ID|all")]
        ids: Vec<String>,
        /// With `all`: of this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Who does it [default: `$SUDO_USER`, `$USER` or `$LOGNAME`]
        #[arg(long, value_name = "NAME", value_parser = name)]
        by: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say what would be discarded, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    Queued,
    Paused,
    Delivered,
    Failed,
    Muted,
    Discarded,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Paused => "paused",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Muted => "muted",
            Self::Discarded => "discarded",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RetryState {
    Failed,
    Muted,
}

impl RetryState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Muted => "muted",
        }
    }
}

fn incident_id(text: &str) -> Result<IncidentId, String> {
    text.parse().map(IncidentId).map_err(|_| "ids are numbers, as `uptime incident list` shows them".into())
}

fn event(text: &str) -> Result<EventType, String> {
    text.parse().map_err(|()| {
        let all: Vec<&str> = EventType::ALL.iter().map(|event| event.as_str()).collect();
        format!("the types are {}", all.join(", "))
    })
}

/// A number, or a UUID.
pub fn notification_name(text: &str) -> Result<Name, String> {
    if let Ok(id) = text.parse() {
        return Ok(Name::Id(NotificationId(id)));
    }
    match Uuid::try_parse(text) {
        Ok(uuid) => Ok(Name::Delivery(DeliveryId(uuid))),
        Err(_) => Err("an id is a number or a delivery id, as `uptime notification list` shows them".into()),
    }
}
