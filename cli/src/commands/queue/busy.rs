//! What channels are told of a queue that is over its limit.

use crate::output::span;
use std::time::Duration;
use uptime_core::duration::elapsed;
use uptime_core::event::Event;
use uptime_store::operations::QueueSize;
use uptime_store::operations::busy::{BusyMoment, Told};
use uptime_store::{Store, StoreError};

/// A queue that stays over its limit is told of again.
const AGAIN_AFTER: Duration = Duration::from_hours(1);

/// Tells of a queue with `size` or more jobs, unless that was done lately.
pub async fn announce(store: &Store, size: &QueueSize, max: i64) -> Result<Told, StoreError> {
    store.enqueue_busy(&size.queue, max, AGAIN_AFTER, |moment| event(size, max, moment)).await
}

fn event(size: &QueueSize, max: i64, moment: BusyMoment) -> Event {
    let counts = (format!("fewer than {max} jobs"), format!("{} jobs", size.size()));
    Event::queue_busy(&size.queue, counts, message(size, moment), moment.now)
}

/// How long it has been so, and the likeliest cause.
fn message(size: &QueueSize, moment: BusyMoment) -> String {
    let waits = match size.oldest_wait_ms {
        Some(ms) => {
            format!("the oldest of {} ready jobs has waited {}", size.ready, span(ms.unsigned_abs() / 1_000))
        }
        None => format!("none is ready, {} are delayed, {} run", size.delayed, size.reserved),
    };
    let by = match (size.paused_at, size.workers) {
        (Some(_), _) => "the queue is paused".into(),
        (None, 0) => "no worker is alive".into(),
        (None, 1) => "1 worker is alive".into(),
        (None, workers) => format!("{workers} workers are alive"),
    };
    let over_s = elapsed(moment.since, moment.now).as_secs();
    let since = if over_s >= 60 { format!("; over its limit for {}", span(over_s)) } else { String::new() };
    format!("{waits}; {by}{since}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, Timestamp};

    #[test]
    fn the_message_names_the_likeliest_cause() {
        let now = Timestamp::from_second(1_700_000_000).expect("an instant");
        let moment = |over| BusyMoment { now, since: now - SignedDuration::from_secs(over) };
        let mut size = QueueSize {
            queue: "notifications".into(),
            ready: 1_180,
            delayed: 20,
            reserved: 4,
            failed: 0,
            oldest_wait_ms: Some(725_000),
            per_second: 0.0,
            workers: 0,
            paused_workers: 0,
            paused_at: None,
        };
        assert_eq!(
            message(&size, moment(0)),
            "the oldest of 1180 ready jobs has waited 12 min; no worker is alive"
        );
        size.workers = 2;
        assert_eq!(
            message(&size, moment(7_300)),
            "the oldest of 1180 ready jobs has waited 12 min; 2 workers are alive; over its limit for 2 h"
        );
        size.paused_at = Some(now);
        size.oldest_wait_ms = None;
        assert_eq!(message(&size, moment(59)), "none is ready, 20 are delayed, 4 run; the queue is paused");
        let event = event(&size, 1_000, moment(0));
        let outcome = event.outcome.expect("an outcome");
        assert_eq!(
            (outcome.expected.as_deref(), outcome.got.as_deref()),
            (Some("fewer than 1000 jobs"), Some("1204 jobs"))
        );
    }
}
