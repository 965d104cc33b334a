//! The reference of the file: what the readers of the tables say of their keys when they are asked.
//!
//! There is no list of keys besides the readers: they run over a file that has nothing in it and write down what
//! they would have taken. `uptime config schema` prints it.

use super::diagnostic::Notes;
use super::read_file;
use super::table::Table;
use crate::notifier::Description;

#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// Each key of the file, in the file's order; those of channels also for each of `notifiers`.
pub fn reference(notifiers: &[Description]) -> Vec<KeyDoc> {
    let mut notes = Notes::default();
    notes.docs = Some(Vec::new());
    read_file(&mut Table::unread(&mut notes), notifiers.into());
    notes.docs.unwrap_or_default()
}
