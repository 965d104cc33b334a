//! How what is wrong with a file is shown to a person.
//!
//! Each diagnostic is a message, its place, its line with a row of carets, and the way out; a last line counts them.
//! What a line holds of secrets is replaced by dots, always six of them. Pure: text in, text out; `uptime config
//! check` and every command that reads the file print it to stderr. (`annotate-snippets` draws richer pictures, but
//! neither this form nor masked text.)

use crate::output::many;
use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;
use uptime_core::config::{Diagnostic, Level};
use uptime_core::text::is_safe;

/// What stands for a secret, whatever its length.
const MASK: &str = "••••••";
/// The widest excerpt of a line, in columns.
const WIDTH: usize = 120;
/// The most diagnostics that are shown; the last line counts all.
const SHOWN: usize = 100;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const PLACE: Style = AnsiColor::Blue.on_default().bold();

/// Renders what is wrong with the file `file_name`, whose content is `text`. Nothing wrong renders as nothing.
pub fn render(file_name: &str, text: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let shown = diagnostics.iter().take(SHOWN).map(|diagnostic| rendered(file_name, text, diagnostic));
    let page: String = shown.chain(summary(file_name, diagnostics)).collect();
    if color { page } else { anstream::adapter::strip_str(&page).to_string() }
}

fn rendered(file_name: &str, text: &str, diagnostic: &Diagnostic) -> String {
    let Diagnostic { level, message, hint, line, column, .. } = diagnostic;
    let (word, style) = named(*level);
    let gutter = " ".repeat(line.to_string().len());
    let place = format!("{gutter}{PLACE}-->{PLACE:#} {file_name}:{line}:{column}");
    let Excerpt { line: shown, before, marked } = Excerpt::of(text, diagnostic);
    let (before, carets) = (" ".repeat(before), "^".repeat(marked));
    let bar = format!("{PLACE}{gutter} |{PLACE:#}");
    let excerpt =
        format!("{bar}\n{PLACE}{line} |{PLACE:#} {shown}\n{bar} {before}{style}{carets}{style:#}\n");
    let excerpt = if shown.trim().is_empty() { "" } else { &excerpt };
    let hint = hint.as_ref().map(|hint| format!("{HINT}hint{HINT:#}: {hint}\n")).unwrap_or_default();
    format!("{style}{word}{style:#}: {message}\n{place}\n{excerpt}{hint}\n")
}

fn summary(file_name: &str, diagnostics: &[Diagnostic]) -> Option<String> {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error).count();
    let counts = [(errors, "error"), (diagnostics.len() - errors, "warning")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| many(count, word)).collect();
    let (word, style) = named(if errors > 0 { Level::Error } else { Level::Warning });
    let cut = format!(", of which the first {SHOWN} are shown");
    let cut = if diagnostics.len() > SHOWN { &cut } else { "" };
    let has = counts.join(" and ");
    (!has.is_empty()).then(|| format!("{style}{word}{style:#}: `{file_name}` has {has}{cut}\n"))
}

fn named(level: Level) -> (&'static str, Style) {
    match level {
        Level::Error => ("error", ERROR),
        Level::Warning => ("warning", WARNING),
    }
}

/// A line as it is shown, and where the carets are, in columns of the terminal.
struct Excerpt {
    line: String,
    before: usize,
    marked: usize,
}

impl Excerpt {
    fn of(text: &str, diagnostic: &Diagnostic) -> Self {
        let span = &diagnostic.span;
        let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
        let mut cells = Vec::new();
        let mut masks = diagnostic.masked.iter().peekable();
        let mut at = start;
        while at < end {
            if let Some(mask) = masks.next_if(|mask| mask.start <= at) {
                let marked = span.start < mask.end && mask.start < span.end.max(span.start + 1);
                cells.extend(MASK.chars().map(|c| Cell { shown: c, marked }));
                at = mask.end.max(at);
                continue;
            }
            let Some(c) = text[at..end].chars().next() else { break };
            let marked = (span.start..span.end.max(span.start + 1)).contains(&at);
            at += c.len_utf8();
            match c {
                '\u{feff}' | '\r' => {}
                '\t' => cells.extend([Cell { shown: ' ', marked }; 4]),
                c if !is_safe(c) => cells.push(Cell { shown: '\u{fffd}', marked }),
                c => cells.push(Cell { shown: c, marked }),
            }
        }
        Self::cut(&cells)
    }

    /// The part around the carets that fits.
    fn cut(cells: &[Cell]) -> Self {
        let width = |cells: &[Cell]| -> usize { cells.iter().map(|cell| cell.width()).sum() };
        let first = cells.iter().position(|cell| cell.marked).unwrap_or(cells.len());
        let (mut from, mut to) = (0, cells.len());
        if width(cells) > WIDTH {
            let mut before = width(&cells[..first]);
            while before > WIDTH / 2 {
                before -= cells[from].width();
                from += 1;
            }
            let mut shown = 0;
            to = from;
            while to < cells.len() && shown + cells[to].width() <= WIDTH {
                shown += cells[to].width();
                to += 1;
            }
        }
        let dots = |cut: bool| if cut { "…" } else { "" };
        let shown: String = cells[from..to].iter().map(|cell| cell.shown).collect();
        let marked = cells[first..].iter().take_while(|cell| cell.marked).count();
        let last = (first + marked).min(to).max(first);
        Self {
            line: format!("{}{shown}{}", dots(from > 0), dots(to < cells.len())),
            before: width(&cells[from..first]) + usize::from(from > 0),
            // A place between two characters, or at the line's end, has one caret.
            marked: width(&cells[first..last]).max(1),
        }
    }
}

#[derive(Clone, Copy)]
struct Cell {
    shown: char,
    marked: bool,
}

impl Cell {
    fn width(self) -> usize {
        self.shown.width().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    fn one(text: &str, span: Range<usize>, masked: Option<Range<usize>>) -> Vec<Diagnostic> {
        let masked = masked.into_iter().collect();
        let line = text[..span.start].matches('\n').count() + 1;
        let (message, hint) = ("`a` is wrong".to_owned(), Some("write `b`".to_owned()));
        vec![Diagnostic { level: Level::Error, message, hint, span, line, column: 1, masked }]
    }

    #[test]
    fn a_diagnostic_shows_its_line() {
        let text = "x = 1\na = \"ä\" # c\n";
        let page = render("uptime.toml", text, &one(text, 10..14, None), false);
        assert_eq!(
            page,
            "error: `a` is wrong\n --> uptime.toml:2:1\n  |\n2 | a = \"ä\" # c\n  |     ^^^\nhint: write `b`\n\nerror: `uptime.toml` has 1 error\n"
        );
    }

    #[test]
    fn a_secret_is_never_shown_nor_its_length() {
        for secret in ["x", "a-much-longer-secret"] {
            let text = format!("token = \"{secret}\" # c");
            let (start, end) = (8, 10 + secret.len());
            let page = render("f", &text, &one(&text, start..end, Some(start..end)), false);
            assert!(page.contains("1 | token = •••••• # c\n  |         ^^^^^^\n"), "{page}");
            let page = render("f", &text, &one(&text, 0..5, Some(start..end)), false);
            assert!(page.contains("1 | token = •••••• # c\n  | ^^^^^\n"), "{page}");
        }
    }

    #[test]
    fn carets_stand_under_what_they_mean() {
        for (text, span, line, carets) in [
            ("\ta = 1", 1..2, "    a = 1", "    ^"),
            ("名 = 1 2", 6..7, "名 = 1 2", "     ^"),
            ("a = \u{1b}[31m", 4..5, "a = \u{fffd}[31m", "    ^"),
            ("a = 1", 5..5, "a = 1", "     ^"),
            ("a = [\r\n1]", 4..9, "a = [", "    ^"),
        ] {
            let page = render("f", text, &one(text, span, None), false);
            assert!(page.contains(&format!("1 | {line}\n  | {carets}\n")), "{page}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_carets() {
        let text = format!("{}WRONG{}", "a".repeat(500), "b".repeat(500));
        let page = render("f", &text, &one(&text, 500..505, None), false);
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[3], format!("1 | …{}WRONG{}…", "a".repeat(60), "b".repeat(55)));
        assert_eq!(lines[4], format!("  | {}^^^^^", " ".repeat(61)));
    }

    #[test]
    fn all_are_counted_and_not_all_are_shown() {
        let text = "a = 1";
        let many: Vec<Diagnostic> = (0..150).flat_map(|_| one(text, 0..1, None)).collect();
        let page = render("f", text, &many, false);
        assert_eq!(page.matches("-->").count(), 100);
        assert!(page.ends_with("error: `f` has 150 errors, of which the first 100 are shown\n"));
        assert_eq!(render("f", text, &[], false), "");
    }

    #[test]
    fn color_changes_nothing_but_the_color() {
        let text = "a = 1";
        let colored = render("f", text, &one(text, 0..1, None), true);
        assert!(colored.starts_with("\u{1b}[1m\u{1b}[31merror\u{1b}[0m: `a` is wrong\n"), "{colored:?}");
    }
}
