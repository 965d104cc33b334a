//! Secrets on their way through a plugin: it gets references, the values are put in where the request leaves.
//!
//! A reference is random in each call, so that a text from a stranger (a monitored server's words in a message) can't
//! hold one. Its value goes to the places that the plugin's description names and the operator has seen, and a request with
//! it at another place, or encoded, is refused.
//!
//! What a plugin could tell a value by, if it guesses: a change that the host makes to a text which the plugin gets back. So
//! an answer is cleared of those values alone that may go to the host that gave it, not of short ones, and the end of a cut
//! one is taken away whatever stands there. What the plugin said itself goes back to it as it was. For people's eyes all of
//! it is masked.

use base64::Engine as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use std::borrow::Cow;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::Place;
use uptime_core::redaction::Redactor;
use uptime_core::secret::Secret;
use url::{Position, Url};
use uuid::Uuid;

/// What people see in a secret's place.
pub(crate) const MASK: &str = "•••";

/// Values shorter than this are not looked for in texts for people: they are no secrets, and masking them would garble all.
const MASKED_MIN: usize = 4;

/// Secrets of fewer bytes are not cleared from answers that a plugin gets: it could find them out by having guesses repeated.
pub const CLEARED_MIN: usize = 8;

/// All but unreserved characters and the `:` of a Telegram token, which its server wants as it is.
const OUTSIDE_ADDRESSES: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// How a value is written at the place where it is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
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

/// Where a value is about to be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Path,
    Query,
    Header(&'a str),
    Body,
}

impl std::fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path => f.write_str("the path"),
            Self::Query => f.write_str("the query"),
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Body => f.write_str("the body"),
        }
    }
}

/// Where the value of one field may go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Binding {
    pub(crate) key: String,
    /// As the plugin names them, with the host that is meant in this channel; `None` where none is, as for those that
    /// need none.
    pub(crate) places: Vec<(Place, Option<HostGrant>)>,
}

impl Binding {
    fn has(&self, wanted: &Place) -> bool {
        self.places.iter().any(|(place, _)| place == wanted)
    }

    /// Whether the value may stand at this part of a request to `url`.
    fn allows(&self, url: &Url, part: Part<'_>) -> bool {
        self.places.iter().any(|(place, host)| {
            let fits = match (place, part) {
                (Place::Path { .. }, Part::Path)
                | (Place::Query { .. }, Part::Query)
                | (Place::Body { .. }, Part::Body) => true,
                (Place::Header { name, .. }, Part::Header(header)) => name == "*" || name == header,
                _ => false,
            };
            fits && host.as_ref().is_some_and(|host| host.covers(url))
        })
    }

    fn refused(&self, part: &dyn std::fmt::Display) -> String {
        let places: Vec<_> = self.places.iter().map(|(place, _)| place.to_string()).collect();
        format!("the secret `{}` may not stand in {part}, but {}", self.key, places.join("; "))
    }
}

struct Entry {
    reference: String,
    value: Secret,
    mask: String,
    binding: Binding,
}

impl Entry {
    /// Whether the value may go to the host of `url`, anywhere.
    fn goes_to(&self, url: &Url) -> bool {
        self.binding.places.iter().any(|(place, host)| match place {
            Place::Address => {
                let own = Url::parse(self.value.expose()).ok().as_ref().and_then(HostGrant::origin_of);
                own.is_some_and(|own| own.covers(url))
            }
            _ => host.as_ref().is_some_and(|host| host.covers(url)),
        })
    }
}

/// The secrets of one call and the references that stand for them.
pub(crate) struct References {
    entries: Vec<Entry>,
    /// What the plugin knows, and people may not see.
    hidden: Redactor,
    /// What people may not see: that, and the secrets.
    from_people: Redactor,
}

impl Default for References {
    fn default() -> Self {
        let (hidden, from_people) = (Redactor::new(MASK), Redactor::new(MASK));
        Self { entries: Vec::new(), hidden, from_people }
    }
}

impl References {
    pub(crate) fn add(&mut self, value: &Secret, binding: Binding) -> String {
        let reference = format!("secret{}", Uuid::new_v4().simple());
        let mask = match Url::parse(value.expose()).ok().as_ref().and_then(HostGrant::origin_of) {
            Some(origin) => format!("{origin}/{MASK}"),
            None => MASK.to_owned(),
        };
        self.entries.push(Entry { reference: reference.clone(), value: value.clone(), mask, binding });
        if value.expose().len() >= MASKED_MIN {
            self.from_people.hide(value.expose());
        }
        reference
    }

    /// Keeps `value`, which the plugin has been given, from people's eyes.
    pub(crate) fn hide(&mut self, value: &Secret) {
        if value.expose().len() >= MASKED_MIN {
            self.hidden.hide(value.expose());
            self.from_people.hide(value.expose());
        }
    }

    fn entry(&self, reference: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.reference == reference)
    }

    /// The bytes to sign with that a reference stands for.
    pub(crate) fn signing_key(&self, reference: &str) -> Result<Vec<u8>, String> {
        let entry = self.entry(reference).ok_or("that is no reference to a secret")?;
        if !entry.binding.has(&Place::Signature) {
            return Err(entry.binding.refused(&"a signature"));
        }
        // Why not is in the host's own words to the operator, who can mend it.
        signing_key(entry.value.expose()).map_err(|_| "the secret is none to sign with".into())
    }

    /// Whether there is a reference in `bytes`.
    pub(crate) fn occurs_in(&self, bytes: &[u8]) -> bool {
        self.entries.iter().any(|entry| find(bytes, entry.reference.as_bytes()).is_some())
    }

    /// Refuses a reference where none can be.
    pub(crate) fn refuse_in(&self, text: &str, what: &str) -> Result<(), String> {
        if self.occurs_in(text.as_bytes()) {
            return Err(format!("a secret can't be a part of {what}"));
        }
        self.refuse_encoded(text.as_bytes())
    }

    /// Refuses what could only be sent as garbage: a reference that the plugin has encoded, and the value can't be put into.
    fn refuse_encoded(&self, text: &[u8]) -> Result<(), String> {
        let lower = text.to_ascii_lowercase();
        let decoded: Vec<u8> =
            percent_encoding::percent_decode(text).map(|byte| byte.to_ascii_lowercase()).collect();
        // Both alphabets of base64.
        let standard: Vec<u8> = text
            .iter()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            })
            .collect();
        let is_encoded = |entry: &Entry| {
            let reference = entry.reference.as_bytes();
            let as_it_is = count(text, reference);
            count(&lower, reference) != as_it_is
                || count(&decoded, reference) != as_it_is
                || find(&lower, hex(reference).as_bytes()).is_some()
                || inside_base64(reference).any(|written| find(&standard, &written).is_some())
        };
        match self.entries.iter().find(|entry| text.len() >= entry.reference.len() && is_encoded(entry)) {
            Some(entry) => Err(format!(
                "the reference to the secret `{}` was encoded (base64, hexadecimal digits, upper case …); it has to stand as \
                 it is, and for a user and a password there is `basic-auth`",
                entry.binding.key
            )),
            None => Ok(()),
        }
    }

    /// `text`, which is a part of a request to `url`, with the values in their places.
    pub(crate) fn fill(
        &self,
        text: &str,
        escape: Escape,
        url: &Url,
        part: Part<'_>,
    ) -> Result<String, String> {
        let filled = self.fill_body(text.as_bytes().to_vec(), escape, url, part)?;
        String::from_utf8(filled).map_err(|error| error.to_string())
    }

    /// As [`fill`](Self::fill), of bytes.
    pub(crate) fn fill_body(
        &self,
        body: Vec<u8>,
        escape: Escape,
        url: &Url,
        part: Part<'_>,
    ) -> Result<Vec<u8>, String> {
        self.refuse_encoded(&body)?;
        self.entries.iter().try_fold(body, |body, entry| {
            let reference = entry.reference.as_bytes();
            if find(&body, reference).is_none() {
                return Ok(body);
            }
            if !entry.binding.allows(url, part) {
                return Err(entry.binding.refused(&part));
            }
            Ok(replace(&body, reference, escape.apply(entry.value.expose()).as_bytes()))
        })
    }

    /// An address with the values in their places: one that begins it as it is (it is an address itself), others
    /// percent-encoded. No value becomes a part of where the request goes, but for the address that begins it, which
    /// goes where it says: a name server would be told the value, and a grant for `*.host` would cover it.
    pub(crate) fn fill_url(&self, url: &str) -> Result<Url, String> {
        let beginning =
            self.entries.iter().find_map(|entry| Some((entry, url.strip_prefix(entry.reference.as_str())?)));
        let (place, filled) = if let Some((first, rest)) = beginning {
            if !first.binding.has(&Place::Address) {
                return Err(first.binding.refused(&"the beginning of an address"));
            }
            let address = first.value.expose();
            let place =
                Url::parse(address).map_err(|_| "it begins with a secret that is no address".to_owned())?;
            let filled = self.fill_rest(rest, &place, address.contains('?'))?;
            (place, format!("{address}{filled}"))
        } else {
            let place = Url::parse(url).map_err(|error| format!("the address: {error}"))?;
            self.refuse_in(&place[..Position::BeforePath], "an address before its path")?;
            let filled = self.fill_rest(url, &place, false)?;
            (place, filled)
        };
        let filled = Url::parse(&filled).map_err(|error| format!("the address: {error}"))?;
        if filled[..Position::BeforePath] == place[..Position::BeforePath] {
            Ok(filled)
        } else {
            Err("the secret address that it begins with leads elsewhere by what stands behind it".into())
        }
    }

    /// The end of an address to `place`: its path, unless `is_query`, and its query.
    fn fill_rest(&self, rest: &str, place: &Url, is_query: bool) -> Result<String, String> {
        let path_ends = if is_query { 0 } else { rest.find('?').unwrap_or(rest.len()) };
        let (path, query) = rest.split_at(path_ends);
        let path = self.fill(path, Escape::Percent, place, Part::Path)?;
        Ok(path + &self.fill(query, Escape::Percent, place, Part::Query)?)
    }

    /// `text` as people may see it: references and values masked.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.from_people.redact(&self.mask_references(text))
    }

    /// `text` for the plugin's later calls: masked is what it knows itself, and nothing is changed by what it does not.
    pub(crate) fn mask_known(&self, text: &str) -> String {
        self.hidden.redact(&self.mask_references(text))
    }

    fn mask_references(&self, text: &str) -> String {
        self.entries.iter().fold(text.to_owned(), |text, entry| {
            if text.contains(&entry.reference) { text.replace(&entry.reference, &entry.mask) } else { text }
        })
    }

    /// Bytes of an answer that the host of `url` gave, without the values that may have gone there. Of bytes whose end was
    /// `cut` off so many are taken away that none of a value's beginning is left, whatever they are.
    pub(crate) fn clear(&self, url: &Url, bytes: &[u8], cut: bool) -> Vec<u8> {
        let mut redactor = Redactor::new(MASK);
        let sent = |entry: &&Entry| entry.value.expose().len() >= CLEARED_MIN && entry.goes_to(url);
        self.entries.iter().filter(sent).for_each(|entry| redactor.hide(entry.value.expose()));
        if cut { redactor.redact_cut(bytes) } else { redactor.redact_for_program(bytes) }
    }

    /// How long `text` is with the values in their places.
    pub(crate) fn filled_length(&self, text: &[u8], escape: Escape) -> usize {
        self.entries.iter().fold(text.len(), |length, entry| {
            let reference = entry.reference.as_bytes();
            let places = count(text, reference);
            let value = if places == 0 { 0 } else { escape.apply(entry.value.expose()).len() };
            (length - places * reference.len()).saturating_add(places.saturating_mul(value))
        })
    }
}

/// The bytes that a secret signs with; the reason when it is none to sign with.
pub(crate) fn signing_key(secret: &str) -> Result<Vec<u8>, String> {
    let Some(encoded) = secret.strip_prefix("whsec_") else { return Ok(secret.as_bytes().to_vec()) };
    let key = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .map_err(|_| "a secret that begins with `whsec_` has to go on in base64")?;
    // What Standard Webhooks asks of a key.
    if !(24..=64).contains(&key.len()) {
        return Err(format!(
            "a secret that begins with `whsec_` is 24 to 64 bytes in base64, and this is {}; \
             `echo whsec_$(openssl rand -base64 32)` makes one",
            key.len()
        ));
    }
    Ok(key)
}

/// How `value` looks inside something longer that is written in base64: at each of the three places that a byte can
/// have there, without the digits that depend on what stands beside it.
fn inside_base64(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..3_usize).map(move |before| {
        let padded = [&[0; 2][..before], value].concat();
        let digits = base64::engine::general_purpose::STANDARD.encode(&padded);
        digits.as_bytes()[(before * 8).div_ceil(6)..padded.len() * 8 / 6].to_vec()
    })
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

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    let (mut rest, mut times) = (haystack, 0);
    while let Some(at) = find(rest, needle) {
        times += 1;
        rest = &rest[at + needle.len()..];
    }
    times
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn replace(haystack: &[u8], needle: &[u8], with: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(haystack.len());
    let mut rest = haystack;
    while let Some(at) = find(rest, needle) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(with);
        rest = &rest[at + needle.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

#[cfg(test)]
mod tests;
