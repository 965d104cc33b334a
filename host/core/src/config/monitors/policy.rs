//! When a monitor is checked, and when what was found becomes an incident: the keys of its [`Policy`].

use super::super::kinds::{Boolean, Integer, Span, ValueError};
use super::super::parsed::Parsed;
use super::super::table::Table;
use super::{CHECK_MOST, DAY, MILLISECOND, SECOND, Surroundings};
use crate::duration;
use crate::monitor::{Policy, Window};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);

pub(super) fn read(table: &mut Table<'_, '_>, surroundings: &Surroundings) -> Policy {
    let defaults = Policy::default();
    let policy = Policy {
        interval: table.or(
            "interval",
            "Interval between checks.",
            defaults.interval,
            &Span(SECOND..=7 * DAY),
        ),
        timeout: timeout(table),
        confirm: table.or(
            "confirm",
            "Consecutive failures that open an incident.",
            defaults.confirm,
            &Integer(1..=100),
        ),
        retry_interval: table.or(
            "retry_interval",
            "Interval between checks after a failure that has not opened an incident yet.",
            defaults.retry_interval,
            &Span(100 * MILLISECOND..=DAY),
        ),
        recover: table.or(
            "recover",
            "Consecutive successes that end an incident.",
            defaults.recover,
            &Integer(1..=100),
        ),
        window: table.optional(
            "window",
            "Failures among the last checks that also open an incident, consecutive or not.",
            "none",
            &WINDOW,
        ),
        critical_failures: Some(table.or(
            "critical_failures",
            "Failures that make an outage critical; 0: never by their number.",
            defaults.critical_failures.unwrap_or(0),
            &Integer(0..=100_000),
        ))
        .filter(|failures| *failures > 0),
        critical_after: table.optional(
            "critical_after",
            "Duration that makes an outage critical.",
            "however long",
            &Span(SECOND..=30 * DAY),
        ),
        remind: table.optional(
            "remind",
            "Time from the notification of an outage to its first reminder; each further pause is twice as long.",
            "never",
            &Span(MINUTE..=30 * DAY),
        ),
        remind_most: table.or("remind_most", "Maximum number of reminders.", defaults.remind_most, &Integer(1..=20)),
        flapping: table.or(
            "flapping",
            "Send one `flapping-start` and one `flapping-end` for a monitor that goes up and down too often, not \
             every change.",
            defaults.flapping,
            &Boolean,
        ),
        // Read with the locations.
        down_in: None,
    };
    if policy.remind.is_none() {
        table.warning_at(
            "remind_most",
            "`remind_most` says nothing without `remind`".into(),
            "add `remind = \"1h\"`, or leave it out",
        );
    }
    if policy.timeout >= surroundings.job_timeout {
        let span = table.span_of("timeout").unwrap_or_else(|| table.span());
        let (timeout, job) = (duration::format(policy.timeout), duration::format(surroundings.job_timeout));
        let longer = duration::format(policy.timeout + 10 * SECOND);
        table.notes.warning(
            span,
            format!("a check may take `{timeout}` and its job on `monitor-checks` only `{job}`"),
            Some(format!(
                "write `timeout = \"{longer}\"` in `[queues.monitor-checks]`, or a shorter one for the monitor"
            )),
        );
    }
    policy
}

pub(super) fn timeout(table: &mut Table<'_, '_>) -> Duration {
    let limits = Span(100 * MILLISECOND..=CHECK_MOST);
    table.or("timeout", "Time limit for each check.", Policy::default().timeout, &limits)
}

/// `3 of 5`.
const WINDOW: Parsed<Window> =
    Parsed::new("N of N", "failures among checks such as `3 of 5`", "\"3 of 5\"", |text, _, _| window(text))
        .within("at most `20 of 20`");

fn window(text: &str) -> Result<Window, ValueError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [failures, "of", of] = words.as_slice() else { return Err(ValueError::Form(None)) };
    let number = |text: &str| text.parse::<u32>().map_err(|_| ValueError::Form(None));
    let (failures, of) = (number(failures)?, number(of)?);
    let refuse = |hint: &str| Err(ValueError::Form(Some(hint.to_owned())));
    if failures == 0 {
        refuse("it takes a failure at least, such as `1 of 5`")
    } else if failures > of {
        refuse("the failures are among the checks: write the smaller number first")
    } else if of > Window::LONGEST {
        refuse(&format!("no more than the last {} checks are looked at", Window::LONGEST))
    } else {
        Ok(Window { failures, of })
    }
}
