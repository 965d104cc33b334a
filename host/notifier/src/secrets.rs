//! Secrets on their way through a plugin: it gets references, the values are put in where the request leaves.
//!
//! A reference is random in each call, so that a text from a stranger (a monitored server's words in a message) can't
//! hold one. What comes back from outside is cleared of the values, and what a plugin says is cleared of both, before
//! anybody sees it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use std::borrow::Cow;
use uptime_core::grant::HostGrant;
use uptime_core::redaction::Redactor;
use uptime_core::secret::Secret;
use url::{Position, Url};
use uuid::Uuid;

/// What people see in a secret's place.
pub(crate) const MASK: &str = "•••";

/// Values shorter than this are not looked for in texts: they are no secrets, and clearing them would garble all.
const CLEARED_MIN: usize = 4;

/// All but unreserved characters and the `:` of a Telegram token, which its server wants as it is.
const OUTSIDE_ADDRESSES: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// How a value is written at the place where it is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As it is.
    None,
    /// Inside a JSON string.
    Json,
    /// Inside an address or a form.
    Percent,
}

impl Escape {
    /// What a body of this content type needs.
    pub(crate) fn for_content_type(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.ends_with("/json") || kind.ends_with("+json") {
            Self::Json
        } else if kind == "application/x-www-form-urlencoded" {
            Self::Percent
        } else {
            Self::None
        }
    }

    fn apply(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(value),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
            }
            Self::Percent => percent_encoding::utf8_percent_encode(value, OUTSIDE_ADDRESSES).into(),
        }
    }
}

struct Entry {
    reference: String,
    value: Secret,
    mask: String,
}

/// The secrets of one call and the references that stand for them.
pub(crate) struct References {
    entries: Vec<Entry>,
    /// What the plugin may not see.
    from_plugin: Redactor,
    /// What people may not see: that, and what the plugin has been given in confidence.
    from_people: Redactor,
}

impl Default for References {
    fn default() -> Self {
        let (from_plugin, from_people) = (Redactor::new(MASK), Redactor::new(MASK));
        Self { entries: Vec::new(), from_plugin, from_people }
    }
}

impl References {
    /// A new reference to `value`.
    pub(crate) fn add(&mut self, value: &Secret) -> String {
        let reference = format!("secret{}", Uuid::new_v4().simple());
        let mask = match Url::parse(value.expose()).ok().as_ref().and_then(HostGrant::origin_of) {
            Some(origin) => format!("{origin}/{MASK}"),
            None => MASK.to_owned(),
        };
        self.entries.push(Entry { reference: reference.clone(), value: value.clone(), mask });
        if value.expose().len() >= CLEARED_MIN {
            self.from_plugin.hide(value.expose());
        }
        self.hide(value);
        reference
    }

    /// Keeps `value`, which the plugin has been given, from people's eyes.
    pub(crate) fn hide(&mut self, value: &Secret) {
        if value.expose().len() >= CLEARED_MIN {
            self.from_people.hide(value.expose());
        }
    }

    /// The value behind a reference.
    pub(crate) fn value(&self, reference: &str) -> Option<&Secret> {
        self.entries.iter().find(|entry| entry.reference == reference).map(|entry| &entry.value)
    }

    /// Whether there is a reference in `bytes`.
    pub(crate) fn occurs_in(&self, bytes: &[u8]) -> bool {
        self.entries.iter().any(|entry| find(bytes, entry.reference.as_bytes()).is_some())
    }

    /// `text` with the values in their places.
    pub(crate) fn fill(&self, text: &str, escape: Escape) -> String {
        self.entries.iter().fold(text.to_owned(), |text, entry| {
            if text.contains(&entry.reference) {
                text.replace(&entry.reference, &escape.apply(entry.value.expose()))
            } else {
                text
            }
        })
    }

    /// An address with the values in their places: one that begins it as it is (it is an address itself), others
    /// percent-encoded. No value becomes a part of where the request goes, but for the address that begins it, which
    /// goes where it says: a name server would be told the value, and a grant for `*.host` would cover it.
    pub(crate) fn fill_url(&self, url: &str) -> Result<Url, String> {
        let beginning =
            self.entries.iter().find_map(|entry| Some((entry, url.strip_prefix(entry.reference.as_str())?)));
        let (place, filled) = if let Some((first, rest)) = beginning {
            let address = first.value.expose();
            let place =
                Url::parse(address).map_err(|_| "it begins with a secret that is no address".to_owned())?;
            (place, format!("{address}{}", self.fill(rest, Escape::Percent)))
        } else {
            let place = Url::parse(url).map_err(|error| format!("the address: {error}"))?;
            if self.occurs_in(place[..Position::BeforePath].as_bytes()) {
                return Err("a secret can't be a part of an address before its path".into());
            }
            (place, self.fill(url, Escape::Percent))
        };
        let filled = Url::parse(&filled).map_err(|error| format!("the address: {error}"))?;
        if filled[..Position::BeforePath] == place[..Position::BeforePath] {
            Ok(filled)
        } else {
            Err("the secret address that it begins with leads elsewhere by what stands behind it".into())
        }
    }

    /// A body with the values in their places.
    pub(crate) fn fill_body(&self, body: Vec<u8>, escape: Escape) -> Vec<u8> {
        self.entries.iter().fold(body, |body, entry| {
            replace(body, entry.reference.as_bytes(), escape.apply(entry.value.expose()).as_bytes())
        })
    }

    /// `text` as people may see it: references and values masked.
    pub(crate) fn mask(&self, text: &str) -> String {
        let masked = self.entries.iter().fold(text.to_owned(), |text, entry| {
            if text.contains(&entry.reference) { text.replace(&entry.reference, &entry.mask) } else { text }
        });
        self.from_people.redact(&masked)
    }

    /// Bytes from outside with every value masked that the plugin may not see, however it is written.
    pub(crate) fn clear(&self, bytes: &[u8]) -> Vec<u8> {
        self.from_plugin.redact_for_program(bytes)
    }

    /// As [`clear`](Self::clear), of bytes whose end was cut off: a value that begins there is cut off too.
    pub(crate) fn clear_cut(&self, bytes: &[u8]) -> Vec<u8> {
        self.from_plugin.redact_cut(bytes)
    }

    /// How long `text` is with the values in their places.
    pub(crate) fn filled_length(&self, text: &[u8], escape: Escape) -> usize {
        self.entries.iter().fold(text.len(), |length, entry| {
            let reference = entry.reference.as_bytes();
            let mut rest = text;
            let mut places = 0_usize;
            while let Some(at) = find(rest, reference) {
                places += 1;
                rest = &rest[at + reference.len()..];
            }
            let value = if places == 0 { 0 } else { escape.apply(entry.value.expose()).len() };
            (length - places * reference.len()).saturating_add(places.saturating_mul(value))
        })
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let (&first, rest) = needle.split_first()?;
    let mut from = 0;
    while let Some(offset) = haystack[from..].iter().position(|byte| *byte == first) {
        let at = from + offset;
        if haystack[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn replace(haystack: Vec<u8>, needle: &[u8], with: &[u8]) -> Vec<u8> {
    let Some(mut at) = find(&haystack, needle) else { return haystack };
    let mut replaced = Vec::with_capacity(haystack.len() + with.len());
    let mut rest = haystack.as_slice();
    loop {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(with);
        rest = &rest[at + needle.len()..];
        match find(rest, needle) {
            Some(next) => at = next,
            None => break,
        }
    }
    replaced.extend_from_slice(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_their_place_needs_it() {
        let mut references = References::default();
        let secret = references.add(&Secret::new("a\"b/c d"));
        assert_eq!(references.fill(&format!("Bearer {secret}"), Escape::None), "Bearer a\"b/c d");
        assert_eq!(
            references.fill_url(&format!("https://x/{secret}?q={secret}")).expect("an address").as_str(),
            "https://x/a%22b%2Fc%20d?q=a%22b%2Fc%20d"
        );
        let json = references.fill_body(format!("{{\"k\":\"{secret}{secret}\"}}").into_bytes(), Escape::Json);
        assert_eq!(String::from_utf8(json).expect("text"), "{\"k\":\"a\\\"b/c da\\\"b/c d\"}");
    }

    #[test]
    fn an_address_stays_one_at_the_beginning_alone() {
        let mut references = References::default();
        let url = references.add(&Secret::new("https://hooks.example/T1/s3cret?x=1"));
        let filled = |url: &str| references.fill_url(url).expect("an address").to_string();
        assert_eq!(filled(&url), "https://hooks.example/T1/s3cret?x=1");
        assert_eq!(filled(&format!("{url}&y=2")), "https://hooks.example/T1/s3cret?x=1&y=2");
        assert_eq!(references.mask(&format!("POST {url}&y=2")), "POST https://hooks.example/•••&y=2");
    }

    #[test]
    fn no_value_becomes_a_part_of_where_a_request_goes() {
        let mut references = References::default();
        let secret = references.add(&Secret::new("s3cret"));
        let place = references.add(&Secret::new("https://hooks.example"));
        let port = references.add(&Secret::new("https://hooks.example:80"));
        for (url, reason) in [
            (format!("https://{secret}/"), "before its path"),
            (format!("https://{secret}.evil.example/"), "before its path"),
            (format!("https://{}.evil.example/", secret.to_uppercase()), "before its path"),
            (format!("https://a{secret}b:1/"), "before its path"),
            (format!("https://{secret}@evil.example/"), "before its path"),
            (format!("https://me:{secret}@evil.example/"), "before its path"),
            (format!("https:\\\\{secret}.evil.example/"), "before its path"),
            (format!("https:///{secret}.evil.example/"), "before its path"),
            (format!("ht\ttps://{secret}.evil.example/"), "before its path"),
            (format!("{secret}://evil.example/"), "no address"),
            (format!("https://evil.example:{secret}/"), "invalid port"),
            (format!("{secret}https://evil.example/"), "no address"),
            (format!("{place}.evil.example/"), "leads elsewhere"),
            (format!("{place}@evil.example/"), "leads elsewhere"),
            (format!("{place}:8080/"), "leads elsewhere"),
            (format!("{port}80/"), "leads elsewhere"),
            (format!("{place}{secret}/"), "leads elsewhere"),
        ] {
            let refused = references.fill_url(&url).expect_err(&url);
            assert!(refused.contains(reason) && !refused.contains("s3cret"), "{url}: {refused}");
        }
        let inside = references.fill_url(&format!("https://a.example/{secret}@x:1//{secret}"));
        assert_eq!(inside.expect("an address").as_str(), "https://a.example/s3cret@x:1//s3cret");
    }

    #[test]
    fn what_comes_back_holds_no_value_in_any_writing() {
        let mut references = References::default();
        references.add(&Secret::new("s3cret \"key\""));
        references.add(&Secret::new("s3cret"));
        references.add(&Secret::new("of"));
        let said = "s3cret \"key\" / s3cret \\\"key\\\" / s3cret%20%22key%22 / s3cret of";
        assert_eq!(references.mask(said), "••• / ••• / ••• / ••• of");
    }

    #[test]
    fn no_part_of_a_value_comes_back() {
        let mut references = References::default();
        references.add(&Secret::new("https://hooks.example/services/T1/abcDEF12345?key=q1w2e3r4t5"));
        references.add(&Secret::new("Bearer tok3n+value/=="));
        references.hide(&Secret::new("https://plain.example/a"));
        for (said, shown) in [
            ("Cannot POST /services/T1/abcDEF12345?key=q1w2e3r4t5", "Cannot POST •••"),
            ("no service abcDEF12345", "no service •••"),
            ("key q1w2e3r4t5 is unknown", "key ••• is unknown"),
            ("token tok3n+value/== is unknown", "token ••• is unknown"),
            ("token tok3n%2Bvalue%2F%3D%3D is unknown", "token ••• is unknown"),
            ("services: none at /a; T1", "services: none at /a; T1"),
            // In base64 behind none, one and two bytes, with something behind it.
            ("QmVhcmVyIHRvazNuK3ZhbHVlLz09", "•••"),
            ("eEJlYXJlciB0b2szbit2YWx1ZS89PXg=", "eE•••Xg="),
        ] {
            let seen = references.mask(said);
            assert_eq!(seen, shown, "{said}");
        }
    }

    #[test]
    fn a_value_that_is_cut_off_does_not_show_its_beginning() {
        let mut references = References::default();
        references.add(&Secret::new("s3cret-key"));
        let before = "x".repeat(100);
        for cut in ["s", "s3cret-k", "\\u0073\\u0033\\u006", "nothing of it"] {
            let seen = references.clear_cut(format!("s3cret-key {before}{cut}").as_bytes());
            let seen = String::from_utf8(seen).expect("text");
            let shown = seen.strip_prefix("••• ").expect("the first is whole");
            assert_eq!(shown, "x".repeat(40 + cut.len()), "whatever it is, as much is missing");
        }
        assert_eq!(references.clear_cut(b"s3cret-k"), b"");
    }

    #[test]
    fn what_a_plugin_may_see_is_kept_from_people_alone() {
        let mut references = References::default();
        references.hide(&Secret::new("-100123"));
        assert_eq!(references.clear(b"{\"id\":-100123}"), b"{\"id\":-100123}");
        assert_eq!(references.mask("chat -100123"), "chat •••");
    }

    #[test]
    fn a_length_is_known_before_the_values_are_put_in() {
        let mut references = References::default();
        let short = references.add(&Secret::new("a"));
        let long = references.add(&Secret::new("\"".repeat(100)));
        let text = format!("{short}{long} {short}{long}");
        for escape in [Escape::None, Escape::Json, Escape::Percent] {
            assert_eq!(
                references.filled_length(text.as_bytes(), escape),
                references.fill(&text, escape).len()
            );
        }
    }

    #[test]
    fn content_types() {
        for (text, escape) in [
            ("application/json", Escape::Json),
            ("Application/Problem+JSON; charset=utf-8", Escape::Json),
            ("application/x-www-form-urlencoded", Escape::Percent),
            ("text/plain", Escape::None),
            ("", Escape::None),
        ] {
            assert_eq!(Escape::for_content_type(text), escape, "{text}");
        }
    }

    #[test]
    fn bytes_are_found_and_replaced() {
        for (haystack, needle, with, result) in [
            ("aab", "ab", "x", "ax"),
            ("abab", "ab", "", ""),
            ("ab", "abc", "x", "ab"),
            ("a", "", "x", "a"),
            ("xaxa", "xa", "xax", "xaxxax"),
        ] {
            assert_eq!(replace(haystack.into(), needle.as_bytes(), with.as_bytes()), result.as_bytes());
        }
    }
}
