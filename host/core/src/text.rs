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

/// `text` with a capital letter.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
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

/// The hint for a wrong word, if one of `words` is a slip of the keys away.
pub fn did_you_mean<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> Option<String> {
    const LONGEST: usize = 100;
    let wrong: String = wrong.chars().take(LONGEST + 1).collect::<String>().to_lowercase();
    let length = wrong.chars().count();
    let distances = words
        .into_iter()
        .filter(|word| length <= LONGEST && word.len() <= 4 * LONGEST)
        .map(|word| (strsim::damerau_levenshtein(&wrong, &word.to_lowercase()), word));
    let (_, word) = distances
        .filter(|(distance, word)| *distance <= 1.max(word.chars().count().min(length) / 3))
        .min_by_key(|(distance, _)| *distance)?;
    Some(format!("did you mean `{}`?", printable(word, 100)))
}

/// As [`did_you_mean`], or all words if none is near.
pub(crate) fn did_you_mean_or_all<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    did_you_mean(wrong, words.iter().copied()).unwrap_or_else(|| match words.as_slice() {
        [] => "there is none".into(),
        [word] => format!("write `{}`", printable(word, 100)),
        _ => format!("write one of {}", alternatives(words.into_iter())),
    })
}

/// `` `a`, `b` or `c` ``, at most twenty.
pub(crate) fn alternatives<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut words: Vec<String> = words.map(|word| format!("`{}`", printable(word, 60))).collect();
    let more = words.len().saturating_sub(20);
    words.truncate(20);
    let last = if more > 0 { Some(format!("{more} more")) } else { words.pop() };
    match (words.is_empty(), last) {
        (_, None) => words.join(", "),
        (true, Some(last)) => last,
        (false, Some(last)) => format!("{} or {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_or_hides_becomes_a_blank() {
        let steering =
            "\0\x1b\x7f\u{80}\u{85}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{200f}\u{2028}\u{202e}\u{2060}";
        for c in steering.chars().chain("\u{2066}\u{3164}\u{feff}\u{e0041}\u{e007f}\u{e01ef}".chars()) {
            assert_eq!(printable(&format!("a{c}b"), 10), "a b", "{:?}", c.escape_unicode());
        }
        for c in "ü語…\u{a0}\u{fe0f}🔴\u{5d0}".chars() {
            assert_eq!(printable(&format!("a{c}b"), 10), format!("a{c}b"));
        }
    }

    #[test]
    fn a_slip_of_the_keys_is_seen_through() {
        let words = ["interval", "timeout", "a"];
        for (wrong, right) in [
            ("intervall", Some("interval")),
            ("Itnerval", Some("interval")),
            ("b", Some("a")),
            ("channels", None),
        ] {
            let hint = right.map(|right| format!("did you mean `{right}`?"));
            assert_eq!(did_you_mean(wrong, words), hint, "{wrong}");
        }
        assert_eq!(did_you_mean_or_all("channels", words), "write one of `interval`, `timeout` or `a`");
        assert_eq!(did_you_mean(&"a".repeat(200), ["a".repeat(200).as_str()]), None, "a text without end");
    }

    #[test]
    fn a_cut_text_ends_in_an_ellipsis() {
        assert_eq!(printable("abcd", 4), "abcd");
        assert_eq!(printable("äbcde", 4), "äbc…");
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
