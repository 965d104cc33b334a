//! More channels that hang than a worker has slots: the good one is told at once.

use crate::installation::Installation;
use crate::notices::{EAGER, monitor, types, webhook};
use std::time::Duration;
use uptime_tests::{HttpTarget, Reply, WebhookSink, block_on};

/// More than one worker's slots (32) would hold, were each to have as many as a channel may.
const HANGING: usize = 40;
const MONITORS: usize = 3;
const SOON: Duration = Duration::from_secs(1);
const SINGLE: &str = "digest_after = 0\n";

#[test]
fn the_good_channel_is_told_while_forty_others_hang() {
    let (target, good) = (HttpTarget::start(), WebhookSink::start());
    let hanging: Vec<WebhookSink> = (0..HANGING).map(|_| WebhookSink::start()).collect();
    for sink in &hanging {
        sink.answer(Reply::ok().held());
    }
    let installation = Installation::new();
    let mut tables: Vec<String> =
        hanging.iter().enumerate().map(|(n, sink)| webhook(&format!("hanging-{n}"), sink, SINGLE)).collect();
    tables.push(webhook("zz-good", &good, SINGLE));
    let keys = format!("{EAGER}flapping = false\n");
    tables.extend((0..MONITORS).map(|n| monitor(&format!("m{n}"), &target.url(), &keys)));
    installation.apply(&tables.concat());
    let _running = installation.start_each();
    block_on(target.wait_for_requests(MONITORS));
    target.down();
    let told = block_on(good.wait_for(MONITORS));
    let first = hanging.iter().flat_map(WebhookSink::received).map(|received| received.at).min();
    let first = first.expect("the others are tried");
    for received in told {
        let behind = received.at.saturating_duration_since(first);
        assert!(behind <= SOON, "the good channel was told {behind:?} after the first of the others");
    }
    // Those that hang hold what they have, and nothing else: what comes next is told at once, too.
    let before = good.received().len();
    target.up();
    let ups = block_on(good.wait_for(before + MONITORS));
    assert_eq!(types(&ups[before..]).iter().filter(|kind| *kind == "up").count(), MONITORS);
    let changed = installation.database.value(
        "SELECT max(extract(epoch FROM n.delivered_at - n.created_at))::text FROM notifications n JOIN channels c ON c.id = n.channel_id
         WHERE c.name = 'zz-good' AND n.event = 'up' AND n.state = 'delivered'",
    );
    assert!(changed.parse::<f64>().is_ok_and(|seconds| seconds < 1.0), "the recovery took {changed} s");
}
