//! `uptime notification …`: who was told what, each try of it, and another try or none.

use super::incident::incident_id;
use super::name;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use uptime_core::event::EventType;
use uptime_core::id::{DeliveryId, IncidentId, NotificationId};
use uptime_core::notification::NotificationState;
use uptime_store::by_operator::Name;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub enum NotificationCommand {
    /// List notifications, newest first
    List {
        /// Only notifications for this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Only notifications in this state
        #[arg(long, value_name = "STATE", value_parser = states(NotificationState::ALL))]
        state: Option<NotificationState>,
        /// Only notifications of this incident
        #[arg(long, value_name = "ID", value_parser = incident_id)]
        incident: Option<IncidentId>,
        /// Only notifications of this event type: `down`, `up`, …
        #[arg(long, value_name = "TYPE")]
        event: Option<EventType>,
        /// Maximum number of rows
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Print a notification with all attempts and the provider's answers
    Show {
        /// Id, or the delivery id that the receiver got
        #[arg(value_name = "ID", value_parser = notification_name)]
        id: Name,
    },
    /// Send failed and muted notifications again
    ///
    /// A notification is muted again at its delivery while its channel is disabled or its incident is muted. It is dropped if a
    /// later one of the same incident was already delivered: nobody is told "down" of what is up.
    #[command(override_usage = "uptime notification retry [OPTIONS] <ID>...\n       \
                                uptime notification retry [OPTIONS] all")]
    Retry {
        /// Ids or delivery ids, or `all` failed notifications
        #[arg(required = true, value_name = "ID|all")]
        ids: Vec<String>,
        /// With `all`: only this channel's
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// With `all`: only those in this state [default: failed]
        #[arg(long, value_name = "STATE", value_parser = states(&[NotificationState::Failed, NotificationState::Muted]))]
        state: Option<NotificationState>,
        /// Print what would be sent again without changing anything
        #[arg(long)]
        dry_run: bool,
    },
    /// Discard queued and failed notifications
    ///
    /// What a worker is running is left to it; who discarded the rest is kept with it. When an incident's opening is discarded, its end is told all the same, and
    /// says from when to when it was down.
    #[command(override_usage = "uptime notification discard [OPTIONS] <ID>...\n       \
                                uptime notification discard [OPTIONS] all --channel <NAME>")]
    Discard {
        /// Ids or delivery ids, or `all` of a channel
        #[arg(required = true, value_name = "ID|all")]
        ids: Vec<String>,
        /// With `all`: only this channel's
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Operator's name [default: `$SUDO_USER`, `$USER` or `$LOGNAME`]
        #[arg(long, value_name = "NAME", value_parser = name)]
        by: Option<String>,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        /// Print what would be discarded without changing anything
        #[arg(long)]
        dry_run: bool,
    },
}

fn states(of: &'static [NotificationState]) -> impl TypedValueParser<Value = NotificationState> {
    PossibleValuesParser::new(of.iter().map(|state| state.as_str()))
        .try_map(|word| word.parse::<NotificationState>())
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
