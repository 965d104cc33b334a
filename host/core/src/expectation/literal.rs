//! The value of a condition: JSON, or a text in single quotes; and how two values of JSON compare.

use serde_json::{Number, Value};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A value as it is written in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) value: Value,
    /// A number, a list or an object stays as it was written: to write it anew could change its last digit.
    text: String,
}

impl Literal {
    pub(super) fn as_text(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// A text, in single quotes where those will do.
    pub(super) fn of_text(text: &str) -> Self {
        let value = Value::from(text);
        let plain = !text.contains('\'') && !text.chars().any(char::is_control);
        let text = if plain { format!("'{text}'") } else { value.to_string() };
        Self { value, text }
    }
}

impl FromStr for Literal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('\'') {
            let inner = rest.strip_suffix('\'').ok_or("the text has no closing `'`")?;
            if inner.contains('\'') {
                return Err("a text in single quotes has none inside: use double quotes".into());
            }
            return Ok(Self::of_text(inner));
        }
        match serde_json::from_str(text) {
            Ok(Value::String(inner)) => Ok(Self::of_text(&inner)),
            Ok(value) => Ok(Self { value, text: text.to_owned() }),
            Err(_) if text.starts_with('"') => Err("the text in double quotes is not JSON".into()),
            Err(_) if text.starts_with(['[', '{']) => Err("the value is not JSON".into()),
            Err(_) => Err(format!("the value is no number, `true`, `false` or `null`; a text is `'{text}'`")),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether two values are the same; numbers by what they are worth, at any depth.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => order_of_numbers(one, other) == Some(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => one == other,
    }
}

/// Which of two numbers or of two texts comes first; `None` for anything else.
pub(super) fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => order_of_numbers(one, other),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

fn order_of_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}
