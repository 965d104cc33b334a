//! Whether a failure says anything about its target, or only that our own network is away. Pure.
//!
//! Witnesses are targets of the operator's choice that are never all away at once, unless we are. Three questions are
//! answered here: which failures a dead network of ours could explain ([`is_explained_by_blindness`]), what a witness's
//! own report proves ([`testimony`]), and which answer is recent enough for which failure ([`asked_after`]).

use crate::check::{CheckReport, Failure, FailureClass, ProbeResult};
use std::time::{Duration, Instant};

/// Whether the check would have failed so if our own network had been away. Those that had an answer of any kind, be it a
/// refusal, a wrong certificate or a 500, would not.
pub fn is_explained_by_blindness(report: &CheckReport) -> bool {
    report.failure.as_ref().is_some_and(|failure| {
        failure.class.explained_by_blindness()
            && (failure.class != FailureClass::Loss || no_echo_came(report))
    })
}

/// What a witness's report proves. It need not be well: whoever refuses, or has an expired certificate, has answered.
pub fn testimony(report: &CheckReport) -> ProbeResult {
    match &report.failure {
        None => ProbeResult::Answered,
        Some(failure) if failure.class == FailureClass::Loss && no_echo_came(report) => ProbeResult::Silent,
        Some(failure) => failure.class.testimony(),
    }
}

fn no_echo_came(report: &CheckReport) -> bool {
    report.phases().first_byte.is_none() && report.echoes.is_none_or(|echoes| echoes.received == 0)
}

/// For how long an answer of the witnesses is about what fails now.
pub const FRESH_FOR: Duration = Duration::from_secs(1);

/// When the witnesses must have been asked at the earliest, for their answer to be about a check that failed between
/// `began` and `ended`: within the last second, and in the second half of the check. An answer from before the failure
/// says nothing, for the network may have gone since.
pub fn asked_after(began: Instant, ended: Instant) -> Instant {
    let took = ended.saturating_duration_since(began);
    ended.checked_sub(FRESH_FOR.min(took / 2)).unwrap_or(began)
}

/// The failure of a check that failed while no witness answered: ours, and with the words of what was found.
pub fn blind(found: &Failure, silent: &str) -> Failure {
    Failure::new(
        FailureClass::Network,
        format!("this machine's network is away, {silent}; the check had found: {}", found.message),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Echoes, Outcome};

    fn report(class: Option<FailureClass>) -> CheckReport {
        let failure = |class| Failure::new(class, "connecting to 192.0.2.7:80: no answer within 10s");
        CheckReport::new(class.map(failure), Duration::ZERO)
    }

    #[test]
    fn only_what_had_no_answer_is_explained_by_a_dead_network_and_who_answers_need_not_be_well() {
        use FailureClass as C;
        use ProbeResult::{Answered, NotAsked, Silent};
        for (classes, is_explained, proves) in [
            (
                &[C::Dns, C::Unreachable, C::ConnectTimeout, C::Loss, C::Resolver, C::Network][..],
                true,
                Silent,
            ),
            (&[C::TlsTimeout, C::FirstByteTimeout, C::BodyTimeout], true, Answered),
            (&[C::Refused, C::TlsUnknownIssuer, C::TlsExpired, C::Status, C::Latency], false, Answered),
            (&[C::Permission, C::Resources], false, NotAsked),
        ] {
            for class in classes {
                let report = report(Some(*class));
                let found = (is_explained_by_blindness(&report), testimony(&report));
                assert_eq!(found, (is_explained, proves), "{class:?}");
            }
        }
        let mut some_lost = report(Some(C::Loss));
        some_lost.echoes = Some(Echoes { sent: 3, received: 1, round_trips: None });
        for report in [report(None), some_lost] {
            assert_eq!((is_explained_by_blindness(&report), testimony(&report)), (false, Answered));
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn an_answer_is_newer_than_the_failures_beginning() {
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        assert_eq!(asked_after(began, after(10_000)), after(9_000));
        assert_eq!(asked_after(began, after(500)), after(250));
        assert_eq!(asked_after(began, began), began);
    }

    #[test]
    fn a_blind_failure_is_ours_and_keeps_the_words() {
        let found = report(Some(FailureClass::ConnectTimeout));
        let failure = blind(found.failure.as_ref().expect("one"), "no witness answers (tcp://192.0.2.1:443)");
        assert_eq!(
            failure.message,
            "this machine's network is away, no witness answers (tcp://192.0.2.1:443); \
             the check had found: connecting to 192.0.2.7:80: no answer within 10s"
        );
        assert_eq!(CheckReport { failure: Some(failure), ..found }.outcome(), Outcome::Inconclusive);
    }
}
