//! `plugin-test.toml`: what a scripted run has to know of a plugin.
//!
//! The file lies beside the component. Without it, settings are made up from what the plugin says of itself, and the
//! provider accepts a message with a bare 200. Its values are made up too: what is sent is shown, and kept in files.

use crate::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use uptime_core::notifier::{Description, Field, FieldKind, LimitChanges, Place};
use uptime_core::secret::Secret;
use uptime_notifier::scripted::Reply;
use uptime_notifier::{ResolvedSetting, ResolvedSettings, read_regular};

pub const FILE: &str = "plugin-test.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    settings: Option<BTreeMap<String, toml::Value>>,
    accepted: Accepted,
    /// Answers of the conformance table of which this plugin makes something else on purpose, by their names.
    pub differs: BTreeMap<String, Exception>,
    /// What the component may use up, where that is more than a plugin gets without being asked for.
    pub limits: LimitChanges,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Accepted {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Default for Accepted {
    fn default() -> Self {
        Self { status: 200, headers: BTreeMap::new(), body: String::new() }
    }
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
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        match text_of(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                let place = error.span().map_or_else(String::new, |span| {
                    format!(", line {}", text[..span.start.min(text.len())].lines().count().max(1))
                });
                config_error(format!("`{}`{place}: {}", path.display(), error.message()))
                    .hint("it has the tables `settings`, `accepted`, `differs` and `limits`; `uptime plugin new NAME` writes one")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    pub fn settings(&self, description: &Description) -> Result<ResolvedSettings> {
        let Some(written) = &self.settings else { return Ok(made_up(description)) };
        let setting = |(key, value): (&String, _)| {
            let setting = resolved(value).ok_or_else(|| {
                config_error(format!("`{FILE}`: the setting `{key}` has a form that no setting has"))
                    .hint("texts, whole numbers, `true`, `false`, lists and tables of texts")
            })?;
            Ok((key.clone(), setting))
        };
        written.iter().map(setting).collect()
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
    let text = |text: &str| ResolvedSetting::Text(Secret::new(text));
    let value = |field: &Field| match field.kind {
        FieldKind::Text | FieldKind::TextList => text("text"),
        FieldKind::Secret if !field.places.contains(&Place::Address) => text("made-up-secret"),
        FieldKind::Secret | FieldKind::Url => text("https://provider.example.com/hook"),
        FieldKind::Integer => ResolvedSetting::Integer(1),
        FieldKind::Boolean => ResolvedSetting::Boolean(true),
        FieldKind::Choice => text(field.choices.first().map_or("", String::as_str)),
        FieldKind::Map => ResolvedSetting::Map([("key".into(), Secret::new("made-up-value"))].into()),
    };
    let required = description.fields.iter().filter(|field| field.required);
    required.map(|field| (field.key.clone(), value(field))).collect()
}
