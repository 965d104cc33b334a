//! What a notifier says of itself: the keys that its channels take and the hosts that it speaks to.

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
