//! How long it takes from a failure to the message about it, at rest: two workers as processes of their own, a target, and a
//! receiver. `cargo bench --workspace --bench alert [-- INCIDENTS]`
//!
//! One incident after the other, each opened and ended. The clock runs from the request of the check that fails (the target
//! answers at once) to the webhook's request, whole; so the check itself, the transaction, both queues and the plugin are in it.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

#[path = "../it/installation.rs"]
#[allow(dead_code, reason = "the integration tests use the rest")]
mod installation;

use installation::Installation;
use std::time::Duration;
use uptime_tests::{Reply, WebhookSink, block_on};

fn main() {
    let incidents = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(500_usize);
    let (target, sink) = (WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    installation.apply(&file(&target, &sink));
    let _checks = installation.start(["worker", "monitor-checks"]);
    let _notifications = installation.start(["worker", "notifications"]);
    let mut took: Vec<Duration> = Vec::with_capacity(incidents);
    // The first is not measured: connections, caches and plugins come to be.
    for incident in 0..=incidents {
        for (status, is_failure) in [(500, true), (200, false)] {
            target.answer(Reply::status(status));
            installation.database.query(
                "WITH job AS (INSERT INTO jobs (queue, subject) SELECT 'monitor-checks', id FROM monitors RETURNING id)
                 SELECT pg_notify('uptime_jobs', 'monitor-checks') FROM job",
            );
            let notices = 2 * incident + usize::from(!is_failure) + 1;
            let told = block_on(sink.wait_for(notices)).pop().expect("the notice");
            let checked = target.received().pop().expect("the check");
            if is_failure && incident > 0 {
                took.push(told.at.saturating_duration_since(checked.at));
            }
        }
    }
    took.sort_unstable();
    let ms = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = ((took.len() - 1) as f64 * share) as usize;
        took[place].as_secs_f64() * 1e3
    };
    println!(
        "{incidents} incidents, failure to webhook: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        ms(0.5),
        ms(0.9),
        ms(0.99),
        ms(1.0)
    );
}

fn file(target: &WebhookSink, sink: &WebhookSink) -> String {
    format!(
        "[channels.hook]\nnotifier = \"webhook\"\nurl = \"{}\"\nallow = [\"{}\"]\ndigest_after = 0\n\
         [monitors.shop]\ntype = \"http\"\nurl = \"{}\"\ninterval = \"7d\"\nconfirm = 1\nflapping = false\n",
        sink.url(),
        sink.origin(),
        target.url()
    )
}
