//! A PostgreSQL that lives as long as a test process, and not a moment longer.
//!
//! It is the product's own embedded PostgreSQL in a temporary directory, for tests without `fsync`. A watchdog (a shell that
//! reads from a pipe) sees the pipe close when this process ends, be it by `kill -9`; it then stops the server and
//! removes the directory.

use crate::reply::lock;
use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::OnceCell;
use uptime_postgres::{Lease, Options, PostgresError, Row, ServerState, Session};

/// Waits for the pipe's end, then stops the server of the directory `$1` at once and removes the directory. A
/// server in the middle of its start may have no pid file yet: it stops when it misses its directory. A zombie
/// has no arguments.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
runs() {
    pid=$(head -n 1 "$1/data/postgres/cluster/postmaster.pid" 2>/dev/null)
    [ -n "$pid" ] || return 1
    arguments=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" || ps -ww -o args= -p "$pid" 2>/dev/null)
    case "$arguments" in *"$1"*) return 0 ;; *) return 1 ;; esac
}
read -r _
rounds=0
while [ $rounds -lt 500 ]; do
    rounds=$((rounds + 1))
    if runs "$1"; then kill -QUIT "$pid"; elif rm -rf "$1"; then exit; fi
    sleep 0.02
done
"#;

pub struct TestServer {
    directory: PathBuf,
    lease: Mutex<Lease>,
    watchdog: Child,
    /// The major version of PostgreSQL.
    pub(crate) major: u32,
    /// Templates by key, each made once.
    pub(crate) templates: Mutex<HashMap<String, Arc<OnceCell<String>>>>,
}

impl TestServer {
    /// The server that all tests of this process share, started by the first that asks.
    pub fn shared() -> &'static Arc<Self> {
        static SHARED: OnceLock<Arc<TestServer>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(Self::start()))
    }

    /// Another server, for a test that stops or kills it.
    ///
    /// # Panics
    /// If it does not start, with its error and hint.
    pub fn start() -> Self {
        Self::start_with(&[
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("max_connections", "300"),
            ("shared_buffers", "64MB"),
        ])
    }

    /// As [`start`](Self::start), with the product's own settings: durable. For benchmarks.
    pub fn durable() -> Self {
        Self::start_with(&[])
    }

    fn start_with(settings: &[(&str, &str)]) -> Self {
        let directory =
            tempfile::Builder::new().prefix("uptime-tests-").tempdir().expect("a temporary directory");
        // As root the server runs as another user, who must get in.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).expect("it is ours");
        let directory = directory.keep();
        let watchdog = watch(&directory);
        let options = settings
            .iter()
            .fold(Options::new(directory.join("data")), |options, (name, value)| options.set(*name, *value));
        let lease = uptime_postgres::acquire(&options, &|_| ()).unwrap_or_else(|error| {
            let hint = error.hint().unwrap_or_default();
            panic!("the tests need a PostgreSQL: {error}\nhint: {hint}")
        });
        let major = uptime_postgres::status(&directory.join("data")).ok().and_then(|status| status.version);
        let major = major.and_then(|major| major.parse().ok()).expect("a running server has a version");
        Self { directory, lease: Mutex::new(lease), watchdog, major, templates: Mutex::default() }
    }

    /// The connection URL of one of its databases.
    pub fn url_of(&self, database: &str) -> String {
        lock(&self.lease).url_of(database)
    }

    /// Runs statements on one of its databases, in a session for them alone.
    ///
    /// # Panics
    /// If the server refuses them.
    pub fn query(&self, database: &str, sql: &str) -> Vec<Row> {
        self.try_query(database, sql).unwrap_or_else(|error| panic!("{error}\nin `{database}`: {sql}"))
    }

    /// As [`query`](Self::query), with the error.
    pub fn try_query(&self, database: &str, sql: &str) -> Result<Vec<Row>, PostgresError> {
        let session = lock(&self.lease).session(database);
        session.and_then(|mut session| session.query(sql))
    }

    /// A session on one of its databases that stays until it is dropped.
    ///
    /// # Panics
    /// If the server does not let it in.
    pub fn session(&self, database: &str) -> Session {
        lock(&self.lease).session(database).unwrap_or_else(|error| panic!("{error}\nin `{database}`"))
    }

    /// Stops it, as an operator does: sessions are cut. Returns when it is down.
    pub fn stop(&self) {
        uptime_postgres::stop(&self.data_dir(), true).expect("a server can be stopped");
    }

    /// The process id of its postmaster.
    ///
    /// # Panics
    /// If it does not run.
    pub fn postmaster(&self) -> u32 {
        let status = uptime_postgres::status(&self.data_dir()).expect("a server has a status");
        let ServerState::Running { pid, .. } = status.server else {
            panic!("the server does not run: {status:?}")
        };
        pid
    }

    /// Kills its postmaster with SIGKILL, as the kernel does without memory.
    pub fn kill(&self) {
        let pid = i32::try_from(self.postmaster()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("a pid file has a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a server can be killed");
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), under the same URL.
    pub fn start_again(&self) {
        lock(&self.lease).ensure_running(&|_| ()).expect("a server starts again");
    }

    /// Its data directory, for `uptime --data-dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.join("data")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // The rest is the watchdog's.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// The watchdog: in a group of its own, so that Ctrl-C ends the tests and not it.
fn watch(directory: &Path) -> Child {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WATCHDOG, "uptime-tests-watchdog"]).arg(directory).process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    shell.spawn().expect("there is a shell")
}
