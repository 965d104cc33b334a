//! Promise 1: a slot is enqueued at most once by any number of schedulers, and a backlog never grows.

use crate::installation::{Installation, wait_for_all};

fn monitors(count: usize) -> String {
    let monitor =
        |n| format!("[monitors.m{n}]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\ninterval = \"1h\"\n");
    (0..count).map(monitor).collect::<Vec<_>>().concat()
}

#[test]
fn eight_schedulers_at_once_make_one_job_for_each_due_monitor() {
    let installation = Installation::new();
    installation.apply(&monitors(500));
    installation.database.query("UPDATE monitor_states SET next_check_at = now() - interval '1 second'");
    let running: Vec<_> = (0..8).map(|_| installation.start(["schedule", "--horizon", "0s"])).collect();
    wait_for_all(running);
    installation.holds("SELECT count(*) FROM jobs", "500");
    installation.holds("SELECT count(DISTINCT subject) FROM jobs", "500");
}

#[test]
fn a_backlog_never_grows() {
    let installation = Installation::new();
    installation.apply(&monitors(3));
    for _ in 0..3 {
        installation.database.query("UPDATE monitor_states SET next_check_at = now() - interval '1 day'");
        installation.command(["schedule"]).assert().success().stdout("").stderr("");
    }
    installation.holds("SELECT count(*) FROM jobs", "3");
    // What was missed for a day is one slot, the newest.
    installation.holds("SELECT count(*) FROM jobs WHERE available_at < now() - interval '1 hour'", "0");
}

#[test]
fn starts_are_spread_over_the_interval() {
    let installation = Installation::new();
    installation.apply(&monitors(300));
    installation.database.query("UPDATE monitor_states SET next_check_at = now()");
    installation.command(["schedule", "--horizon", "0s"]).assert().success();
    // The next slots lie all over the coming hour, none of them where most others are.
    let most = installation.database.value(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM monitor_states GROUP BY floor(extract(epoch FROM next_check_at) / 360)) t",
    );
    assert!(most.parse::<u32>().expect("a number") < 60, "{most} of 300 within a tenth of the interval");
}

#[test]
fn a_cron_run_covers_intervals_below_a_minute() {
    let installation = Installation::new();
    installation.apply(
        "[monitors.fast]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\ninterval = \"1s\"\nconfirm = 100\nretry_interval = \"30s\"\n",
    );
    // One run, as cron does it; the worker goes on to the following slots by itself.
    installation.command(["schedule"]).assert().success();
    let _worker = installation.start(["worker", "monitor-checks"]);
    installation.wait_for("SELECT least(count(*), 3) FROM check_results", "3");
    let most = installation.database.value("SELECT count(*) FROM jobs");
    assert!(most == "0" || most == "1", "{most} waiting checks of one monitor");
}

#[test]
fn a_dry_run_says_what_is_due_and_enqueues_nothing() {
    let installation = Installation::new();
    installation.apply(&monitors(2));
    let due = installation.json(["schedule", "--dry-run"]);
    assert_eq!(due["due"].as_array().map(Vec::len), Some(2));
    installation.holds("SELECT count(*) FROM jobs", "0");
}
