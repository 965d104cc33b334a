//! Promises 2 and 4 over a failover: another server is the primary from now on, and has all that was committed.

use crate::installation::{Installation, Process, terminate_all};
use crate::notices::{heard, monitor, webhook};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};
use uptime_tests::{HttpTarget, Relay, ReplicationServer, Reply, WebhookSink, block_on};

/// How long after the promotion everything goes on.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// So many monitors of one channel, one target for each.
const MONITORS: usize = 6;

struct Scene {
    targets: Vec<HttpTarget>,
    sink: WebhookSink,
    installation: Installation,
    url: String,
}

impl Scene {
    fn on(url: String) -> Self {
        let (targets, sink) = ((0..MONITORS).map(|_| HttpTarget::start()).collect(), WebhookSink::start());
        let scene = Self { targets, sink, installation: Installation::new(), url };
        let channel = webhook("ops", &scene.sink, "digest_after = 0");
        let head = format!(
            "[queues.notifications]\ntimeout = \"2s\"\nretry_after = \"8s\"\nbackoff = \"100ms\"\n\
             [queues.monitor-checks]\ntimeout = \"2s\"\nretry_after = \"8s\"\n\
             {channel}"
        );
        let monitors = scene.targets.iter().enumerate().map(|(number, target)| {
            let keys = "interval = \"1s\"\ntimeout = \"900ms\"\nconfirm = 1\nflapping = false\n";
            monitor(&format!("m{number}"), &target.url(), keys)
        });
        let file: Vec<String> = std::iter::once(head).chain(monitors).collect();
        scene.installation.write(&file.concat());
        scene.installation.command(["apply"]).env("DATABASE_URL", &scene.url).assert().success();
        scene
    }

    fn start(&self) -> [Process; 2] {
        let start = |args: &[&str]| self.installation.start_as(args[0], args, &[("DATABASE_URL", &self.url)]);
        let processes = [start(&["schedule", "--every", "200ms"]), start(&["worker", "all"])];
        for target in &self.targets {
            block_on(target.wait_for_requests(2));
        }
        processes
    }

    fn change(&self, is_up: bool, which: std::ops::Range<usize>) {
        for target in &self.targets[which] {
            target.answer(Reply::status(if is_up { 200 } else { 500 }));
        }
    }

    /// What each monitor's receiver was told, in order. What came twice bears the same delivery id, and counts once.
    fn heard(&self) -> BTreeMap<String, Vec<String>> {
        let (mut received, mut seen) = (self.sink.received(), HashSet::new());
        received.retain(|received| seen.insert(received.header("webhook-id").map(str::to_owned)));
        heard(&received)
    }

    /// All come back, and each monitor was told of once each.
    fn recovers(&self) {
        self.change(true, 0..MONITORS);
        self.wait(0..MONITORS, 2);
        for (name, told) in self.heard() {
            assert_eq!(told, ["down", "up"], "{name}");
        }
    }

    /// Waits until each monitor of these has been told of as often as that.
    fn wait(&self, which: std::ops::Range<usize>, notices: usize) {
        let began = Instant::now();
        loop {
            let told = self.heard();
            let of = |number: usize| told.get(&format!("m{number}")).map_or(0, Vec::len);
            if which.clone().all(|number| of(number) >= notices) {
                return;
            }
            assert!(began.elapsed() < uptime_tests::DEADLINE, "waited for {notices} of {which:?}: {told:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn of_two_hosts_the_one_that_is_promoted_is_found() {
    let mut first = ReplicationServer::primary();
    let second = first.standby();
    first.wait_for_standby();
    let [a, b] = [first.port(), second.port()];
    // The standby comes first, and is not taken for as long as it is one.
    let scene = Scene::on(format!("postgres://postgres@127.0.0.1:{b},127.0.0.1:{a}/uptime"));
    let processes = scene.start();

    scene.change(false, 0..3);
    scene.wait(0..3, 1);
    // In the middle of all that goes on: the others go down, and some come back, while there is no primary.
    scene.change(false, 3..MONITORS);
    first.kill();
    scene.change(true, 0..2);
    processes[1].wait_for_log("database away");
    let promoted_at = Instant::now();
    second.promote();
    let before: Vec<usize> = scene.targets.iter().map(HttpTarget::requests).collect();
    for (target, before) in scene.targets.iter().zip(&before) {
        block_on(target.wait_for_requests(before + 2));
    }
    scene.wait(3..MONITORS, 1);
    scene.wait(0..2, 2);
    let took = promoted_at.elapsed();
    assert!(took < BACK_WITHIN, "back only after {took:?}");

    scene.recovers();
    assert_eq!(second.query("SELECT count(*) FROM failed_jobs"), "0");
    terminate_all(processes);
}

#[test]
fn sessions_at_a_server_that_became_a_standby_are_closed() {
    let mut first = ReplicationServer::primary();
    let second = first.standby();
    let relay = Relay::to(first.port());
    let scene = Scene::on(format!("postgres://postgres@127.0.0.1:{}/uptime", relay.port()));
    let processes = scene.start();

    first.stop();
    second.promote();
    first.follow(&second);
    // The name still leads to the old one, which answers, and takes no writes: connections are made there, and stay.
    for process in &processes {
        process.wait_for_log("database away");
    }
    let once = scene.installation.command(["schedule"]).env("DATABASE_URL", &scene.url).output();
    let once = once.expect("it runs");
    assert_eq!(once.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&once.stderr).contains("it is a standby"), "{once:?}");

    relay.lead_to(second.port());
    let led_at = Instant::now();
    scene.change(false, 0..MONITORS);
    scene.wait(0..MONITORS, 1);
    let took = led_at.elapsed();
    assert!(took < BACK_WITHIN, "told only after {took:?}");
    scene.recovers();
    let old = first.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'uptime'");
    assert_eq!(old, "0", "sessions that are left at the standby");
    terminate_all(processes);
}
