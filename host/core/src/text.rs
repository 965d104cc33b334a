//! Text from outside (targets, plugins, providers, other people), made fit to be shown.
//!
//! What a stranger wrote must not move a cursor, turn the direction of the words that follow, or hide among them. All
//! such characters become blanks here, and nowhere else are they listed for the host. The printer of the command line
//! calls [`is_safe`] for all that it writes; whoever keeps a text as one line calls [`printable`].

/// Whether `c` shows as what it is: neither a control character (C0, DEL, C1), nor one that steers the direction of
/// writing, nor one that nobody sees.
///
/// Kept are the blanks of all scripts, the joiners of emoji and Indic scripts inside a word are not: two names that
/// look alike would differ. The invisible ones are those of Unicode's `Default_Ignorable_Code_Point`, but for the
/// variation selectors U+FE00 to U+FE0F, which choose between a sign's text and emoji form.
pub fn is_safe(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'))
}

/// `text` on one line, unsafe characters as blanks, cut to `max` characters (with `…` as the last when cut).
pub fn printable(text: &str, max: usize) -> String {
    let line: String = text.chars().map(|c| if is_safe(c) { c } else { ' ' }).take(max + 1).collect();
    cut(&line, max)
}

/// `text` cut to `max` characters, with `…` as the last when cut.
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// [`printable`] and inert: a provider that looks for them finds no address with a scheme, no name to mention and no
/// e-mail address. An invisible character (U+2060) stands behind each `@` and before the slashes of `://`: what a monitored
/// server writes into a message could lead its readers elsewhere, or call them. Names of hosts are left, to be copied.
pub fn inert(text: &str, max: usize) -> String {
    let line = printable(text.trim(), max);
    cut(&line.replace("://", ":\u{2060}//").replace('@', "@\u{2060}"), max)
}

/// Whether this is an address of the web that no space or markup ends early, so that it can be shown as a link.
pub fn is_web_address(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://"))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'+,;=%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_or_hides_becomes_a_blank() {
        for c in [
            '\0',
            '\x1b',
            '\x7f',
            '\u{80}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{3164}',
            '\u{feff}',
            '\u{e0041}',
            '\u{e007f}',
            '\u{e01ef}',
        ] {
            assert_eq!(printable(&format!("a{c}b"), 10), "a b", "{:?}", c.escape_unicode());
        }
        for c in ['ü', '語', '…', '\u{a0}', '\u{fe0f}', '🔴', '\u{5d0}'] {
            assert_eq!(printable(&format!("a{c}b"), 10), format!("a{c}b"));
        }
    }

    #[test]
    fn a_cut_text_ends_in_an_ellipsis() {
        assert_eq!(printable("abcd", 4), "abcd");
        assert_eq!(printable("abcde", 4), "abc…");
        assert_eq!((cut("äöüß", 3), cut("", 0)), ("äö…".into(), String::new()));
    }

    #[test]
    fn nothing_in_a_strangers_text_is_live() {
        for (text, quiet) in [
            ("see https://evil.example/x?y", "see https:|//evil.example/x?y"),
            ("tg://resolve?domain=x", "tg:|//resolve?domain=x"),
            ("@name @everyone me@evil.example", "@|name @|everyone me@|evil.example"),
            ("10.0.0.1:80 said: no // 1.5 s", "10.0.0.1:80 said: no // 1.5 s"),
        ] {
            assert_eq!(inert(text, 100).replace('\u{2060}', "|"), quiet);
        }
        assert_eq!(inert(&"@".repeat(100), 10).chars().count(), 10);
    }
}
