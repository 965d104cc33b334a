//! `postmaster.pid`: where a server says that it runs, and whether that is true.
//!
//! PostgreSQL refuses to start while the file names a living process of its user, whatever that is: after a
//! reboot or `kill -9` the number may have gone to a zombie or to another program. When the process is dead the
//! file must stay, for PostgreSQL finds orphaned backends by the shared memory that it names.
//!
//! Source: PostgreSQL's `src/include/utils/pidfile.h` (the lines), `CreateLockFile` (the refusal).

use crate::error::PostgresError;
use crate::layout::{self, Layout};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A process id that no system gives out: Linux ends at 4,194,304, macOS at 99,999.
const NOBODY: &str = "2147483647";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    /// `None`: the file is cut off, as after a power failure.
    pub(crate) pid: Option<u32>,
    /// Where the socket is; `None`: not there yet.
    pub(crate) socket_dir: Option<PathBuf>,
    /// Whether the server says that it takes connections.
    pub(crate) is_ready: bool,
    rest: String,
}

/// What the process is that the file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A postmaster (or one of its backends) of this cluster.
    Ours(u32),
    /// A zombie, or another program: PostgreSQL would refuse to start.
    Foreign(u32),
    Dead,
    /// The file names none.
    Unreadable,
}

impl Owner {
    pub(crate) fn own_pid(self) -> Option<u32> {
        match self {
            Self::Ours(pid) => Some(pid),
            _ => None,
        }
    }
}

impl PidFile {
    /// Reads the file; `None`: there is none.
    pub(crate) fn read(cluster: &Path) -> Result<Option<Self>, PostgresError> {
        let path = path(cluster);
        match layout::read_short(&path) {
            Ok(text) => Ok(Some(Self::parse(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PostgresError::io("read", path)(error)),
        }
    }

    /// Lines: pid, data directory, start time, port, socket directory, listen address, shared memory, status.
    fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let line = |number: usize| lines.get(number).map(|line| line.trim()).filter(|line| !line.is_empty());
        Self {
            pid: line(0).and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0),
            socket_dir: line(4).map(PathBuf::from),
            is_ready: line(7) == Some("ready"),
            rest: text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default(),
        }
    }

    /// Looks at the process that the file names.
    pub(crate) fn owner(&self, layout: &Layout) -> Owner {
        match self.pid {
            None => Owner::Unreadable,
            Some(pid) if !is_alive(pid) => Owner::Dead,
            Some(pid) if serves(pid, layout) => Owner::Ours(pid),
            Some(pid) => Owner::Foreign(pid),
        }
    }

    /// Puts a process id that can't be alive in place of a foreign one. Everything else stays, so that PostgreSQL
    /// still looks for orphaned backends, which it could not if the file were gone.
    pub(crate) fn neutralise(&self, cluster: &Path) -> Result<(), PostgresError> {
        let path = path(cluster);
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).truncate(true).custom_flags(layout::no_follow()).open(&path)?;
            file.write_all(format!("{NOBODY}\n{}", self.rest).as_bytes())
        };
        write().map_err(PostgresError::io("write", &path))
    }

    /// Removes a file that says nothing.
    pub(crate) fn remove(cluster: &Path) -> Result<(), PostgresError> {
        let path = path(cluster);
        fs::remove_file(&path).map_err(PostgresError::io("remove", path))
    }
}

/// Whether a process of the server's account is up that serves its cluster.
pub(crate) fn serves(pid: u32, layout: &Layout) -> bool {
    is_alive(pid) && runs_as(pid, layout.account.uid) && belongs_to(pid, &layout.cluster())
}

/// The file's owner could name any process in it, and what it names is sent signals.
#[cfg(target_os = "linux")]
fn runs_as(pid: u32, uid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == uid)
}

/// Elsewhere root, who could signal any, starts no server.
#[cfg(not(target_os = "linux"))]
fn runs_as(_pid: u32, _uid: u32) -> bool {
    true
}

/// Whether there is such a process, be it a zombie.
fn is_alive(pid: u32) -> bool {
    match as_pid(pid).map(test_kill_process) {
        None => false,
        Some(Ok(())) => true,
        Some(Err(error)) => error != rustix::io::Errno::SRCH,
    }
}

/// Sends a signal; a process that is gone is fine.
pub(crate) fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    match as_pid(pid).map(|pid| kill_process(pid, signal)) {
        None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
        Some(Err(error)) => Err(error.into()),
    }
}

fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn path(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

/// Whether a living process serves `cluster`: our postmaster bears the path in its arguments, and each process of
/// a server works in its directory. When the system won't tell, a process called `postgres` gets the benefit of
/// the doubt.
#[cfg(target_os = "linux")]
fn belongs_to(pid: u32, cluster: &Path) -> bool {
    let file = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
    let stat = fs::read_to_string(file("stat")).unwrap_or_default();
    // The state follows the name, which stands in brackets and may have any character.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    if matches!(state, Some('Z' | 'X')) {
        return false;
    }
    let arguments = fs::read(file("cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0);
    let program = arguments.next().unwrap_or_default().to_vec();
    if arguments.any(|argument| argument == cluster.as_os_str().as_encoded_bytes()) {
        return is_postgres(&String::from_utf8_lossy(&program));
    }
    match fs::read_link(file("cwd")) {
        Ok(directory) => directory == cluster,
        // It is about to be a zombie: still here, until it is.
        Err(error) if program.is_empty() && error.kind() == io::ErrorKind::NotFound => true,
        Err(_) => is_postgres(&String::from_utf8_lossy(&program)),
    }
}

/// As on Linux, from what `ps` says.
#[cfg(not(target_os = "linux"))]
fn belongs_to(pid: u32, cluster: &Path) -> bool {
    let mut ps = std::process::Command::new("ps");
    ps.args(["-ww", "-o", "stat=,command=", "-p", &pid.to_string()]).stdin(std::process::Stdio::null());
    let Ok(output) = ps.output() else { return true };
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Some((state, command)) = line.split_once(char::is_whitespace) else { return false };
    // In brackets at its very end, when it has no arguments any more.
    let program = command.split(" -").next().unwrap_or_default().trim().trim_matches(['[', ']', '(', ')']);
    if state.starts_with('Z') || !is_postgres(program) {
        return false;
    }
    // A backend's line names no directory.
    command.contains(&*cluster.to_string_lossy()) || !command.contains(" -D")
}

/// `/usr/lib/postgresql/15/bin/postgres`, `postmaster`, and a backend's `postgres: checkpointer`.
fn is_postgres(program: &str) -> bool {
    let name = program.split(':').next().unwrap_or_default();
    matches!(name.rsplit('/').next(), Some("postgres" | "postmaster"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;

    fn layout() -> Layout {
        Layout::for_test("/d", Account::own())
    }

    #[test]
    fn the_lines_of_a_pid_file() {
        let file = PidFile::parse("12\n/d/cluster\n1700000000\n5432\n/d/run\n\n  1234567   1\nready   \n");
        assert_eq!(file.pid, Some(12));
        assert_eq!(file.socket_dir, Some("/d/run".into()));
        assert!(file.is_ready);
        let starting = PidFile::parse("12\n/d/cluster\n1700000000\n5432\n");
        assert_eq!((starting.pid, starting.socket_dir, starting.is_ready), (Some(12), None, false));
        for cut in ["", "\n", "x\n", "0\n"] {
            assert_eq!(PidFile::parse(cut).owner(&layout()), Owner::Unreadable, "{cut:?}");
        }
    }

    #[test]
    fn this_test_is_a_foreign_process() {
        let file = PidFile::parse(&format!("{}\n/d/cluster\n", std::process::id()));
        assert_eq!(file.owner(&layout()), Owner::Foreign(std::process::id()));
        assert_eq!(PidFile::parse(NOBODY).owner(&layout()), Owner::Dead);
    }

    #[test]
    fn names_of_postgres() {
        for name in [
            "postgres",
            "/usr/lib/postgresql/15/bin/postgres",
            "postgres: 15/main: checkpointer",
            "postmaster",
        ] {
            assert!(is_postgres(name), "{name}");
        }
        for name in ["", "sh", "/opt/postgres/run", "postgres_exporter"] {
            assert!(!is_postgres(name), "{name}");
        }
    }
}
