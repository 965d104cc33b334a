//! A database that is there and can't work: an error that names what is to be mended, and nothing lost.

use crate::installation::Installation;
use crate::listen::{address, get};
use crate::pipeline::shop;
use uptime_tests::{Reply, TestServer, block_on};

#[test]
fn a_full_disk_is_an_error_that_names_it_until_there_is_space() {
    let (target, sink, installation) = shop();
    let database = &installation.database;
    let scheduler = installation.start(["schedule", "--every", "200ms"]);
    let worker = installation.start(["worker", "all", "--listen", "0"]);
    let address = address(&worker);
    block_on(target.wait_for_requests(2));
    assert_eq!(get(&address, "/healthz").0, "200");

    // What the server answers when it can't make a table longer.
    database.query(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file \"base/5/1\": No space left on device';
         END $$;
         CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON jobs FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
         CREATE TRIGGER full_disk BEFORE INSERT ON check_results FOR EACH STATEMENT EXECUTE FUNCTION full_disk()",
    );
    for process in [&scheduler, &worker] {
        process.wait_for_log("the database's disk is full: could not extend file");
        let log = process.log();
        let line = log.lines().find(|line| line.contains("disk is full")).expect("a line");
        assert!(line.contains("ERROR") && line.contains("free space on the disk"), "{line}");
    }
    let (status, why) = get(&address, "/healthz");
    assert!(status == "503" && why.contains("disk is full"), "{status} {why}");
    installation.says(69, "schedule", &["disk is full", "hint: free space"]);

    target.answer(Reply::status(500));
    database.query("DROP FUNCTION full_disk CASCADE");
    block_on(sink.wait_for(1));
    assert_eq!(get(&address, "/healthz"), ("200".into(), "ok\n".into()));
    for process in [scheduler, worker] {
        process.wait_for_log("database back");
        assert_eq!(process.terminate(), 0);
    }
}

/// "WARN failing channels were not looked at" came first.
#[test]
fn of_a_database_that_takes_no_writes_the_refusal_is_what_is_said() {
    let installation = Installation::new();
    let name = installation.database.name();
    installation.database.query(&format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on"));
    let said = installation.complaint(69, "schedule");
    assert!(said.starts_with("error: the database takes no writes"), "{said}");
    let scheduler = installation.start(["schedule", "--every", "200ms"]);
    scheduler.wait_for_log("database away");
    let log = scheduler.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(matches!(warnings.as_slice(), [line] if line.contains("the database takes no writes")), "{log}");
}

type Step<'a> = &'a dyn Fn();

/// Each ended all of them for good.
#[test]
fn a_database_or_a_table_that_is_gone_for_a_moment_is_waited_for() {
    let (target, sink, installation) = shop();
    let scheduler = installation.start(["schedule", "--every", "200ms"]);
    let worker = installation.start(["worker", "all", "--listen", "0"]);
    let address = address(&worker);
    block_on(target.wait_for_requests(2));

    let (server, name) = (TestServer::shared(), installation.database.name());
    let ask = |sql: &str| server.query("postgres", &sql.replace('@', name));
    let take_away = || {
        ask("ALTER DATABASE @ ALLOW_CONNECTIONS false");
        ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '@'");
        ask("ALTER DATABASE @ RENAME TO @_elsewhere");
    };
    let bring_back = || {
        ask("ALTER DATABASE @_elsewhere RENAME TO @");
        ask("ALTER DATABASE @ ALLOW_CONNECTIONS true");
    };
    let hide_table = || drop(installation.database.query("ALTER TABLE jobs RENAME TO elsewhere"));
    let show_table = || drop(installation.database.query("ALTER TABLE elsewhere RENAME TO jobs"));
    let outages: [(Step<'_>, Step<'_>, &str, u16); 2] = [
        (&take_away, &bring_back, "the database's server does not have that database", 500),
        (&hide_table, &show_table, "the database's schema is not the one", 200),
    ];
    for (told, (begin, end, words, status)) in (1..).zip(outages) {
        begin();
        for process in [&scheduler, &worker] {
            process.wait_for_line(&["ERROR the database can't work", words, "hint="]);
        }
        let (unable, why) = get(&address, "/healthz");
        assert!(unable == "503" && why.contains(words), "{unable} {why}");
        // Those that begin now are refused.
        installation.command(["schedule"]).assert().code(78);
        target.answer(Reply::status(status));
        end();
        block_on(sink.wait_for(told));
        assert_eq!(get(&address, "/healthz"), ("200".into(), "ok\n".into()));
    }
    for process in [scheduler, worker] {
        process.wait_for_log("database back");
        assert_eq!(process.terminate(), 0);
    }
}
