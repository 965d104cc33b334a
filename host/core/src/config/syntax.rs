//! Text that is not TOML.
//!
//! TOML's parser reports several errors and keeps what it could read. Some of its errors are the echo of others, and
//! much of what the readers of the tables then miss is only hidden behind them: [`Damage`] keeps the errors that a
//! person can act on, in this program's words, and knows which bytes can't be judged. Since it is then not sure
//! what a line means, a line is shown only as far as it certainly holds no secret.

use super::diagnostic::{Diagnostic, Lines, merged};
use super::reference::reference;
use crate::notifier::{Description, FieldKind};
use crate::text::printable;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::de::{DeTable, DeValue, Error};

#[derive(Debug, Default)]
pub(super) struct Damage {
    pub(super) errors: Vec<SyntaxError>,
    /// Bytes about which nothing else is said. Sorted, apart from each other.
    unsure: Vec<Range<usize>>,
    /// Keys that the file may have, and those of them that never hold a secret.
    known: BTreeSet<String>,
    plain: BTreeSet<String>,
    damaged: bool,
}

/// An error of TOML's parser, in our words.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Damage {
    pub(super) fn new(text: &str, found: Vec<Error>, root: &DeTable<'_>, notifiers: &[Description]) -> Self {
        if found.is_empty() {
            return Self::default();
        }
        let mut damage = Self { damaged: true, ..Self::default() };
        damage.learn_keys(notifiers);
        let lines = Lines::new(text);
        let mut found: Vec<Found> = found.into_iter().map(|error| Found::new(text, &error)).collect();
        found.sort_by_key(|error| error.span.start);
        cut_after_unclosed(text, root, &mut found);
        let mut last_line = None;
        let mut doubled_table = None;
        for error in found {
            let line = lines.of(error.span.start);
            let in_header = lines.text(line).trim_start().starts_with('[');
            // The keys of a table that is there twice are there twice too.
            let echo = error.is_doubled() && doubled_table.is_some_and(|end| error.span.start < end);
            if last_line.replace(line) == Some(line) || echo {
                continue;
            }
            if in_header && error.is_doubled() {
                doubled_table = Some(next_header(&lines, line, text.len()));
            } else {
                let end =
                    if in_header { next_header(&lines, line, text.len()) } else { lines.range(line).end + 1 };
                damage.unsure.push(lines.range(line).start..end.max(error.reaches));
            }
            let key = damage.showable_key(text, &error.span, in_header);
            let (message, hint) = error.words(key.as_deref());
            damage.errors.push(SyntaxError { span: error.span, message, hint });
        }
        damage.unsure = merged(damage.unsure);
        damage
    }

    pub(super) fn is_none(&self) -> bool {
        !self.damaged
    }

    /// Whether what is said about `span` may only follow from what could not be read.
    pub(super) fn explains(&self, span: &Range<usize>) -> bool {
        let first = self.unsure.partition_point(|unsure| unsure.end <= span.start);
        self.unsure.get(first).is_some_and(|unsure| unsure.contains(&span.start))
    }

    /// Masks what of the diagnostic's line could be a secret.
    pub(super) fn mask_line(&self, lines: &Lines<'_>, diagnostic: &mut Diagnostic) {
        let range = lines.range(diagnostic.line - 1);
        let line = lines.text(diagnostic.line - 1);
        if let Some(from) = self.unsafe_from(line).filter(|from| *from < line.len()) {
            let mut masked = std::mem::take(&mut diagnostic.masked);
            masked.push(range.start + from..range.end);
            diagnostic.masked = merged(masked);
        }
    }

    fn learn_keys(&mut self, notifiers: &[Description]) {
        for doc in reference(notifiers) {
            self.plain.extend(doc.table.split('.').map(str::to_owned));
            self.plain.insert(doc.key);
        }
        self.known.clone_from(&self.plain);
        self.plain.remove("headers");
        for field in notifiers.iter().flat_map(|notifier| &notifier.fields) {
            if matches!(field.kind, FieldKind::Secret | FieldKind::Map) {
                self.plain.remove(&field.key);
            }
        }
    }

    /// Where in a line a secret could begin.
    fn unsafe_from(&self, line: &str) -> Option<usize> {
        let indent = line.len() - line.trim_start().len();
        let body = &line[indent..];
        if body.starts_with('[') && !body.contains('=') {
            return body.find(['"', '\'']).map(|at| indent + at);
        }
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let path = body.find(|c| !bare(c)).map_or(body, |end| &body[..end]);
        let key = path.rsplit('.').next().unwrap_or_default();
        if !self.known.contains(key) {
            // Not even the key, unless it is clear that it is one.
            let assignment =
                body[path.len()..].trim_start().starts_with('=').then(|| body.find('=')).flatten();
            let Some(at) = assignment.map(|at| indent + at + 1) else { return Some(indent) };
            return Some(at + line[at..].len() - line[at..].trim_start().len());
        }
        let value = indent + path.len();
        let rest = &line[value..];
        if !self.plain.contains(key) || rest.contains('@') {
            return Some(
                value
                    + rest
                        .find(|c: char| !c.is_whitespace() && !matches!(c, '=' | ':'))
                        .unwrap_or(rest.len()),
            );
        }
        let second = rest.match_indices('=').nth(1).map(|(at, _)| at + 1);
        rest.find('{').into_iter().chain(second).min().map(|at| value + at)
    }

    /// The text of a key, if it certainly is one.
    fn showable_key(&self, text: &str, span: &Range<usize>, in_header: bool) -> Option<String> {
        let key = text.get(span.clone())?.trim_matches(['"', '\'']);
        (in_header || self.known.contains(key)).then(|| printable(key, 60))
    }
}

/// The text with spaces for the lines that have a key and no `=`, if there are any: the parser goes no further at the
/// first one.
pub(super) fn without_keys_alone(text: &str, found: &[Error]) -> Option<String> {
    let alone = found.iter().filter(|error| error.message().starts_with("key with no value"));
    let lines = Lines::new(text);
    let mut bytes = text.as_bytes().to_vec();
    let mut any = false;
    for span in alone.filter_map(Error::span) {
        bytes[lines.range(lines.of(span.start))].fill(b' ');
        any = true;
    }
    // Whole lines were replaced, so no character was cut.
    any.then(|| String::from_utf8(bytes).ok()).flatten()
}

struct Found {
    span: Range<usize>,
    message: String,
    /// The first byte after what it makes unreadable.
    reaches: usize,
    word: String,
}

impl Found {
    fn new(text: &str, error: &Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.min(text.len()).max(start));
        Self {
            span: start..end,
            message: error.message().to_owned(),
            reaches: 0,
            word: text[start..end].to_lowercase(),
        }
    }

    fn is_doubled(&self) -> bool {
        self.message == "duplicate key"
    }

    /// Something that nobody closed and that so swallows what follows.
    fn is_unclosed(&self) -> bool {
        self.message.starts_with("unclosed array, ")
            || self.message.starts_with("unclosed inline table")
            || self.message.starts_with("invalid multi-line")
    }

    fn words(&self, key: Option<&str>) -> (String, Option<String>) {
        let quotes = || Some("texts, durations and URLs stand in quotes, such as `\"30s\"`".to_owned());
        let (what, expected) = self.message.split_once(", expected ").unwrap_or((&self.message, ""));
        match what {
            "string values must be quoted" if self.word.is_empty() => {
                ("there is no value after `=`".into(), quotes())
            }
            "string values must be quoted" | "invalid boolean" => match self.word.as_str() {
                "true" | "yes" | "on" => ("this is no boolean".into(), Some("write `true`".into())),
                "false" | "no" | "off" => ("this is no boolean".into(), Some("write `false`".into())),
                _ => ("a text needs quotes".into(), quotes()),
            },
            "duplicate key" => {
                let key = key.map_or_else(|| "this key".to_owned(), |key| format!("`{key}`"));
                (format!("{key} is there twice"), Some("remove one of the two".into()))
            }
            "invalid basic string" | "invalid literal string"
                if self.message.ends_with(['"', '\'', '`']) && self.span.is_empty() =>
            {
                let quote = if what.contains("basic") { '"' } else { '\'' };
                (format!("the text has no closing `{quote}`"), Some(format!("end it with `{quote}`")))
            }
            "key with no value" => {
                ("there is no `=` after the key".into(), Some("write `key = value`".into()))
            }
            "unclosed table" | "unclosed array table" => {
                ("the header has no closing bracket".into(), Some("end it with `]`".into()))
            }
            "unclosed array" => ("the list has no closing bracket".into(), Some("end it with `]`".into())),
            "unclosed inline table" => {
                ("the table has no closing brace".into(), Some("end it with `}`".into()))
            }
            "missing comma between array elements" => (
                "there is no comma between two values of the list, or no `]` at its end".into(),
                Some("write `,` or `]`".into()),
            ),
            _ if what.starts_with("invalid multi-line") => (
                "the text that begins here has no end".into(),
                Some("end it with three quotes, as it begins".into()),
            ),
            "missing escaped value" => (
                "a backslash begins an escape, and there is none like this".into(),
                Some("write `\\\\` for a backslash, or put the text in single quotes".into()),
            ),
            "invalid unquoted key" => (
                "a key has letters, digits, `-` and `_` alone".into(),
                Some("put it in quotes, or write `key = value`".into()),
            ),
            _ if ["invalid date", "invalid time", "invalid float", "invalid integer"]
                .iter()
                .any(|start| what.starts_with(start)) =>
            {
                (what.to_owned(), quotes())
            }
            _ => {
                let literal = expected.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
                (
                    what.to_owned(),
                    literal.filter(|literal| !literal.contains('`')).map(|_| format!("write {expected}")),
                )
            }
        }
    }
}

/// What is not closed swallows the rest of the file: the first error of it is the one to act on.
fn cut_after_unclosed(text: &str, root: &DeTable<'_>, found: &mut Vec<Found>) {
    let Some(unclosed) = found.iter().find(|error| error.is_unclosed()) else { return };
    let end = unclosed.span.start;
    // The value that reaches to where the end was missed.
    let start = last_value_before(root, end).unwrap_or(end);
    let is_text = unclosed.message.starts_with("invalid multi-line");
    let Some(first) = found.iter().position(|error| error.span.start >= start) else { return };
    found.truncate(first + 1);
    found[first].reaches = text.len() + 1;
    if is_text {
        found[first].span = start..text.ceil_char_boundary((start + 3).min(text.len()));
        found[first].message = "invalid multi-line text".into();
    }
}

/// The start of the value that goes on until `end` or over it.
fn last_value_before(table: &DeTable<'_>, end: usize) -> Option<usize> {
    table
        .values()
        .filter_map(|item| {
            let own = (item.span().end >= end && item.span().start <= end).then_some(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => last_value_before(table, end).or(own),
                _ => own,
            }
        })
        .max()
}

fn next_header(lines: &Lines<'_>, line: usize, end: usize) -> usize {
    (line + 1..)
        .map_while(|line| lines.get(line))
        .find(|(_, text)| text.trim_start().starts_with('['))
        .map_or(end + 1, |(start, _)| start)
}
