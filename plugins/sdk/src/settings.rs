//! A channel's settings, by key and kind.

use crate::{Setting, SettingValue};

/// A channel's settings. The host has seen to it that each has the form of its field's kind.
#[derive(Clone, Debug, Default)]
pub struct Settings(Vec<Setting>);

impl From<Vec<Setting>> for Settings {
    fn from(settings: Vec<Setting>) -> Self {
        Self(settings)
    }
}

impl Settings {
    fn get(&self, key: &str) -> Option<&SettingValue> {
        self.0.iter().find(|setting| setting.key == key).map(|setting| &setting.value)
    }

    /// A text, an address, a choice, or a secret's reference.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            SettingValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// One or several secrets' references.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        match self.get(key) {
            Some(SettingValue::Text(text)) => vec![text],
            Some(SettingValue::List(texts)) => texts.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A whole number.
    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            SettingValue::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// A switch, off when it is not there.
    pub fn is_on(&self, key: &str) -> bool {
        matches!(self.get(key), Some(SettingValue::Boolean(true)))
    }

    /// Keys and their references, empty when it is not there.
    pub fn map(&self, key: &str) -> &[(String, String)] {
        match self.get(key) {
            Some(SettingValue::Map(pairs)) => pairs,
            _ => &[],
        }
    }
}

impl From<&str> for SettingValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for SettingValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for SettingValue {
    fn from(on: bool) -> Self {
        Self::Boolean(on)
    }
}
