//! What `uptime maintenance` takes.

use super::duration;
use clap::{ArgGroup, Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::calendar::Hours;

#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// Every window, and when it is
    List,
    /// Begin one now, or plan one that recurs; nobody is told of what it is for
    Add(MaintenanceAdd),
    /// End one, or take it back
    Remove {
        /// The window
        name: String,
    },
}

#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["monitor", "group", "all"])))]
#[command(group(ArgGroup::new("when").required(true).args(["for", "until", "hours"])))]
pub struct MaintenanceAdd {
    /// What it is called; one of that name that was added before is replaced
    pub name: String,
    /// For this monitor; may be there again
    #[arg(long, value_name = "NAME")]
    pub monitor: Vec<String>,
    /// For each monitor of this group; may be there again
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
    /// For all monitors
    #[arg(long, conflicts_with_all = ["monitor", "group"])]
    pub all: bool,
    /// From now, for so long
    #[arg(long, value_name = "D", value_parser = duration)]
    pub r#for: Option<Duration>,
    /// From now until then, such as `2026-12-01T22:00+01:00`
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<Timestamp>,
    /// Again and again, such as `sun 02:00-04:00 Europe/Berlin`
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub hours: Option<Hours>,
}

fn hours(text: &str) -> Result<Hours, String> {
    text.parse()
        .map_err(|wrong: uptime_core::calendar::NotHours| format!("{}: {}", wrong.message, wrong.hint))
}
