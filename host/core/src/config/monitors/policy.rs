//! When a monitor is checked, and when what was found becomes an incident: the keys of its [`Policy`].

use super::super::kinds::{Boolean, Integer, Span, ValueError};
use super::super::parsed::Parsed;
use super::super::table::{Table, keys};
use super::{CHECK_MOST, DAY, MILLISECOND, MINUTE, SECOND, Surroundings};
use crate::duration;
use crate::monitor::{Policy, Window};
use std::time::Duration;

pub(super) fn read(table: &mut Table<'_, '_>, surroundings: &Surroundings) -> Policy {
    let mut policy = Policy::default();
    keys! { table:
        /// Interval between checks.
        policy.interval = or(policy.interval, &Span(SECOND..=7 * DAY));
    }
    policy.timeout = timeout(table);
    keys! { table:
        /// Consecutive failures that open an incident.
        policy.confirm = or(policy.confirm, &Integer(1..=100));
        /// Interval between checks after a failure that has not opened an incident yet.
        policy.retry_interval = or(policy.retry_interval, &Span(100 * MILLISECOND..=DAY));
        /// Consecutive successes that end an incident.
        policy.recover = or(policy.recover, &Integer(1..=100));
        /// Failures among the last checks that also open an incident, consecutive or not.
        policy.window = optional("none", &WINDOW);
        /// Failures that make an outage critical; 0: never by their number.
        let critical_failures = or(policy.critical_failures.unwrap_or(0), &Integer(0..=100_000));
        /// Duration that makes an outage critical.
        policy.critical_after = optional("however long", &Span(SECOND..=30 * DAY));
        /// Time from the notification of an outage to its first reminder; each further pause is twice as long.
        policy.remind = optional("never", &Span(MINUTE..=30 * DAY));
        /// Maximum number of reminders.
        policy.remind_most = or(policy.remind_most, &Integer(1..=20));
        /// Send one `flapping-start` and one `flapping-end` for a monitor that goes up and down too often, not every
        /// change.
        policy.flapping = or(policy.flapping, &Boolean);
    }
    policy.critical_failures = Some(critical_failures).filter(|failures| *failures > 0);
    if policy.remind.is_none() {
        let message = "`remind_most` says nothing without `remind`".to_owned();
        table.warning_at("remind_most", message, "add `remind = \"1h\"`, or leave it out");
    }
    if policy.timeout >= surroundings.job_timeout {
        let span = table.span_of("timeout").unwrap_or_else(|| table.span());
        let (timeout, job) = (duration::format(policy.timeout), duration::format(surroundings.job_timeout));
        let longer = duration::format(policy.timeout + 10 * SECOND);
        let message = format!("a check may take `{timeout}` and its job on `monitor-checks` only `{job}`");
        let queue = format!("write `timeout = \"{longer}\"` in `[queues.monitor-checks]`");
        table.notes.warning(span, message, Some(format!("{queue}, or a shorter one for the monitor")));
    }
    policy
}

pub(super) fn timeout(table: &mut Table<'_, '_>) -> Duration {
    keys! { table:
        /// Time limit for each check.
        let timeout = or(Policy::default().timeout, &Span(100 * MILLISECOND..=CHECK_MOST));
    }
    timeout
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
    let refuse = |hint: &str| Err(ValueError::form(hint));
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
