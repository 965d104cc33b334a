//! What is known of a key: what the reference says of it, how it is given as a flag, and what it is called there.

use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyDoc {
    /// Its table, such as `monitors.NAME.expect`.
    pub table: String,
    /// What the table must be for the key to be there (`type = "http"`); `None`: the key is always there.
    pub when: Option<String>,
    pub key: String,
    pub takes: String,
    /// What its absence means; `None`: it must be there.
    pub default: Option<String>,
    /// What it is for: a sentence.
    pub doc: String,
    #[serde(skip)]
    pub typed: Typed,
}

/// How a value is given as a flag of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// What stands for it in the help; empty: the flag alone says `true`.
    pub value: &'static str,
    /// The words that there are; none: it is no choice.
    pub words: Vec<String>,
    /// Whether a number or a boolean stands without quotes.
    pub(super) bare: bool,
    pub is_list: bool,
    /// Whether the values of a list can be told apart by commas.
    pub commas: bool,
}

impl Default for Typed {
    fn default() -> Self {
        Self { value: "TEXT", words: Vec::new(), bare: false, is_list: false, commas: false }
    }
}

impl Typed {
    /// A value as TOML.
    pub fn toml(&self, text: &str) -> String {
        match text.trim() {
            bare @ ("true" | "false") if self.bare => bare.to_owned(),
            number if self.bare => {
                number.parse::<i64>().map_or_else(|_| quoted(text), |number| number.to_string())
            }
            _ => quoted(text),
        }
    }
}

/// A key of `[monitors.NAME]` that was given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// With its table, where that is not the monitor's own: `expect.json`.
    pub key: String,
    /// As it was typed: `--expect-json`, `--set expect.json`.
    pub flag: String,
    /// TOML.
    pub value: String,
    /// Whether a list or a table is added to what is there, or replaces it.
    pub adds: bool,
}

/// What keys are called on the command line.
#[derive(Debug)]
pub(super) struct Flags {
    /// By the key.
    pub(super) known: BTreeMap<String, String>,
    pub(super) given: Vec<Given>,
}

impl Flags {
    pub(super) fn given(&self, key: &str) -> Option<&str> {
        let is_of = |given: &&Given| {
            given.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.given.iter().find(is_of).map(|given| given.flag.as_str())
    }
}

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A key with a value, as it is written: in the file, or on the command line when the key is a flag.
pub(super) fn written(key: &str, value: &str) -> String {
    let bare = if value.contains(' ') { value } else { value.trim_matches('"') };
    match key.strip_prefix("--") {
        None => format!("{key} = {value}"),
        Some(flag) if flag.starts_with("set ") => format!("{key}={bare}"),
        Some(_) if value == "true" => key.to_owned(),
        Some(_) => format!("{key} {bare}"),
    }
}
