//! What an operator meets: wrong versions, nothing installed, long paths, closed directories, broken settings. Each
//! gives a message that names the thing, and a way out.

mod place;

use place::DataDirectory;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use uptime_postgres::{Options, PostgresError, Released, ServerState, acquire, status};

/// A folder with programs that say that they are PostgreSQL of some version.
fn fake_binaries(place: &DataDirectory, version: &str) -> PathBuf {
    let dir = place.root().join(format!("fake-{version}"));
    fs::create_dir(&dir).expect("a directory");
    for name in ["postgres", "initdb", "pg_ctl"] {
        let program = dir.join(name);
        fs::write(&program, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"))
            .expect("a script");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("chmod");
    }
    dir
}

fn hint(error: &PostgresError) -> String {
    error.hint().expect("there is a way out")
}

#[test]
fn nothing_installed_says_what_to_type() {
    let place = DataDirectory::new();
    let mut options = place.options();
    for search in [vec![], vec![place.root().join("nowhere")], vec![fake_binaries(&place, "12.22")]] {
        options.search = Some(search);
        let error = acquire(&options, &|_| ()).expect_err("no binaries");
        assert_eq!(error.to_string(), "no PostgreSQL 13 or newer was found on this machine");
        assert!(hint(&error).starts_with("install it with `"), "{}", hint(&error));
        assert!(hint(&error).contains("DATABASE_URL"));
    }
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let place = DataDirectory::new();
    let cluster = place.base().join("cluster");
    let mut options = place.options();
    let other_versions = Some(vec![fake_binaries(&place, "16.1"), fake_binaries(&place, "14.9")]);
    for (file, content, search, message, way_out) in [
        (
            "PG_VERSION",
            "13\n",
            other_versions,
            "the database in `{}` needs PostgreSQL 13; found: 14, 16",
            "install PostgreSQL 13",
        ),
        ("letters.txt", "dear", None, "`{}` is not empty and is no PostgreSQL cluster", ""),
    ] {
        fs::create_dir_all(&cluster).expect("directories");
        fs::write(cluster.join(file), content).expect("a file");
        options.search = search;
        let error = acquire(&options, &|_| ()).expect_err(message);
        assert_eq!(error.to_string(), message.replace("{}", &cluster.display().to_string()));
        assert!(error.hint().unwrap_or_default().contains(way_out), "{message}");
        assert_eq!(fs::read_dir(&cluster).expect("it is there").count(), 1, "{file}");
        fs::remove_dir_all(&cluster).expect("removed");
    }
}

#[test]
fn a_long_path_gets_a_short_socket_directory() {
    let place = DataDirectory::new();
    let mut options = place.options();
    options.data_dir = place.data_dir().join("it's a \"long\" $(path), isn't it? ".repeat(4));
    let lease = acquire(&options, &|_| ()).expect("a lease");
    assert_eq!(place::query(&lease, "SELECT 1"), "1");
    let directory = PathBuf::from(place::query(
        &lease,
        "SELECT trim('\"' FROM current_setting('unix_socket_directories'))",
    ));
    assert!(directory.as_os_str().len() < 90, "{}", directory.display());
    assert_eq!(fs::metadata(&directory).expect("it is there").permissions().mode() & 0o777, 0o700);
    // Another process that has other ideas of where short directories are finds the running server.
    let second = acquire(&options, &|progress| panic!("{progress:?}")).expect("a second lease");
    assert_eq!(second.url(), lease.url());
    assert_eq!(second.release().expect("released"), Released::StillUsed);

    // Somebody cleans up the temporary directory under the running server.
    fs::remove_dir_all(&directory).expect("removed");
    let healed = acquire(&options, &|_| ()).expect("a lease after the loss");
    assert_eq!(place::query(&healed, "SELECT 1"), "1");
    assert_eq!(healed.release().expect("released"), Released::StillUsed);
    assert_eq!(lease.release().expect("released"), Released::Stopped);

    // Where anybody may enter, no socket is trusted.
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).expect("chmod");
    let error = acquire(&options, &|_| ()).expect_err("an open directory");
    let closed = format!("`{}` can't hold the server's socket: others may enter it", directory.display());
    assert_eq!(error.to_string(), closed);
    fs::remove_dir_all(&directory).expect("removed");
}

#[test]
fn psql_takes_the_url() {
    let place = DataDirectory::new();
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    let output = Command::new("psql")
        .arg(lease.url())
        .args(["--no-psqlrc", "-Atc", "SELECT current_database() || ' ' || current_user"])
        .env("PGPORT", "1")
        .env("PGSSLMODE", "verify-full")
        .output()
        .expect("psql runs");
    let [said, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert_eq!(said, "uptime uptime\n", "{errors}");
    lease.release().expect("released");
}

#[test]
fn a_lost_database_is_made_again() {
    let place = DataDirectory::new();
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    lease.session("postgres").expect("a session").query("DROP DATABASE uptime").expect("dropped");
    let second = acquire(&place.options(), &|_| ()).expect("a lease");
    assert_eq!(place::query(&second, "SELECT current_database()"), "uptime");
    second.release().expect("released");
    lease.release().expect("released");
}

#[test]
fn without_create_nothing_is_made_and_nothing_is_left_running() {
    let place = DataDirectory::new();
    let options = Options { create: false, ..place.options() };
    let fails = || {
        let error = acquire(&options, &|_| ()).expect_err("there is no database");
        assert!(matches!(error, PostgresError::NoDatabase { .. }), "{error}");
    };
    fails();
    assert!(!place.data_dir().exists(), "a data directory");

    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    lease.session("postgres").expect("a session").query("DROP DATABASE uptime").expect("dropped");
    fails();
    lease.session("uptime").expect_err("it was made");
    assert_eq!(lease.release().expect("released"), Released::Stopped);
    fails();
    assert_eq!(status(&place.data_dir()).expect("a status").server, ServerState::Stopped);
}

#[test]
fn a_server_that_does_not_start_shows_its_log() {
    let place = DataDirectory::new();
    acquire(&place.options(), &|_| ()).expect("a lease").release().expect("released");
    let error =
        acquire(&place.options().set("shared_buffers", "nonsense"), &|_| ()).expect_err("a broken setting");
    let text = error.to_string();
    assert!(text.contains("invalid value for parameter \"shared_buffers\": \"nonsense\""), "{text}");
    assert!(hint(&error).contains("server.log"), "{}", hint(&error));
    acquire(&place.options(), &|_| ()).expect("a lease").release().expect("released");
}

#[test]
fn a_long_log_is_cut_under_the_running_server() {
    let place = DataDirectory::new();
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    let log = place.base().join("server.log");
    let line = "x".repeat(1 << 20);
    let grown = format!("{}\nthe last line\n", vec![line; 5].join("\n"));
    fs::write(&log, grown).expect("written");
    acquire(&place.options(), &|_| ()).expect("a lease").release().expect("released");
    assert_eq!(fs::metadata(&log).expect("it is there").len(), 0);
    let kept = fs::read_to_string(place.base().join("server.log.1")).expect("it is there");
    assert_eq!(kept.len(), 1 << 20);
    assert!(kept.ends_with("the last line\n"));
    let mut session = lease.session("uptime").expect("a session");
    session.query("SELECT nonsense").expect_err("an error that is logged");
    assert!(fs::read_to_string(&log).expect("it is there").contains("nonsense"));
    lease.release().expect("released");
}

/// Leaves a pid file with `first_line` beside a cluster that is whole.
fn stale_pid_file(place: &DataDirectory, first_line: &str) {
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    let path = place.base().join("cluster/postmaster.pid");
    let text = fs::read_to_string(&path).expect("a server runs");
    place.kill_postmaster();
    drop(lease);
    let rest = text.split_once('\n').expect("several lines").1;
    fs::write(&path, if first_line.is_empty() { String::new() } else { format!("{first_line}\n{rest}") })
        .expect("written");
}

fn starts_beside(place: &DataDirectory, what: &str) {
    let lease = acquire(&place.options(), &|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(place::query(&lease, "SELECT 1"), "1");
    assert_eq!(lease.release().expect("released"), Released::Stopped);
}

#[test]
fn a_stale_pid_file_is_not_believed() {
    let place = DataDirectory::new();
    // A program of the server's own user: for one of another, PostgreSQL itself would not look twice.
    let mut sleep = Command::new("sleep");
    std::os::unix::process::CommandExt::uid(sleep.arg("600"), {
        acquire(&place.options(), &|_| ()).expect("a lease").release().expect("released");
        place.server_uid()
    });
    // It ends by itself if this test fails, and holds no pipe of ours meanwhile.
    let mut other =
        sleep.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sleep runs");
    stale_pid_file(&place, &other.id().to_string());
    starts_beside(&place, "a living program");
    assert!(other.try_wait().expect("it is ours").is_none(), "the program was harmed");

    stale_pid_file(&place, &other.id().to_string());
    other.kill().expect("killed");
    place::wait_until("it is a zombie", || !place::is_alive(other.id()));
    starts_beside(&place, "a zombie");
    other.wait().expect("reaped");

    for (line, what) in [
        (other.id().to_string().as_str(), "a dead process"),
        ("", "an empty file"),
        ("\u{0}\u{0}\u{0}", "a file of zeros"),
    ] {
        stale_pid_file(&place, line);
        starts_beside(&place, what);
    }
}

#[test]
fn root_is_told_which_directory_keeps_the_server_out() {
    let place = DataDirectory::new();
    if fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it)).ok() != Some(0) {
        return;
    }
    let home = place.root().join("home");
    fs::create_dir(&home).expect("a directory");
    fs::set_permissions(&home, Permissions::from_mode(0o700)).expect("chmod");
    let mut options = place.options();
    options.data_dir = home.join("data");
    let error = acquire(&options, &|_| ()).expect_err("closed");
    let expected =
        format!("the user `postgres`, which PostgreSQL has to run as, can't enter `{}`", home.display());
    assert_eq!(error.to_string(), expected);
    assert!(hint(&error).contains("--data-dir /var/lib/uptime"), "{}", hint(&error));
}

#[test]
fn a_path_that_no_url_can_say_is_refused() {
    let place = DataDirectory::new();
    let mut options = place.options();
    options.data_dir = place.root().join("two\nlines");
    let error = acquire(&options, &|_| ()).expect_err("a control character");
    assert!(error.to_string().contains("control character"), "{error}");
    assert!(!Path::new(&options.data_dir).exists(), "it was made all the same");
}
