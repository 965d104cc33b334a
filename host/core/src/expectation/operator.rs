//! Operators with their values: what a condition asks of its subject.

use super::literal::{Literal, equal, order};
use super::{Pattern, Regexes};
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

/// What a condition asks of its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Exists,
    Removal,
    Compare(Comparison, Literal),
    Contains(Literal),
    Matches(Pattern),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// The longer ones before those that begin them.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

const OPERATORS: &str = "`exists`, `absent`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `contains` or `=~`";

impl Comparison {
    fn as_str(self) -> &'static str {
        COMPARISONS.iter().find(|(_, other)| *other == self).map_or("", |(symbol, _)| symbol)
    }

    fn holds(self, subject: &Value, value: &Value) -> bool {
        match self {
            Self::Equal => equal(subject, value),
            Self::Unequal => !equal(subject, value),
            Self::Below => order(subject, value) == Some(Ordering::Less),
            Self::AtMost => order(subject, value).is_some_and(Ordering::is_le),
            Self::Above => order(subject, value) == Some(Ordering::Greater),
            Self::AtLeast => order(subject, value).is_some_and(Ordering::is_ge),
        }
    }
}

impl Test {
    /// Parses what comes after the subject.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("=~") {
            return Ok(Self::Matches(pattern(rest)?));
        }
        for (symbol, comparison) in COMPARISONS {
            if let Some(rest) = text.strip_prefix(symbol) {
                return Ok(Self::Compare(comparison, ordered(comparison, literal(symbol, rest)?)?));
            }
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        match word {
            "exists" | "absent" if !rest.trim().is_empty() => {
                Err(format!("nothing comes after `{word}`, and there is `{}`", rest.trim()))
            }
            "exists" => Ok(Self::Exists),
            "absent" => Ok(Self::Removal),
            "contains" => literal(word, rest).map(Self::Contains),
            _ if text.starts_with('=') => Err("`=` is no operator: write `==`".into()),
            _ if text.is_empty() => Err(format!("there is no operator: write one of {OPERATORS}")),
            _ => {
                let word =
                    if word.is_empty() { text.split_whitespace().next().unwrap_or(text) } else { word };
                Err(format!("`{word}` is no operator: write one of {OPERATORS}"))
            }
        }
    }

    /// Whether it says what the subject is not.
    pub(super) fn is_negative(&self) -> bool {
        matches!(self, Self::Compare(Comparison::Unequal, _))
    }

    /// The value that the subject is compared with.
    pub(super) fn literal(&self) -> Option<&Literal> {
        match self {
            Self::Compare(_, literal) | Self::Contains(literal) => Some(literal),
            Self::Exists | Self::Removal | Self::Matches(_) => None,
        }
    }

    /// Whether it holds of a subject that is there.
    pub(super) fn holds(&self, subject: &Value, regexes: Regexes<'_>) -> bool {
        match self {
            Self::Exists => true,
            Self::Removal => false,
            Self::Compare(comparison, literal) => comparison.holds(subject, &literal.value),
            Self::Contains(literal) => match subject {
                Value::String(text) => literal.as_text().is_some_and(|part| text.contains(part)),
                Value::Array(items) => items.iter().any(|item| equal(item, &literal.value)),
                _ => false,
            },
            Self::Matches(pattern) => {
                subject.as_str().is_some_and(|text| regexes(pattern).is_ok_and(|regex| regex.is_match(text)))
            }
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::Removal => f.write_str("absent"),
            Self::Compare(comparison, literal) => write!(f, "{} {literal}", comparison.as_str()),
            Self::Contains(literal) => write!(f, "contains {literal}"),
            Self::Matches(pattern) => write!(f, "=~ {}", Literal::of_text(pattern.as_str())),
        }
    }
}

fn literal(operator: &str, text: &str) -> Result<Literal, String> {
    if text.trim().is_empty() { Err(format!("there is no value after `{operator}`")) } else { text.parse() }
}

fn ordered(comparison: Comparison, literal: Literal) -> Result<Literal, String> {
    let any = matches!(comparison, Comparison::Equal | Comparison::Unequal);
    if any || literal.value.is_number() || literal.value.is_string() {
        Ok(literal)
    } else {
        Err(format!("`{}` takes a number or a text, not `{literal}`", comparison.as_str()))
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let literal = literal("=~", text).map_err(|error| {
        let text = text.trim();
        if text.is_empty() || text.starts_with(['\'', '"']) {
            error
        } else {
            "a regular expression stands in quotes, such as `'^[0-9]+$'`".into()
        }
    })?;
    let text = literal.as_text().ok_or("a regular expression stands in quotes, such as `'^[0-9]+$'`")?;
    text.parse().map_err(|error| format!("the regular expression is wrong: {error}"))
}
