//! `uptime queue …`, as in Laravel's `artisan queue:…`.

use super::duration;
use clap::{Args as ClapArgs, Subcommand};
use std::time::Duration;
use uptime_core::id::JobId;

/// The most hours that something may be old: a hundred years.
const HOURS_MAX: i64 = 876_600;

/// The shortest time between two looks: the database has better things to do.
const WATCH_LEAST: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Print the queues' sizes and states; exit 1 when one is over its limit or stands still, or checks have no results
    ///
    /// A queue is `ok` or `paused` (itself, or each of its workers by SIGUSR2). Exit 1 when it is `over` its limit, `idle`
    /// (jobs are ready and no worker runs), `waits` (the oldest ready job has waited for `--max-wait`) or `stalled` (monitors
    /// have had no result for 3 intervals and at least a minute). Exit 1 too when the scheduler is dead: a loop sent no
    /// heartbeat for 15 s, or cron none for 3 minutes.
    ///
    /// A queue at or over its limit sends `queue-busy` to each enabled channel that wants this event and has neither `groups`
    /// nor `tags`. The event is sent when the limit is reached, and again after an hour.
    Monitor(MonitorArgs),
    /// List the failed jobs
    Failed {
        /// Print all details of these jobs
        #[arg(value_name = "ID", value_parser = job_id, conflicts_with_all = ["queue", "limit"])]
        ids: Vec<JobId>,
        /// Only jobs of this queue
        #[arg(long)]
        queue: Option<String>,
        /// Maximum number of rows, newest first
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Put failed jobs back into their queues with zero attempts
    #[command(override_usage = "uptime queue retry [OPTIONS] <ID>...\n       \
                                uptime queue retry [OPTIONS] all\n       \
                                uptime queue retry [OPTIONS] --range <A-B>")]
    Retry {
        /// Ids of failed jobs, or `all`
        #[arg(required_unless_present = "range", value_name = "ID|all")]
        ids: Vec<String>,
        /// Only jobs of this queue
        #[arg(long)]
        queue: Option<String>,
        /// Failed jobs with ids from A to B
        #[arg(long, value_name = "A-B", conflicts_with = "ids")]
        range: Option<String>,
    },
    /// Delete failed jobs by id
    Forget {
        /// Ids of failed jobs
        #[arg(required = true, value_name = "ID", value_parser = job_id)]
        ids: Vec<JobId>,
        /// Print what would be deleted without deleting it
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete all failed jobs, or those older than some hours
    Flush {
        /// Only jobs of this queue
        #[arg(long)]
        queue: Option<String>,
        /// Only jobs that failed at least this many hours ago
        #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=HOURS_MAX), hide_default_value = true)]
        hours: i64,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        /// Print how many would be deleted without deleting them
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete old failed jobs without asking, for cron
    PruneFailed {
        /// Only jobs that failed at least this many hours ago
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(i64).range(0..=HOURS_MAX))]
        hours: i64,
        /// Print how many would be deleted without deleting them
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete the waiting jobs of a queue; running jobs finish, notifications become `discarded`
    Clear {
        /// Name of the queue
        queue: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        /// Print how many would be deleted without deleting them
        #[arg(long)]
        dry_run: bool,
    },
    /// Stop claiming jobs of a queue on all hosts; running jobs finish
    Pause(QueuesArgs),
    /// Resume a paused queue
    Resume(QueuesArgs),
    /// Tell workers to finish their running jobs and exit; supervisor or systemd starts them again
    Restart {
        /// Names of queues [default: all]
        #[arg(value_name = "QUEUE")]
        queues: Vec<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct MonitorArgs {
    /// Names of queues [default: all]
    #[arg(value_name = "QUEUE")]
    pub queues: Vec<String>,
    /// Alert at this many jobs, in whatever state
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..))]
    pub max: i64,
    /// Alert when the oldest ready job has waited this long
    #[arg(long, value_name = "D", default_value = "2m", value_parser = duration)]
    pub max_wait: Duration,
    /// Do not send `queue-busy` events
    #[arg(long)]
    pub no_event: bool,
    /// Refresh every 2 seconds, or at this interval
    #[arg(long, value_name = "D", num_args = 0..=1, require_equals = true, default_missing_value = "2s", value_parser = every)]
    pub watch: Option<Duration>,
}

#[derive(Debug, ClapArgs)]
pub struct QueuesArgs {
    /// Names of the queues
    #[arg(required = true, value_name = "QUEUE")]
    pub queues: Vec<String>,
}

fn job_id(text: &str) -> Result<JobId, String> {
    text.parse().map(JobId).map_err(|_| "ids are numbers, as `uptime queue failed` shows them".into())
}

fn every(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every < WATCH_LEAST { Err("at least `100ms` between two looks".into()) } else { Ok(every) }
}
