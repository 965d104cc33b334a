//! What systemd is told, by a socket that stands in for it.

use super::make_passable;
use crate::installation::{Installation, Process};
use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;
use uptime_tests::{DEADLINE, TestDatabase, TestServer, block_on};

/// Where a process says how it is.
struct Systemd {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Systemd {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        Self { socket, folder }
    }

    /// Starts a process as a unit with a watchdog of 400 ms does.
    fn start(&self, installation: &Installation, args: &[&str], database_url: &str) -> Process {
        let socket = self.folder.path().join("notify");
        let variables = [
            ("NOTIFY_SOCKET", socket.to_str().expect("text")),
            ("WATCHDOG_USEC", "400000"),
            ("DATABASE_URL", database_url),
        ];
        installation.start_as("unit", args, &variables)
    }

    fn next(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("something is said in time");
        String::from_utf8(message[..length].to_vec()).expect("text")
    }

    /// Waits until something that begins so is said; nothing but signs of life may be said before.
    fn wait_for(&self, beginning: &str) -> String {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            let message = self.next();
            if message.starts_with(beginning) {
                return message;
            }
            assert_eq!(message, "WATCHDOG=1\n", "said before `{beginning}`");
        }
        panic!("waited for `{beginning}`, and there were only signs of life");
    }

    /// What has been said and not been heard.
    fn drain(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a socket");
        let mut message = [0; 4096];
        let mut all = Vec::new();
        while let Ok(length) = self.socket.recv(&mut message) {
            all.push(String::from_utf8_lossy(&message[..length]).into_owned());
        }
        self.socket.set_nonblocking(false).expect("a socket");
        all
    }
}

#[test]
fn a_process_says_when_it_is_ready_alive_reloading_and_stopping() {
    for command in [
        &["worker", "all", "--sleep", "100ms"] as &[&str],
        &["schedule", "--every", "100ms"],
        &["up", "tcp://127.0.0.1:9", "--interval", "1h"],
    ] {
        let (systemd, installation) = (Systemd::new(), Installation::new());
        let process = systemd.start(&installation, command, &installation.database.url());
        assert_eq!(systemd.next(), "READY=1\nSTATUS=running\n", "{command:?}: the first that is said");
        assert_eq!(systemd.next(), "WATCHDOG=1\n", "{command:?}");
        process.hang_up();
        let reloading = systemd.wait_for("RELOADING=1\n");
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").map(str::trim_end);
        assert!(since.is_some_and(|since| since.parse::<u64>().is_ok()), "{reloading}");
        systemd.wait_for("READY=1\n");
        systemd.wait_for("WATCHDOG=1\n");
        assert_eq!(process.terminate(), 0, "{command:?}");
        systemd.wait_for("STOPPING=1\n");
    }
}

#[test]
fn a_loop_that_has_done_its_work_starves_nobody() {
    let (systemd, installation) = (Systemd::new(), Installation::new());
    installation.database.query("INSERT INTO jobs (queue) VALUES ('notifications')");
    let args = ["worker", "all", "--sleep", "100ms", "--max-jobs", "1"];
    let _process = systemd.start(&installation, &args, &installation.database.url());
    systemd.wait_for("READY=1\n");
    // An undecodable job, at whose end the notifications' loop ends; the other goes on.
    installation.wait_for("SELECT count(*) FROM failed_jobs", "1");
    installation.wait_for("SELECT string_agg(queue, ',') FROM workers", "monitor-checks");
    systemd.drain();
    for _ in 0..3 {
        assert_eq!(systemd.next(), "WATCHDOG=1\n");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_database_that_does_not_answer_gets_nobody_killed() {
    let server = std::sync::Arc::new(TestServer::start());
    let installation = Installation::on(block_on(TestDatabase::empty_on(&server)));
    let systemd = Systemd::new();
    let process =
        systemd.start(&installation, &["worker", "all", "--sleep", "100ms"], &installation.database.url());
    systemd.wait_for("READY=1\n");
    let frozen = Frozen::new(&server);
    process.wait_for_log("database away");
    systemd.drain();
    for _ in 0..3 {
        assert_eq!(systemd.next(), "WATCHDOG=1\n");
    }
    drop(frozen);
    process.wait_for_log("database back");
    assert_eq!(process.terminate(), 0);
}

/// A server whose processes stand still.
#[cfg(target_os = "linux")]
struct Frozen(Vec<rustix::process::Pid>);

#[cfg(target_os = "linux")]
impl Frozen {
    fn new(server: &TestServer) -> Self {
        let pid = postmaster(&server.data_dir());
        let mut frozen = Self(Vec::new());
        // The postmaster first: it makes no more of them then.
        frozen.freeze(pid);
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            if status.lines().any(|line| line == format!("PPid:\t{pid}")) {
                frozen.freeze(child);
            }
        }
        assert!(frozen.0.len() > 2, "there is a session at least");
        frozen
    }

    fn freeze(&mut self, pid: i32) {
        let pid = rustix::process::Pid::from_raw(pid).expect("a process");
        if rustix::process::kill_process(pid, Signal::STOP).is_ok() {
            self.0.push(pid);
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = rustix::process::kill_process(*pid, Signal::CONT);
        }
    }
}

/// The first line of its pid file.
fn postmaster(data_dir: &Path) -> i32 {
    let file = std::fs::read_to_string(data_dir.join("postgres/cluster/postmaster.pid")).expect("it runs");
    file.lines().next().and_then(|pid| pid.trim().parse().ok()).expect("a pid")
}

#[cfg(target_os = "linux")]
#[test]
fn the_embedded_database_can_not_speak_for_the_process_that_started_it() {
    let (systemd, installation) = (Systemd::new(), Installation::new());
    make_passable(&installation);
    let process = systemd.start(&installation, &["schedule", "--every", "1s"], "");
    systemd.wait_for("READY=1\n");
    let data_dir = installation.file().with_file_name("data");
    let environment =
        std::fs::read(format!("/proc/{}/environ", postmaster(&data_dir))).expect("it can be read");
    let environment = String::from_utf8_lossy(&environment);
    assert!(environment.contains("LC_ALL=C"), "it is the server's: {environment}");
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC"] {
        assert!(!environment.contains(name), "{environment}");
    }
    assert_eq!(process.terminate(), 0);
}
