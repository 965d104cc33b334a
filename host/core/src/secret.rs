//! Secrets, and where they come from.
//!
//! A [`Secret`] has no `Display`, its `Debug` is masked, and it does not serialize: it can't get into a log, a
//! JSON answer or a job by accident. What is stored is a [`SecretRef`], which says where the value is.

pub mod access;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// A value that nobody may see. Only [`Secret::expose`] gives it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it can go into one line: no control character but tabs.
    pub fn is_line(&self) -> bool {
        !self.0.chars().any(|c| c.is_control() && c != '\t')
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A value of the configuration that may live elsewhere. Serialized as `"text"`, `{"env": …}` or `{"file": …}`,
/// the form that the file has.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SecretRef {
    /// Written in the file itself.
    Literal(String),
    /// An environment variable of the process that needs the value.
    Env { env: String },
    /// A file, whose content is the value.
    File { file: PathBuf },
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Literal(…)"),
            Self::Env { env } => write!(f, "Env({env})"),
            Self::File { file } => write!(f, "File({})", file.display()),
        }
    }
}
