//! The last look at all that is written: whatever a stranger's text brought along, the terminal gets none of it.
//!
//! Unsafe characters (see [`uptime_core::text::is_safe`]) become blanks, in a pipe too: somebody's terminal is behind it.
//! Kept are line breaks, tabs, and the escape sequences of our own styles.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use uptime_core::text::is_safe;

/// Text with our own styles in it.
pub fn styled(text: &str) -> Cow<'_, str> {
    clean(text, true)
}

/// Text without any: of a plugin, of a provider, of a message.
pub fn plain(text: &str) -> Cow<'_, str> {
    clean(text, false)
}

/// JSON. An unsafe character can only stand in one of its strings, where an escape says the same.
pub fn json(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_safe) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_safe(c) {
            safe.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string can't fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    safe.into()
}

fn clean(text: &str, styles: bool) -> Cow<'_, str> {
    if text.chars().all(|c| is_safe(c) || c == '\n' || c == '\t') {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let sequence = if styles { style_length(rest) } else { None };
        let length = sequence.unwrap_or(c.len_utf8());
        if sequence.is_some() || is_safe(c) || c == '\n' || c == '\t' {
            safe.push_str(&rest[..length]);
        } else {
            safe.push(' ');
        }
        rest = &rest[length..];
    }
    safe.into()
}

/// How long the sequence of one of our styles is, if `text` begins with one: `ESC [ N m`, where N is a weight or a
/// colour of the foreground. Nothing that hides, blinks, inverts or colours the ground.
fn style_length(text: &str) -> Option<usize> {
    let number = text.strip_prefix("\x1b[")?;
    let end = number.find('m').filter(|end| *end <= 2)?;
    let known = matches!(number[..end].parse::<u8>().ok()?, 0..=4 | 30..=39 | 90..=97);
    known.then_some("\x1b[".len() + end + 1)
}

/// The log's way to stderr: a line at a time, looked at like everything else.
#[derive(Clone, Copy, Debug)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        super::say(&String::from_utf8_lossy(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{BAD, FAINT, GOOD, HINT, ODD};

    #[test]
    fn only_our_own_styles_reach_the_terminal() {
        for style in [BAD, GOOD, ODD, HINT, FAINT] {
            let text = format!("a {style}b{style:#}\tc\n");
            assert_eq!(styled(&text), text);
        }
        assert_eq!(styled("\x1b]0;title\x07\x1b[2J\x1b[8m\u{9b}2J\u{202e}x"), " ]0;title  [2J [8m 2J x");
        assert_eq!(plain("\x1b[31mred\x1b[0m\nnext\u{200b}"), " [31mred [0m\nnext ");
    }

    #[test]
    fn an_escape_in_json_says_the_same() {
        let value = serde_json::json!({ "a": "\u{85}\u{202e}\u{e0041}\x7f\x1b" });
        let written = json(&value.to_string()).into_owned();
        assert!(written.chars().all(is_safe), "{written}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).expect("it is JSON"), value);
    }
}
