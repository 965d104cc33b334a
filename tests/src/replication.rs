//! PostgreSQL servers that follow one another, for failovers: each with its own port on loopback, a superuser `postgres` and a
//! database `uptime`. The product's own server has neither ports nor followers, so these are made with PostgreSQL's programs.
//!
//! As everywhere in the harness nothing outlives the test process: a shell waits at a pipe, and ends its server when that
//! closes.

use crate::DEADLINE;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Runs a server (`$@`) until the pipe ends.
const WATCHDOG: &str =
    r#"trap '' HUP INT TERM; "$@" <&- & pid=$!; read -r _; kill -QUIT $pid 2>/dev/null; wait $pid"#;

/// A server. Ended with the test.
pub struct ReplicationServer {
    folder: TempDir,
    port: u16,
    watchdog: Option<Child>,
}

impl ReplicationServer {
    /// A primary that others may follow.
    ///
    /// # Panics
    /// If PostgreSQL's programs are not installed, or don't do it.
    pub fn primary() -> Self {
        let mut server = Self::prepare();
        server.run(
            "initdb",
            &["-D", &server.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        );
        server.configure(&["wal_level = replica", "max_wal_senders = 5", "fsync = off"]);
        server.write("pg_hba.conf", "host replication all 127.0.0.1/32 trust\n");
        server.start();
        server.query_on("postgres", "CREATE DATABASE uptime");
        server
    }

    /// A server that follows this one.
    #[must_use]
    pub fn standby(&self) -> Self {
        let mut standby = Self::prepare();
        let port = self.port.to_string();
        let from =
            ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-X", "stream", "-c", "fast", "-R", "-N"];
        standby.run("pg_basebackup", &[&["-D", &standby.data()], from.as_slice()].concat());
        standby.configure(&[]);
        standby.start();
        standby
    }

    /// From now on it commits only what a standby has, too.
    pub fn wait_for_standby(&self) {
        self.query("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.query("SELECT pg_reload_conf()");
        self.wait("t", "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'");
    }

    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "-w", "-D", &self.data()]);
    }

    /// Kills it: what is in the middle of something has no answer.
    pub fn kill(&mut self) {
        self.end("immediate");
    }

    /// Stops it as an operator does: its standbys have everything.
    pub fn stop(&mut self) {
        self.end("fast");
    }

    fn end(&mut self, mode: &str) {
        self.run("pg_ctl", &["stop", "-m", mode, "-D", &self.data()]);
        self.reap();
    }

    fn reap(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            drop(watchdog.stdin.take());
            let _ = watchdog.wait();
        }
    }

    /// Starts one that was stopped as a standby of another.
    pub fn follow(&mut self, primary: &Self) {
        let port = primary.port;
        self.configure(&[&format!("primary_conninfo = 'host=127.0.0.1 port={port} user=postgres'")]);
        self.write("standby.signal", "");
        self.start();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a statement in the database, and gives what it yields as text.
    pub fn query(&self, sql: &str) -> String {
        self.query_on("uptime", sql)
    }

    fn query_on(&self, database: &str, sql: &str) -> String {
        self.try_query(database, sql).unwrap_or_else(|error| panic!("{error}\nof {sql}"))
    }

    fn try_query(&self, database: &str, sql: &str) -> Result<String, String> {
        let port = self.port.to_string();
        let to = ["-XAtq", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database, "-c", sql];
        let output = command("psql").args(to).output().expect("psql runs");
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn wait(&self, expected: &str, sql: &str) {
        let began = Instant::now();
        loop {
            let answer = self.try_query("postgres", sql);
            if answer.as_deref() == Ok(expected) {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "waited for `{expected}` of `{sql}`: {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A folder, and a port that nobody else has.
    fn prepare() -> Self {
        let folder = tempfile::Builder::new().prefix("uptime-tests-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is ours");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { folder, port, watchdog: None };
        fs::create_dir(server.data()).expect("a folder");
        fs::set_permissions(server.data(), Permissions::from_mode(0o700)).expect("it is ours");
        give(server.data().into());
        server
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn configure(&self, lines: &[&str]) {
        let port =
            format!("port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n", self.port);
        self.write("postgresql.auto.conf", &(port + &lines.join("\n") + "\n"));
    }

    /// Appends to a file of it.
    fn write(&self, file: &str, text: &str) {
        let path = PathBuf::from(self.data()).join(file);
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        give(path);
    }

    fn start(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"));
        let mut shell = command("sh");
        shell
            .args(["-c", WATCHDOG, "uptime-tests-watchdog"])
            .arg(program("postgres"))
            .args(["-D", &self.data()]);
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log.expect("a log"));
        self.watchdog = Some(shell.spawn().expect("there is a shell"));
        self.wait("1", "SELECT 1");
    }

    fn run(&self, name: &str, args: &[&str]) {
        let output = command(name).args(args).output().unwrap_or_else(|error| panic!("{name}: {error}"));
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {args:?}: {errors}\n{log}");
    }
}

impl Drop for ReplicationServer {
    fn drop(&mut self) {
        self.reap();
    }
}

/// The user and group of the servers; `None`: our own.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let user = users.lines().find(|line| line.starts_with("postgres:")).expect("there is a user `postgres`");
    let mut numbers = user.split(':').skip(2).map(|number| number.parse().expect("a number"));
    Some((numbers.next()?, numbers.next()?))
}

/// Debian keeps them out of the way, one folder for each version.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

/// One of PostgreSQL's programs, which do not want to be root.
fn command(name: &str) -> Command {
    let mut command = Command::new(if name == "sh" { "/bin/sh".into() } else { program(name) });
    command.current_dir("/").env("LC_ALL", "C");
    if let Some(user) = server_user() {
        command.uid(user.0).gid(user.1);
    }
    command
}

fn give(path: PathBuf) {
    if let Some((user, group)) = server_user() {
        chown(path, Some(user), Some(group)).expect("we are root");
    }
}
