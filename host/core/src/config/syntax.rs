//! Text that is not TOML.
//!
//! TOML's parser says what is wrong in its own words, and nothing else is said until it reads the file: what the readers
//! of the tables would miss may only be hidden. Since nobody knows then what a line means, it is shown only as far as it
//! certainly holds no secret.

use super::diagnostic::{Lines, Notes};
use super::reference::reference;
use crate::notifier::{Description, FieldKind};
use crate::text::printable;
use std::collections::BTreeSet;
use toml::de::Error;

/// Notes the errors, of each line the first.
pub(super) fn report(text: &str, errors: Vec<Error>, notifiers: &[Description], notes: &mut Notes) {
    let (lines, plain) = (Lines::new(text), plain_keys(notifiers));
    let mut seen = BTreeSet::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = lines.of(text.floor_char_boundary(span.start));
        if seen.insert(line) {
            notes.error(span, printable(error.message(), 300), None);
            let (range, line) = (lines.range(line), lines.text(line));
            if let Some(from) = unsafe_from(line, &plain) {
                notes.secret(range.start + from..range.end);
            }
        }
    }
}

/// The keys whose values are no secrets.
fn plain_keys(notifiers: &[Description]) -> BTreeSet<String> {
    let mut plain = BTreeSet::new();
    for doc in reference(notifiers) {
        plain.extend(doc.table.split('.').map(str::to_owned));
        plain.insert(doc.key);
    }
    // A URL's path may be its password.
    plain.retain(|key| !matches!(key.as_str(), "headers" | "url"));
    for field in notifiers.iter().flat_map(|notifier| &notifier.fields) {
        if matches!(field.kind, FieldKind::Secret | FieldKind::Map) {
            plain.remove(&field.key);
        }
    }
    plain
}

/// Where in a line a secret could begin.
fn unsafe_from(line: &str, plain: &BTreeSet<String>) -> Option<usize> {
    let indent = line.len() - line.trim_start().len();
    let body = &line[indent..];
    if body.starts_with('[') && !body.contains('=') {
        return body.find(['"', '\'']).map(|at| indent + at);
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let path = body.find(|c| !bare(c)).map_or(body, |end| &body[..end]);
    if !plain.contains(path.rsplit('.').next().unwrap_or_default()) {
        return Some(indent);
    }
    let value = indent + path.len();
    let rest = &line[value..];
    if rest.contains('@') {
        return rest.find(|c: char| !c.is_whitespace() && !matches!(c, '=' | ':')).map(|at| value + at);
    }
    let second = rest.match_indices('=').nth(1).map(|(at, _)| at + 1);
    rest.find('{').into_iter().chain(second).min().map(|at| value + at)
}
