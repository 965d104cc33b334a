//! Whose files are believed, who makes a database, and with which rights workers get by.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use crate::installation::Installation;
use crate::pipeline::shop;
use rustix::process::geteuid;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use tempfile::TempDir;
use uptime_postgres::Options;
use uptime_tests::{TestDatabase, block_on};

const UNAVAILABLE: i32 = 69;
const CONFIG: i32 = 78;

/// A user who is neither root nor the one who runs the tests.
const STRANGER: &str = "nobody";

/// Commands that only look.
const READING: &[&str] = &[
    "monitor list",
    "channel list",
    "incident list",
    "incident show 1",
    "notification list",
    "maintenance list",
    "queue monitor",
    "queue failed",
    "queue retry all",
    "apply --dry-run",
    "schedule --dry-run",
    "db status",
];

/// The binary in a folder, with nothing of this machine's.
fn uptime(folder: &Path, line: &str) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_uptime"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.args(line.split(' ')).current_dir(folder).env_clear().env("PATH", path);
    command.env("HOME", folder).env("UPTIME_DATA_DIR", folder.join("data"));
    command
}

/// What it says on stderr when it ends with this code.
#[track_caller]
fn run(folder: &Path, exit: i32, line: &str) -> String {
    ends(&mut uptime(folder, line), exit)
}

#[track_caller]
fn ends(command: &mut std::process::Command, exit: i32) -> String {
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{command:?}: {said}");
    assert!(exit == 0 || output.stdout.is_empty(), "{command:?}");
    said
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
    for line in ["config check", "monitor list", "db migrate", "worker all"] {
        let said = run(folder.path(), CONFIG, line);
        let expected = format!(
            "error: `uptime.toml` is not used: it belongs to {STRANGER}, neither to you nor to root\n"
        );
        assert!(said.starts_with(&expected) && said.contains("--config uptime.toml"), "{said}");
    }
    run(folder.path(), 0, "config check --config uptime.toml");

    // Who laid a link chose what is behind it.
    let own = folder.path().join("own.toml");
    fs::write(&own, "").expect("written");
    fs::remove_file(&path).expect("removed");
    symlink(&own, &path).expect("a link");
    run(folder.path(), 0, "config check");
    lchown(&path, Some(id("-u")), None).expect("root may");
    run(folder.path(), CONFIG, "config check");
}

#[test]
fn a_file_that_others_can_write_is_not_used() {
    let folder = open_folder();
    let path = folder.path().join("uptime.toml");
    let refused = |line: &str, reason: &str, hint: &str| {
        let said = run(folder.path(), CONFIG, line);
        assert!(said.contains(reason) && said.contains(hint), "{said}");
    };
    fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("chmod");
    for line in ["config check", "config check --config uptime.toml"] {
        refused(line, "anybody can write to it", "`chmod o-w uptime.toml`");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o660)).expect("chmod");
    if is_root() {
        // Root's group is root.
        run(folder.path(), 0, "config check");
        chown(&path, None, Some(id("-g"))).expect("root may");
        refused("config check", "its group can write to it", "`chmod g-w uptime.toml`");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("chmod");
    let said = run(folder.path(), 0, "config check --log uptime=info");
    assert!(said.contains(&path.display().to_string()), "it says which: {said}");
}

/// All that only look say that there is no database, and how one is made.
fn none_is_there(folder: &Path) {
    let data = folder.join("data");
    for line in READING {
        let said = run(folder, UNAVAILABLE, line);
        let expected = format!("error: there is no database in `{}`\nhint: ", data.display());
        assert!(said.starts_with(&expected) && said.contains("DATABASE_URL"), "{line}: {said}");
    }
}

#[test]
fn who_only_looks_makes_no_database() {
    let folder = open_folder();
    none_is_there(folder.path());
    // The registry of plugins and the check of a file have no need of one either.
    for line in ["plugin list", "config check"] {
        run(folder.path(), 0, line);
    }
    assert!(!folder.path().join("data").exists(), "something was made");
}

/// A reading command gave a cluster that had lost its database an empty one.
#[test]
fn a_cluster_without_its_database_is_left_so_by_who_only_looks() {
    let folder = open_folder();
    run(folder.path(), 0, "db migrate");
    let data = folder.path().join("data");
    let lease = uptime_postgres::acquire(&Options::new(&data), &|_| ()).expect("a lease");
    lease.session("postgres").expect("a session").query("DROP DATABASE uptime").expect("dropped");
    none_is_there(folder.path());
    lease.session("uptime").expect_err("it was made");
    lease.release().expect("released");
    let said = run(folder.path(), UNAVAILABLE, "monitor list");
    assert!(
        said.starts_with(&format!("error: there is no database in `{}`\nhint: ", data.display())),
        "{said}"
    );
    let server = uptime_postgres::status(&data).expect("a status").server;
    assert_eq!(server, uptime_postgres::ServerState::Stopped);

    let said = run(folder.path(), 0, "apply");
    assert!(said.contains("created the tables of a new database"), "{said}");
}

#[test]
fn an_empty_database_is_none_for_who_only_looks() {
    let installation = Installation::on(block_on(TestDatabase::empty()));
    let relations = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    for line in READING {
        let said = installation.complaint(UNAVAILABLE, line);
        assert!(said.contains("there is no database"), "{line}: {said}");
    }
    installation.holds(relations, "0");
    // Who may not make the tables says who may.
    installation.database.query("CREATE ROLE cannot_create; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let said = as_role(&installation, "cannot_create", CONFIG, "apply");
    for words in ["schema is not up to date, and this role may not change it", "uptime db migrate"] {
        assert!(said.contains(words), "{said}");
    }
    installation.holds(relations, "0");

    assert!(installation.complaint(0, "apply").contains("created the tables of a new database"));
    installation.run(0, "monitor list");
    // One of before the first release is refused by whoever looks at it or would bring it up to date.
    installation.database.query("UPDATE _sqlx_migrations SET version = 7");
    for line in ["monitor list", "db migrate"] {
        let said = installation.complaint(CONFIG, line);
        for words in ["schema version 7, from before the first release", "hint: name an empty database"] {
            assert!(said.contains(words), "{said}");
        }
    }
}

/// A command in sessions that have the rights of a role.
#[track_caller]
fn as_role(installation: &Installation, role: &str, exit: i32, line: &str) -> String {
    let folder = installation.file().with_file_name("");
    ends(uptime(&folder, line).env("DATABASE_URL", url_of(installation, role)), exit)
}

fn url_of(installation: &Installation, role: &str) -> String {
    format!("{}&options=-c%20role%3D{role}", installation.database.url())
}

/// What the guide grants a worker is what workers get by with.
#[test]
fn workers_do_all_of_it_with_the_rights_that_the_guide_gives_them() {
    let (target, sink, installation) = shop();
    let guide = include_str!("../../cli/guide/deploying.md");
    let (_, after) = guide.split_once("```sql\n").expect("the guide has the grants");
    let (grants, _) = after.split_once("```").expect("a block ends");
    installation.database.query(grants);
    let rights =
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'uptime_worker'";
    installation.holds(rights, "f");
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
    target.down();
    block_on(sink.wait_for(1));
    target.up();
    block_on(sink.wait_for(2));
    // What operators ask and say needs no more.
    for line in ["monitor list", "queue monitor", "incident list", "queue pause notifications"] {
        as_role(&installation, "uptime_worker", 0, line);
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
    for line in ["config check", "db migrate", "monitor list"] {
        let said = run(folder.path(), 0, line);
        assert!(!said.contains("WARN"), "{line}: {said}");
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
    for line in ["monitor list", "apply --dry-run", "db status"] {
        ends(uptime(folder.path(), line).uid(uid).gid(gid), 0);
    }
}
