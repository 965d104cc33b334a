//! What `uptime maintenance` takes.

use super::duration;
use clap::{ArgGroup, Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::calendar::Hours;

#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// List all maintenance windows
    List,
    /// Add a maintenance window: one that starts now, or a recurring one
    Add(MaintenanceAdd),
    /// Remove a maintenance window
    Remove {
        /// Name of the window
        name: String,
    },
}

#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["monitor", "group", "all"])))]
#[command(group(ArgGroup::new("when").required(true).args(["for", "until", "hours"])))]
pub struct MaintenanceAdd {
    /// Name of the window; a window added earlier under this name is replaced
    pub name: String,
    /// Monitor that it covers; may be repeated
    #[arg(long, value_name = "NAME")]
    pub monitor: Vec<String>,
    /// Group whose monitors it covers; may be repeated
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
    /// Cover every monitor there is
    #[arg(long, conflicts_with_all = ["monitor", "group"])]
    pub all: bool,
    /// Duration, starting now, such as `2h`
    #[arg(long, value_name = "D", value_parser = duration)]
    pub r#for: Option<Duration>,
    /// End, starting now, such as `2026-12-01T22:00+01:00`
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<Timestamp>,
    /// Recurring hours, such as `sun 02:00-04:00 Europe/Berlin`
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub hours: Option<Hours>,
}

fn hours(text: &str) -> Result<Hours, String> {
    text.parse()
        .map_err(|wrong: uptime_core::calendar::NotHours| format!("{}: {}", wrong.message, wrong.hint))
}
