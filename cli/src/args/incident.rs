//! `uptime incident …`: what went down, and what people do about it.

use super::duration;
use clap::{Args as ClapArgs, Subcommand};
use std::time::Duration;
use uptime_core::id::IncidentId;

/// The longest that an acknowledgement with an end may last.
const LASTING_MAX: Duration = Duration::from_hours(24 * 365);

/// Longer names and notes are refused: they go into messages.
const NAME_MAX: usize = 60;
const NOTE_MAX: usize = 1_000;

#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// List incidents, newest first
    List {
        /// Only incidents that are open
        #[arg(long)]
        open: bool,
        /// Only incidents of this monitor
        #[arg(long, value_name = "NAME")]
        monitor: Option<String>,
        /// Maximum number of rows
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Print an incident's timeline: checks, notifications with their attempts, operators' actions
    Show {
        /// Id of the incident
        #[arg(value_name = "ID", value_parser = incident_id)]
        id: IncidentId,
    },
    /// Acknowledge incidents: no more reminders or `critical`; notified channels learn who took over
    Ack {
        /// Acknowledge for this time; then reminders continue
        #[arg(long = "for", value_name = "D", value_parser = lasting)]
        lasting: Option<Duration>,
        /// Acknowledge until the incident ends (the default)
        #[arg(long, conflicts_with = "lasting")]
        until_recovery: bool,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Take an acknowledgement back: reminders continue, and channels that heard of it are notified
    Unack(ActArgs),
    /// Suppress all notifications of incidents, also of their end
    Mute(ActArgs),
    /// Send notifications of muted incidents again
    Unmute(ActArgs),
    /// End incidents now and notify; checks that keep failing open new ones once confirmed
    Resolve(ActArgs),
    /// Add a comment to an incident's timeline
    Comment {
        /// Id of the incident
        #[arg(value_name = "ID", value_parser = incident_id)]
        id: IncidentId,
        /// Text of the comment
        #[arg(value_parser = note)]
        text: String,
        /// Author [default: `$SUDO_USER`, `$USER` or `$LOGNAME`]
        #[arg(long, value_name = "NAME", value_parser = name)]
        by: Option<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct ActArgs {
    /// Ids of the incidents
    #[arg(required = true, value_name = "ID", value_parser = incident_id)]
    pub ids: Vec<IncidentId>,
    /// Operator's name [default: `$SUDO_USER`, `$USER` or `$LOGNAME`]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub by: Option<String>,
    /// Note for the incident's timeline
    #[arg(long, value_name = "TEXT", value_parser = note)]
    pub note: Option<String>,
}

pub(super) fn incident_id(text: &str) -> Result<IncidentId, String> {
    text.parse().map(IncidentId).map_err(|_| "ids are numbers, as `uptime incident list` shows them".into())
}

fn lasting(text: &str) -> Result<Duration, String> {
    let lasting = duration(text)?;
    if lasting.is_zero() || lasting > LASTING_MAX {
        return Err("more than `0s` and at most `365d`".into());
    }
    Ok(lasting)
}

/// A person's name, from the command line or the environment.
pub fn name(text: &str) -> Result<String, String> {
    one_line(text, NAME_MAX)
}

fn note(text: &str) -> Result<String, String> {
    one_line(text, NOTE_MAX)
}

/// Without what would steer a terminal.
fn one_line(text: &str, max: usize) -> Result<String, String> {
    let line = uptime_core::text::printable(text.trim(), usize::MAX - 1);
    let length = line.chars().count();
    if length == 0 {
        return Err("there is nothing in it".into());
    }
    if length > max {
        return Err(format!("at most {max} characters, and there are {length}"));
    }
    Ok(line)
}
