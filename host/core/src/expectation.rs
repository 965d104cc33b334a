//! What an answer may be expected to be, beyond a plain text: the small language of `expect`.
//!
//! A condition is `SUBJECT OPERATOR [VALUE]`:
//!
//! | operator | holds when the subject |
//! |---|---|
//! | `exists`, `absent` | is there, is not there |
//! | `==`, `!=` | is, is not the value; `1` is `1.0`, and no text is a number |
//! | `<`, `<=`, `>`, `>=` | is a number and below … the number, or a text and before … the text |
//! | `contains` | is a text with the text in it, or a list with the value in it |
//! | `=~` | is a text that the regular expression matches |
//!
//! A value is JSON, or a text in single quotes, which is taken as it is (`'^\d+$'`), so that a condition fits into TOML's
//! and a shell's double quotes. The subject of a [`JsonCondition`] is a path (RFC 9535) or `length(PATH)`, of a
//! [`HeaderCondition`] a header's name.
//!
//! Conditions and patterns are serialized as text, were parsed before they are there, and never panic. What is costly to
//! compile is compiled where it is used, by somebody who may keep it: a spec is read from the database for each check.

mod header;
mod json;
mod literal;
mod operator;
mod pattern;

pub use header::HeaderCondition;
pub use json::JsonCondition;
pub use pattern::Pattern;

use operator::Test;
use regex::Regex;

/// The longest condition, in characters.
pub const CONDITION_MOST: usize = 1_000;

/// Why a condition does not hold. What came is the target's: its caller redacts it and makes it printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub expected: String,
    pub got: String,
}

/// Gives a pattern's compiled form, from wherever it is kept; [`Pattern::compile`] makes a new one.
pub type Regexes<'r> = &'r dyn Fn(&Pattern) -> Result<Regex, String>;
