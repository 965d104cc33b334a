//! For each writing of a secret, and each cut through it: nothing of it is shown, and nothing else is missing.

use super::*;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;
use std::fmt::Write as _;

macro_rules! writings {
    ($($name:ident)+) => {
        /// A way to write a secret.
        #[derive(Clone, Copy, Debug)]
        enum Writing { $($name),+ }

        const WRITINGS: &[Writing] = &[$(Writing::$name),+];
    };
}

writings! {
    Plain Upper Lower Blanks
    Json JsonSlash JsonUnits JsonUnitsUpper
    HtmlNamed HtmlDecimal HtmlHex
    PercentAll PercentSome PercentLower Form
    Hex HexUpper HexColons HexBytes
    JsonOfPercent PercentOfJson HtmlOfJson PercentTwice
}

impl Writing {
    fn write(self, secret: &str) -> String {
        let bytes = |each: &dyn Fn(usize, u8) -> String| -> String {
            secret.bytes().enumerate().map(|(nth, byte)| each(nth, byte)).collect()
        };
        let chars = |each: &dyn Fn(char) -> String| -> String { secret.chars().map(each).collect() };
        let json = |text: &str| {
            let quoted = serde_json::Value::from(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        match self {
            Self::Plain => secret.to_owned(),
            Self::Upper => secret.to_ascii_uppercase(),
            Self::Lower => secret.to_ascii_lowercase(),
            Self::Blanks => chars(&|char| format!("{char} ")).trim_end().to_owned(),
            Self::Json => json(secret),
            Self::JsonSlash => json(secret).replace('/', "\\/"),
            Self::JsonUnits | Self::JsonUnitsUpper => {
                secret.encode_utf16().fold(String::new(), |mut text, unit| {
                    let upper = matches!(self, Self::JsonUnitsUpper);
                    let _ = if upper { write!(text, "\\u{unit:04X}") } else { write!(text, "\\u{unit:04x}") };
                    text
                })
            }
            Self::HtmlNamed => chars(&|char| match char {
                '&' => "&amp;".into(),
                '<' => "&lt;".into(),
                '>' => "&gt;".into(),
                '"' => "&quot;".into(),
                '\'' => "&#39;".into(),
                '/' => "&sol;".into(),
                char => char.to_string(),
            }),
            Self::HtmlDecimal => chars(&|char| format!("&#{};", u32::from(char))),
            Self::HtmlHex => chars(&|char| format!("&#x{:X};", u32::from(char))),
            Self::PercentAll => bytes(&|_, byte| format!("%{byte:02X}")),
            Self::PercentLower => bytes(&|_, byte| format!("%{byte:02x}")),
            Self::PercentSome => bytes(&|nth, byte| {
                if nth % 3 == 0 || !byte.is_ascii_alphanumeric() {
                    format!("%{byte:02X}")
                } else {
                    char::from(byte).to_string()
                }
            }),
            Self::Form => bytes(&|_, byte| match byte {
                b' ' => "+".into(),
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            }),
            Self::Hex => bytes(&|_, byte| format!("{byte:02x}")),
            Self::HexUpper => bytes(&|_, byte| format!("{byte:02X}")),
            Self::HexColons => {
                bytes(&|nth, byte| if nth == 0 { format!("{byte:02x}") } else { format!(":{byte:02x}") })
            }
            Self::HexBytes => bytes(&|_, byte| format!("\\x{byte:02x}")),
            Self::JsonOfPercent => json(&Self::PercentAll.write(secret)),
            Self::PercentOfJson => Self::PercentAll.write(&Self::Json.write(secret)),
            Self::HtmlOfJson => Self::HtmlDecimal.write(&Self::JsonSlash.write(secret)),
            Self::PercentTwice => Self::PercentAll.write(&Self::PercentAll.write(secret)),
        }
    }
}

fn redactor(secrets: &[&str]) -> Redactor {
    let mut redactor = Redactor::new("•••");
    for secret in secrets {
        redactor.hide(secret);
    }
    redactor
}

/// No blank at the ends, which nobody would miss, and none of the characters around it in a test.
fn secret() -> impl Strategy<Value = String> {
    "[A-Za-z0-9\"/\\\\&<>'+%=_.:é🔑-]{5}[A-Za-z0-9\"/\\\\&<>'+%=_.: é🔑-]{0,30}[0-9A-F]"
}

proptest! {
    #[test]
    fn a_secret_is_found_in_each_writing(
        secret in secret(),
        nth in 0..WRITINGS.len(),
        before in "[ghijk ]{0,20}",
        behind in "[ghijk ]{0,20}",
    ) {
        let text = format!("{before}[{}]{behind}", WRITINGS[nth].write(&secret));
        let shown = redactor(&[&secret]).redact(&text);
        prop_assert_eq!(shown, format!("{before}[•••]{behind}"), "{:?}: {}", WRITINGS[nth], text);
    }

    #[test]
    fn a_secret_is_found_in_base64_at_each_place(
        secret in secret(),
        before in "[a-z:]{0,5}",
        behind in "[a-z:]{0,5}",
        url_safe in any::<bool>(),
        wrapped in any::<bool>(),
    ) {
        let whole = format!("{before}{secret}{behind}");
        let digits = if url_safe { BASE64_URL_SAFE_NO_PAD.encode(&whole) } else { BASE64_STANDARD.encode(&whole) };
        let digits: Vec<char> = digits.chars().collect();
        let lines: Vec<String> = digits.chunks(if wrapped { 8 } else { 4_096 }).map(|line| line.iter().collect()).collect();
        let shown = redactor(&[&secret]).redact(&lines.join("\r\n"));
        prop_assert!(shown.contains("•••"), "{whole}: {shown}");
        // What is left are digits of what stands around it, and at most one of each end of it.
        let left = shown.chars().filter(char::is_ascii_alphanumeric).count();
        prop_assert!(left <= (before.len() + behind.len()) * 4 / 3 + 4, "{whole}: {shown}");
    }

    #[test]
    fn no_beginning_of_a_secret_is_left_where_the_text_was_cut(
        secret in secret(),
        nth in 0..WRITINGS.len(),
        before in "[ghijk]{0,200}",
        cut in 0..400_usize,
    ) {
        // Those within others can be longer than anybody would cut off.
        prop_assume!(nth < WRITINGS.len() - 4);
        let text = format!("{before}[{}", WRITINGS[nth].write(&secret));
        let cut = text.floor_char_boundary(cut.min(text.len()));
        let shown = redactor(&[&secret]).redact_cut(&text.as_bytes()[..cut]);
        let shown = String::from_utf8_lossy(&shown).replace("•••", "");
        prop_assert!(format!("{before}[").starts_with(&shown), "{text:?} cut at {cut}: {shown}");
    }

    #[test]
    fn what_is_not_the_secret_is_shown(text in "[a-z%&;\\\\ 0-4{}\":+/=]{0,200}", secret in "[5-9]{6,20}") {
        prop_assert_eq!(&redactor(&[&secret]).redact(&text), &text);
        prop_assert_eq!(redactor(&[&secret]).redact_for_program(text.as_bytes()), text.as_bytes());
    }
}

#[test]
fn parts_that_a_server_could_repeat_alone_are_hidden() {
    let redactor = redactor(&[
        "https://hooks.example/services/T1/abcDEF12345?key=q1w2e3r4t5",
        "Bearer tok3n+value/==",
        "PASS s3cret7\r\nQUIT",
    ]);
    for (said, shown) in [
        ("Cannot POST /services/T1/abcDEF12345?key=q1w2e3r4t5", "Cannot POST •••"),
        ("no service abcdef12345", "no service •••"),
        ("key q1w2e3r4t5 is unknown", "key ••• is unknown"),
        ("token tok3n%2Bvalue%2F%3D%3D is unknown", "token ••• is unknown"),
        ("wrong: s3cret7", "wrong: •••"),
        ("services: none at /a; T1; Bearer is missing", "services: none at /a; T1; Bearer is missing"),
    ] {
        assert_eq!(redactor.redact(said), shown, "{said}");
    }
}

#[test]
fn a_common_word_leaves_an_answer_readable() {
    let redactor = redactor(&["migrate", "12345", "k3y-of-9"]);
    let answer = r#"{"ok":false,"migrate": 1,"parameters":{"migrate_to_chat_id":-100123456},"id":12345,"chat":-12345,
        "text":"no bot migrate, 12345 or immigrated; K3Y-OF-9","list":[12345,1]}"#;
    let read = r#"{"ok":false,"migrate": 1,"parameters":{"migrate_to_chat_id":-100123456},"id":12345,"chat":-12345,
        "text":"no bot •••, ••• or immigrated; •••","list":[12345,1]}"#;
    let seen = redactor.redact_for_program(answer.as_bytes());
    assert_eq!(String::from_utf8(seen).expect("text"), read);
    assert!(serde_json::from_str::<serde_json::Value>(read).is_ok());
    // People are not shown it anywhere.
    let shown = redactor.redact(answer);
    assert!(!shown.contains("migrate") && !shown.contains("12345"), "{shown}");
}

#[test]
fn a_short_secret_is_looked_for_as_it_is_and_escaped() {
    let short = redactor(&["p:w", "on"]);
    assert_eq!(short.redact("p:w, p%3Aw, P:W on"), "•••, •••, P:W •••");
    assert_eq!(short.redact_from("connection p:w", 3), "connection •••");
    assert_eq!(short.redact_from("connection p:w", 6), "connection p:w");
    assert_eq!(Redactor::new("•••").redact("p:w"), "p:w");
}

/// "has a line brea•••" was said of the first.
#[test]
fn a_short_line_or_word_of_a_secret_is_a_word_like_any_other() {
    let redactor = redactor(&["t0\nk", "a of s3cret-line"]);
    assert_eq!(redactor.redact("has a line break: t0\nk, s3cret-line"), "has a line break: •••, •••");
}
