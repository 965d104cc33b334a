//! Behind a pooler in transaction mode everything works, by polling: nothing of ours outlives a transaction.

use crate::installation::{Installation, Process, terminate_all, wait_for_all};
use crate::notices::types;
use crate::pipeline::file;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uptime_tests::{DEADLINE, HttpTarget, Reply, TestDatabase, WebhookSink, block_on};
use url::Url;

/// A pgbouncer with two server connections for all that come.
struct Pooler {
    child: Child,
    folder: TempDir,
    database: String,
}

impl Pooler {
    fn before(database: &TestDatabase) -> Self {
        let url = Url::parse(&database.url()).expect("a URL");
        let sockets =
            url.query_pairs().find(|(key, _)| key == "host").expect("a socket's directory").1.into_owned();
        let folder = tempfile::Builder::new().prefix("uptime-pooler-").tempdir().expect("a folder");
        let place = folder.path().display();
        let settings = format!(
            "[databases]\n* = host={sockets} user={}\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {place}\n\
             listen_port = 5432\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n",
            url.username()
        );
        fs::write(folder.path().join("pgbouncer.ini"), settings).expect("the settings are written");
        // As root it runs as the server's user, who is let in.
        let owner = fs::metadata(&sockets).expect("the server's directory").uid();
        let mut command = Command::new("pgbouncer");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(owner), None).expect("it is ours");
            command.args(["-u", &name_of(owner)]);
        }
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        command.arg(folder.path().join("pgbouncer.ini"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("pgbouncer is installed: `.ci/setup tests`");
        let database = database.name().to_owned();
        let pooler = Self { child, folder, database };
        let began = Instant::now();
        while !pooler.folder.path().join(".s.PGSQL.5432").exists() {
            assert!(began.elapsed() < DEADLINE, "pgbouncer did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        pooler
    }

    fn url(&self) -> String {
        format!("postgres://anybody@localhost:5432/{}?host={}", self.database, self.folder.path().display())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name_of(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let user =
        users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user[2] == uid.to_string());
    user.expect("the server's user has a name")[0].to_owned()
}

#[test]
fn everything_works_behind_a_pooler_in_transaction_mode() {
    let (target, ops, boss) = (HttpTarget::start(), WebhookSink::start(), WebhookSink::start());
    let installation = Installation::on(block_on(TestDatabase::empty()));
    let pooler = Pooler::before(&installation.database);
    let url = pooler.url();
    let command = |args: &[&str]| {
        let mut command = installation.command([]);
        command.args(args).env("DATABASE_URL", &url);
        command
    };
    let start = |name: &str, args: &[&str]| installation.start_as(name, args, &[("DATABASE_URL", &url)]);

    // Both find an empty database, and one waits for the other.
    let migrating: Vec<Process> =
        (0..2).map(|n| start(&format!("migrate-{n}"), &["db", "migrate"])).collect();
    wait_for_all(migrating);
    installation.write(&file(&target, &[("ops", &ops), ("boss", &boss)]));
    command(&["apply"]).assert().success();

    let schedulers: Vec<Process> =
        (0..2).map(|n| start(&format!("schedule-{n}"), &["schedule", "--every", "200ms"])).collect();
    let workers: Vec<Process> = (0..3)
        .map(|n| start(&format!("worker-{n}"), &["worker", "all", "--sleep", "200ms", "--log", "info"]))
        .collect();
    block_on(target.wait_for_requests(2));
    target.answer(Reply::status(503));
    let _ = [&ops, &boss].map(|sink| block_on(sink.wait_for(1)));
    target.up();
    let received = [&ops, &boss].map(|sink| block_on(sink.wait_for(2)));
    assert!(received.iter().all(|received| types(received) == ["down", "up"]), "{received:?}");

    command(&["queue", "pause", "monitor-checks"]).assert().success();
    command(&["queue", "monitor"]).assert().success();
    command(&["queue", "resume", "monitor-checks"]).assert().success();
    block_on(target.more_requests(2));
    command(&["queue", "restart"]).assert().success();
    for worker in workers {
        worker.wait_for_log("a pooler stands before the database");
        let log = worker.log();
        assert_eq!(
            worker.wait(),
            0,
            "a restart asked through the database reaches a worker that only polls\n{log}"
        );
    }
    terminate_all(schedulers);
    installation.holds("SELECT count(*) FROM failed_jobs", "0");
    installation.holds("SELECT count(*) FROM workers", "0");
}
