//! Lines for a crontab: the scheduler, a look at the queues, and the old failed jobs. In them `%` would end the command.

use super::installation::Installation;
use super::{Definition, Printed, quote};

/// How long a worker that cron starts claims jobs. What it runs then has the rest of the minute, and `--grace`.
const WORKER_SECONDS: &str = "55s";

/// How long a failed job is kept, in hours.
const WEEK: &str = "168";

pub fn lines(installation: &Installation) -> Printed {
    let line = |command: &[&str]| quote::cron(&installation.shell_line(command));
    let hint =
        installation.secrets_hint("Write NAME=value above these lines; a crontab is its owner's alone");
    let content = format!(
        include_str!("crontab"),
        this = quote::shell_line(&installation.command(&["service", "cron"])),
        database = installation.database_words("the line"),
        secrets = hint.as_ref().map(|hint| format!("# To do: {hint}.\n")).unwrap_or_default(),
        schedule = line(&["schedule"]),
        monitor = line(&["queue", "monitor", "--max", "1000", "--max-wait", "2m"]),
        prune = line(&["queue", "prune-failed", "--hours", WEEK]),
        workers = line(&["worker", "all", "--max-time", WORKER_SECONDS]),
    );
    let file = Definition { path: "crontab".into(), content };
    Printed { files: vec![file], hints: hint.into_iter().collect(), ..Printed::default() }
}
