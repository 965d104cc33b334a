//! `uptime up`: everything in one process.

use crate::installation::Installation;
use crate::session::{Scene, sessions};
use uptime_tests::{HttpTarget, Reply, WebhookSink, block_on};

#[test]
fn a_target_and_an_address_are_all_it_takes() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    let up = installation.start(["up", &target.url(), "--notify", &sink.url(), "--interval", "1s"]);
    block_on(target.wait_for_requests(1));
    target.answer(Reply::status(500));
    let received = block_on(sink.wait_for(1));
    assert_eq!(received[0].json()["monitor"]["target"], target.url());
    target.up();
    let received = block_on(sink.wait_for(2));
    assert_eq!(received[1].json()["type"], "up");
    assert_eq!(up.terminate(), 0);

    // Another command line rests what this one watched, and keeps its history.
    let other = HttpTarget::start();
    installation.command(["up", &other.url(), "--for", "1s"]).assert().success();
    installation.holds("SELECT string_agg(enabled::text, ',' ORDER BY id) FROM monitors", "false,true");
    installation.holds("SELECT count(*) FROM incidents", "1");
}

sessions! { "up":
    nothing_to_watch_says_what_to_do on Scene::bare("");
}

#[test]
fn a_second_one_rests_nobodys_targets() {
    let (first, second, sink) = (HttpTarget::start(), HttpTarget::start(), WebhookSink::start());
    let installation = Installation::new();
    let one = installation.start(["up", &first.url(), "--interval", "1s", "--notify", &sink.url()]);
    block_on(first.wait_for_requests(1));
    let twice = [format!("{}?a=1", second.url()), format!("{}?a=2", second.url())];
    let other = installation.start(["up", &twice[0], &twice[1], "--interval", "1s"]);
    block_on(second.wait_for_requests(4));
    block_on(first.more_requests(2));
    // Each target is one.
    installation.holds("SELECT count(*) FROM monitors WHERE enabled", "3");
    assert_eq!((one.terminate(), other.terminate()), (0, 0));
}
