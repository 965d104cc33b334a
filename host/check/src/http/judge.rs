//! What an answer must be: status, version, place, headers and size, then the body, then the time that all took.
//!
//! The first that does not hold is the failure. Each says what was expected and what came, and shows nothing that the
//! request keeps secret.

use super::decode::Plain;
use super::exchange::Answer;
use super::request::Request;
use crate::patterns::Patterns;
use crate::trace::Trace;
use http::HeaderMap;
use std::time::Duration;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::duration;
use uptime_core::expectation::{Mismatch, Pattern};
use uptime_core::monitor::HttpExpect;
use url::Url;

/// The largest body that is read as JSON, in its plain form: in memory it may take a hundred times as much.
const JSON_MAX_BYTES: usize = 1024 * 1024;

/// An answer under judgement.
pub(super) struct Judge<'a> {
    pub(super) expect: &'a HttpExpect,
    pub(super) request: &'a Request,
    pub(super) patterns: &'a Patterns,
}

/// A body, or its beginning.
struct Text<'a> {
    text: &'a str,
    /// `the body`, or how much of it there is.
    what: &'static str,
}

impl Judge<'_> {
    /// Whether the body's text matters.
    pub(super) fn wants_text(&self) -> bool {
        let HttpExpect { body_contains, body_not_contains, body_matches, json, .. } = self.expect;
        !(body_contains.is_empty()
            && body_not_contains.is_empty()
            && body_matches.is_empty()
            && json.is_empty())
    }

    /// All that can be said before the body is there.
    pub(super) fn head(&self, answer: &Answer) -> Result<(), Failure> {
        self.status(answer)?;
        self.version(answer)?;
        self.place()?;
        self.headers(answer.headers())
    }

    fn status(&self, answer: &Answer) -> Result<(), Failure> {
        let status = answer.status();
        if self.expect.status.iter().any(|rule| rule.matches(status.as_u16())) {
            return Ok(());
        }
        let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let message = format!("{} answered {}{reason}", self.request.shown(), status.as_u16());
        Err(Failure::new(FailureClass::Status, message).with(join(&self.expect.status), status.as_str()))
    }

    fn version(&self, answer: &Answer) -> Result<(), Failure> {
        let expected = &self.expect.http_version;
        let version = answer.version();
        if expected.is_empty() || version.is_some_and(|version| expected.contains(&version)) {
            return Ok(());
        }
        let version = version.map_or("an unknown version", |version| version.as_str());
        let message = format!("{} was answered in HTTP/{version}", self.request.shown());
        Err(assertion(message).with(format!("HTTP/{}", join(expected)), format!("HTTP/{version}")))
    }

    fn place(&self) -> Result<(), Failure> {
        let Some(expected) = &self.expect.final_url else { return Ok(()) };
        let place = self.request.url();
        if bare(expected) == bare(place) {
            return Ok(());
        }
        let (expected, got) = (super::redirect::shown(expected), super::redirect::shown(place));
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
            condition.judge_with(&lines, &|pattern: &Pattern| self.patterns.get(pattern)).map_err(
                |mismatch| {
                    let message =
                        format!("the headers of {} do not fit `{}`", self.request.shown(), mismatch.expected);
                    self.mismatch(message, &mismatch)
                },
            )?;
        }
        Ok(())
    }

    /// Judges how many bytes the body has in its plain form; `more`: and there were more to come.
    pub(super) fn size(&self, bytes: u64, more: bool) -> Result<(), Failure> {
        match self.expect.size_below {
            Some(limit) if bytes >= limit || more => {
                let message = format!("the body of {} is too large", self.request.shown());
                let got = format!("{} {bytes} bytes", if more { "more than" } else { "at least" });
                Err(assertion(message).with(format!("fewer than {limit} bytes"), got))
            }
            _ => Ok(()),
        }
    }

    /// Judges the body's text.
    pub(super) fn body(&self, plain: &Plain, cut: &'static str) -> Result<(), Failure> {
        let what = if plain.cut { cut } else { "the body" };
        let text = String::from_utf8_lossy(&plain.bytes);
        let body = Text { text: &text, what };
        self.words(&body)?;
        for pattern in &self.expect.body_matches {
            let regex = self.patterns.get(pattern).map_err(|error| {
                Failure::new(FailureClass::Settings, format!("`body_matches`: `{pattern}`: {error}"))
            })?;
            if !regex.is_match(&text) {
                return Err(self.about(
                    &body,
                    &format!("does not match `{pattern}`"),
                    format!("matches `{pattern}`"),
                    "",
                ));
            }
        }
        if self.expect.json.is_empty() { Ok(()) } else { self.json(&body, &plain.bytes) }
    }

    fn words(&self, body: &Text<'_>) -> Result<(), Failure> {
        let HttpExpect { body_contains, body_not_contains, .. } = self.expect;
        let lacks = body_contains.iter().find(|needle| !body.text.contains(needle.as_str()));
        if let Some(needle) = lacks {
            return Err(self.about(body, &format!("lacks `{needle}`"), format!("contains `{needle}`"), ""));
        }
        let has = body_not_contains.iter().find(|needle| body.text.contains(needle.as_str()));
        if let Some(needle) = has {
            let expected = format!("does not contain `{needle}`");
            return Err(self.about(body, &format!("has `{needle}`"), expected, needle));
        }
        Ok(())
    }

    fn json(&self, body: &Text<'_>, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.len() > JSON_MAX_BYTES {
            let kib = JSON_MAX_BYTES / 1024;
            let is = format!("is too large to be read as JSON: it has more than {kib} KiB");
            return Err(self.about(body, &is, format!("JSON of at most {kib} KiB"), ""));
        }
        let answer = serde_json::from_slice(bytes)
            .map_err(|error| self.about(body, &format!("is not JSON: {error}"), "JSON".to_owned(), ""))?;
        for condition in &self.expect.json {
            condition.judge_with(&answer, &|pattern: &Pattern| self.patterns.get(pattern)).map_err(
                |mismatch| {
                    let message = format!(
                        "{} of {} does not fit `{}`",
                        body.what,
                        self.request.shown(),
                        mismatch.expected
                    );
                    self.mismatch(message, &mismatch).with_excerpt(&self.request.redact(body.text), 0)
                },
            )?;
        }
        Ok(())
    }

    /// The failure of a body, with its text around `needle`.
    fn about(&self, body: &Text<'_>, is: &str, expected: String, needle: &str) -> Failure {
        let text = self.request.redact(body.text);
        let around = text.find(needle).unwrap_or(0);
        let message = format!("{} of {} {is}", body.what, self.request.shown());
        let failure = assertion(self.request.redact(&message)).with_excerpt(&text, around);
        // `got` goes into notices, so it is the short form.
        let got = &text[text.floor_char_boundary(around.saturating_sub(50))..];
        failure.with(expected, if got.is_empty() { "an empty body" } else { got })
    }

    fn mismatch(&self, message: String, mismatch: &Mismatch) -> Failure {
        assertion(message).with(&mismatch.expected, self.request.redact(&mismatch.got))
    }

    /// Judges the time that all took. What is only slow becomes a warning.
    pub(super) fn latency(&self, total: Duration, trace: &mut Trace) -> Result<(), Failure> {
        let slow = |limit: Duration| {
            let (took, limit) = (duration::format(total), duration::format(limit));
            let message = format!("{} took {took}, and should take less than {limit}", self.request.shown());
            Failure::new(FailureClass::Latency, message).with(format!("below {limit}"), took)
        };
        match (self.expect.latency_below, self.expect.degraded_above) {
            (Some(limit), _) if total >= limit => return Err(slow(limit)),
            (_, Some(limit)) if total > limit => trace.warnings.push(slow(limit)),
            _ => {}
        }
        Ok(())
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
    let mut url = url.clone();
    url.set_fragment(None);
    // Neither can fail: an http URL has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
