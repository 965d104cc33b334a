//! Starts and stops the server. Everything here is called under the start lock.
//!
//! `pg_ctl` starts it: the server then is in a session of its own (Ctrl-C does not reach it) and no child of ours
//! (it is never our zombie). Whether it is there is asked by opening a session.

use crate::binaries::Binaries;
use crate::cluster;
use crate::error::PostgresError;
use crate::layout::{self, Layout};
use crate::lock::{Deadline, StartLock};
use crate::postmaster::{self, Owner, PidFile};
use crate::session::Session;
use crate::{DATABASE, Options, Progress};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A log longer than this is cut when somebody comes; the last of it stays in `server.log.1`.
const LOG_MAX: u64 = 4 << 20;

/// How much of the log an error shows.
const TAIL_BYTES: u64 = 2_000;

/// How long a server may say that it is ready and be out of reach, until it is started anew.
const LOST_SOCKET_AFTER: Duration = Duration::from_secs(2);

/// From one look at the server, or at `pg_ctl`, to the next.
const POLL: Duration = Duration::from_millis(5);

/// For a small machine, where the server is a guest. `Options::settings` come after them.
const SETTINGS: [(&str, &str); 6] = [
    ("max_connections", "100"),
    ("shared_buffers", "128MB"),
    // Compiling a query costs more than any of ours takes.
    ("jit", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    // PostgreSQL 15 began to log each of them: a line every five minutes, for ever.
    ("log_checkpoints", "off"),
];

/// Makes sure that a server takes connections and has its database; gives the socket's directory.
pub(crate) fn ensure(
    layout: &Layout,
    options: &Options,
    start: &StartLock,
    deadline: Deadline,
    prefer: Option<&Path>,
    on_progress: &dyn Fn(Progress),
) -> Result<PathBuf, PostgresError> {
    let (mut lost_since, mut recovering, mut waiting, mut is_last) = (None, false, false, false);
    cut_log(layout);
    loop {
        let pid_file = PidFile::read(&layout.cluster())?;
        match probe(layout, pid_file.as_ref())? {
            Probe::Ready(socket_dir) => return Ok(socket_dir),
            Probe::WithoutDatabase(_) if !options.create => {
                return Err(PostgresError::no_database(&options.data_dir));
            }
            Probe::WithoutDatabase(socket_dir) => {
                create_database(&socket_dir)?;
                return Ok(socket_dir);
            }
            // Whoever started it is gone.
            Probe::NotYet(words) => {
                if !std::mem::replace(&mut waiting, true) {
                    recovering = tells_of_recovery(&words, &tail(&layout.log(), 0));
                    on_progress(if recovering { Progress::Recovering } else { Progress::Starting });
                }
                lost_since = None;
            }
            Probe::Unresponsive => lost_since = None,
            Probe::Removal => {
                let owner = pid_file.as_ref().map_or(Owner::Dead, |file| file.owner(layout));
                if let Some(pid) = owner.own_pid() {
                    let since = *lost_since.get_or_insert_with(Instant::now);
                    if pid_file.is_some_and(|file| file.is_ready) && since.elapsed() > LOST_SOCKET_AFTER {
                        tracing::warn!(pid, "the database server's socket is lost: starting it anew");
                        stop_process(layout, pid, deadline)?;
                    }
                } else {
                    clear_pid_file(layout, owner, pid_file.as_ref())?;
                    run_pg_ctl(layout, options, start, deadline, prefer, on_progress)?;
                    lost_since = None;
                }
            }
        }
        // What was started at the last moment is looked at once more.
        if std::mem::replace(&mut is_last, deadline.is_over()) {
            return Err(start_timeout(layout, deadline, recovering));
        }
        thread::sleep(POLL);
    }
}

fn start_timeout(layout: &Layout, deadline: Deadline, recovering: bool) -> PostgresError {
    let (seconds, tail, log) = (deadline.seconds(), tail(&layout.log(), 0), layout.log());
    PostgresError::StartTimeout { seconds, recovering, tail, log }
}

/// Makes a pid file that PostgreSQL would stumble over harmless.
fn clear_pid_file(layout: &Layout, owner: Owner, pid_file: Option<&PidFile>) -> Result<(), PostgresError> {
    match (owner, pid_file) {
        (Owner::Foreign(pid), Some(file)) => {
            tracing::warn!(pid, "the database server's pid file names another program: it is not believed");
            file.neutralise(&layout.cluster())
        }
        (Owner::Unreadable, Some(_)) => PidFile::remove(&layout.cluster()),
        _ => Ok(()),
    }
}

/// Stops the server if it runs; whether it did.
pub(crate) fn stop(layout: &Layout, _start: &StartLock, deadline: Deadline) -> Result<bool, PostgresError> {
    let pid_file = PidFile::read(&layout.cluster())?;
    let owner = pid_file.map(|file| file.owner(layout));
    let Some(pid) = owner.and_then(Owner::own_pid) else { return Ok(false) };
    stop_process(layout, pid, deadline)?;
    Ok(true)
}

/// What knocking at the socket shows.
pub(crate) enum Probe {
    /// A server that lets us in, through the socket in this directory.
    Ready(PathBuf),
    /// A server that would, and does not have our database.
    WithoutDatabase(PathBuf),
    /// A server that starts, recovers or stops, in its words.
    NotYet(String),
    /// Somebody listens and does not speak, as on a machine that has too much to do.
    Unresponsive,
    Removal,
}

pub(crate) fn probe(layout: &Layout, pid_file: Option<&PidFile>) -> Result<Probe, PostgresError> {
    let Some(socket_dir) = pid_file.and_then(|file| file.socket_dir.as_deref()) else {
        return Ok(Probe::Removal);
    };
    if fs::symlink_metadata(socket_dir).is_err() {
        return Ok(Probe::Removal);
    }
    // A socket is believed only where no other user could have put it.
    layout::check_private(socket_dir, layout.account.uid)?;
    match Session::open(socket_dir, DATABASE) {
        Ok(_) => Ok(Probe::Ready(socket_dir.to_owned())),
        Err(PostgresError::Io { source, .. }) => match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(Probe::Removal),
            _ => Ok(Probe::Unresponsive),
        },
        Err(PostgresError::Refused { code, message }) => match code.as_str() {
            "57P03" => Ok(Probe::NotYet(message)),
            // Its connections are used up: it runs.
            "53300" => Ok(Probe::Ready(socket_dir.to_owned())),
            "3D000" => Ok(Probe::WithoutDatabase(socket_dir.to_owned())),
            _ => Err(PostgresError::Refused { code, message }),
        },
        Err(error) => Err(error),
    }
}

/// Whether the server itself says that it puts a crash right: by its refusal, or by its log since it began or was ready. A
/// start that is merely slow is none. (The words are English: the cluster's locale is `C`.)
fn tells_of_recovery<'a>(refusal: &str, log: &'a str) -> bool {
    let after = |log: &'a str, words: &str| log.rsplit_once(words).map_or(log, |(_, since)| since);
    let now = after(after(log, "starting PostgreSQL"), "ready to accept connections");
    let says = |words: &str| now.contains(words);
    refusal.contains("recovery mode")
        || says("automatic recovery in progress")
        || says("database system was interrupted")
}

fn create_database(socket_dir: &Path) -> Result<(), PostgresError> {
    let mut session = Session::open(socket_dir, "postgres")?;
    match session.query(&format!("CREATE DATABASE {DATABASE}")) {
        // Somebody who does not ask for our lock made it meanwhile.
        Err(PostgresError::Refused { code, .. }) if code == "42P04" => Ok(()),
        made => made.map(drop),
    }
}

/// Makes the cluster if there is none, and starts its server: `pg_ctl` waits until it takes connections. A start that
/// came to nothing for a passing reason is no error.
fn run_pg_ctl(
    layout: &Layout,
    options: &Options,
    start: &StartLock,
    deadline: Deadline,
    prefer: Option<&Path>,
    on_progress: &dyn Fn(Progress),
) -> Result<(), PostgresError> {
    let version = cluster::version(layout)?;
    if version.is_none() && !options.create {
        return Err(PostgresError::no_database(&options.data_dir));
    }
    let binaries = Binaries::find(layout, version.as_deref(), options.search.as_deref())?;
    if version.is_none() {
        on_progress(Progress::CreatingCluster);
        cluster::create(layout, &binaries, options.is_durable(), start)?;
    }
    on_progress(Progress::Starting);
    let socket_dir = layout.socket_dir(prefer)?;
    write_access_files(layout)?;
    let log = layout.open_log()?;
    let log_from = log.metadata().map_or(0, |metadata| metadata.len());
    let both = log.try_clone().map_err(PostgresError::io("open", layout.log()))?;
    let program = binaries.program("pg_ctl");
    let mut pg_ctl = layout.account.command(&program);
    // `PGDATA`, because pg_ctl puts a `-D` of its own between double quotes into a shell's command.
    pg_ctl.env("PGDATA", layout.cluster()).args(["start", "--silent", "--wait", "--timeout"]);
    pg_ctl.arg((deadline.rest().as_secs() + 1).to_string());
    pg_ctl.arg("-o").arg(server_arguments(layout, options, binaries.major, &socket_dir));
    pg_ctl.stdin(start.as_stdin()?).stdout(log).stderr(both).process_group(0);
    let (mut pg_ctl, since) = (pg_ctl.spawn().map_err(PostgresError::io("run", program))?, Instant::now());
    let mut recovering = false;
    let status = loop {
        if let Some(status) = pg_ctl.try_wait().map_err(PostgresError::io("wait for", "pg_ctl"))? {
            break status;
        }
        if !recovering && since.elapsed() > Duration::from_secs(1) {
            recovering = tells_of_recovery("", &tail(&layout.log(), log_from));
            if recovering {
                on_progress(Progress::Recovering);
            }
        }
        thread::sleep(POLL);
    };
    let tail = tail(&layout.log(), log_from);
    if status.success() {
        Ok(())
    } else if tail.contains("did not start in time") {
        Err(start_timeout(layout, deadline, recovering))
    } else if tail.contains("is still in use") || tail.contains("already exists") {
        // A killed postmaster's backends may be on their way out; another's start may be on its way up.
        thread::sleep(Duration::from_millis(100));
        Ok(())
    } else {
        Err(PostgresError::StartFailed { tail, log: layout.log() })
    }
}

/// The postmaster's command line, each argument quoted for the shell that `pg_ctl` hands it to.
fn server_arguments(layout: &Layout, options: &Options, major: u32, socket_dir: &Path) -> String {
    let fixed = [
        ("listen_addresses", String::new()),
        ("port", "5432".into()),
        // A list, in which a name in quotes may have any character.
        ("unix_socket_directories", format!("\"{}\"", socket_dir.display().to_string().replace('"', "\"\""))),
        ("unix_socket_permissions", "0700".into()),
        ("hba_file", layout.hba_file().display().to_string()),
        ("ident_file", layout.ident_file().display().to_string()),
        ("log_destination", "stderr".into()),
        ("logging_collector", "off".into()),
    ];
    // After a crash: one call instead of a thousand, 0.1 s against up to 5 s on a busy disk.
    let recovery = ("recovery_init_sync_method", "syncfs");
    let recovery = (cfg!(target_os = "linux") && major >= 14).then_some(&recovery);
    let own = SETTINGS.iter().chain(recovery).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
    let mut text = format!("-D {}", shell_quote(&layout.cluster().display().to_string()));
    for (name, value) in own.chain(options.settings.iter().cloned()).chain(fixed) {
        text.push_str(" -c ");
        text.push_str(&shell_quote(&format!("{name}={value}")));
    }
    text
}

fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Who may connect: root and the cluster's own user, as the kernel attests them, both as the one role. The socket
/// stands in a directory that nobody else can enter; this holds even if somebody opened it.
fn write_access_files(layout: &Layout) -> Result<(), PostgresError> {
    let hba = format!("local all {DATABASE} peer map={DATABASE}\n");
    let ident =
        ["root", &layout.account.name].map(|user| format!("{DATABASE} \"{user}\" {DATABASE}\n")).concat();
    Layout::write_for_server(&layout.hba_file(), &hba)?;
    Layout::write_for_server(&layout.ident_file(), &ident)
}

/// Fast shutdown: sessions are ended, everything is written. At the deadline, an immediate one.
fn stop_process(layout: &Layout, pid: u32, deadline: Deadline) -> Result<(), PostgresError> {
    // The file goes a moment before the process does.
    let is_running = || postmaster::serves(pid, layout);
    let kill = |signal| postmaster::signal(pid, signal).map_err(PostgresError::io("stop", layout.cluster()));
    kill(Signal::INT)?;
    while is_running() {
        if deadline.is_over() {
            kill(Signal::QUIT)?;
            return Err(PostgresError::StopTimeout { pid, seconds: deadline.seconds() });
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// The last lines of the log, of the part from `from` on.
fn tail(log: &Path, from: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = layout::open_to_read(log)?;
        let start = from.max(file.metadata()?.len().saturating_sub(TAIL_BYTES));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    match read() {
        Ok(text) if text.is_empty() => "(nothing)".into(),
        Ok(text) => text,
        Err(error) => format!("(it can't be read: {error})"),
    }
}

/// Keeps the log short. The server appends, so cutting the file under it is safe; a few lines written between the
/// two steps may be lost.
fn cut_log(layout: &Layout) {
    let log = layout.log();
    if fs::metadata(&log).map_or(0, |found| found.len()) <= LOG_MAX {
        return;
    }
    let cut = || -> std::io::Result<()> {
        let mut options = File::options();
        let mut file = options.read(true).write(true).custom_flags(layout::no_follow()).open(&log)?;
        file.seek(SeekFrom::End(-i64::try_from(LOG_MAX / 4).unwrap_or(0)))?;
        let mut last = Vec::new();
        file.read_to_end(&mut last)?;
        let kept = log.with_extension("log.1");
        let _ = fs::remove_file(&kept);
        File::options().write(true).create_new(true).mode(0o600).open(kept)?.write_all(&last)?;
        file.set_len(0)
    };
    if let Err(error) = cut() {
        tracing::warn!(log = %log.display(), %error, "the database server's log could not be cut");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_safe_in_a_shell() {
        assert_eq!(shell_quote("a'b $(c)"), r"'a'\''b $(c)'");
    }

    /// Each start that took longer than a second was said to be a recovery.
    #[test]
    fn a_slow_start_is_a_recovery_only_where_the_server_says_so() {
        let starting = "LOG:  starting PostgreSQL 15.8\nLOG:  listening on Unix socket\n";
        let refusal = "the database system is starting up";
        let clean = format!("{starting}LOG:  database system was shut down at 2026-01-01 00:00:00 UTC\n");
        let crashed = format!(
            "{starting}LOG:  database system was interrupted; last known up at 2026-01-01 00:00:00 UTC\n\
             LOG:  database system was not properly shut down; automatic recovery in progress\n"
        );
        assert!(!tells_of_recovery(refusal, ""));
        assert!(!tells_of_recovery(refusal, &clean));
        assert!(tells_of_recovery(refusal, &crashed));
        assert!(tells_of_recovery("the database system is in recovery mode", &clean));
        let earlier = format!("{crashed}LOG:  database system is ready to accept connections\n");
        assert!(!tells_of_recovery("the database system is shutting down", &earlier));
        assert!(!tells_of_recovery(refusal, &format!("{earlier}{clean}")), "what an earlier start said");
    }
}
