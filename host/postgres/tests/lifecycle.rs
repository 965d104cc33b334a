//! One server, many processes, and every one of them killed once.
//!
//! Other processes are this test binary again: the ignored test `a_process_that_holds_a_lease` acquires a lease,
//! says so on its stdout, and lets go when its stdin ends.

#![expect(clippy::print_stdout, reason = "a process that holds a lease says so")]

mod place;

use place::{DataDirectory, Placement};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;
use uptime_postgres::{PostgresError, Progress, Released, ServerState, acquire, status, stop};

const DATA_DIR: &str = "UPTIME_POSTGRES_TEST_DATA_DIR";

/// Another process with a lease.
struct User {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl User {
    fn spawn(place: &DataDirectory) -> Self {
        let this = std::env::current_exe().expect("this binary has a path");
        let mut command = Command::new(this);
        command.args(["--ignored", "--exact", "a_process_that_holds_a_lease", "--nocapture"]);
        command.env(DATA_DIR, place.data_dir()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this binary runs");
        let stdin = child.stdin.take();
        Self { child, stdin }
    }

    /// Waits until it has the lease; gives the postmaster's pid that it sees.
    fn wait(&mut self) -> u32 {
        let stdout = self.child.stdout.as_mut().expect("its stdout is a pipe");
        let line = BufReader::new(stdout)
            .lines()
            .map(|line| line.expect("its stdout is text"))
            .find_map(|line| line.split_once("leased ").map(|(_, pid)| pid.to_owned()))
            .expect("it says that it has a lease");
        line.trim().parse().expect("a pid")
    }

    fn release(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
    }

    fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

#[test]
#[ignore = "is run by the other tests, as another process"]
fn a_process_that_holds_a_lease() {
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let lease = acquire(&place::options(&data_dir), &|_| ()).expect("a lease");
    let ServerState::Running { pid, .. } = status(data_dir.as_ref()).expect("a status").server else {
        panic!("a lease without a server");
    };
    println!("leased {pid}");
    std::io::stdout().flush().expect("stdout takes a line");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("stdin ends");
    lease.release().expect("it is released");
}

#[test]
fn a_cold_start_makes_a_cluster_and_the_last_one_out_stops_it() {
    let place = DataDirectory::new();
    let seen = Mutex::new(Vec::new());
    let clock = Instant::now();
    let lease = acquire(&place.options(), &|progress| seen.lock().expect("no panic").push(progress))
        .expect("a lease");
    let cold = clock.elapsed();
    assert_eq!(*seen.lock().expect("no panic"), [Progress::CreatingCluster, Progress::Starting]);

    let clock = Instant::now();
    let second = acquire(&place.options(), &|progress| panic!("{progress:?}")).expect("a second lease");
    println!("cold {cold:?}, warm {:?}", clock.elapsed());

    let mut session = lease.session("uptime").expect("a session");
    let rows = session
        .query("SELECT current_user, current_setting('server_encoding'), current_setting('listen_addresses'), current_setting('data_directory_mode'), (SELECT datcollate FROM pg_database WHERE datname = 'uptime')")
        .expect("an answer");
    let expected = ["uptime", "UTF8", "", "0700", "C"].map(|text| Some(text.to_owned()));
    assert_eq!(rows, [expected.to_vec()]);
    drop(session);

    assert_eq!(second.release().expect("released"), Released::StillUsed);
    assert_eq!(place::query(&lease, "SELECT 1"), "1");
    let found = status(&place.data_dir()).expect("a status");
    assert!(found.in_use);
    assert_eq!(found.server, ServerState::Running { pid: place.postmaster(), url: lease.url() });
    let pid = place.postmaster();
    assert_eq!(lease.release().expect("released"), Released::Stopped);
    assert!(!place::is_alive(pid));
    assert_eq!(status(&place.data_dir()).expect("a status").server, ServerState::Stopped);
}

#[test]
fn the_server_is_durable_unless_told_otherwise() {
    let place = DataDirectory::new();
    let lease = acquire(&uptime_postgres::Options::new(place.data_dir()), &|_| ()).expect("a lease");
    let durable = "SELECT current_setting('fsync') || current_setting('synchronous_commit') || current_setting('full_page_writes')";
    assert_eq!(place::query(&lease, durable), "ononon");
    lease.release().expect("released");
    let lease = acquire(&place.options().set("work_mem", "5MB"), &|_| ()).expect("a lease");
    let quick = "SELECT current_setting('fsync') || current_setting('work_mem')";
    assert_eq!(place::query(&lease, quick), "off5MB");
    lease.release().expect("released");
}

#[test]
fn processes_that_come_at_once_share_one_server_and_the_last_stops_it() {
    let place = DataDirectory::new();
    let mut users: Vec<User> = (0..4).map(|_| User::spawn(&place)).collect();
    let pids: Vec<u32> = users.iter_mut().map(User::wait).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    let last = users.pop().expect("four users");
    users.into_iter().for_each(User::release);
    assert!(place::is_alive(pids[0]));
    last.release();
    assert!(!place::is_alive(pids[0]));
}

#[test]
fn a_killed_user_counts_no_more() {
    let place = DataDirectory::new();
    let mut killed = User::spawn(&place);
    let pid = killed.wait();
    let mut other = User::spawn(&place);
    assert_eq!(other.wait(), pid);
    killed.kill();
    assert!(place::is_alive(pid));
    other.release();
    assert!(!place::is_alive(pid));
}

#[test]
fn the_server_of_killed_users_is_found_and_used() {
    let place = DataDirectory::new();
    let mut user = User::spawn(&place);
    let pid = user.wait();
    user.kill();
    assert!(place::is_alive(pid));
    let found = status(&place.data_dir()).expect("a status");
    assert!(!found.in_use);
    let lease = acquire(&place.options(), &|progress| panic!("{progress:?}")).expect("a lease");
    assert_eq!(place.postmaster(), pid);
    assert_eq!(lease.release().expect("released"), Released::Stopped);
}

#[test]
fn a_killed_postmaster_is_started_again_with_all_that_was_committed() {
    let place = DataDirectory::new();
    let mut lease = acquire(&place.options(), &|_| ()).expect("a lease");
    place::query(&lease, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
    place.kill_postmaster();
    let second = acquire(&place.options(), &|_| ()).expect("a lease after the crash");
    assert_eq!(place::query(&second, "SELECT count(*) FROM kept"), "1000");
    assert_eq!(place::query(&lease, "SELECT 1"), "1", "the old URL leads to the new server");

    place.kill_postmaster();
    let url = lease.url();
    lease.ensure_running(&|_| ()).expect("it runs again");
    assert_eq!(lease.url(), url);
    assert_eq!(place::query(&lease, "SELECT count(*) FROM kept"), "1000");
    second.release().expect("released");
    assert_eq!(lease.release().expect("released"), Released::Stopped);
}

#[test]
fn a_starter_killed_in_the_middle_of_initdb_or_of_the_start_harms_nobody() {
    let place = DataDirectory::new();
    // Killed where it happens to be: while it makes the cluster, between, and while it starts the server.
    for stage in ["cluster.new.", "cluster", "cluster/postmaster.pid"] {
        let user = User::spawn(&place);
        place.wait_for_file(stage);
        user.kill();
    }
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    assert_eq!(place::query(&lease, "SELECT 1"), "1");
    let left: Vec<String> = place.files().into_iter().filter(|name| name.starts_with("cluster.")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(lease.release().expect("released"), Released::Stopped);
}

#[test]
fn a_killed_initdb_leaves_no_cluster() {
    let place = DataDirectory::new();
    let user = User::spawn(&place);
    let unfinished = place.wait_for_file("cluster.new.");
    place.kill_initdb(&unfinished);
    let output = user.child.wait_with_output().expect("it ends");
    assert!(!output.status.success());
    assert!(!place.base().join("cluster").exists());
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    assert_eq!(lease.release().expect("released"), Released::Stopped);
}

#[test]
fn stop_spares_users_unless_it_is_forced() {
    let place = DataDirectory::new();
    assert!(!stop(&place.data_dir(), false).expect("nothing to stop"));
    assert_eq!(fs::read_dir(place.root()).expect("it is there").count(), 0, "looking made something");
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    let error = stop(&place.data_dir(), false).expect_err("it is in use");
    assert!(matches!(error, PostgresError::InUse { .. }), "{error}");
    assert!(stop(&place.data_dir(), true).expect("stopped"));
    assert!(!stop(&place.data_dir(), true).expect("it is stopped already"));
    assert_eq!(lease.release().expect("released"), Released::Stopped);
}

#[test]
fn the_server_has_a_session_of_its_own_and_nothing_of_ours() {
    let place = DataDirectory::new();
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    let postmaster = Placement::of(place.postmaster());
    let ours = Placement::of(std::process::id());
    assert_eq!(postmaster.session, place.postmaster(), "it leads its session");
    assert_ne!(postmaster.session, ours.session);
    assert_eq!(postmaster.terminal, 0);
    assert_eq!(postmaster.uid, place.server_uid());
    // Readable for root and for its own user alone, and one of them runs this.
    let of_server = |name: &str| format!("/proc/{}/{name}", place.postmaster());
    if let Ok(environment) = fs::read(of_server("environ")) {
        assert!(!String::from_utf8_lossy(&environment).contains("CARGO"));
    }
    if let Ok(stdin) = fs::read_link(of_server("fd/0")) {
        assert_eq!(stdin, std::path::Path::new("/dev/null"));
    }
    lease.release().expect("released");
}
