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
    /// Incidents, the newest first
    List {
        /// Only those that have not ended
        #[arg(long)]
        open: bool,
        /// Only those of this monitor
        #[arg(long, value_name = "NAME")]
        monitor: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// The whole story of one: checks, notices and their tries, people
    #[command(override_usage = "uptime incident show [OPTIONS] <ID>")]
    Show {
        /// As `incident list` shows it
        #[arg(value_name = "ID", value_parser = incident_id)]
        id: IncidentId,
    },
    /// Take care of incidents: no reminders and no `critical`, and those who were told hear who takes care of it
    #[command(override_usage = "uptime incident ack [OPTIONS] <ID>...")]
    Ack {
        #[command(flatten)]
        which: Which,
        /// For so long; then reminders go on
        #[arg(long = "for", value_name = "D", value_parser = lasting)]
        lasting: Option<Duration>,
        /// Until it ends (so it is without `--for`)
        #[arg(long, conflicts_with = "lasting")]
        until_recovery: bool,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Take care of incidents no more: reminders go on, and those who heard who takes care of it hear that
    #[command(override_usage = "uptime incident unack [OPTIONS] <ID>...")]
    Unack {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Tell nothing more of incidents, not even their end
    #[command(override_usage = "uptime incident mute [OPTIONS] <ID>...")]
    Mute {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Tell of incidents again
    #[command(override_usage = "uptime incident unmute [OPTIONS] <ID>...")]
    Unmute {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        by: ByArgs,
    },
    /// End incidents now, and tell that; checks that go on failing open new ones once confirmed
    #[command(override_usage = "uptime incident resolve [OPTIONS] <ID>...")]
    Resolve {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Say something of an incident, for those who read its story
    #[command(override_usage = "uptime incident comment [OPTIONS] <ID> <TEXT>")]
    Comment {
        /// As `incident list` shows it
        #[arg(value_name = "ID", value_parser = incident_id)]
        id: IncidentId,
        /// What there is to say
        #[arg(value_parser = note)]
        text: String,
        /// Who says it [default: `$SUDO_USER`, `$USER` or `$LOGNAME`]
        #[arg(long, value_name = "NAME", value_parser = name)]
        by: Option<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct Which {
    /// As `incident list` shows them
    #[arg(required = true, value_name = "ID", value_parser = incident_id)]
    pub ids: Vec<IncidentId>,
}

#[derive(Debug, ClapArgs)]
pub struct ByArgs {
    /// Who does it [default: `$SUDO_USER`, `$USER` or `$LOGNAME`]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub by: Option<String>,
    /// Why, for those who read the incident's story
    #[arg(long, value_name = "TEXT", value_parser = note)]
    pub note: Option<String>,
}

fn incident_id(text: &str) -> Result<IncidentId, String> {
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
    let line = uptime_core::check::printable(text.trim(), usize::MAX - 1);
    let length = line.chars().count();
    if length == 0 {
        return Err("there is nothing in it".into());
    }
    if length > max {
        return Err(format!("at most {max} characters, and there are {length}"));
    }
    Ok(line)
}
