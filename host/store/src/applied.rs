//! Where rows come from, and what applying a file or a command line did to them.

use crate::incidents::unwatched::Ended;
use serde::Serialize;
use uptime_core::changes::KeyChange;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    File,
    /// Targets given to `uptime up`.
    CommandLine,
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::CommandLine => "command-line",
        }
    }
}

/// What was done, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AppliedChange {
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// `channel`, `monitor` or `maintenance`.
    #[serde(rename = "kind")]
    pub table: &'static str,
    pub name: String,
    /// For a change: the keys that differ.
    #[serde(rename = "values")]
    pub keys: Vec<KeyChange>,
}

/// The sign in front of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Add,
    #[serde(rename = "change")]
    Alter,
    /// It goes, or is disabled.
    Remove,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Each change, channels first, by name.
    pub changes: Vec<AppliedChange>,
    /// Names of this source that are in the database and not wanted, and were kept.
    pub unwanted: Vec<String>,
    /// Incidents that ended with it: their monitors are not watched any more.
    pub ended: Vec<Ended>,
}

/// What becomes of a row's source, if that changes.
pub(crate) fn moved(old: &str, source: Source) -> Vec<KeyChange> {
    let new = source.as_str();
    let change = || KeyChange { key: "source".into(), old: Some(old.to_owned()), new: Some(new.to_owned()) };
    (old != new).then(change).into_iter().collect()
}
