//! `uptime apply`: the database becomes what the file says, in one step, and once is as good as twice.

use crate::incident::with_an_incident;
use crate::installation::Installation;
use serde_json::json;
use uptime_tests::{WebhookSink, block_on};

const TWO: &str = "[channels.ops]\nnotifier = \"webhook\"\nurl = \"https://example.com/hook\"\n\n\
                   [monitors.a]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\n\n\
                   [monitors.b]\ntype = \"ping\"\nhost = \"127.0.0.1\"\ninterval = \"30s\"\n";

#[test]
fn what_changes_is_said_and_a_second_time_nothing_does() {
    let installation = Installation::new();
    installation.write(TWO);
    let expected = "+ channel ops\n+ monitor a\n+ monitor b\n";
    installation.command(["apply", "--dry-run"]).assert().success().stdout(expected);
    assert_eq!(
        installation.database.value("SELECT count(*) FROM monitors"),
        "0",
        "a dry run changes nothing"
    );
    installation.command(["apply"]).assert().success().stdout(expected);
    installation.command(["apply"]).assert().success().stdout("").stderr("nothing to change\n");

    installation.write(
        &TWO.replace("interval = \"30s\"", "interval = \"20s\"")
            .replace("port = 9", "port = 10\nchannels = []"),
    );
    installation.command(["apply"]).assert().success().stdout(
        "~ monitor a\n    channels: ops → not set\n    port: 9 → 10\n~ monitor b\n    interval: 30s → 20s\n",
    );
    assert_eq!(installation.database.value("SELECT count(*) FROM monitor_channels"), "1");
}

#[test]
fn what_left_the_file_stays_until_it_is_pruned() {
    let installation = Installation::new();
    installation.apply(TWO);
    installation.command(["schedule"]).assert().success();
    installation.write("[monitors.a]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\n");
    let kept = installation.command(["apply"]).assert().success();
    let warning = String::from_utf8_lossy(&kept.get_output().stderr).into_owned();
    assert!(
        warning.contains("no longer in the file, but still in effect: channel ops, monitor b"),
        "{warning}"
    );

    // Nobody is there to be asked.
    let asked = installation.command(["apply", "--prune"]).assert().code(2);
    let asked = String::from_utf8_lossy(&asked.get_output().stderr).into_owned();
    let what = "this removes channel ops, monitor b; incidents and what was told stay";
    assert!(asked.contains(what), "{asked}");
    assert_eq!(installation.database.value("SELECT count(*) FROM monitors"), "2");
    installation
        .command(["apply", "--prune", "--yes"])
        .assert()
        .success()
        .stdout("- channel ops\n- monitor b\n");
    assert_eq!(installation.database.value("SELECT string_agg(name, ',') FROM monitors"), "a");
    assert_eq!(
        installation.database.value("SELECT count(*) FROM jobs"),
        "1",
        "a removed monitor's check does not wait"
    );
}

#[test]
fn a_disabled_monitor_is_not_checked_and_an_enabled_one_is_soon() {
    let installation = Installation::new();
    let file = |enabled: bool| {
        format!("[monitors.a]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\nenabled = {enabled}\n")
    };
    installation.apply(&file(true));
    installation.command(["schedule"]).assert().success();
    installation.apply(&file(false));
    assert_eq!(installation.database.value("SELECT count(*) FROM jobs"), "0");
    installation.command(["schedule"]).assert().success();
    assert_eq!(installation.database.value("SELECT count(*) FROM jobs"), "0");
    installation.apply(&file(true));
    installation.command(["schedule", "--horizon", "0s"]).assert().success();
    assert_eq!(installation.database.value("SELECT count(*) FROM jobs"), "1");
}

#[test]
fn whoever_was_told_of_an_incident_hears_that_nobody_looks_any_more() {
    let (ops, boss) = (WebhookSink::start(), WebhookSink::start());
    for removed in [false, true] {
        let installation = with_an_incident(&ops, &boss);
        let text = std::fs::read_to_string(installation.file()).expect("the file");
        let (channels, monitor) = text.split_at(text.find("[monitors").expect("a monitor"));
        let text =
            if removed { channels.to_owned() } else { format!("{channels}{monitor}enabled = false\n") };
        installation.write(&text);
        let noted = "incident 1 of shop ends, which is no longer watched; will be told: boss, ops\n";
        let dry = installation.command(["apply", "--prune", "--dry-run"]).output().expect("it runs");
        assert!(String::from_utf8_lossy(&dry.stderr).ends_with(noted), "{dry:?}");
        assert_eq!(installation.json(["incident", "list"])["incidents"][0]["state"], "open");
        let applied = installation.json(["apply", "--prune", "--yes"]);
        assert_eq!(applied["ended"], json!([{ "id": 1, "monitor": "shop", "told": ["boss", "ops"] }]));
        installation.command(["worker", "notifications", "--stop-when-empty"]).assert().success();
        for sink in [&ops, &boss] {
            let heard = block_on(sink.wait_for(1 + usize::from(removed)));
            let up = heard[usize::from(removed)].json();
            assert_eq!((&up["type"], &up["outcome"]["class"]), (&json!("up"), &json!("unwatched")));
            let words = up["outcome"]["message"].as_str().unwrap_or_default().to_owned();
            let said =
                "shop is no longer watched; it was down since 2026-01-01 00:00:00 UTC: the status is 503";
            assert!(words.ends_with(said), "{words}");
        }
        let listed = installation.json(["incident", "list", "--monitor", "shop"]);
        let incident = &listed["incidents"][0];
        assert_eq!((&incident["state"], &incident["monitor"]), (&json!("unwatched"), &json!("shop")));
        let story = installation.json(["incident", "show", "1"]);
        let timeline = story["timeline"].as_array().expect("a timeline").clone();
        let why = if removed { "the monitor was removed" } else { "the monitor was disabled" };
        assert!(timeline.iter().any(|entry| entry["kind"] == "unwatched" && entry["note"] == why), "{story}");
        installation.command(["apply", "--prune", "--yes"]).assert().success().stderr("nothing to change\n");
    }
}

#[test]
fn two_at_once_add_everything_once() {
    let installation = Installation::new();
    installation.write(TWO);
    let running: Vec<_> = (0..4).map(|_| installation.start(["apply"])).collect();
    for process in running {
        assert_eq!(process.wait(), 0);
    }
    assert_eq!(installation.database.value("SELECT count(*) FROM monitors"), "2");
    assert_eq!(installation.database.value("SELECT count(*) FROM channels"), "1");
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let installation = Installation::new();
    installation.database.query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', true, '', 0)",
    );
    let output = installation.command(["monitor", "list"]).assert().code(78);
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("schema version 9999"), "{said}");
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn a_database_that_is_not_there_says_so_at_once() {
    let installation = Installation::new();
    let began = std::time::Instant::now();
    for (url, exit, words) in [
        ("postgres://u@127.0.0.1:1/x", 69, "error: the database can't be reached: Connection refused"),
        (
            "mysql://u@127.0.0.1/x",
            78,
            "error: the database's URL can't be read: it does not begin with `postgres://`",
        ),
    ] {
        let output = installation.command(["monitor", "list"]).env("DATABASE_URL", url).assert().code(exit);
        let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(said.starts_with(words), "{said}");
        assert!(said.contains("\nhint: "), "{said}");
    }
    // A pool would have waited for half a minute.
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn processes_that_start_together_on_a_new_database_all_begin() {
    let installation = Installation::on(uptime_tests::block_on(uptime_tests::TestDatabase::empty()));
    let running: Vec<_> = (0..6).map(|_| installation.start(["schedule"])).collect();
    for process in running {
        assert_eq!(process.wait(), 0);
    }
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
