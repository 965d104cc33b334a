//! Whether a plugin's component is the one that is trusted.
//!
//! Trust is a SHA-256 that an operator has granted. A component is read and proved when the plugin is first used, and
//! what is compiled is exactly the bytes that were proved. A plugin that can't be used says why at each call; the others
//! know nothing of it.

use crate::error::NotifierError;
use crate::registry;
use crate::source::{self, Component, Origin, sha256};
use std::borrow::Cow;

/// A component that is the trusted one.
pub(crate) struct Proved {
    pub(crate) bytes: Cow<'static, [u8]>,
    pub(crate) sha256: String,
}

impl Component {
    /// Reads it and proves that it is trusted. Blocks.
    pub(crate) fn load(&self, notifier: &str) -> Result<Proved, NotifierError> {
        match self {
            Self::Bytes(bytes) => Ok(Proved { sha256: sha256(bytes), bytes: bytes.clone() }),
            Self::File { path, sha256: trusted } => {
                let bytes = source::read(path).map_err(|error| NotifierError::Unreadable {
                    notifier: notifier.to_owned(),
                    reason: format!("`{}`: {error}", path.display()),
                    hint: format!("`file` in `[plugins.{notifier}]` names its component"),
                })?;
                prove(notifier, bytes, trusted.clone(), Origin::File)
            }
            Self::Installed(folder) => {
                let attempt = || {
                    let (bytes, trusted) = registry::read(notifier, folder)?;
                    prove(notifier, bytes, Some(trusted), Origin::Installed)
                };
                // A plugin is replaced as a whole, and whoever read across that moment reads once more.
                attempt().or_else(|_| attempt())
            }
        }
    }
}

fn prove(
    notifier: &str,
    bytes: Vec<u8>,
    trusted: Option<String>,
    origin: Origin,
) -> Result<Proved, NotifierError> {
    let found = sha256(&bytes);
    if trusted.as_ref() == Some(&found) {
        return Ok(Proved { bytes: bytes.into(), sha256: found });
    }
    Err(NotifierError::Untrusted { notifier: notifier.to_owned(), found, trusted, origin })
}
