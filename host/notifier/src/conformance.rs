//! The conformance table: what every notifier has to make of every kind of answer.

use crate::scripted::{Failure, Reply};
use crate::{NotifierError, Receipt};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer};
use std::time::Duration;
use uptime_core::backoff::PROVIDER_MAX;

const TABLE: &str = include_str!("../../../plugins/conformance.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub name: String,
    answer: FixtureAnswer,
    /// The word of what a plugin has to make of it.
    pub expect: String,
    /// After how long it has to want another try; `Some(None)`: it must not say. `None`: whatever.
    #[serde(default, deserialize_with = "said")]
    #[expect(clippy::option_option, reason = "a row says nothing, `null` or a number")]
    after_ms: Option<Option<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FixtureAnswer {
    failure: Option<Failure>,
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

/// A key that is there, even if it says `null`.
#[expect(clippy::option_option, reason = "a row says nothing, `null` or a number")]
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub fn rows() -> Result<Vec<Row>, String> {
    serde_json::from_str(TABLE).map_err(|error| format!("the conformance table: {error}"))
}

impl Row {
    pub fn reply(&self) -> Result<Reply, String> {
        if let Some(failure) = self.answer.failure {
            return Ok(Reply::Failure(failure));
        }
        let body = match (&self.answer.body_base64, &self.answer.body_repeat) {
            (Some(encoded), _) => {
                BASE64_STANDARD.decode(encoded).map_err(|error| format!("`{}`: {error}", self.name))?
            }
            (None, Some((text, times))) => text.repeat(*times).into_bytes(),
            (None, None) => self.answer.body.clone().into_bytes(),
        };
        Ok(Reply::Response {
            status: self.answer.status,
            headers: self.answer.headers.clone(),
            body,
            truncated: self.answer.truncated,
        })
    }

    /// How the result differs from what `expect` says (the table's word, or a plugin's own), if it does.
    pub fn difference(&self, expect: &str, result: &Result<Receipt, NotifierError>) -> Option<String> {
        let got = word(result);
        let fits = match expect {
            "any" => got != "crashed",
            "refused" => matches!(got, "permanent" | "unauthorized" | "gone"),
            expect => got == expect,
        };
        if !fits {
            return Some(match result {
                Ok(_) => format!("expected `{expect}`, got `{got}`"),
                Err(error) => format!("expected `{expect}`, got `{got}`: {error}"),
            });
        }
        let (Err(error), Some(expected)) = (result, self.after_ms) else { return None };
        // A plugin's own word has its own time.
        if expect != self.expect {
            return None;
        }
        let expected = expected.map(Duration::from_millis).map(|after| after.min(PROVIDER_MAX));
        let got = error.retry_after();
        (got != expected).then(|| format!("expected {}, got {}", after(expected), after(got)))
    }
}

fn after(after: Option<Duration>) -> String {
    after.map_or_else(
        || "no time for the next try".into(),
        |after| format!("the next try after {} ms", after.as_millis()),
    )
}

/// The table's word for a result.
fn word(result: &Result<Receipt, NotifierError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(NotifierError::Transient { .. }) => "transient",
        Err(NotifierError::RateLimited { .. }) => "rate-limited",
        Err(NotifierError::Unauthorized { .. }) => "unauthorized",
        Err(NotifierError::Gone { .. }) => "gone",
        Err(NotifierError::Permanent { .. }) => "permanent",
        Err(NotifierError::Config { .. }) => "config",
        Err(NotifierError::EgressDenied { .. }) => "denied",
        Err(_) => "crashed",
    }
}

/// The words that a plugin's own expectation can have.
pub const WORDS: [&str; 9] = [
    "accepted",
    "transient",
    "rate-limited",
    "unauthorized",
    "gone",
    "permanent",
    "config",
    "refused",
    "any",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_table_is_read_whole() {
        let rows = rows().expect("the table");
        assert!(rows.len() > 100, "{} rows", rows.len());
        for row in &rows {
            assert!(WORDS.contains(&row.expect.as_str()), "{}", row.name);
            row.reply().expect("an answer");
        }
        assert!(
            rows.iter().any(|row| row.after_ms == Some(None))
                && rows.iter().any(|row| row.after_ms.is_none())
        );
    }

    #[test]
    fn a_result_is_told_from_what_was_expected() {
        let row = |after_ms: Value| -> Row {
            let json = serde_json::json!({"name": "x", "answer": {"status": 503}, "expect": "transient", "after_ms": after_ms});
            serde_json::from_value(json).expect("a row")
        };
        let result = |after_s: Option<u64>| {
            let after = after_s.map(Duration::from_secs);
            Err(NotifierError::Transient {
                notifier: "x".into(),
                message: "busy".into(),
                after,
                progress: None,
            })
        };
        assert_eq!(row(7_000.into()).difference("transient", &result(Some(7))), None);
        assert_eq!(row(86_400_000.into()).difference("transient", &result(Some(3_600))), None);
        assert!(row(7_000.into()).difference("transient", &result(None)).is_some());
        assert!(row(Value::Null).difference("transient", &result(Some(7))).is_some());
        assert_eq!(row(Value::Null).difference("transient", &result(None)), None);
        assert!(row(Value::Null).difference("permanent", &result(None)).is_some());
        assert_eq!(row(Value::Null).difference("any", &result(None)), None);
        let crashed = Err(NotifierError::Trap { notifier: "x".into(), message: "unreachable".into() });
        assert!(row(Value::Null).difference("any", &crashed).is_some());
    }
}
