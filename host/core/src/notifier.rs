//! What a notifier says of itself (the keys that its channels take and the hosts that it speaks to), and what an
//! operator says of it: its name and its limits.

mod limits;

pub use limits::{Limit, LimitChanges, Measure};

use serde::{Deserialize, Serialize};

/// A notifier's description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The word in `notifier = "…"`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// The keys that a channel takes.
    pub fields: Vec<Field>,
    /// The hosts that it asks for, as grants (`https://discord.com`).
    pub hosts: Vec<String>,
}

/// One key of a channel's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The key.
    pub key: String,
    /// One line for people.
    pub help: String,
    /// What it takes.
    pub kind: FieldKind,
    /// Whether a channel must have it.
    pub required: bool,
    /// What holds when it is left out, in words for people.
    pub default: Option<String>,
    /// For [`FieldKind::Choice`].
    pub choices: Vec<String>,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// A text.
    Text,
    /// A text that the plugin never sees; or a list of them.
    Secret,
    /// An address; its host is granted by being written there.
    Url,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of `choices`.
    Choice,
    /// Texts by key.
    Map,
}

impl FieldKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Secret => "secret",
            Self::Url => "url",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Choice => "choice",
            Self::Map => "map",
        }
    }
}

/// Why `name` can't be the name of a plugin, which is a word in the file and a folder on the disk.
pub fn name_problem(name: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.is_empty() || name.len() > 60 {
        Some("has 1 to 60 characters")
    } else if !name.starts_with(is_plain) {
        Some("begins with a small letter or a digit")
    } else if !name.chars().all(|c| is_plain(c) || matches!(c, '-' | '_')) {
        Some("has small letters, digits, `-` and `_`, nothing else")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_name_is_a_word_and_never_a_path() {
        for name in ["hello", "a", "0-b_c", &"x".repeat(60)] {
            assert_eq!(name_problem(name), None, "{name}");
        }
        for name in ["", ".", "..", "a/b", "../a", "-a", "_a", "A", "a b", "ä", "a.b", &"x".repeat(61)] {
            assert!(name_problem(name).is_some(), "{name}");
        }
    }
}
