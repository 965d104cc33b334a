//! The reference of the file: what the readers of the tables say of their keys when they are asked.
//!
//! There is no list of keys besides the readers: they run over a file that has nothing in it and write down what
//! they would have taken. `uptime config schema` prints it.

use super::diagnostic::Diagnostics;
use super::key::KeyDoc;
use super::read_file;
use super::table::Table;
use crate::notifier::Description;

/// Each key of the file, in the file's order; those of channels also for each of `notifiers`.
pub fn reference(notifiers: &[Description]) -> Vec<KeyDoc> {
    let mut notes = Diagnostics::default();
    notes.docs = Some(Vec::new());
    read_file(&mut Table::unread(&mut notes), notifiers.into());
    notes.docs.unwrap_or_default()
}
