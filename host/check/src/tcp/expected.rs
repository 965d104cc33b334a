//! What must be heard, ready for comparing with what has come so far.

use crate::shared::Patterns;
use memchr::memmem;
use regex::Regex;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::ExpectedBytes;

pub(super) enum Expected {
    Bytes { bytes: Vec<u8>, shown: String },
    Matches(Regex),
}

impl Expected {
    /// `key` is the setting that `spec` comes from.
    pub(super) fn of(key: &str, spec: &ExpectedBytes, patterns: &Patterns) -> Result<Self, Failure> {
        Ok(match spec {
            ExpectedBytes::Text(text) => {
                Self::Bytes { bytes: text.as_bytes().to_vec(), shown: format!("contains `{text}`") }
            }
            ExpectedBytes::Hex(digits) => {
                Self::Bytes { bytes: bytes(key, digits)?, shown: format!("contains the bytes {digits}") }
            }
            ExpectedBytes::Matches(pattern) => {
                let regex = patterns.get(pattern, |_| true, || pattern.compile()).map_err(|error| {
                    Failure::new(
                        FailureClass::Settings,
                        format!("`{key}`: `{pattern}` is no pattern: {error}"),
                    )
                })?;
                Self::Matches(regex)
            }
        })
    }

    /// For a failure's `expected`.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Bytes { shown, .. } => shown.clone(),
            Self::Matches(regex) => format!("matches `{}`", regex.as_str()),
        }
    }

    /// A pattern is matched with the text that `heard` is; bytes that are no text are `\u{fffd}` to it.
    pub(super) fn is_in(&self, heard: &[u8]) -> bool {
        match self {
            Self::Bytes { bytes, .. } => memmem::find(heard, bytes).is_some(),
            Self::Matches(regex) => regex.is_match(&String::from_utf8_lossy(heard)),
        }
    }
}

/// The bytes that `digits` are in hexadecimal; white space between them is for people.
pub(super) fn bytes(key: &str, digits: &str) -> Result<Vec<u8>, Failure> {
    let values: Option<Vec<u8>> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let pairs = values.filter(|values| !values.is_empty() && values.len() % 2 == 0);
    pairs.map(|values| values.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()).ok_or_else(|| {
        let message = format!("`{key}`: write bytes as pairs of hexadecimal digits, as in `0d0a`");
        Failure::new(FailureClass::Settings, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_may_be_anywhere() {
        let of = |key, spec| Expected::of(key, &spec, &Patterns::default());
        let text = of("expect", ExpectedBytes::Text("PONG".into())).expect("a text");
        assert!(text.is_in(b"+PONG\r\n") && !text.is_in(b"+PON"));
        let hex = of("expect", ExpectedBytes::Hex("ff 00".into())).expect("bytes");
        assert!(hex.is_in(&[1, 0xff, 0, 2]) && !hex.is_in(&[0xff]));
        let pattern = "^220 .*ESMTP".parse().expect("a pattern");
        let pattern = of("banner", ExpectedBytes::Matches(pattern)).expect("a pattern");
        assert!(pattern.is_in(b"220 mx \xff ESMTP\r\n") && !pattern.is_in(b"554 ESMTP"));
        assert_eq!(pattern.shown(), "matches `^220 .*ESMTP`");
    }

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(bytes("send", "0d0A ff").expect("pairs"), [0x0d, 0x0a, 0xff]);
        for wrong in ["", "0", "0g", "0x00", "0d0", "é"] {
            assert_eq!(bytes("send", wrong).expect_err(wrong).class, FailureClass::Settings);
        }
    }
}
