//! What a notifier says of itself (the keys that its channels take and the hosts that it speaks to), and what an
//! operator says of it: its name and its limits.

mod limits;

pub use limits::{Limit, LimitChanges, Measure};

use crate::words::words;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The word in `notifier = "…"`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    pub summary: String,
    /// The keys that a channel takes.
    pub fields: Vec<Field>,
    /// The hosts that it asks for, as grants (`https://discord.com`).
    pub hosts: Vec<String>,
    /// Whether its messages may be put together.
    #[serde(default = "yes")]
    pub digests: bool,
}

fn yes() -> bool {
    true
}

/// One key of a channel's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub key: String,
    /// One line for people.
    pub help: String,
    pub kind: FieldKind,
    /// Whether a channel must have it.
    pub required: bool,
    /// What holds when it is left out, in words for people.
    pub default: Option<String>,
    /// Empty unless `kind` is [`FieldKind::Choice`].
    pub choices: Vec<String>,
    /// For [`FieldKind::Secret`] and [`FieldKind::Map`]: where in a request the values may stand.
    #[serde(default)]
    pub places: Vec<Place>,
}

/// Where in a request the value of a secret may stand. `to` is a host that the notifier asks for, or the key of the setting
/// whose address names the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "in")]
pub enum Place {
    /// At the beginning of an address, being one itself.
    Address,
    /// In an address's path.
    Path {
        to: String,
    },
    /// In an address's query.
    Query {
        to: String,
    },
    Header {
        to: String,
        /// In lower case; `*`: any.
        name: String,
    },
    Body {
        to: String,
    },
    /// In none: messages are signed with it.
    Signature,
}

impl Place {
    /// Who gets the value there, but for [`Place::Address`], which says it itself.
    pub fn to(&self) -> Option<&str> {
        match self {
            Self::Address | Self::Signature => None,
            Self::Path { to } | Self::Query { to } | Self::Header { to, .. } | Self::Body { to } => Some(to),
        }
    }
}

/// `in the path, to https://api.example.com`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => return f.write_str("as the address that requests go to"),
            Self::Signature => return f.write_str("in no request: as the key of signatures"),
            Self::Path { .. } => f.write_str("in the path")?,
            Self::Query { .. } => f.write_str("in the query")?,
            Self::Header { name, .. } if name == "*" => f.write_str("in any header")?,
            Self::Header { name, .. } => write!(f, "in the header `{name}`")?,
            Self::Body { .. } => f.write_str("in the body")?,
        }
        match self.to() {
            Some(host) if host.contains("://") => write!(f, ", to {host}"),
            Some(key) => write!(f, ", to the host of `{key}`"),
            None => Ok(()),
        }
    }
}

words! {
    pub enum FieldKind: "kind of field" {
        Text = "text",
        /// A text that the plugin never sees; or a list of them.
        Secret = "secret",
        /// An address; its host is granted by being written there.
        Url = "url",
        Integer = "integer",
        Boolean = "boolean",
        /// One of the field's `choices`.
        Choice = "choice",
        Map = "map",
        /// A text, or a list of them.
        TextList = "text-list",
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
        Some("has lower-case letters, digits, `-` and `_`, nothing else")
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
