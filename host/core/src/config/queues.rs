//! `[queues.NAME]`: what the file says of a queue's workers.

use super::kinds::{Integer, List, Span};
use super::table::{Table, keys};
use crate::duration;
use crate::queue::{QUEUES, QueueKind, QueueSection, QueueSettings, Queues};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

pub(super) fn read(queues: &mut Table<'_, '_>) -> Queues {
    Queues(QUEUES.each_ref().map(|kind| queues.table(kind.name, |table| section(kind, table))))
}

fn section(kind: &QueueKind, table: &mut Table<'_, '_>) -> QueueSection {
    let defaults = QueueSettings::defaults(kind.name);
    let long = |duration: Duration| format!("`{}`", duration::format(duration));
    let pauses = |least| List { of: Span(least..=DAY), count: 1..=20, or_one: true };
    let mut section = QueueSection::default();
    keys! { table:
        /// Polling interval when the queue is empty and nothing wakes the worker.
        section.sleep = optional(&long(defaults.sleep), &Span(10 * MILLISECOND..=HOUR));
        /// Attempts before a job moves to the failed list; 0 means no limit.
        section.tries = optional(&format!("`{}`", defaults.tries), &Integer(0..=1_000));
        /// Time limit for one attempt; must be below `retry_after`.
        section.timeout = optional(&long(defaults.timeout), &Span(SECOND..=HOUR));
        /// Delay before each retry; a list gives the first, the second and so on, and its last value repeats.
        section.backoff = optional(&long(defaults.backoff[0]), &pauses(Duration::ZERO));
        /// Lease of a claimed job: when it ends, another worker may claim the job. The job of a worker that died is free
        /// before.
        section.retry_after = optional(&long(defaults.retry_after), &Span(2 * SECOND..=DAY));
        /// Jobs that one worker runs at once. Of `notifications`: a channel that has none running gets a
        /// slot beyond these, up to four times as many.
        section.concurrency = optional(&format!("`{}`", defaults.concurrency), &Integer(1..=10_000));
    }
    if kind.has_probes {
        keys! { table:
            /// Delay before a failing channel is tried again with its oldest undelivered notification; a list gives the
            /// first delay, the second and so on, and its last value repeats.
            section.probe = optional("`1m`, doubled up to `1h`", &pauses(10 * MILLISECOND));
        }
    }
    if let Err(conflict) = defaults.with(&section).check() {
        let span =
            table.span_of("timeout").or_else(|| table.span_of("retry_after")).unwrap_or_else(|| table.span());
        table.notes.error(span, conflict.to_string(), Some(conflict.hint()));
    }
    section
}
