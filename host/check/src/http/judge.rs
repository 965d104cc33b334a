//! What an answer must be: status, version, place, headers and size, then the body, then the time that all took.
//!
//! The first that does not hold is the failure. Each says what was expected and what came, and shows nothing that the
//! request keeps secret.

use super::charset;
use super::exchange::{Body, TargetResponse};
use super::request::Request;
use crate::shared::Patterns;
use http::HeaderMap;
use regex::Regex;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::expectation::{Mismatch, Pattern};
use uptime_core::monitor::HttpExpect;
use uptime_core::uri;
use url::Url;

pub(super) struct Judge<'a> {
    pub(super) expect: &'a HttpExpect,
    pub(super) request: &'a Request,
    pub(super) patterns: &'a Patterns,
}

/// A body, or its beginning.
struct Text<'a> {
    words: &'a str,
    /// `the body`, or how much of it there is.
    what: &'static str,
    /// It is the beginning of more.
    cut: bool,
}

impl Judge<'_> {
    pub(super) fn wants_text(&self) -> bool {
        let HttpExpect { body_contains, body_not_contains, body_matches, json, .. } = self.expect;
        !(body_contains.is_empty()
            && body_not_contains.is_empty()
            && body_matches.is_empty()
            && json.is_empty())
    }

    fn compiled(&self, pattern: &Pattern) -> Result<Regex, String> {
        self.patterns.get(pattern, |_| true, || pattern.compile())
    }

    /// All that can be said before the body is there.
    pub(super) fn head(&self, answer: &TargetResponse) -> Result<(), Failure> {
        self.status(answer)?;
        self.version(answer)?;
        self.place()?;
        self.headers(&answer.headers)
    }

    fn status(&self, answer: &TargetResponse) -> Result<(), Failure> {
        let status = answer.status;
        if self.expect.status.iter().any(|rule| rule.matches(status.as_u16())) {
            return Ok(());
        }
        let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let message = format!("{} answered {}{reason}", self.request.shown(), status.as_u16());
        Err(Failure::new(FailureClass::Status, message).with(join(&self.expect.status), status.as_str()))
    }

    fn version(&self, answer: &TargetResponse) -> Result<(), Failure> {
        let expected = &self.expect.http_version;
        let version = answer.version;
        if expected.is_empty() || expected.contains(&version) {
            return Ok(());
        }
        let message = format!("{} was answered in HTTP/{version}", self.request.shown());
        Err(assertion(message).with(format!("HTTP/{}", join(expected)), format!("HTTP/{version}")))
    }

    fn place(&self) -> Result<(), Failure> {
        let Some(expected) = &self.expect.final_url else { return Ok(()) };
        let place = self.request.url();
        if bare(expected) == bare(place) {
            return Ok(());
        }
        let (expected, got) = (uri::shown(expected), uri::shown(place));
        // The query may hold a secret, so it is not shown.
        let got = if expected == got { "the same with another query".to_owned() } else { got };
        Err(assertion(format!("{} is not where it should have ended", self.request.shown()))
            .with(expected, got))
    }

    fn headers(&self, headers: &HeaderMap) -> Result<(), Failure> {
        for condition in &self.expect.headers {
            let lines: Vec<_> = headers
                .get_all(condition.name())
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
            condition.judge_with(&lines, &|pattern: &Pattern| self.compiled(pattern)).map_err(
                |mismatch| {
                    let message =
                        format!("the headers of {} do not fit `{}`", self.request.shown(), mismatch.expected);
                    self.mismatch(message, &mismatch)
                },
            )?;
        }
        Ok(())
    }

    /// What an answer in the clear can't be. A hop before may be plain, on the way to TLS; what is judged may not.
    pub(super) fn in_the_clear(&self) -> Result<(), Failure> {
        let HttpExpect { tls_version, certificate_days, .. } = self.expect;
        let (expected, got) = match tls_version {
            Some(lowest) => (format!("TLS {lowest} or newer"), "no TLS"),
            None if certificate_days.is_asked_for() => ("a certificate".to_owned(), "plain HTTP"),
            None => return Ok(()),
        };
        Err(assertion(format!("{} was answered without TLS", self.request.shown())).with(expected, got))
    }

    /// Judges how many bytes the body has in its plain form.
    pub(super) fn size(&self, bytes: u64) -> Result<(), Failure> {
        match self.expect.size_below {
            Some(limit) if bytes >= limit => Err(self.too_large(limit, &format!("at least {bytes} bytes"))),
            _ => Ok(()),
        }
    }

    /// The failure of a body that has not fewer bytes than `limit`, as far as `got` tells.
    pub(super) fn too_large(&self, limit: u64, got: &str) -> Failure {
        assertion(format!("the body of {} is too large", self.request.shown()))
            .with(format!("fewer than {limit} bytes"), got)
    }

    /// Judges the body's text, as its `content_type` says to read it. It may be read in more than one way; then what must
    /// be in it may be in any, and what must not be in it in none.
    pub(super) fn body(&self, plain: &Body, content_type: &str) -> Result<(), Failure> {
        let what = if plain.cut { "the first MiB of the body" } else { "the body" };
        let readings = charset::readings(&plain.bytes, content_type);
        let readings: Vec<Text<'_>> =
            readings.iter().map(|words| Text { words, what, cut: plain.cut }).collect();
        let [body, ..] = readings.as_slice() else { return Ok(()) };
        let HttpExpect { body_contains, body_not_contains, body_matches, json, .. } = self.expect;
        let lacks = |needle: &&String| !readings.iter().any(|text| text.words.contains(needle.as_str()));
        if let Some(needle) = body_contains.iter().find(lacks) {
            return Err(self.about(body, &format!("lacks `{needle}`"), format!("contains `{needle}`"), ""));
        }
        for needle in body_not_contains {
            if let Some(text) = readings.iter().find(|text| text.words.contains(needle.as_str())) {
                let expected = format!("does not contain `{needle}`");
                return Err(self.about(text, &format!("has `{needle}`"), expected, needle));
            }
        }
        for pattern in body_matches {
            let regex = self.compiled(pattern).map_err(|error| {
                Failure::new(FailureClass::Settings, format!("`body_matches`: `{pattern}`: {error}"))
            })?;
            if !readings.iter().any(|text| regex.is_match(text.words)) {
                let (is, expected) = (format!("does not match `{pattern}`"), format!("matches `{pattern}`"));
                return Err(self.about(body, &is, expected, ""));
            }
        }
        if json.is_empty() { Ok(()) } else { self.json(&readings) }
    }

    fn json(&self, readings: &[Text<'_>]) -> Result<(), Failure> {
        let [body, ..] = readings else { return Ok(()) };
        if body.cut {
            let is = "is not all of it, and larger JSON is not read";
            return Err(self.about(body, is, "JSON of at most 1 MiB".to_owned(), ""));
        }
        // JSON is UTF-8 (RFC 8259, 8.1), whatever is declared: what can be read as that comes first.
        let mut parsed = readings.iter().rev().map(|text| (text, serde_json::from_str(text.words)));
        let Some(first) = parsed.next() else { return Ok(()) };
        let (body, answer) = match first {
            (_, Ok(_)) => first,
            (_, Err(_)) => parsed.find(|(_, answer)| answer.is_ok()).unwrap_or(first),
        };
        let answer = answer
            .map_err(|error| self.about(body, &format!("is not JSON: {error}"), "JSON".to_owned(), ""))?;
        for condition in &self.expect.json {
            condition.judge_with(&answer, &|pattern: &Pattern| self.compiled(pattern)).map_err(
                |mismatch| {
                    let message = format!(
                        "{} of {} does not fit `{}`",
                        body.what,
                        self.request.shown(),
                        mismatch.expected
                    );
                    let text = self.request.redaction().redact_target_text(body.words);
                    self.mismatch(message, &mismatch).with_excerpt(&text, 0)
                },
            )?;
        }
        Ok(())
    }

    /// The failure of a body, with its text around `needle`.
    fn about(&self, body: &Text<'_>, is: &str, expected: String, needle: &str) -> Failure {
        // Before it is cut: a part of a secret is not known as one.
        let text = self.request.redaction().redact_target_text(body.words);
        let around = text.find(needle).unwrap_or(0);
        let message = format!("{} of {} {is}", body.what, self.request.shown());
        let failure = assertion(message).with_excerpt(&text, around);
        // `got` goes into notices, so it is the short form.
        let got = &text[text.floor_char_boundary(around.saturating_sub(50))..];
        failure.with(expected, if got.is_empty() { "an empty body" } else { got })
    }

    fn mismatch(&self, message: String, mismatch: &Mismatch) -> Failure {
        assertion(message)
            .with(&mismatch.expected, self.request.redaction().redact_target_text(&mismatch.got))
    }
}

fn assertion(message: impl AsRef<str>) -> Failure {
    Failure::new(FailureClass::Assertion, message)
}

fn join<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A URL as a target sees it.
fn bare(url: &Url) -> Url {
    let mut url = uri::without_login(url);
    url.set_fragment(None);
    url
}
