//! A data directory for one test, and what tests do to it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uptime_postgres::{Lease, Options};

const LIMIT: Duration = Duration::from_mins(1);

/// A directory that the server's account can reach. Its server is stopped when the test ends, however it ends.
pub(crate) struct DataDirectory(TempDir);

impl DataDirectory {
    pub(crate) fn new() -> Self {
        let place = TempDir::with_prefix("uptime-pg-").expect("a directory");
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("chmod");
        Self(place)
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.root().join("data")
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.data_dir().join("postgres")
    }

    pub(crate) fn options(&self) -> Options {
        options(self.data_dir())
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.base()) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    pub(crate) fn postmaster(&self) -> u32 {
        let text = fs::read_to_string(self.base().join("cluster/postmaster.pid")).expect("a server runs");
        text.lines().next().and_then(|line| line.parse().ok()).expect("a pid file begins with a pid")
    }

    pub(crate) fn kill_postmaster(&self) {
        let pid = self.postmaster();
        kill(pid);
        wait_until("the postmaster is dead", || !is_alive(pid));
    }

    /// Kills `initdb` and not what it started, which ends with it.
    pub(crate) fn kill_initdb(&self, unfinished: &str) {
        let directory = self.base().join(unfinished);
        let mut pid = None;
        wait_until("there is an initdb", || {
            pid = fs::read_dir("/proc").expect("this test is for Linux").flatten().find_map(|entry| {
                let line = fs::read(entry.path().join("cmdline")).ok()?;
                let mut arguments = line.split(|byte| *byte == 0);
                let is_initdb = arguments.next()?.ends_with(b"/initdb");
                let is_ours = arguments.any(|argument| argument == directory.as_os_str().as_encoded_bytes());
                (is_initdb && is_ours).then(|| entry.file_name().to_string_lossy().parse().ok())?
            });
            pid.is_some()
        });
        kill(pid.expect("because it was waited for"));
    }

    /// Waits until there is a file in the base directory whose name begins so; gives the whole name.
    pub(crate) fn wait_for_file(&self, prefix: &str) -> String {
        let (folder, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let mut found = None;
        wait_until(&format!("there is a `{prefix}…`"), || {
            let entries = fs::read_dir(self.base().join(folder));
            let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
            found =
                names.map(|name| name.to_string_lossy().into_owned()).find(|found| found.starts_with(name));
            found.is_some()
        });
        found.expect("because it was waited for")
    }

    /// Who the server runs as: us, or `postgres` when we are root.
    pub(crate) fn server_uid(&self) -> u32 {
        fs::metadata(self.base().join("cluster")).expect("there is a cluster").uid()
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        let _ = uptime_postgres::stop(&self.data_dir(), true);
    }
}

pub(crate) fn query(lease: &Lease, sql: &str) -> String {
    let rows = lease.session("uptime").expect("a session").query(sql).expect("an answer");
    rows.into_iter().flatten().flatten().next().unwrap_or_default()
}

/// Options that are quick rather than durable.
pub(crate) fn options(data_dir: impl Into<PathBuf>) -> Options {
    let mut options = Options::new(data_dir).set("fsync", "off");
    options.timeout = LIMIT;
    options
}

/// Looks again and again: what is waited for happens in another process, which sends no signal.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < LIMIT, "waited {LIMIT:?} until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("kill runs").success());
}

/// Whether a process lives and is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// What `/proc` says of a process.
pub(crate) struct Placement {
    pub(crate) session: u32,
    pub(crate) terminal: i32,
    pub(crate) uid: u32,
}

impl Placement {
    pub(crate) fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        // After the name: state, parent, group, session, terminal.
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name in brackets").1.split(' ').collect();
        Self {
            session: fields[3].parse().expect("a number"),
            terminal: fields[4].parse().expect("a number"),
            uid: fs::metadata(format!("/proc/{pid}")).expect("it lives").uid(),
        }
    }
}
