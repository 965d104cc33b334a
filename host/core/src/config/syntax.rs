//! Text that is not TOML.
//!
//! TOML's parser says what is wrong in its own words, and nothing else is said until it reads the file: what the
//! readers of the tables would miss may only be hidden. Since nobody knows then what a line means, it is shown only as
//! far as it certainly holds no secret.

use super::diagnostic::{Diagnostics, Lines};
use super::reference::reference;
use crate::notifier::{Description, FieldKind};
use crate::text::printable;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::Error;

/// Notes the errors, of each line the first.
pub(super) fn report(text: &str, errors: Vec<Error>, notifiers: &[Description], notes: &mut Diagnostics) {
    let (lines, known) = (Lines::new(text), known_keys(notifiers));
    let mut seen = BTreeSet::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = lines.of(text.floor_char_boundary(span.start));
        if seen.insert(line) {
            notes.error(span, printable(error.message(), 300), None);
            let (range, line) = (lines.range(line), lines.text(line));
            if let Some(from) = unsafe_from(line, &known) {
                notes.secret(range.start + from..range.end);
            }
        }
    }
}

/// The keys that a file may have, and whether their values are no secrets.
fn known_keys(notifiers: &[Description]) -> BTreeMap<String, bool> {
    let mut known = BTreeMap::new();
    for doc in reference(notifiers) {
        known.extend(doc.table.split('.').map(|table| (table.to_owned(), true)));
        // A URL's path may be its password.
        known.insert(doc.key.clone(), !matches!(doc.key.as_str(), "headers" | "url"));
    }
    let fields = notifiers.iter().flat_map(|notifier| &notifier.fields);
    let secrets = fields.filter(|field| matches!(field.kind, FieldKind::Secret | FieldKind::Map));
    known.extend(secrets.map(|field| (field.key.clone(), false)));
    known
}

/// Where in a line a secret could begin.
fn unsafe_from(line: &str, known: &BTreeMap<String, bool>) -> Option<usize> {
    let indent = line.len() - line.trim_start().len();
    let body = &line[indent..];
    if body.starts_with('[') && !body.contains('=') {
        return body.find(['"', '\'']).map(|at| indent + at);
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let path = body.find(|c| !bare(c)).map_or(body, |end| &body[..end]);
    let Some(is_plain) = known.get(path.rsplit('.').next().unwrap_or_default()) else {
        return Some(indent);
    };
    let value = indent + path.len();
    let rest = &line[value..];
    if !is_plain || rest.contains('@') {
        return rest.find(|c: char| !c.is_whitespace() && !matches!(c, '=' | ':')).map(|at| value + at);
    }
    let second = rest.match_indices('=').nth(1).map(|(at, _)| at + 1);
    rest.find('{').into_iter().chain(second).min().map(|at| value + at)
}
