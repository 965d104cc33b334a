//! `uptime apply`: the database becomes what the file says, in one step, and once is as good as twice.

use crate::incident::with_an_incident;
use crate::installation::{Installation, wait_for_all};
use crate::session::{Scene, sessions};
use uptime_tests::{TestDatabase, block_on};

const TWO: &str = "[channels.ops]\nnotifier = \"webhook\"\nurl = \"https://example.com/hook\"\n\n\
                   [monitors.a]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\n\n\
                   [monitors.b]\ntype = \"ping\"\nhost = \"127.0.0.1\"\ninterval = \"30s\"\n";

const ONE: &str = "[monitors.a]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\n";

const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                     VALUES (9999, 'x', true, '', 0)";

sessions! { "apply":
    what_changes_is_said_and_a_second_time_nothing_does on Scene::with_file(TWO);
    what_left_the_file_stays_until_it_is_pruned on Scene::bare(TWO);
    a_disabled_monitor_is_not_checked_and_an_enabled_one_is_soon on Scene::bare(ONE);
    whoever_was_told_of_an_incident_hears_that_nobody_looks_any_more on with_an_incident();
    and_so_it_is_when_the_monitor_is_removed on with_an_incident();
    two_at_once_add_everything_once on Scene::with_file(TWO);
    a_database_that_is_not_there_says_so_at_once on Scene::bare("");
    a_database_of_a_newer_version_is_refused on Scene::with_rows(NEWER);
}

#[test]
fn processes_that_start_together_on_a_new_database_all_begin() {
    let installation = Installation::on(block_on(TestDatabase::empty()));
    let running: Vec<_> = (0..6).map(|_| installation.start(["schedule"])).collect();
    wait_for_all(running);
}

#[test]
fn what_a_channel_only_refers_to_is_shown_to_nobody() {
    let installation = Installation::new();
    installation.write(
        "[channels.ops]\nnotifier = \"webhook\"\nurl = { env = \"HOOK\" }\nallow = [\"http://127.0.0.1:9\"]\n\
         headers = { X-Key = { env = \"KEY\" } }\n",
    );
    let run = |args: [&str; 4]| {
        let mut command = installation.command(args);
        command.env("HOOK", "http://127.0.0.1:9/hook?token=canary1").env("KEY", "canary2");
        let output = command.output().expect("the binary runs");
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(!all.contains("canary"), "{args:?} shows a secret: {all}");
        all
    };
    // Compiles the plugins: at `trace` their compiler writes a hundred megabytes.
    run(["config", "check", "--log", "error"]);
    run(["apply", "--log", "trace", "--json"]);
    let shown = run(["channel", "test", "ops", "--dry-run"]);
    assert!(shown.contains("•••"), "{shown}");
    assert!(run(["channel", "test", "ops", "--json"]).contains("\"delivered\":false"));
    assert_eq!(
        installation.database.value("SELECT count(*) FROM channels c WHERE c::text LIKE '%canary%'"),
        "0",
        "the database knows where a secret is, not what it is"
    );
}
