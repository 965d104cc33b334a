//! `uptime queue …`, as in Laravel's `artisan queue:…`.

use super::duration;
use clap::Subcommand;
use std::time::Duration;
use uptime_core::id::JobId;

/// The most hours that something may be old: a hundred years.
const HOURS_MAX: i64 = 876_600;

/// The shortest time between two looks: the database has better things to do.
const WATCH_LEAST: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// What is in the queues; exit 1 when one is at or over its limit
    ///
    /// A queue's state is `ok`, `paused`, `idle` (jobs are ready, and no worker is alive) or `over` (its limit).
    ///
    /// A queue that is at or over its limit is told, as `queue-busy`, to each enabled channel that wants such events, and
    /// whose `groups` and `tags`, if it has any, do not keep it to certain monitors: once when a look finds it over, again
    /// after an hour, and anew after a look that found it below.
    Monitor {
        /// All that there are, if none is named
        #[arg(value_name = "QUEUE")]
        queues: Vec<String>,
        /// The limit of jobs, whatever their state
        #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..))]
        max: i64,
        /// Only look: tell no channel, and remember nothing
        #[arg(long)]
        no_event: bool,
        /// Look again and again, every 2 seconds or so often
        #[arg(long, value_name = "D", num_args = 0..=1, require_equals = true, default_missing_value = "2s", value_parser = every)]
        watch: Option<Duration>,
    },
    /// The jobs that will not run again by themselves
    Failed {
        /// The whole story of these
        #[arg(value_name = "ID", value_parser = job_id, conflicts_with_all = ["queue", "limit"])]
        ids: Vec<JobId>,
        /// Of this queue
        #[arg(long)]
        queue: Option<String>,
        /// At most so many, the newest first
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Put failed jobs back, with their attempts at zero
    // Said here: what clap finds out by itself names whatever global flag an environment variable happens to give.
    #[command(override_usage = "uptime queue retry [OPTIONS] <ID>...\n       \
                                uptime queue retry [OPTIONS] all\n       \
                                uptime queue retry [OPTIONS] --range <A-B>")]
    Retry {
        /// Ids, as `queue failed` shows them, or `all`
        #[arg(required_unless_present = "range", value_name = "ID|all")]
        ids: Vec<String>,
        /// Of this queue
        #[arg(long)]
        queue: Option<String>,
        /// Ids from A to B
        #[arg(long, value_name = "A-B", conflicts_with = "ids")]
        range: Option<String>,
    },
    /// Delete failed jobs, by their ids
    #[command(override_usage = "uptime queue forget [OPTIONS] <ID>...")]
    Forget {
        /// As `queue failed` shows them
        #[arg(required = true, value_name = "ID", value_parser = job_id)]
        ids: Vec<JobId>,
        /// Say what would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete all failed jobs, or those that failed some time ago
    Flush {
        /// Of this queue
        #[arg(long)]
        queue: Option<String>,
        /// Only those that failed so many hours ago or earlier
        #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=HOURS_MAX), hide_default_value = true)]
        hours: i64,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say how many would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete failed jobs that are old, without a question; for cron, and silent there when there are none
    PruneFailed {
        /// Those that failed so many hours ago or earlier
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(i64).range(0..=HOURS_MAX))]
        hours: i64,
        /// Say how many would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete what waits in a queue, and leave what runs; notifications become `discarded`
    #[command(override_usage = "uptime queue clear [OPTIONS] <QUEUE>")]
    Clear {
        /// The queue
        queue: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say how many would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Let nothing more of a queue be claimed, on any host; what runs may end
    #[command(override_usage = "uptime queue pause [OPTIONS] <QUEUE>...")]
    Pause {
        /// The queues
        #[arg(required = true, value_name = "QUEUE")]
        queues: Vec<String>,
    },
    /// Let a paused queue go on
    #[command(override_usage = "uptime queue resume [OPTIONS] <QUEUE>...")]
    Resume {
        /// The queues
        #[arg(required = true, value_name = "QUEUE")]
        queues: Vec<String>,
    },
    /// Ask workers to finish what runs and to end; supervisor or systemd start them anew
    Restart {
        /// All that there are, if none is named
        #[arg(value_name = "QUEUE")]
        queues: Vec<String>,
    },
}

fn job_id(text: &str) -> Result<JobId, String> {
    text.parse().map(JobId).map_err(|_| "ids are numbers, as `uptime queue failed` shows them".into())
}

fn every(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every < WATCH_LEAST { Err("at least `100ms` between two looks".into()) } else { Ok(every) }
}
