//! `plugin-test.toml`: what a scripted run has to know of a plugin.
//!
//! The file lies beside the component. Without it, settings are made up from what the plugin says of itself, and the
//! provider accepts a message with a bare 200. Its values are made up too: what is sent is shown, and kept in files.

use crate::exit::{CommandError, Exit};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use uptime_core::notifier::{Description, Field, FieldKind, LimitChanges, Place};
use uptime_core::secret::Secret;
use uptime_notifier::scripted::Reply;
use uptime_notifier::{ResolvedSetting, ResolvedSettings, read_regular};

pub const FILE: &str = "plugin-test.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    #[serde(default)]
    settings: Option<BTreeMap<String, toml::Value>>,
    #[serde(default)]
    accepted: Accepted,
    /// Answers of the conformance table of which this plugin makes something else on purpose, by their names.
    #[serde(default)]
    pub differs: BTreeMap<String, Exception>,
    /// What the component may use up, where that is more than a plugin gets without being asked for.
    #[serde(default)]
    pub limits: LimitChanges,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    #[serde(default = "two_hundred")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

impl Default for Accepted {
    fn default() -> Self {
        Self { status: two_hundred(), headers: BTreeMap::new(), body: String::new() }
    }
}

fn two_hundred() -> u16 {
    200
}

/// What a plugin makes of an answer, and why it is right to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The word, as in the table.
    pub expect: String,
    pub because: String,
}

impl Plan {
    /// The plan in this folder; an empty one when there is none.
    pub fn read(folder: &Path) -> Result<Self, CommandError> {
        let path = folder.join(FILE);
        match text_of(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                let place = error.span().map_or_else(String::new, |span| {
                    format!(", line {}", text[..span.start.min(text.len())].lines().count().max(1))
                });
                CommandError::new(Exit::Config, format!("`{}`{place}: {}", path.display(), error.message()))
                    .hint("it has the tables `settings`, `accepted`, `differs` and `limits`; `uptime plugin new NAME` writes one")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(super::unreadable(&path, &error)),
        }
    }

    pub fn settings(&self, description: &Description) -> Result<ResolvedSettings, CommandError> {
        let Some(written) = &self.settings else { return Ok(made_up(description)) };
        written
            .iter()
            .map(|(key, value)| {
                let setting = resolved(value).ok_or_else(|| {
                    CommandError::new(
                        Exit::Config,
                        format!("`{FILE}`: the setting `{key}` has a form that no setting has"),
                    )
                    .hint("texts, whole numbers, `true`, `false`, lists and tables of texts")
                })?;
                Ok((key.clone(), setting))
            })
            .collect()
    }

    /// The answer by which the provider says that it has the message.
    pub fn accepted(&self) -> Reply {
        Reply::Response {
            status: self.accepted.status,
            headers: self.accepted.headers.clone().into_iter().collect(),
            body: self.accepted.body.clone().into_bytes(),
            truncated: false,
        }
    }
}

/// The largest file of text that is read, in bytes.
const TEXT_MOST: u64 = 4 << 20;

/// A file's text, if it is a regular file.
pub fn text_of(path: &Path) -> std::io::Result<String> {
    String::from_utf8(read_regular(path, TEXT_MOST)?).map_err(std::io::Error::other)
}

fn resolved(value: &toml::Value) -> Option<ResolvedSetting> {
    let secret = |value: &toml::Value| value.as_str().map(Secret::new);
    Some(match value {
        toml::Value::String(text) => ResolvedSetting::Text(Secret::new(text.as_str())),
        toml::Value::Integer(number) => ResolvedSetting::Integer(*number),
        toml::Value::Boolean(switch) => ResolvedSetting::Boolean(*switch),
        toml::Value::Array(texts) => ResolvedSetting::List(texts.iter().map(secret).collect::<Option<_>>()?),
        toml::Value::Table(texts) => ResolvedSetting::Map(
            texts.iter().map(|(key, value)| Some((key.clone(), secret(value)?))).collect::<Option<_>>()?,
        ),
        toml::Value::Float(_) | toml::Value::Datetime(_) => return None,
    })
}

/// A value for each setting that there has to be.
fn made_up(description: &Description) -> ResolvedSettings {
    let value = |field: &Field| match field.kind {
        FieldKind::Text | FieldKind::TextList => ResolvedSetting::Text(Secret::new("text")),
        FieldKind::Secret if !field.places.contains(&Place::Address) => {
            ResolvedSetting::Text(Secret::new("made-up-secret"))
        }
        FieldKind::Secret | FieldKind::Url => {
            ResolvedSetting::Text(Secret::new("https://provider.example.com/hook"))
        }
        FieldKind::Integer => ResolvedSetting::Integer(1),
        FieldKind::Boolean => ResolvedSetting::Boolean(true),
        FieldKind::Choice => {
            ResolvedSetting::Text(Secret::new(field.choices.first().map(String::as_str).unwrap_or_default()))
        }
        FieldKind::Map => {
            ResolvedSetting::Map(BTreeMap::from([("key".to_owned(), Secret::new("made-up-value"))]))
        }
    };
    description
        .fields
        .iter()
        .filter(|field| field.required)
        .map(|field| (field.key.clone(), value(field)))
        .collect()
}
