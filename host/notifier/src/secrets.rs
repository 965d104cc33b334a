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

use crate::bindings::uptime::notifier::secrets::Piece;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
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
    /// Inside XML or HTML, in an element or an attribute.
    Markup,
}

impl Escape {
    /// What a body of this content type needs.
    pub(crate) fn for_content_type(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.ends_with("/json") || kind.ends_with("+json") {
            Self::Json
        } else if kind == "application/x-www-form-urlencoded" {
            Self::Percent
        } else if kind.ends_with("/xml") || kind.ends_with("+xml") || kind == "text/html" {
            Self::Markup
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
            Self::Markup => {
                let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                Cow::Owned(escaped.replace('"', "&quot;").replace('\'', "&#39;"))
            }
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
        format!("the secret `{}` must not be used in {part}, but {}", self.key, places.join("; "))
    }
}

struct SecretEntry {
    reference: String,
    value: Secret,
    mask: String,
    /// Of each secret in the value; none of a text that the plugin had itself.
    bindings: Vec<Binding>,
    /// Of a derived key, which is no text: its bytes.
    key: Option<Vec<u8>>,
}

impl SecretEntry {
    /// Whether the value may go to the host of `url`, anywhere.
    fn goes_to(&self, url: &Url) -> bool {
        let goes = |place: &Place, host: &Option<HostGrant>| match place {
            Place::Address => {
                let own = Url::parse(self.value.expose()).ok().as_ref().and_then(HostGrant::origin_of);
                own.is_some_and(|own| own.covers(url))
            }
            _ => host.as_ref().is_some_and(|host| host.covers(url)),
        };
        self.bindings.iter().all(|binding| binding.places.iter().any(|(place, host)| goes(place, host)))
    }

    /// Refuses the value where it may not stand: `part` says where that is.
    fn permit(&self, part: &dyn std::fmt::Display, may: impl Fn(&Binding) -> bool) -> Result<(), String> {
        match self.bindings.iter().find(|binding| !may(binding)) {
            Some(binding) => Err(binding.refused(part)),
            None => Ok(()),
        }
    }

    /// The names of the secrets in it.
    fn shown(&self) -> String {
        let keys: Vec<_> = self.bindings.iter().map(|binding| format!("`{}`", binding.key)).collect();
        if keys.is_empty() { "what was kept".into() } else { format!("the secret {}", keys.join(" and ")) }
    }
}

/// The most references that there can be in a call: those of the settings, and those that the plugin makes.
const REFERENCES_MOST: usize = 400;

/// The most pieces, and the most bytes of them, that are signed or encoded at once.
const PIECES_MOST: usize = 64;
const JOINED_MOST: usize = 1 << 20;

/// So many characters of a reference are not there by chance.
const PIECE: usize = 18;

const NO_REFERENCE: &str = "that is no reference to a secret";
const AMONG_BYTES: &str = "a reference stands among other bytes; it is a piece of its own";

/// The secrets of one call and the references that stand for them.
pub(crate) struct References {
    entries: Vec<SecretEntry>,
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
        self.insert(value, vec![binding], None)
    }

    /// A new reference to a text that the plugin had itself, and may send anywhere.
    pub(crate) fn add_kept(&mut self, value: &Secret) -> Result<String, String> {
        self.room()?;
        Ok(self.insert(value, Vec::new(), None))
    }

    /// Whether the plugin may make one more.
    fn room(&self) -> Result<(), String> {
        let full = || Err(format!("a call has at most {REFERENCES_MOST} references"));
        if self.entries.len() < REFERENCES_MOST { Ok(()) } else { full() }
    }

    fn insert(&mut self, value: &Secret, bindings: Vec<Binding>, key: Option<Vec<u8>>) -> String {
        let reference = format!("secret{}", Uuid::new_v4().simple());
        let mask = match Url::parse(value.expose()).ok().as_ref().and_then(HostGrant::origin_of) {
            Some(origin) => format!("{origin}/{MASK}"),
            None => MASK.to_owned(),
        };
        let (value, known) = (value.clone(), reference.clone());
        if value.expose().len() >= MASKED_MIN {
            self.from_people.hide(value.expose());
        }
        self.entries.push(SecretEntry { reference: known, value, mask, bindings, key });
        reference
    }

    /// Keeps `value`, which the plugin has been given, from people's eyes.
    pub(crate) fn hide(&mut self, value: &Secret) {
        if value.expose().len() >= MASKED_MIN {
            self.hidden.hide(value.expose());
            self.from_people.hide(value.expose());
        }
    }

    fn entry(&self, reference: &str) -> Option<&SecretEntry> {
        self.entries.iter().find(|entry| entry.reference == reference)
    }

    /// The bytes to sign with that a reference stands for.
    pub(crate) fn signing_key(&self, reference: &str) -> Result<Vec<u8>, String> {
        let entry = self.entry(reference).ok_or(NO_REFERENCE)?;
        entry.permit(&"a signature", |binding| binding.has(&Place::Signature))?;
        // Why not is in the host's own words to the operator, who can mend it.
        let own = || signing_key(entry.value.expose()).map_err(|_| "the secret is none to sign with".into());
        entry.key.clone().map_or_else(own, Ok)
    }

    /// What the pieces of a key or of a signed message are together.
    pub(crate) fn signed(&self, pieces: &[Piece]) -> Result<Vec<u8>, String> {
        self.joined(pieces, |reference| self.signing_key(reference))
    }

    /// The pieces' bytes, those of a reference as `value` says.
    fn joined(
        &self,
        pieces: &[Piece],
        mut value: impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        if pieces.len() > PIECES_MOST {
            return Err(format!("there are more than {PIECES_MOST} pieces"));
        }
        pieces.iter().try_fold(Vec::new(), |mut joined, piece| {
            match piece {
                Piece::Bytes(bytes) if self.occurs_in(bytes) => return Err(AMONG_BYTES.to_owned()),
                Piece::Bytes(bytes) => joined.extend_from_slice(bytes),
                Piece::Reference(reference) => joined.extend(value(reference)?),
            }
            let is_too_long = joined.len() > JOINED_MOST;
            if is_too_long {
                Err(format!("the pieces are more than {JOINED_MOST} bytes"))
            } else {
                Ok(joined)
            }
        })
    }

    /// A reference to a key that was made of secrets: it signs.
    pub(crate) fn derive(&mut self, key: Vec<u8>) -> Result<String, String> {
        self.room()?;
        let binding = Binding { key: "derived key".into(), places: vec![(Place::Signature, None)] };
        Ok(self.insert(&Secret::new(""), vec![binding], Some(key)))
    }

    /// A reference to base64 of the pieces.
    pub(crate) fn base64(&mut self, pieces: &[Piece]) -> Result<String, String> {
        self.room()?;
        let mut bindings = Vec::new();
        let bytes = self.joined(pieces, |reference| {
            let entry = self.entry(reference).filter(|entry| entry.key.is_none()).ok_or(NO_REFERENCE)?;
            bindings.extend(entry.bindings.iter().cloned());
            Ok(entry.value.expose().as_bytes().to_vec())
        })?;
        let encoded = BASE64_STANDARD.encode(bytes);
        Ok(self.insert(&Secret::new(encoded), bindings, None))
    }

    /// Whether there is a reference in `bytes`.
    pub(crate) fn occurs_in(&self, bytes: &[u8]) -> bool {
        self.entries.iter().any(|entry| memmem::find(bytes, entry.reference.as_bytes()).is_some())
    }

    /// Refuses a reference where none can be.
    pub(crate) fn refuse_in(&self, text: &str, what: &str) -> Result<(), String> {
        if self.occurs_in(text.as_bytes()) {
            return Err(format!("a secret can't be a part of {what}"));
        }
        self.refuse_encoded(text.as_bytes())
    }

    /// Refuses what could only be sent as garbage: a reference that the plugin has encoded or changed, and the value can't be put
    /// into.
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
        let is_encoded = |entry: &SecretEntry| {
            let reference = entry.reference.as_bytes();
            let as_it_is = count(text, reference);
            // A piece of it that is no part of a whole one.
            let is_cut = [&reference[..PIECE], &reference[reference.len() - PIECE..]]
                .iter()
                .any(|piece| count(&lower, piece) != as_it_is);
            is_cut
                || count(&lower, reference) != as_it_is
                || count(&decoded, reference) != as_it_is
                || memmem::find(&lower, hex(reference).as_bytes()).is_some()
                || inside_base64(reference).any(|written| memmem::find(&standard, &written).is_some())
        };
        match self.entries.iter().find(|entry| text.len() >= PIECE && is_encoded(entry)) {
            Some(entry) => Err(format!(
                "the reference to {} was encoded (base64, hexadecimal digits, upper case …) or cut; it has to stand as it is, \
                 and `secrets` signs and encodes",
                entry.shown()
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
            if memmem::find(&body, reference).is_none() {
                return Ok(body);
            }
            if entry.key.is_some() {
                return Err(format!("a derived key must not be used in {part}"));
            }
            entry.permit(&part, |binding| binding.allows(url, part))?;
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
            first.permit(&"the beginning of an address", |binding| binding.has(&Place::Address))?;
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
        let sent = |entry: &&SecretEntry| entry.value.expose().len() >= CLEARED_MIN && entry.goes_to(url);
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
    let key = BASE64_STANDARD
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
        let digits = BASE64_STANDARD.encode(&padded);
        digits.as_bytes()[(before * 8).div_ceil(6)..padded.len() * 8 / 6].to_vec()
    })
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    memmem::find_iter(haystack, needle).count()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn replace(haystack: &[u8], needle: &[u8], with: &[u8]) -> Vec<u8> {
    let (mut replaced, mut from) = (Vec::with_capacity(haystack.len()), 0);
    for at in memmem::find_iter(haystack, needle) {
        replaced.extend_from_slice(&haystack[from..at]);
        replaced.extend_from_slice(with);
        from = at + needle.len();
    }
    replaced.extend_from_slice(&haystack[from..]);
    replaced
}

#[cfg(test)]
mod tests;
