//! Texts for people: cut in whole characters, escaped for their markup. A message's texts have their lengths already.
//!
//! Cut first and escape after, or an escape is cut in two.

use std::fmt::Write as _;

/// `text` on one line, without control characters and without those that turn the direction of writing, cut to `max`
/// characters (with `…` as the last when cut).
pub fn line(text: &str, max: usize) -> String {
    let plain =
        text.trim().chars().filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    truncate(&plain.map(|c| if c.is_control() { ' ' } else { c }).collect::<String>(), max)
}

/// `text` cut to `max` characters, with `…` as the last when cut.
pub fn truncate(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    // A character that joins onto one that is gone shows as garbage.
    cut.truncate(cut.trim_end_matches(['\u{200d}', '\u{fe0f}', ' ']).len());
    if max > 0 {
        cut.push('…');
    }
    cut
}

/// What the host puts behind each `@` and into each `://` of a stranger: no space, no break, nothing to see.
const JOINER: char = '\u{2060}';

/// For HTML's text and attributes, and for Telegram's `parse_mode` HTML.
pub fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// For Slack's `mrkdwn`; defuses `<!channel>` too.
pub fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// For Discord's Markdown: each character that means something where it stands is made to mean itself. Not more: a
/// phone's notification may show the backslashes.
pub fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let means = match c {
            '\\' | '*' | '_' | '~' | '`' | '|' | '[' | ']' | '<' => true,
            // Where it is not inert already.
            '@' => characters.peek() != Some(&JOINER),
            // Headings, lists and quotes.
            '#' | '-' | '+' | '>' => escaped.is_empty(),
            // `:smile:` and `https://`.
            ':' => characters
                .peek()
                .is_some_and(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '/')),
            _ => false,
        };
        if means {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// For the inside of a JSON string.
pub fn escape_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\0'..='\u{1f}' => {
                // Writing to a string can't fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

/// For an address's query or a form: all but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
pub fn escape_percent(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_in_whole_characters() {
        for (text, max, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("äöüß", 3, "äö…"),
            ("👩\u{200d}💻x", 3, "👩…"),
            ("", 0, ""),
            ("a", 0, ""),
            ("a bcd", 3, "a…"),
        ] {
            assert_eq!(truncate(text, max), expected);
        }
        assert_eq!(line(" a\r\nb\u{202e}c\u{1b}[0m ", 20), "a  bc [0m");
    }

    #[test]
    fn escapes() {
        assert_eq!(escape_html("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        assert_eq!(escape_slack("<!channel> & co"), "&lt;!channel&gt; &amp; co");
        for (text, escaped) in [
            ("a_b*c", r"a\_b\*c"),
            ("# a #7 - b > c", r"\# a #7 - b > c"),
            ("> a", r"\> a"),
            ("a: b (c)", "a: b (c)"),
            (":smile: https://x [y](z)", r"\:smile: https\://x \[y\](z)"),
            ("<@1> @everyone", r"\<\@1> \@everyone"),
            ("@\u{2060}everyone", "@\u{2060}everyone"),
        ] {
            assert_eq!(escape_markdown(text), escaped);
        }
        assert_eq!(escape_json("a\"b\\\n\r\u{7f}ü"), "a\\\"b\\\\\\n\\u000d\u{7f}ü");
        assert_eq!(escape_percent("a-b c&ü"), "a-b%20c%26%C3%BC");
    }
}
