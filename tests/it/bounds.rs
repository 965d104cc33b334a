//! More checks than there is room for, of descriptors or at one host: those that wait are late, and nothing else.

use crate::installation::Installation;
use crate::notices::monitor;
use std::time::Duration;
use uptime_tests::HttpTarget;

/// Monitors of a target, each with a path of its own.
fn monitors(prefix: &str, count: usize, target: &HttpTarget) -> String {
    let url = target.url();
    let keys = "interval = \"1h\"\ntimeout = \"1500ms\"\nconfirm = 1\n";
    (0..count).map(|n| monitor(&format!("{prefix}{n}"), &format!("{url}{n}"), keys)).collect()
}

fn make_due(installation: &Installation, like: &str, seconds_ago: u32) {
    installation.database.query(&format!(
        "UPDATE monitor_states s SET next_check_at = now() - interval '{seconds_ago} s'
         FROM monitors m WHERE m.id = s.monitor_id AND m.name LIKE '{like}'"
    ));
    // No slots of the coming minute: each monitor has one check.
    installation.command(["schedule", "--horizon", "0s"]).assert().success();
}

#[test]
fn two_hundred_monitors_are_well_with_sixty_four_descriptors() {
    let target = HttpTarget::start();
    target.slow(Duration::from_millis(100));
    let installation = Installation::new();
    installation.apply(&monitors("m", 200, &target));
    make_due(&installation, "m%", 0);
    let worker = installation.start_with_descriptors(
        64,
        &["worker", "monitor-checks", "--concurrency", "200", "--stop-when-empty"],
    );
    worker.wait_for_log("fewer checks at once than asked for");
    assert_eq!(worker.wait(), 0);
    let outcomes = "SELECT string_agg(DISTINCT outcome, ',') || ' ' || count(*) FROM check_results";
    installation.holds(outcomes, "up 200");
    // Who waited for a descriptor was late, and its target no slower for it.
    let late = "SELECT max(late_us) > 1000000 AND max(total_us) < 1500000 FROM check_results";
    installation.holds(late, "t");
}

#[test]
fn a_slow_host_has_its_share_and_waiting_for_it_is_lateness() {
    let slow = HttpTarget::start();
    let other = HttpTarget::start_on([127, 0, 0, 2].into());
    slow.slow(Duration::from_millis(500));
    let installation = Installation::new();
    let file = format!("{}{}", monitors("slow", 60, &slow), monitors("other", 20, &other));
    installation.apply(&format!("[checks]\nper_host = 5\n\n{file}"));
    // Its jobs are the oldest, and three times as many as there are slots.
    make_due(&installation, "slow%", 5);
    make_due(&installation, "other%", 0);
    // The last one waits for six seconds, and a job may run for two.
    let worker = "worker monitor-checks --concurrency 20 --timeout 2s --stop-when-empty";
    let worker = installation.start_as("worker", &worker.split(' ').collect::<Vec<_>>(), &[]);
    let of = |name: &str| {
        format!(
            "SELECT count(*) FROM check_results r JOIN monitors m ON m.id = r.monitor_id WHERE m.name LIKE '{name}' AND outcome = 'up'"
        )
    };
    installation.wait_for(&of("other%"), "20");
    let slow_by_now: u32 = installation.database.value(&of("slow%")).parse().expect("a number");
    assert!(slow_by_now <= 20, "{slow_by_now} of the slow host came first");
    assert_eq!(worker.wait(), 0);
    assert_eq!(installation.database.value(&of("slow%")), "60");
    installation.holds("SELECT count(*) FROM check_results WHERE outcome <> 'up'", "0");
    installation.holds("SELECT count(*) FROM failed_jobs", "0");
    // Each takes half a second; the clocks of two claims differ by a few milliseconds.
    let at_once = "SELECT max(n) FROM (
        SELECT count(*) AS n FROM check_results a JOIN check_results b
          ON b.started_at <= a.started_at AND b.started_at + (b.total_us - 100000) * interval '1 us' > a.started_at
        WHERE a.total_us > 400000 AND b.total_us > 400000 GROUP BY a.monitor_id) overlapping";
    installation.holds(at_once, "5");
    let late = "SELECT max(late_us) > 4000000 AND max(total_us) < 1500000 FROM check_results";
    installation.holds(late, "t");
}
