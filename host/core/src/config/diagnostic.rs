//! What is wrong with a file, and where.
//!
//! While a file is read, everything worth saying is noted in [`Diagnostics`]; at the end the notes become
//! [`Diagnostic`]s in the file's order. A diagnostic knows which bytes of its line are secret, so that whoever
//! shows the line can leave them out. Messages never quote a secret.

use super::key::{Flags, KeyDoc};
use serde::Serialize;
use std::ops::Range;

/// Whether the file can be used in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file is not used.
    Error,
    /// The file is used.
    Warning,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub level: Level,
    /// What is wrong: one line, lower case, the thing in backticks.
    pub message: String,
    /// The way out: one line, often something to paste.
    pub hint: Option<String>,
    /// Where, in bytes of the text; inside the text, on character boundaries, perhaps empty.
    #[serde(skip)]
    pub span: Range<usize>,
    /// The line of the span's start, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// Bytes of the text, on that line, that hold secrets and must not be shown. Sorted, apart from each other.
    #[serde(skip)]
    pub masked: Vec<Range<usize>>,
}

/// What the readers of the tables have to say.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    drafts: Vec<Unplaced>,
    secrets: Vec<Range<usize>>,
    /// What keys are called, when they come from the command line.
    pub(super) flags: Option<Flags>,
    /// Collects the reference, when that is what the readers run for.
    pub(super) docs: Option<Vec<KeyDoc>>,
}

#[derive(Debug)]
struct Unplaced {
    level: Level,
    message: String,
    hint: Option<String>,
    span: Range<usize>,
}

impl Diagnostics {
    pub(super) fn error(&mut self, span: Range<usize>, message: String, hint: Option<String>) {
        self.add(Level::Error, span, message, hint);
    }

    pub(super) fn warning(&mut self, span: Range<usize>, message: String, hint: Option<String>) {
        self.add(Level::Warning, span, message, hint);
    }

    /// These bytes must not be shown.
    pub(super) fn secret(&mut self, span: Range<usize>) {
        if !span.is_empty() {
            self.secrets.push(span);
        }
    }

    fn add(&mut self, level: Level, span: Range<usize>, message: String, hint: Option<String>) {
        self.drafts.push(Unplaced { level, message, hint, span });
    }

    /// The diagnostics in the file's order, and what [`Lines::diagnose`] needs to make another.
    pub(super) fn conclude(mut self, text: &str) -> (Vec<Diagnostic>, Vec<Range<usize>>) {
        let lines = Lines::new(text);
        let secrets = merged(self.secrets);
        self.drafts.sort_by_key(|draft| (draft.span.start, draft.span.end));
        let diagnose =
            |Unplaced { level, message, hint, span }| lines.diagnose(level, message, hint, span, &secrets);
        (self.drafts.into_iter().map(diagnose).collect(), secrets)
    }
}

/// Sorts ranges and joins those that touch.
pub(super) fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// A text's lines, to turn a byte into a line and a column.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The line of a byte, from 0.
    pub(super) fn of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// A line's bytes without its end.
    pub(super) fn range(&self, line: usize) -> Range<usize> {
        let start = self.starts[line];
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        start..start + self.text[start..end].trim_end_matches('\r').len()
    }

    /// A line's text without its end.
    pub(super) fn text(&self, line: usize) -> &'t str {
        &self.text[self.range(line)]
    }

    /// Makes a diagnostic; `secrets` sorted and apart from each other.
    pub(super) fn diagnose(
        &self,
        level: Level,
        message: String,
        hint: Option<String>,
        span: Range<usize>,
        secrets: &[Range<usize>],
    ) -> Diagnostic {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end.max(start));
        let line = self.of(start);
        let range = self.range(line);
        let first = secrets.partition_point(|secret| secret.end <= range.start);
        let masked = secrets[first..]
            .iter()
            .take_while(|secret| secret.start < range.end)
            .map(|secret| secret.start.max(range.start)..secret.end.min(range.end))
            .collect();
        // A byte order mark is no character that anybody counts.
        let before = self.text[range.start..start.max(range.start)].chars().filter(|c| *c != '\u{feff}');
        let (span, line, column) = (start..end, line + 1, before.count() + 1);
        Diagnostic { level, message, hint, span, line, column, masked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_their_line_end() {
        let lines = Lines::new("a\r\nbc\n");
        assert_eq!([0, 1, 2, 3, 5, 6].map(|at| lines.of(at)), [0, 0, 0, 1, 1, 2]);
        assert_eq!([0, 1, 2].map(|line| lines.range(line)), [0..1, 3..5, 6..6]);
    }

    #[test]
    fn columns_are_characters() {
        let text = "# ä\nnäme = \"x\"";
        let at = text.find("\"x").expect("a value");
        let diagnostic = Lines::new(text).diagnose(Level::Error, String::new(), None, at..at + 3, &[]);
        assert_eq!((diagnostic.line, diagnostic.column), (2, 8));
    }

    #[test]
    fn only_the_lines_own_secrets_are_masked() {
        let text = "a = 1\nb = 2\nc = 3";
        let diagnostic =
            Lines::new(text).diagnose(Level::Error, String::new(), None, 6..7, &[2..3, 4..8, 10..14]);
        assert_eq!(diagnostic.masked, [6..8, 10..11]);
    }

    #[test]
    fn ranges_that_touch_are_joined() {
        assert_eq!(merged(vec![4..6, 0..2, 2..3, 5..9]), [0..3, 4..9]);
    }
}
