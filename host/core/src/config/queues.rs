//! `[queues.NAME]`: what the file says of a queue's workers.

use super::kinds::{Integer, List, Span};
use super::table::Table;
use crate::duration;
use crate::queue::{QUEUES, QueueKind, QueueSection, QueueSettings, Queues};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

pub(super) fn read(queues: &mut Table<'_, '_>) -> Queues {
    Queues(QUEUES.each_ref().map(|kind| queues.table(kind.name, |table| section(kind, table))))
}

fn section(kind: &QueueKind, table: &mut Table<'_, '_>) -> QueueSection {
    let defaults = QueueSettings::defaults(kind.name);
    let long = |duration: Duration| format!("`{}`", duration::format(duration));
    let section = QueueSection {
        sleep: table.optional(
            "sleep",
            "Polling interval when the queue is empty and nothing wakes the worker.",
            &long(defaults.sleep),
            &Span(Duration::from_millis(10)..=HOUR),
        ),
        tries: table.optional(
            "tries",
            "Attempts before a job moves to the failed list; 0 means no limit.",
            &format!("`{}`", defaults.tries),
            &Integer(0..=1_000),
        ),
        timeout: table.optional(
            "timeout",
            "Time limit for one attempt; must be below `retry_after`.",
            &long(defaults.timeout),
            &Span(SECOND..=HOUR),
        ),
        backoff: table.optional(
            "backoff",
            "Delay before each retry; a list gives the first, the second and so on, and its last value repeats.",
            &long(defaults.backoff[0]),
            &List { of: Span(Duration::ZERO..=DAY), count: 1..=20, or_one: true },
        ),
        retry_after: table.optional(
            "retry_after",
            "Lease of a claimed job: it is claimed again when its worker has sent no heartbeat for this long.",
            &long(defaults.retry_after),
            &Span(2 * SECOND..=DAY),
        ),
        concurrency: table.optional(
            "concurrency",
            "Jobs that one worker runs at once. Of `notifications`: each channel that has none in hand gets a slot \
             beyond \
             these, up to four times as many.",
            &format!("`{}`", defaults.concurrency),
            &Integer(1..=10_000),
        ),
        probe: if kind.has_probes {
            table.optional(
                "probe",
                "Pause before a failing channel is probed with its oldest notice that is still true; a list gives the \
                 first pause, the second and so on.",
                "`1m`, doubled up to `1h`",
                &List { of: Span(Duration::from_millis(10)..=DAY), count: 1..=20, or_one: true },
            )
        } else {
            None
        },
    };
    if let Err(conflict) = defaults.with(&section).check() {
        let span =
            table.span_of("timeout").or_else(|| table.span_of("retry_after")).unwrap_or_else(|| table.span());
        table.notes.error(span, conflict.to_string(), Some(conflict.hint()));
    }
    section
}
