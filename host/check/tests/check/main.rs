//! The check engine against real targets on the loopback: good ones, and each way in which a target can be bad.
//! Every check must end within its timeout, whatever the target does; [`check`] asserts it for all of them.

mod assertion;
mod cookies;
mod curves;
mod dns;
mod hostile;
mod http;
mod http2;
#[cfg(target_os = "linux")]
mod inwards;
mod keys;
mod lenient;
#[cfg(target_os = "linux")]
mod namespace;
mod ping;
mod proxy;
mod redirect;
mod resolve;
mod starttls;
mod talk;
mod target;
mod tcp;
mod tls;
mod trust;
mod zoo;

use std::time::{Duration, Instant};
use uptime_check::Checker;
use uptime_core::check::{CheckReport, Failure, FailureClass, Outcome};
use uptime_core::monitor::{CheckSpec, HttpSpec};
use uptime_core::secret::access::Access;

/// Enough for everything that answers.
const PATIENT: Duration = Duration::from_secs(10);

/// Enough to see that a target does not answer.
const SHORT: Duration = Duration::from_millis(400);

/// What a check may need beyond its timeout on a busy machine.
const GRACE: Duration = Duration::from_secs(1);

async fn check_with(checker: &Checker, spec: &CheckSpec, timeout: Duration) -> CheckReport {
    let began = Instant::now();
    let report = checker.check(spec, timeout).await;
    let took = began.elapsed();
    assert!(took < timeout + GRACE, "a check of at most {timeout:?} took {took:?}: {report:?}");
    assert!(report.total <= took, "{report:?}");
    report
}

async fn check(spec: &CheckSpec, timeout: Duration) -> CheckReport {
    let checker = Checker::new().expect("a checker").with_access(Access::operator());
    check_with(&checker, spec, timeout).await
}

async fn ask(spec: HttpSpec) -> CheckReport {
    check(&CheckSpec::Http(spec), PATIENT).await
}

/// [`ask`] of a target that does not answer.
async fn ask_briefly(spec: HttpSpec) -> CheckReport {
    check(&CheckSpec::Http(spec), SHORT).await
}

#[track_caller]
fn assert_up(report: &CheckReport) {
    assert_eq!(report.failure, None, "{report:?}");
    assert_eq!(report.outcome(), Outcome::Up);
}

/// Asserts class and message of a failure, and gives it.
#[track_caller]
fn assert_failed<'a>(report: &'a CheckReport, class: FailureClass, message: &str) -> &'a Failure {
    let failure = report.failure.as_ref().unwrap_or_else(|| panic!("no failure, but not: {message}"));
    assert_eq!((failure.class, failure.message.as_str()), (class, message), "{report:?}");
    let outcome = if class.is_ours() { Outcome::Inconclusive } else { Outcome::Down };
    assert_eq!(report.outcome(), outcome);
    failure
}

/// Asserts all that a failure says, what it expected and got among it.
#[track_caller]
fn shows(report: &CheckReport, class: FailureClass, message: &str, words: Option<(&str, &str)>) {
    let Failure { expected, got, .. } = assert_failed(report, class, message);
    assert_eq!(expected.as_deref().zip(got.as_deref()), words, "{report:?}");
    assert_eq!(expected.is_some(), got.is_some(), "one without the other: {report:?}");
}
