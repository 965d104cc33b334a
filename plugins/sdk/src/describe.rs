//! A plugin's description of itself, written field by field.

use crate::{Description, Field, FieldKind, Problem};

impl Description {
    /// A plugin that has no settings and asks for no host. `name` is what a channel's `notifier = "…"` says.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            fields: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// With these settings.
    #[must_use]
    pub fn fields(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.fields.extend(fields);
        self
    }

    /// Asks for these hosts, each in the form `https://host[:port]`.
    #[must_use]
    pub fn hosts<'a>(mut self, hosts: impl IntoIterator<Item = &'a str>) -> Self {
        self.hosts.extend(hosts.into_iter().map(str::to_owned));
        self
    }
}

/// A setting that may be left out, unless [`required`](Field::required) follows. `help` is one line for people.
impl Field {
    fn new(kind: FieldKind, key: &str, help: &str) -> Self {
        Self {
            key: key.to_owned(),
            help: help.to_owned(),
            kind,
            required: false,
            default: None,
            choices: Vec::new(),
        }
    }

    /// Any text.
    pub fn text(key: &str, help: &str) -> Self {
        Self::new(FieldKind::Text, key, help)
    }

    /// A text, or several, of which the plugin sees references alone.
    pub fn secret(key: &str, help: &str) -> Self {
        Self::new(FieldKind::Secret, key, help)
    }

    /// An address, whose host is granted by being written there.
    pub fn url(key: &str, help: &str) -> Self {
        Self::new(FieldKind::Url, key, help)
    }

    /// A whole number.
    pub fn integer(key: &str, help: &str) -> Self {
        Self::new(FieldKind::Integer, key, help)
    }

    /// `true` or `false`.
    pub fn boolean(key: &str, help: &str) -> Self {
        Self::new(FieldKind::Boolean, key, help)
    }

    /// One of `choices`.
    pub fn choice(key: &str, help: &str, choices: &[&str]) -> Self {
        let choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
        Self { choices, ..Self::new(FieldKind::Choice, key, help) }
    }

    /// Texts by key, of which the plugin sees the keys, and references.
    pub fn map(key: &str, help: &str) -> Self {
        Self::new(FieldKind::Map, key, help)
    }

    /// A channel without it is refused.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// What holds when it is left out, for people: the plugin has to do it.
    #[must_use]
    pub fn default(mut self, words: &str) -> Self {
        self.default = Some(words.to_owned());
        self
    }
}

impl Problem {
    /// A problem with the setting `key`.
    pub fn with(key: &str, message: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), message: message.into() }
    }
}
