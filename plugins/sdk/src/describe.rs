//! A plugin's description of itself, written field by field.

use crate::{Description, Field, FieldKind, HeaderPlace, Place, Problem};

impl Description {
    /// A plugin that has no settings and asks for no host. `name` is what a channel's `notifier = "…"` says.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            fields: Vec::new(),
            hosts: Vec::new(),
            digests: true,
        }
    }

    /// With these settings.
    #[must_use]
    pub fn fields(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.fields.extend(fields);
        self
    }

    /// Each message goes by itself, however many there are.
    #[must_use]
    pub fn no_digests(mut self) -> Self {
        self.digests = false;
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
            places: Vec::new(),
        }
    }

    /// Any text.
    pub fn text(key: &str, help: &str) -> Self {
        Self::new(FieldKind::Text, key, help)
    }

    /// A text, or several, of which the plugin sees references alone; a request may hold them at `places`.
    pub fn secret(key: &str, help: &str, places: impl IntoIterator<Item = Place>) -> Self {
        Self { places: places.into_iter().collect(), ..Self::new(FieldKind::Secret, key, help) }
    }

    /// Any text, or several.
    pub fn texts(key: &str, help: &str) -> Self {
        Self::new(FieldKind::TextList, key, help)
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

    /// Texts by key, of which the plugin sees the keys, and references; a request may hold them at `places`.
    pub fn map(key: &str, help: &str, places: impl IntoIterator<Item = Place>) -> Self {
        Self { places: places.into_iter().collect(), ..Self::new(FieldKind::Map, key, help) }
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

/// `to` is a host that the plugin asks for, written as in [`Description::hosts`], or the key of the setting whose address
/// names the host.
impl Place {
    /// In the path of an address.
    pub fn in_path(to: &str) -> Self {
        Self::Path(to.to_owned())
    }

    /// In the query of an address.
    pub fn in_query(to: &str) -> Self {
        Self::Query(to.to_owned())
    }

    /// In the header `name`, in lower case; `*`: in any.
    pub fn in_header(to: &str, name: &str) -> Self {
        Self::Header(HeaderPlace { to: to.to_owned(), name: name.to_owned() })
    }

    /// In the body.
    pub fn in_body(to: &str) -> Self {
        Self::Body(to.to_owned())
    }
}

impl Problem {
    /// A problem with the setting `key`.
    pub fn with(key: &str, message: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), message: message.into() }
    }
}
