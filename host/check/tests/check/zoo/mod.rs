//! The zoo of bad targets: every way to be bad that we know, each with the class and the very words that somebody reads
//! at night. What a change does to these words shows here.
//!
//! [`crate::check_with`] asserts of each check that it ends within its timeout and [`crate::GRACE`]; that fifty of them
//! at once end too, and take no memory, is asserted by the program of its own next door.

mod certificates;
mod connection;
mod head_and_body;
mod names;
#[cfg(target_os = "linux")]
mod ping;
mod redirects;

use crate::assert_failed;
use uptime_core::check::{CheckReport, FailureClass};

/// What a failure expected and got, as [`shows`] takes it.
type Words<'a> = Option<(&'a str, &'a str)>;

/// Asserts all that a failure says.
#[track_caller]
fn shows(report: &CheckReport, class: FailureClass, message: &str, words: Words<'_>) {
    assert_failed(report, class, message);
    let failure = report.failure.as_ref().expect("asserted above");
    assert_eq!(failure.expected.as_deref().zip(failure.got.as_deref()), words, "{report:?}");
    assert_eq!(failure.expected.is_some(), failure.got.is_some(), "one without the other: {report:?}");
}
