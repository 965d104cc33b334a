//! What every notifier must make of every kind of answer: one table, `conformance.json`, for all of them.
//!
//! A row has an answer and what is expected of it:
//!
//! | `answer` | |
//! |---|---|
//! | `status`, `headers` | as they come |
//! | `body` or `body_base64` or `body_repeat` | text, bytes, or `[text, times]` |
//! | `truncated` | there was more than the host reads |
//! | `failure` | instead: `timeout`, `dns`, `connect`, `tls`, `other`, `denied` or `invalid` |
//!
//! | `expect` | |
//! |---|---|
//! | `transient`, `rate-limited`, `unauthorized`, `gone`, `permanent`, `config` | this error |
//! | `accepted` | a receipt |
//! | `refused` | `permanent`, `unauthorized` or `gone` |
//! | `any` | whatever, but an answer: no panic, no endless requests |
//!
//! `after_ms` is what a `transient` or `rate-limited` must say besides, at the instant of
//! [`delivery`](super::delivery)`(`[`event`](super::event)`("down"))`; `null`: nothing.

use super::{FakeHost, answer, class, delivery, event};
use crate::{HttpError, Notifier, NotifyError, Receipt, Response, Settings};
use base64::Engine as _;
use serde::Deserialize;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The table's text.
pub const CONFORMANCE: &str = include_str!("../../conformance.json");

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is about.
    pub name: String,
    /// How each request ends.
    pub answer: Result<Response, HttpError>,
    /// The word of what is expected.
    pub expect: String,
    /// What the error must say of the next try; `None` where the row does not care.
    pub after_ms: Option<Option<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    name: String,
    answer: RawAnswer,
    expect: String,
    after_ms: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAnswer {
    failure: Option<String>,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    body_base64: Option<String>,
    body_repeat: Option<(String, usize)>,
    #[serde(default)]
    truncated: bool,
}

/// The table.
///
/// # Panics
/// When it is not what is written above.
pub fn rows() -> Vec<Row> {
    let rows: Vec<Value> = serde_json::from_str(CONFORMANCE).expect("the table is JSON");
    rows.into_iter().map(row).collect()
}

fn row(value: Value) -> Row {
    // serde does not tell `null` from absent.
    let cares = value.get("after_ms").is_some();
    let raw: RawRow = serde_json::from_value(value).expect("a row of the table");
    let after_ms = cares.then(|| raw.after_ms.and_then(|ms| ms.as_u64()));
    let said = || "what went wrong".to_owned();
    let answer = match raw.answer.failure.as_deref() {
        Some("timeout") => Err(HttpError::Timeout),
        Some("dns") => Err(HttpError::Dns(said())),
        Some("connect") => Err(HttpError::Connect(said())),
        Some("tls") => Err(HttpError::Tls(said())),
        Some("other") => Err(HttpError::Other(said())),
        Some("denied") => Err(HttpError::Denied(said())),
        Some("invalid") => Err(HttpError::Invalid(said())),
        Some(word) => panic!("`{word}` is no failure"),
        None => {
            let body = match (raw.answer.body_base64, raw.answer.body_repeat) {
                (Some(encoded), _) => {
                    base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64")
                }
                (None, Some((text, times))) => text.repeat(times).into_bytes(),
                (None, None) => raw.answer.body.into_bytes(),
            };
            let (headers, truncated) = (raw.answer.headers, raw.answer.truncated);
            Ok(Response { headers, body, truncated, ..answer(raw.answer.status, "") })
        }
    };
    Row { name: raw.name, answer, expect: raw.expect, after_ms }
}

impl Row {
    /// What is wrong with this result, if anything is.
    pub fn differs(&self, result: &Result<Receipt, NotifyError>) -> Option<String> {
        let got = result.as_ref().map_or_else(class, |_| "accepted");
        let fits = match self.expect.as_str() {
            "any" => true,
            "refused" => matches!(got, "permanent" | "unauthorized" | "gone"),
            expected => got == expected,
        };
        if !fits {
            return Some(format!("expected `{}`, got `{got}`: {result:?}", self.expect));
        }
        let (message, after_ms) = match result {
            Ok(_) => return None,
            Err(NotifyError::Config(problems)) => (problems.first()?.message.as_str(), None),
            Err(NotifyError::Transient(retry) | NotifyError::RateLimited(retry)) => {
                (retry.message.as_str(), retry.after_ms)
            }
            Err(
                NotifyError::Unauthorized(message)
                | NotifyError::Gone(message)
                | NotifyError::Permanent(message),
            ) => (message.as_str(), None),
        };
        if message.trim().is_empty() {
            return Some("the error has no message".into());
        }
        let expected_ms = self.after_ms?;
        (after_ms != expected_ms).then(|| format!("expected after_ms {expected_ms:?}, got {after_ms:?}"))
    }
}

/// Runs the whole table against a notifier with these settings, and first of all `accepted`, an answer by which the
/// provider says that it has the message.
///
/// # Panics
/// With a list of the rows that come out otherwise.
pub fn conformance<N: Notifier>(settings: &Settings, accepted: &Response) {
    let event = event("down");
    let good = Row {
        name: "the provider's own answer".into(),
        answer: Ok(accepted.clone()),
        expect: "accepted".into(),
        after_ms: None,
    };
    let differing: Vec<String> = std::iter::once(good)
        .chain(rows())
        .filter_map(|row| {
            let mut host = FakeHost::always(row.answer.clone());
            let result =
                catch_unwind(AssertUnwindSafe(|| N::notify(settings, &event, &delivery(&event), &mut host)));
            let difference = match &result {
                Ok(_) if host.sent.is_empty() => Some("no request was sent".into()),
                Ok(result) => row.differs(result),
                Err(_) => Some("it panicked (its words are above)".into()),
            };
            difference.map(|difference| format!("  {}: {difference}", row.name))
        })
        .collect();
    assert!(differing.is_empty(), "{} rows come out otherwise:\n{}", differing.len(), differing.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Delivery, Description, Event, Host, Problem, Request};

    /// Knows the status alone.
    struct Plain;

    impl Notifier for Plain {
        fn describe() -> Description {
            Description::new("plain", "1.0.0", "")
        }

        fn validate(_: &Settings) -> Vec<Problem> {
            Vec::new()
        }

        fn notify(
            _: &Settings,
            _: &Event,
            delivery: &Delivery,
            host: &mut dyn Host,
        ) -> Result<Receipt, NotifyError> {
            host.send(&Request::post_json("https://x.example", "x"))?.verdict(delivery)?;
            Ok(Receipt::new())
        }
    }

    /// Takes everything for success.
    struct Careless;

    impl Notifier for Careless {
        fn describe() -> Description {
            Description::new("careless", "1.0.0", "")
        }

        fn validate(_: &Settings) -> Vec<Problem> {
            Vec::new()
        }

        fn notify(
            _: &Settings,
            _: &Event,
            _: &Delivery,
            host: &mut dyn Host,
        ) -> Result<Receipt, NotifyError> {
            host.send(&Request::post_json("https://x.example", "x"))?;
            Ok(Receipt::new())
        }
    }

    #[test]
    fn the_one_rule_is_what_the_table_says() {
        conformance::<Plain>(&Settings::default(), &answer(204, ""));
    }

    #[test]
    #[should_panic(expected = "status 503: expected `transient`, got `accepted`")]
    fn a_notifier_that_asks_for_no_verdict_is_found_out() {
        conformance::<Careless>(&Settings::default(), &answer(204, ""));
    }

    #[test]
    fn names_and_words_are_good() {
        let rows = rows();
        let mut names: Vec<_> = rows.iter().map(|row| &row.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            assert!(
                [
                    "accepted",
                    "any",
                    "refused",
                    "transient",
                    "rate-limited",
                    "unauthorized",
                    "gone",
                    "permanent",
                    "config"
                ]
                .contains(&row.expect.as_str()),
                "{}",
                row.name
            );
        }
    }
}
