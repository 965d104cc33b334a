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
        /// From one check to the next.
        policy.interval = or(policy.interval, &Span(SECOND..=7 * DAY));
    }
    policy.timeout = timeout(table);
    keys! { table:
        /// Failures in a row that open an incident.
        policy.confirm = or(policy.confirm, &Integer(1..=100));
        /// From a failure that opens no incident yet to the next look.
        policy.retry_interval = or(policy.retry_interval, &Span(100 * MILLISECOND..=DAY));
        /// Successes in a row that close an incident.
        policy.recover = or(policy.recover, &Integer(1..=100));
        /// Failures among the last checks that open an incident too, in a row or not.
        policy.window = optional("none", &WINDOW);
        /// Failures of an outage that make it critical; 0: however many.
        let critical_failures = or(policy.critical_failures.unwrap_or(0), &Integer(0..=100_000));
        /// How long an outage lasts until it is critical, if it has not become so before.
        policy.critical_after = optional("however long", &Span(SECOND..=30 * DAY));
        /// How long after it was told an outage is told again, and then after twice as long each time.
        policy.remind = optional("never", &Span(MINUTE..=30 * DAY));
        /// How often that is.
        policy.remind_most = or(policy.remind_most, &Integer(1..=20));
        /// Whether a monitor that goes up and down too often is told as that, instead of each time.
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
