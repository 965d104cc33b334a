//! Regular expressions, bounded in time and memory.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The largest compiled pattern, in bytes: a bound for `a{1000}{1000}`, far above what anybody needs.
const COMPILED_MAX_BYTES: usize = 1 << 20;

/// A regular expression. It matches anywhere in a text unless it says otherwise (`^`, `$`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its compiled form. Linear in the text that it is matched with, and bounded in memory.
    ///
    /// # Errors
    /// One line that says what is wrong with it; not for a pattern that was parsed.
    pub fn compile(&self) -> Result<Regex, String> {
        RegexBuilder::new(&self.0)
            .size_limit(COMPILED_MAX_BYTES)
            .dfa_size_limit(COMPILED_MAX_BYTES)
            .build()
            .map_err(|error| last_line(&error))
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = Self(text.to_owned());
        pattern.compile().map(|_| pattern)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parser draws the pattern with a caret below; its last line says what is wrong.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_regular_expression_of_bounded_size() {
        let pattern: Pattern = "^ok$".parse().expect("a pattern");
        assert!(pattern.compile().expect("it was parsed").is_match("ok"));
        assert_eq!("(".parse::<Pattern>().expect_err("it is open"), "unclosed group");
        assert!("(a{1000}){1000}".parse::<Pattern>().expect_err("it is large").contains("size limit"));
    }
}
