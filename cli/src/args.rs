//! The command line, as clap parses it: plain values, without meaning. Each command gives them one.

mod check;
pub mod examples;
mod incident;
mod maintenance;
mod notification;
mod plugin;
mod queue;

pub use check::{CheckArgs, FLAGS, Flag, For, Form};
pub use incident::{ActArgs, IncidentCommand, name};
pub use maintenance::{MaintenanceAdd, MaintenanceCommand};
pub use notification::{NotificationCommand, notification_name};
pub use plugin::{
    AddArgs, BuildArgs, GrantArgs, Language, NewArgs, PluginCommand, RemoveArgs, TestArgs, TrustArgs,
};
pub use queue::{MonitorArgs, QueueCommand, QueuesArgs};

use crate::env;
use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use uptime_core::monitor::Location;
use uptime_core::target::forms;

/// Watches services and tells people when they go down and come back.
#[derive(Debug, Parser)]
#[command(name = "uptime", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "Begin with `uptime up https://example.com`, or with `uptime init`.")]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Configuration file [default: the first of ./uptime.toml, the user's file, /etc/uptime/uptime.toml]
    #[arg(long, global = true, value_name = "FILE", env = env::CONFIG, hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Directory of the embedded PostgreSQL and of added plugins
    #[arg(long, global = true, value_name = "DIR", env = env::DATA_DIR, hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// Output format [default: text]
    #[arg(long, global = true, value_enum)]
    pub format: Option<Format>,
    /// Short for `--format json`
    #[arg(long, global = true, conflicts_with = "format", action = ArgAction::SetTrue)]
    pub json: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Log level or filter (error, warn, info, debug, trace) [default: info for services, else warn]
    #[arg(long, global = true, value_name = "FILTER", env = env::LOG, hide_env_values = true)]
    pub log: Option<String>,
    /// Format of log lines
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = env::LOG_FORMAT, hide_env_values = true)]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    Ndjson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check targets once, without a database
    Check(Box<CheckArgs>),
    /// Run everything in one process: database, scheduler and both workers
    Up(UpArgs),
    /// Write a commented starter uptime.toml
    Init(InitArgs),
    /// Apply the configuration file to the database
    Apply(ApplyArgs),
    /// Enqueue due checks, once (for cron) or in a loop
    Schedule(ScheduleArgs),
    /// Run a worker process
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Inspect and manage the queues
    #[command(subcommand)]
    Queue(QueueCommand),
    /// List monitors with their states
    #[command(subcommand)]
    Monitor(MonitorCommand),
    /// List and test channels
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Inspect and handle incidents
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Suppress notifications during maintenance windows
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Inspect, retry and discard notifications
    #[command(subcommand)]
    Notification(NotificationCommand),
    /// Write, test, add and trust notifier plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Check the configuration file and print its reference
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Inspect and manage the database
    #[command(subcommand)]
    Db(DbCommand),
    /// Print service definitions for supervisor, systemd, cron or Windows
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Print completions for a shell
    Completions {
        /// Shell to print them for
        shell: clap_complete::Shell,
    },
    /// Print help for a command, a guide, or the tables of exit codes and variables
    Help {
        /// A command; a guide: checks, incidents, channels, plugins, queues, deploying, architecture; or `exit-codes`, `env`
        topic: Vec<String>,
    },
}

/// What is logged of what runs on. sqlx's own warnings (a slow statement, a slow connection) say nothing that ours do not.
const RUNS_ON: &str = "warn,sqlx=error,uptime_engine=info,uptime=info";

impl Command {
    /// Whether the command may make a data directory, and the database in it. All others look at what there is.
    pub fn creates(&self) -> bool {
        match self {
            Self::Up(_)
            | Self::Worker(_)
            | Self::Db(DbCommand::Migrate)
            | Self::Plugin(PluginCommand::Add(_)) => true,
            Self::Apply(args) => !args.dry_run,
            Self::Schedule(args) => !args.dry_run,
            _ => false,
        }
    }

    /// What is logged when nobody says anything: what runs on says what it does, a command that answers keeps to
    /// warnings, and `up` shows all of it in its own way.
    pub fn default_log(&self) -> &'static str {
        match self {
            Self::Worker(_) => RUNS_ON,
            Self::Schedule(args) if args.every.is_some() => RUNS_ON,
            Self::Up(_) => "error",
            _ => "warn,sqlx=error",
        }
    }
}

#[derive(Debug, ClapArgs)]
pub struct UpArgs {
    #[arg(value_name = "TARGET", help = format!("Targets to watch in addition to the file's monitors, such as {}", forms()))]
    pub targets: Vec<String>,
    /// Channel or webhook URL to notify about the targets [default: all channels of the file]
    #[arg(long, value_name = "URL_OR_CHANNEL")]
    pub notify: Vec<String>,
    /// Interval between checks of the targets
    #[arg(long, value_name = "D", default_value = "30s", value_parser = duration)]
    pub interval: Duration,
    /// Stop after this time
    #[arg(long = "for", value_name = "D", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// Time running jobs get to finish after a stop signal
    #[arg(long, value_name = "D", default_value = "20s", value_parser = duration)]
    pub grace: Duration,
}

#[derive(Debug, ClapArgs)]
pub struct InitArgs {
    /// Path of the file to write
    #[arg(default_value = "uptime.toml", value_name = "FILE")]
    pub path: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct ApplyArgs {
    /// Print the changes without making them
    #[arg(long)]
    pub dry_run: bool,
    /// Remove monitors and channels that are no longer in the file; results, incidents and notifications are kept
    #[arg(long)]
    pub prune: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, ClapArgs)]
pub struct ScheduleArgs {
    /// Run until stopped, looking for due checks at least this often
    #[arg(long, value_name = "D", value_parser = duration)]
    pub every: Option<Duration>,
    /// Also enqueue checks that fall due within this time [default: 1m for a single run, 0s for a loop]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub horizon: Option<Duration>,
    /// Print due checks without enqueueing them
    #[arg(long, conflicts_with = "every")]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Run the checks of monitors
    MonitorChecks(CheckWorkerArgs),
    /// Deliver notifications to channels
    Notifications(WorkerArgs),
    /// Run checks and deliver notifications in one process
    All(CheckWorkerArgs),
}

#[derive(Debug, ClapArgs)]
pub struct CheckWorkerArgs {
    #[command(flatten)]
    pub worker: WorkerArgs,
    /// Run only checks of monitors that list this location in `locations`
    #[arg(long, value_name = "NAME", env = env::LOCATION, hide_env_values = true)]
    pub location: Option<Location>,
}

#[derive(Clone, Debug, Default, ClapArgs)]
pub struct WorkerArgs {
    /// Polling interval when the queue is empty [default: 1s, notifications 3s]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub sleep: Option<Duration>,
    /// Attempts before a job goes to the failed list; 0 means no limit [default: 1, notifications 3]
    #[arg(long, value_name = "N")]
    pub tries: Option<u32>,
    /// Time limit for one attempt [default: 30s, notifications 60s]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Delay before each retry; the last value repeats [default: 5s]
    #[arg(long, value_name = "D,…", value_parser = duration, value_delimiter = ',')]
    pub backoff: Option<Vec<Duration>>,
    /// Jobs run at the same time [default: 100, notifications 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: Option<u32>,
    /// Queues to work on, each with its own slots [default: all queues of the worker]
    #[arg(long = "queue", value_name = "QUEUE,…", value_delimiter = ',')]
    pub queues: Vec<String>,
    /// Stop when the process uses more memory than this many MiB [default: no limit]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub memory: Option<u32>,
    /// Stop after this many jobs
    #[arg(long, value_name = "N")]
    pub max_jobs: Option<u64>,
    /// Stop after this time
    #[arg(long, value_name = "D", value_parser = duration)]
    pub max_time: Option<Duration>,
    /// Run one job, if one is ready, and stop
    #[arg(long, conflicts_with_all = ["max_jobs", "stop_when_empty"])]
    pub once: bool,
    /// Stop when no job is ready
    #[arg(long)]
    pub stop_when_empty: bool,
    /// Serve `/metrics` (Prometheus) and `/healthz` here; a port alone is taken on 127.0.0.1
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Time running jobs get to finish after a stop signal
    #[arg(long, value_name = "D", default_value = "20s", value_parser = duration)]
    pub grace: Duration,
}

#[derive(Debug, Subcommand)]
pub enum MonitorCommand {
    /// List all monitors with their states
    List,
}

#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// List all channels with their states
    List,
    /// Send a test message and print the provider's answer
    Test {
        /// Name of the channel
        name: String,
        /// Print the request with masked secrets instead of sending it
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report all errors in the file
    Check,
    /// Print the reference of all keys
    Schema,
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Create the schema, or bring it up to date
    Migrate,
    /// Print the database's location and state
    Status,
    /// Print the embedded database's URL while it runs
    Url,
    /// Stop the embedded PostgreSQL
    Stop {
        /// Stop it even while processes use it
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Program sections for supervisor
    Supervisor {
        #[command(flatten)]
        service: ServiceArgs,
        /// User that runs them [default: the current user]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Directory of their logs [default: as root /var/log/supervisor, else `log` in the data directory]
        #[arg(long, value_name = "DIR")]
        logs: Option<PathBuf>,
    },
    /// Unit files for systemd
    Systemd {
        #[command(flatten)]
        service: ServiceArgs,
        /// User that runs them [default: the current user; for root: uptime]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Write the units into this directory instead of printing them
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Lines for a crontab
    Cron {
        /// The program [default: this one]
        #[arg(long, value_name = "PATH")]
        binary: Option<PathBuf>,
    },
    /// Commands for NSSM, which runs services on Windows; printed elsewhere, for `C:\Program Files\uptime`
    Windows {
        #[command(flatten)]
        service: ServiceArgs,
        /// Directory of their logs [default: `log` in the data directory]
        #[arg(long, value_name = "DIR")]
        logs: Option<PathBuf>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct ServiceArgs {
    /// Number of workers that run checks
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub checks: u32,
    /// Number of workers that deliver notifications
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub notifications: u32,
    /// Print only the workers that run the checks of this location
    #[arg(long, value_name = "NAME")]
    pub location: Option<Location>,
    /// The program [default: this one]
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    uptime_core::duration::parse(text)
}

/// `9100`, `:9100`, `127.0.0.1:9100` or `[::]:9100`.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    match (port, text.parse::<SocketAddr>()) {
        (Ok(port), _) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        (_, Ok(address)) => Ok(address),
        _ => Err("write a port such as `9100`, or an address and a port such as `0.0.0.0:9100`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_loopbacks() {
        for (text, expected) in [
            ("9100", "127.0.0.1:9100"),
            (":9100", "127.0.0.1:9100"),
            ("0.0.0.0:9100", "0.0.0.0:9100"),
            ("[::1]:0", "[::1]:0"),
        ] {
            assert_eq!(address(text), Ok(expected.parse().expect("an address")));
        }
        for text in ["", "localhost", "99999", "127.0.0.1", "example.com:80"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
