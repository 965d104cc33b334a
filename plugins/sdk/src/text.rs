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
    // A text is always JSON.
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
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

/// An instant for people: `2026-04-14 02:14:05 UTC`.
pub fn utc(ms: u64) -> String {
    let (year, month, day) = civil(ms / 86_400_000);
    let second = ms / 1_000 % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// An HTTP date (RFC 9110, the form that is sent today) as milliseconds since the epoch.
pub(crate) fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_once(", ")?.1.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let mut clock = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if clock.next().is_some()
        || !(1970..=9999).contains(&year)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let days = days_since_epoch(year, month as u64, day);
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000)
}

/// Days since the epoch to a date of the Gregorian calendar. Years are counted from March, so that the leap day is
/// the last one; 719,468 days lie between the first of March of the year 0 and the epoch.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil`], for years from 1970 on.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let year_of_era = year % 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year / 400 * 146_097 + day_of_era - 719_468
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
    fn instants_in_utc() {
        for (ms, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_614_265_330_500, "2021-02-25 15:02:10 UTC"),
            (1_735_689_599_999, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(ms), expected);
        }
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(parse_http_date("Thu, 29 Feb 2024 23:59:60 GMT"), Some(1_709_251_200_000));
        for wrong in [
            "",
            "06 Nov 1994",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 0 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(wrong), None, "{wrong}");
        }
        for day in (0..60_000).step_by(17) {
            let (year, month, date) = civil(day);
            assert_eq!(days_since_epoch(year, month, date), day);
        }
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
        assert_eq!(escape_json("a\"b\\\n"), "a\\\"b\\\\\\n");
        assert_eq!(escape_percent("a-b c&ü"), "a-b%20c%26%C3%BC");
    }
}
