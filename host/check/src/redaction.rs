//! What a check knows and nobody may see, and the words without it.
//!
//! A target may give back what it was sent: in its body, in a header, in the place that it redirects to; whole or in part,
//! as it was or percent-encoded. All that a report says goes through [`Redaction::report`] when the check has ended.
//! What is cut before goes through [`Redaction::theirs`] before it is cut, for a part of a secret is not known as one.

use std::ops::Range;
use uptime_core::check::{CheckReport, Failure};
use uptime_core::secret::Secret;

/// What is shorter is no secret in the midst of other words: it may be any word's part, and taking it out of a message
/// whose words are known would tell it.
const LONG_BYTES: usize = 6;

/// The secrets of one check.
#[derive(Clone, Default)]
pub(crate) struct Redaction(Vec<Secret>);

impl Redaction {
    /// Hides a secret. A target seldom gives back the whole of what it was sent, so each line counts by itself, and each
    /// word that is long enough.
    pub(crate) fn secret(&mut self, said: &str) {
        let lines = said.lines().map(str::trim);
        let words = said.split_whitespace().filter(|word| word.len() >= LONG_BYTES);
        let all = std::iter::once(said).chain(lines).chain(words).filter(|part| !part.is_empty());
        self.0.extend(all.map(Secret::new));
    }

    /// Hides what may be a secret, as a whole, if it is long enough.
    pub(crate) fn value(&mut self, value: &str) {
        if value.len() >= LONG_BYTES {
            self.0.push(Secret::new(value));
        }
    }

    /// A target's words without any of it.
    pub(crate) fn theirs(&self, text: &str) -> String {
        self.without(text, 1)
    }

    /// Words that are ours as well, without all of it that is long.
    pub(crate) fn ours(&self, text: &str) -> String {
        self.without(text, LONG_BYTES)
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
            hop.url = hop.url.take().map(|url| self.ours(&url));
        }
    }

    fn failure(&self, failure: &mut Failure) {
        let Failure { message, expected, got, excerpt, .. } = failure;
        *message = self.ours(message);
        *expected = expected.take().map(|expected| self.ours(&expected));
        for theirs in [got, excerpt] {
            *theirs = theirs.take().map(|text| self.theirs(&text));
        }
    }

    fn without(&self, text: &str, shortest: usize) -> String {
        let mut hidden: Vec<Range<usize>> = Vec::new();
        let secrets = || self.0.iter().map(Secret::expose).filter(|secret| secret.len() >= shortest);
        for secret in secrets() {
            hidden.extend(text.match_indices(secret).map(|(at, found)| at..at + found.len()));
        }
        for plus_is_space in [false, true] {
            if text.contains('%') || plus_is_space && text.contains('+') {
                let (bytes, places) = decoded(text, plus_is_space);
                for secret in secrets() {
                    let found = memchr::memmem::find_iter(&bytes, secret);
                    hidden.extend(found.map(|at| places[at]..places[at + secret.len()]));
                }
            }
        }
        hidden.sort_by_key(|range| range.start);
        let (mut shown, mut end) = (String::with_capacity(text.len()), 0);
        for range in hidden {
            if range.start >= end {
                shown.push_str(text.get(end..range.start).unwrap_or_default());
                shown.push('…');
            }
            end = end.max(range.end);
        }
        shown.push_str(text.get(end..).unwrap_or_default());
        shown
    }
}

/// The bytes that `text` stands for when it is percent-encoded, where each of them begins in it, and where the last ends.
fn decoded(text: &str, plus_is_space: bool) -> (Vec<u8>, Vec<usize>) {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (text, mut at) = (text.as_bytes(), 0);
    let (mut bytes, mut places) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
    while let Some(&byte) = text.get(at) {
        places.push(at);
        let escaped = match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => u8::try_from(high << 4 | low).ok(),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(if plus_is_space && byte == b'+' { b' ' } else { byte }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    places.push(at);
    (bytes, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use uptime_core::check::{FailureClass, Hop};

    fn redaction(secrets: &[&str]) -> Redaction {
        let mut redaction = Redaction::default();
        for secret in secrets {
            redaction.secret(secret);
        }
        redaction
    }

    #[test]
    fn a_secret_is_found_in_each_form() {
        let redaction = redaction(&["Bearer sk/very+se cret", "é%41\u{1f511}x"]);
        for (text, shown) in [
            ("no: Bearer sk/very+se cret!", "no: …!"),
            ("Bearer%20sk%2Fvery%2bse%20cret", "…"),
            ("a=Bearer+sk%2Fvery%2Bse+cret&b", "a=…&b"),
            ("/login/%73k%2Fvery+se", "/login/…"),
            ("é%41\u{1f511}x and %C3%A9%2541\u{1f511}%78", "… and …"),
            ("sk/very se", "sk/very se"),
            ("100% of 50%2, a+b %", "100% of 50%2, a+b %"),
            ("", ""),
        ] {
            assert_eq!(redaction.theirs(text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_short_is_taken_out_of_a_targets_words_alone() {
        let redaction = redaction(&["on", "s3cret-word"]);
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
