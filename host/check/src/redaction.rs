//! What a check knows and nobody may see, and the words without it.
//!
//! A target may give back what it was sent: in its body, in a header, in the place that it redirects to; whole or in part,
//! in whatever writing ([`Redactor`]). All that a report says goes through [`Redaction::report`] when the check has ended.
//! What is cut before goes through [`Redaction::redact_target_text`] before it is cut, for a part of a secret is not known as one.

use uptime_core::check::{CheckReport, Failure};
use uptime_core::redaction::Redactor;

/// What is shorter is no secret in the midst of other words: it may be any word's part, and taking it out of a message
/// whose words are known would tell it.
const LONG_BYTES: usize = 6;

#[derive(Clone)]
pub(crate) struct Redaction(Redactor);

impl Default for Redaction {
    fn default() -> Self {
        Self(Redactor::new("…"))
    }
}

impl Redaction {
    /// Hides a secret, and what a target may give back of it.
    pub(crate) fn secret(&mut self, said: &str) {
        self.0.hide(said);
    }

    /// Hides what may be a secret, as a whole, if it is long enough.
    pub(crate) fn value(&mut self, value: &str) {
        if value.len() >= LONG_BYTES {
            self.0.hide_whole(value);
        }
    }

    /// A target's words without any of it.
    pub(crate) fn redact_target_text(&self, text: &str) -> String {
        self.0.redact(text)
    }

    /// Words that are ours as well, without all of it that is long.
    pub(crate) fn redact_own_text(&self, text: &str) -> String {
        self.0.redact_from(text, LONG_BYTES)
    }

    /// All that a report says, without any of it.
    pub(crate) fn report(&self, report: &mut CheckReport) {
        if self.0.is_empty() {
            return;
        }
        for failure in report.failure.iter_mut().chain(&mut report.warnings) {
            self.failure(failure);
        }
        for hop in &mut report.hops {
            hop.url = hop.url.take().map(|url| self.redact_own_text(&url));
        }
    }

    fn failure(&self, failure: &mut Failure) {
        let Failure { message, expected, got, excerpt, .. } = failure;
        *message = self.redact_own_text(message);
        *expected = expected.take().map(|expected| self.redact_own_text(&expected));
        for text in [got, excerpt] {
            *text = text.take().map(|text| self.redact_target_text(&text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use uptime_core::check::{FailureClass, Hop};

    #[test]
    fn what_is_short_is_taken_out_of_a_targets_words_alone() {
        let mut redaction = Redaction::default();
        redaction.secret("on");
        redaction.secret("s3cret-word");
        let failure = Failure::new(FailureClass::Protocol, "connection s3cret-word")
            .with("on s3cret-word", "on s3cret-word")
            .with_excerpt("on s3cret-word", 0);
        let mut report = CheckReport::new(Some(failure.clone()), Duration::ZERO);
        report.warnings.push(failure);
        report.hops.push(Hop { url: Some("http://one.example/s3cret%2Dword".into()), ..Hop::default() });
        redaction.report(&mut report);
        for failure in report.failure.iter().chain(&report.warnings) {
            assert_eq!(failure.message, "connection …");
            assert_eq!(failure.expected.as_deref(), Some("on …"));
            assert_eq!((failure.got.as_deref(), failure.excerpt.as_deref()), (Some("… …"), Some("… …")));
        }
        assert_eq!(report.hops[0].url.as_deref(), Some("http://one.example/…"));
    }
}
