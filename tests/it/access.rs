//! Whose files are believed, who makes a database, and with which rights workers get by.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use crate::installation::Installation;
use crate::pipeline::file;
use rustix::process::geteuid;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;
use uptime_postgres::Options;
use uptime_tests::{HttpTarget, Reply, TestDatabase, WebhookSink, block_on};

const UNAVAILABLE: i32 = 69;
const CONFIG: i32 = 78;

/// A user who is neither root nor the one who runs the tests.
const STRANGER: &str = "nobody";

/// Commands that only look; each of them with what it takes.
const READING: &[&[&str]] = &[
    &["monitor", "list"],
    &["channel", "list"],
    &["incident", "list"],
    &["incident", "show", "1"],
    &["notification", "list"],
    &["maintenance", "list"],
    &["queue", "monitor"],
    &["queue", "failed"],
    &["queue", "retry", "all"],
    &["apply", "--dry-run"],
    &["schedule", "--dry-run"],
    &["db", "status"],
];

/// The binary in a folder, with nothing of this machine's.
fn uptime(folder: &Path, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_uptime"));
    command
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", folder).env("UPTIME_DATA_DIR", folder.join("data"));
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    uptime(folder, args).output().expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn id(what: &str) -> u32 {
    let output = std::process::Command::new("id").args([what, STRANGER]).output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("there is such a user")
}

fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: only root can give a file to somebody else, and this test does not run as root");
    }
    is_root
}

/// A folder as `/tmp` is, with a file.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).expect("chmod");
    fs::write(folder.path().join("uptime.toml"), "").expect("written");
    folder
}

#[test]
fn a_strangers_file_is_not_used_unless_it_is_named() {
    if !is_root() {
        return;
    }
    let folder = open_folder();
    let path = folder.path().join("uptime.toml");
    chown(&path, Some(id("-u")), Some(id("-g"))).expect("root may");
    for args in [["config", "check"], ["monitor", "list"], ["db", "migrate"], ["worker", "all"]] {
        let output = run(folder.path(), &args);
        assert_eq!(output.status.code(), Some(CONFIG), "{args:?}: {}", stderr(&output));
        let expected = format!(
            "error: `uptime.toml` is not used: it belongs to {STRANGER}, neither to you nor to root\n"
        );
        assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
        assert!(stderr(&output).contains("--config uptime.toml"), "{}", stderr(&output));
    }
    let output = run(folder.path(), &["config", "check", "--config", "uptime.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    // Who laid a link chose what is behind it.
    let own = folder.path().join("own.toml");
    fs::write(&own, "").expect("written");
    fs::remove_file(&path).expect("removed");
    symlink(&own, &path).expect("a link");
    assert_eq!(run(folder.path(), &["config", "check"]).status.code(), Some(0));
    lchown(&path, Some(id("-u")), None).expect("root may");
    let output = run(folder.path(), &["config", "check"]);
    assert_eq!(output.status.code(), Some(CONFIG), "{}", stderr(&output));
}

#[test]
fn a_file_that_others_can_write_is_not_used() {
    let folder = open_folder();
    let path = folder.path().join("uptime.toml");
    let refused = |args: &[&str], reason: &str, hint: &str| {
        let output = run(folder.path(), args);
        assert_eq!(output.status.code(), Some(CONFIG), "{}", stderr(&output));
        for words in [reason, hint] {
            assert!(stderr(&output).contains(words), "{}", stderr(&output));
        }
    };
    fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("chmod");
    refused(&["config", "check"], "anybody can write to it", "`chmod o-w uptime.toml`");
    refused(
        &["config", "check", "--config", "uptime.toml"],
        "anybody can write to it",
        "`chmod o-w uptime.toml`",
    );
    fs::set_permissions(&path, Permissions::from_mode(0o660)).expect("chmod");
    if is_root() {
        assert_eq!(run(folder.path(), &["config", "check"]).status.code(), Some(0), "root's group is root");
        chown(&path, None, Some(id("-g"))).expect("root may");
        refused(&["config", "check"], "its group can write to it", "`chmod g-w uptime.toml`");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("chmod");
    let output = run(folder.path(), &["config", "check", "--log", "uptime=info"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains(&path.display().to_string()), "it says which: {}", stderr(&output));
}

#[test]
fn who_only_looks_makes_no_database() {
    let folder = open_folder();
    for args in READING {
        let output = run(folder.path(), args);
        assert_eq!(output.status.code(), Some(UNAVAILABLE), "{args:?}: {}", stderr(&output));
        let expected =
            format!("error: there is no database in `{}`\nhint: ", folder.path().join("data").display());
        assert!(stderr(&output).starts_with(&expected), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("DATABASE_URL"), "{}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    // The registry of plugins and the check of a file have no need of one either.
    for args in [["plugin", "list"], ["config", "check"]] {
        assert_eq!(run(folder.path(), &args).status.code(), Some(0), "{args:?}");
    }
    assert!(!folder.path().join("data").exists(), "something was made");
}

/// A reading command gave a cluster that had lost its database an empty one.
#[test]
fn a_cluster_without_its_database_is_left_so_by_who_only_looks() {
    let folder = open_folder();
    assert_eq!(run(folder.path(), &["db", "migrate"]).status.code(), Some(0));
    let data = folder.path().join("data");
    let lease = uptime_postgres::acquire(&Options::new(&data), &|_| ()).expect("a lease");
    lease.session("postgres").expect("a session").query("DROP DATABASE uptime").expect("dropped");
    let refused = |args: &[&str]| {
        let output = run(folder.path(), args);
        assert_eq!(output.status.code(), Some(UNAVAILABLE), "{args:?}: {}", stderr(&output));
        let expected = format!("error: there is no database in `{}`\nhint: ", data.display());
        assert!(stderr(&output).starts_with(&expected), "{args:?}: {}", stderr(&output));
    };
    for args in READING {
        refused(args);
    }
    lease.session("uptime").expect_err("it was made");
    lease.release().expect("released");
    refused(&["monitor", "list"]);
    let server = uptime_postgres::status(&data).expect("a status").server;
    assert_eq!(server, uptime_postgres::ServerState::Stopped);

    let output = run(folder.path(), &["apply"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("created the tables of a new database"), "{}", stderr(&output));
}

#[test]
fn an_empty_database_is_none_for_who_only_looks() {
    let installation = Installation::on(block_on(TestDatabase::empty()));
    let relations = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    for args in READING {
        let output = installation.command([]).args(*args).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(UNAVAILABLE), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("there is no database"), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(installation.database.value(relations), "0");
    // Who may not make the tables says who may.
    installation.database.query("CREATE ROLE cannot_create; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let output = as_role(&installation, "cannot_create", &["apply"]);
    assert_eq!(output.status.code(), Some(CONFIG), "{}", stderr(&output));
    for words in ["schema is not up to date, and this role may not change it", "uptime db migrate"] {
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert_eq!(installation.database.value(relations), "0");

    let applied = installation.command(["apply"]).assert().success();
    assert!(stderr(applied.get_output()).contains("created the tables of a new database"));
    installation.command(["monitor", "list"]).assert().success();
    // One of before the first release is refused by whoever looks at it or would bring it up to date.
    installation.database.query("UPDATE _sqlx_migrations SET version = 7");
    for args in [["monitor", "list"], ["db", "migrate"]] {
        let output = installation.command(args).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(CONFIG), "{}", stderr(&output));
        for words in ["schema version 7, from before the first release", "hint: name an empty database"] {
            assert!(stderr(&output).contains(words), "{}", stderr(&output));
        }
    }
}

/// A command in sessions that have the rights of a role.
fn as_role(installation: &Installation, role: &str, args: &[&str]) -> Output {
    let mut command = installation.command([]);
    command.args(args).env("DATABASE_URL", url_of(installation, role));
    command.output().expect("the binary runs")
}

fn url_of(installation: &Installation, role: &str) -> String {
    format!("{}&options=-c%20role%3D{role}", installation.database.url())
}

/// What the guide grants a worker is what workers get by with.
#[test]
fn workers_do_all_of_it_with_the_rights_that_the_guide_gives_them() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&file(&target, &[("ops", &sink)]));
    let guide = include_str!("../../cli/guide/deploying.md");
    let (_, after) = guide.split_once("```sql\n").expect("the guide has the grants");
    let (grants, _) = after.split_once("```").expect("a block ends");
    installation.database.query(grants);
    let rights =
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'uptime_worker'";
    assert_eq!(installation.database.value(rights), "f");
    for statement in
        ["CREATE TABLE x()", "DROP TABLE jobs", "ALTER TABLE jobs ADD x int", "DELETE FROM _sqlx_migrations"]
    {
        let refused = installation.database.try_query(&format!("SET ROLE uptime_worker; {statement}"));
        assert!(refused.is_err(), "{statement}");
    }

    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let url = url_of(&installation, "uptime_worker");
    let worker = installation.start_as("worker", &["worker", "all"], &[("DATABASE_URL", &url)]);
    block_on(target.wait_for_requests(2));
    target.answer(Reply::status(503));
    block_on(sink.wait_for(1));
    target.up();
    block_on(sink.wait_for(2));
    // What operators ask and say needs no more.
    for args in [
        &["monitor", "list"][..],
        &["queue", "monitor"],
        &["incident", "list"],
        &["queue", "pause", "notifications"],
    ] {
        let output = as_role(&installation, "uptime_worker", args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    }
    let log = worker.log();
    assert_eq!(worker.terminate(), 0);
    assert!(!log.contains("denied"), "{log}");
}

/// Root's visits, the first of all included, take nothing away from the user whose data directory it is.
#[test]
fn root_leaves_a_users_data_directory_to_the_user() {
    if !is_root() {
        return;
    }
    let folder = open_folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    let (uid, gid) = (id("-u"), id("-g"));
    chown(&data, Some(uid), Some(gid)).expect("root may");
    for args in [["config", "check"], ["db", "migrate"], ["monitor", "list"]] {
        let output = run(folder.path(), &args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("WARN"), "{args:?}: {}", stderr(&output));
    }
    let mut folders = vec![data];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is there").flatten() {
            let found = fs::symlink_metadata(entry.path()).expect("it is there");
            assert_eq!(found.uid(), uid, "{}", entry.path().display());
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    for args in [["monitor", "list"], ["apply", "--dry-run"], ["db", "status"]] {
        let output = uptime(folder.path(), &args).uid(uid).gid(gid).output().expect("the user may run it");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    }
}
