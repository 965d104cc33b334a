//! What one execution of a check found.
//!
//! A target that is down is data, not an error. Whether the trouble is the target's or ours follows from the
//! failure's class alone ([`FailureClass::is_ours`]), so an outcome and its class can't contradict each other.

mod class;
mod evidence;

pub use class::{FailureClass, ProbeResult};
pub use evidence::{Certificate, DnsEvidence, Echoes, Hop, Phases, RoundTrips, TlsEvidence};

use crate::duration::as_ms;
use crate::text::printable;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

words! {
    pub enum Outcome: "outcome" {
        /// The target did what was expected.
        Up = "up",
        /// The target did not.
        Down = "down",
        /// We could not tell, and the fault is ours: no incident, not counted.
        Inconclusive = "inconclusive",
    }
}

/// Why a check did not find its target up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub class: FailureClass,
    /// One line for a person: what was tried and what happened. At most [`Failure::MESSAGE_MAX`] characters, no
    /// control characters, no secret.
    pub message: String,
    /// What would have been right, where that can be said in a word (`2xx`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What came instead (`503`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// What the target said, around what matters: at most [`Failure::EXCERPT_MAX_BYTES`], made safe like the message.
    /// Evidence of the report; notices have `got`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl Failure {
    pub const EXCERPT_MAX_BYTES: usize = 1_000;

    /// The longest message, in characters.
    pub const MESSAGE_MAX: usize = 1_000;

    /// A failure with a message made safe to print: control characters become spaces, and it is cut to
    /// [`Failure::MESSAGE_MAX`].
    pub fn new(class: FailureClass, message: impl AsRef<str>) -> Self {
        let message = printable(message.as_ref(), Self::MESSAGE_MAX);
        Self { class, message, expected: None, got: None, excerpt: None }
    }

    /// Adds what was expected and what came instead, each made safe like the message.
    #[must_use]
    pub fn with(mut self, expected: impl AsRef<str>, got: impl AsRef<str>) -> Self {
        self.expected = Some(printable(expected.as_ref(), 200));
        self.got = Some(printable(got.as_ref(), 200));
        self
    }

    /// Adds what the target said, from the byte `around` on and a little before.
    #[must_use]
    pub fn with_excerpt(mut self, text: &str, around: usize) -> Self {
        let begin =
            text.floor_char_boundary(around.min(text.len()).saturating_sub(Self::EXCERPT_MAX_BYTES / 4));
        let end = text.floor_char_boundary(begin + Self::EXCERPT_MAX_BYTES);
        let excerpt = printable(&text[begin..end], Self::EXCERPT_MAX_BYTES);
        self.excerpt = (!excerpt.is_empty()).then_some(excerpt);
        self
    }
}

/// All that one execution of a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// `None`: the target is up.
    pub failure: Option<Failure>,
    /// What is worth telling of a target that is up: it is degraded. Empty for one that is not.
    #[serde(default)]
    pub warnings: Vec<Failure>,
    /// The connections, in order; the last one's answer is what was judged. None where nothing was begun.
    pub hops: Vec<Hop>,
    pub echoes: Option<Echoes>,
    /// From the check's start to its end, all hops.
    #[serde(with = "as_ms")]
    pub total: Duration,
}

impl CheckReport {
    /// A report without evidence.
    pub fn new(failure: Option<Failure>, total: Duration) -> Self {
        Self { failure, warnings: Vec::new(), hops: Vec::new(), echoes: None, total }
    }

    /// The verdict, by the failure's class.
    pub fn outcome(&self) -> Outcome {
        match &self.failure {
            None => Outcome::Up,
            Some(failure) if failure.class.is_ours() => Outcome::Inconclusive,
            Some(_) => Outcome::Down,
        }
    }

    /// How long the target took, as it is judged and shown: the whole check, but of a ping the mean round trip. `None`: a
    /// ping of which nothing came back.
    pub fn latency(&self) -> Option<Duration> {
        match self.echoes {
            Some(echoes) => echoes.round_trips.map(|round_trips| round_trips.mean),
            None => Some(self.total),
        }
    }

    /// Up, and not as well as it should be.
    pub fn is_degraded(&self) -> bool {
        self.failure.is_none() && !self.warnings.is_empty()
    }

    /// The outcome, with `degraded` apart from `up`.
    pub fn word(&self) -> &'static str {
        if self.is_degraded() { "degraded" } else { self.outcome().as_str() }
    }

    /// What is to be said of it: the failure, or of a degraded target the first warning.
    pub fn trouble(&self) -> Option<&Failure> {
        self.failure.as_ref().or(self.warnings.first())
    }

    /// The address that was spoken to last.
    pub fn address(&self) -> Option<IpAddr> {
        self.hops.last()?.address
    }

    /// HTTP's status of the last hop.
    pub fn status_code(&self) -> Option<u16> {
        self.hops.last()?.status_code
    }

    /// The size of the body of HTTP's last hop.
    pub fn body_bytes(&self) -> Option<u64> {
        self.hops.last()?.body_bytes
    }

    /// The parts of the last hop.
    pub fn phases(&self) -> Phases {
        self.hops.last().map(|hop| hop.phases).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_printable_line() {
        let failure = Failure::new(FailureClass::Status, "a\u{1b}[31m\r\nb");
        assert_eq!(failure.message, "a [31m  b");
    }

    #[test]
    fn the_latency_of_a_ping_is_its_mean_round_trip() {
        let ms = Duration::from_millis;
        let mut report = CheckReport::new(None, ms(400));
        assert_eq!(report.latency(), Some(ms(400)));
        let round_trips = RoundTrips { min: ms(1), mean: ms(2), max: ms(3), jitter: ms(1) };
        report.echoes = Some(Echoes { sent: 3, received: 3, round_trips: Some(round_trips) });
        assert_eq!(report.latency(), Some(ms(2)));
        report.echoes = Some(Echoes { sent: 3, received: 0, round_trips: None });
        assert_eq!(report.latency(), None);
    }

    #[test]
    fn an_excerpt_is_around_what_matters_and_short() {
        let text = format!("{}needle{}", "ä".repeat(1000), "ö\n".repeat(1000));
        let around = text.find("needle").expect("it is there");
        let failure = Failure::new(FailureClass::Assertion, "").with_excerpt(&text, around);
        let excerpt = failure.excerpt.expect("some text");
        assert!(excerpt.contains("äneedleö ö") && excerpt.len() <= Failure::EXCERPT_MAX_BYTES, "{excerpt}");
        assert_eq!(Failure::new(FailureClass::Assertion, "").with_excerpt("", 5).excerpt, None);
        let short = Failure::new(FailureClass::Assertion, "").with_excerpt("ab", 1).excerpt;
        assert_eq!(short.as_deref(), Some("ab"));
    }
}
