//! The command line, as clap parses it: plain values, without meaning. Each command gives them one.

mod check;
mod incident;
mod maintenance;
mod notification;
mod plugin;
mod queue;

pub use check::{CheckArgs, HttpArgs, TlsArgs};
pub use incident::{IncidentCommand, name};
pub use maintenance::{MaintenanceAdd, MaintenanceCommand};
pub use notification::{NotificationCommand, RetryState, State as NotificationState, notification_name};
pub use plugin::{
    AddArgs, BuildArgs, GrantArgs, Language, NewArgs, PluginCommand, RemoveArgs, TestArgs, TrustArgs,
};
pub use queue::QueueCommand;

use crate::env;
use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use uptime_core::monitor::Location;

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
    /// The configuration file [default: ./uptime.toml, the user's, /etc/uptime/uptime.toml]
    #[arg(long, global = true, value_name = "FILE", env = env::CONFIG, hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Where the embedded PostgreSQL and plugins are kept
    #[arg(long, global = true, value_name = "DIR", env = env::DATA_DIR, hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// How answers are written [default: text]
    #[arg(long, global = true, value_enum)]
    pub format: Option<Format>,
    /// Short for `--format json`
    #[arg(long, global = true, conflicts_with = "format", action = ArgAction::SetTrue)]
    pub json: bool,
    /// Whether answers are coloured
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// What is logged to stderr: error, warn, info, debug, trace, or a filter [default: info for what runs on, else warn]
    #[arg(long, global = true, value_name = "FILTER", env = env::LOG, hide_env_values = true)]
    pub log: Option<String>,
    /// How it is logged
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
    /// Everything in one process: database, scheduler and both workers
    Up(UpArgs),
    /// Write a commented starter uptime.toml
    Init(InitArgs),
    /// Make the database's monitors and channels what the file says
    Apply(ApplyArgs),
    /// Enqueue what is due, once (for cron) or in a loop
    Schedule(ScheduleArgs),
    /// Run a worker
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Look into the queues, and look after them
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Look at monitors
    #[command(subcommand)]
    Monitor(MonitorCommand),
    /// Look at channels and try them
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Look at incidents, and take care of them
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Keep quiet about monitors for a while, or again and again
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Look at notifications and their tries, and try them again
    #[command(subcommand)]
    Notification(NotificationCommand),
    /// Write notifier plugins, add them, look at them, and say which are trusted
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after the database
    #[command(subcommand)]
    Db(DbCommand),
    /// Print what keeps this installation running under supervisor, systemd, cron or Windows
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print help, or one of the topics `exit-codes` and `env`
    Help {
        /// A command, or a topic
        topic: Vec<String>,
    },
}

/// What is logged of what runs on. sqlx's own warnings (a slow statement, a slow connection) say nothing that ours do not.
const RUNS_ON: &str = "warn,sqlx=error,uptime_engine=info,uptime=info";

impl Command {
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
    /// `https://…`, `tcp://host:port` or `ping://host`; beside what the file says
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Whom to tell about the targets: a channel's name, or a URL that gets a webhook [default: every channel of the file]
    #[arg(long, value_name = "URL_OR_CHANNEL")]
    pub notify: Vec<String>,
    /// How often the targets are checked
    #[arg(long, value_name = "D", default_value = "30s", value_parser = duration)]
    pub interval: Duration,
    /// Stop after so long
    #[arg(long = "for", value_name = "D", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// How long what runs may go on after a stop
    #[arg(long, value_name = "D", default_value = "20s", value_parser = duration)]
    pub grace: Duration,
}

#[derive(Debug, ClapArgs)]
pub struct InitArgs {
    /// Where to
    #[arg(default_value = "uptime.toml", value_name = "FILE")]
    pub path: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct ApplyArgs {
    /// Say what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Remove what came from the file and is no longer in it, with its results; incidents and what was told stay
    #[arg(long)]
    pub prune: bool,
    /// Do not ask before removing
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, ClapArgs)]
pub struct ScheduleArgs {
    /// Go on, and look at least so often
    #[arg(long, value_name = "D", value_parser = duration)]
    pub every: Option<Duration>,
    /// Enqueue what is due within so long, too [default: 1m for a single run, 0s for a loop]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub horizon: Option<Duration>,
    /// Print what is due, and enqueue nothing
    #[arg(long, conflicts_with = "every")]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Run checks
    MonitorChecks {
        #[command(flatten)]
        worker: WorkerArgs,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Deliver notifications
    Notifications(WorkerArgs),
    /// Both, in one process
    All {
        #[command(flatten)]
        worker: WorkerArgs,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// Where checks run.
#[derive(Clone, Debug, ClapArgs)]
pub struct PlaceArgs {
    /// Run the checks of monitors that name this location in their `locations`, and no others
    #[arg(long, value_name = "NAME", env = env::LOCATION, hide_env_values = true)]
    pub location: Option<Location>,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct WorkerArgs {
    /// From one look at an empty queue to the next, when nothing wakes the worker [default: 1s, notifications 3s]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub sleep: Option<Duration>,
    /// Attempts before a job goes to the failed list; 0 is unlimited [default: 1, notifications 3]
    #[arg(long, value_name = "N")]
    pub tries: Option<u32>,
    /// The longest that an attempt may take [default: 30s, notifications 60s]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// From a failed attempt to the next; a list, whose last value repeats [default: 5s]
    #[arg(long, value_name = "D,…", value_parser = duration, value_delimiter = ',')]
    pub backoff: Option<Vec<Duration>>,
    /// Jobs worked on at once [default: 100, notifications 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: Option<u32>,
    /// Only these of its queues, each with slots of its own [default: all of them]
    #[arg(long = "queue", value_name = "QUEUE,…", value_delimiter = ',')]
    pub queues: Vec<String>,
    /// Stop when the process holds more memory than so many MiB [default: no limit]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub memory: Option<u32>,
    /// Stop after so many jobs
    #[arg(long, value_name = "N")]
    pub max_jobs: Option<u64>,
    /// Stop after so long
    #[arg(long, value_name = "D", value_parser = duration)]
    pub max_time: Option<Duration>,
    /// Work on one job, if there is one, and stop
    #[arg(long, conflicts_with_all = ["max_jobs", "stop_when_empty"])]
    pub once: bool,
    /// Stop when nothing is ready
    #[arg(long)]
    pub stop_when_empty: bool,
    /// Serve `/metrics` (Prometheus) and `/healthz` here; a port alone is taken on 127.0.0.1
    #[arg(long, value_name = "ADDR", value_parser = crate::listen::parse)]
    pub listen: Option<SocketAddr>,
    /// How long what runs may go on after a stop
    #[arg(long, value_name = "D", default_value = "20s", value_parser = duration)]
    pub grace: Duration,
}

#[derive(Debug, Subcommand)]
pub enum MonitorCommand {
    /// Every monitor, and how it is
    List,
}

#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Every channel
    List,
    /// Send a test message, and print what the provider said
    Test {
        /// The channel
        name: String,
        /// Print the request, secrets masked, and send nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say what is wrong with the file, all of it
    Check,
    /// Every key of the file, what it takes and what it means
    Schema,
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the schema up to date
    Migrate,
    /// Where the database is and how it is
    Status,
    /// Print the embedded database's URL while it runs
    Url,
    /// Stop the embedded PostgreSQL
    Stop {
        /// Even while processes use it
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Programs for supervisor
    Supervisor {
        #[command(flatten)]
        service: ServiceArgs,
        /// Whom they run as [default: who asks]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Where their logs go [default: as root /var/log/supervisor, else `log` in the data directory]
        #[arg(long, value_name = "DIR")]
        logs: Option<PathBuf>,
    },
    /// Units for systemd
    Systemd {
        #[command(flatten)]
        service: ServiceArgs,
        /// Whom they run as [default: who asks; when that is root: uptime]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Write the units into this folder, in place of printing them
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
        /// Where their logs go [default: `log` in the data directory]
        #[arg(long, value_name = "DIR")]
        logs: Option<PathBuf>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct ServiceArgs {
    /// Workers that run checks
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub checks: u32,
    /// Workers that deliver notifications
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub notifications: u32,
    /// For a host at this location: the workers that run its checks, and nothing else
    #[arg(long, value_name = "NAME")]
    pub location: Option<Location>,
    /// The program [default: this one]
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    uptime_core::duration::parse(text)
}
