//! Secrets taken out of texts, however they are written there.
//!
//! A server may repeat what it was sent: as it was, escaped (JSON, HTML, percent-encoding, partly or twice), in other
//! case, with blanks in it, in hexadecimal, in base64 with something before and behind it. [`Redactor`] undoes each of these
//! and looks for the secret in what comes out, so that no list of spellings has to be complete. Used for the evidence of
//! checks and for what providers answer to plugins. A program reads first and is shown to people after that: where it has
//! to be redacted before ([`Redactor::redact_for_program`]), a common word is taken out only where it stands by itself.

mod view;

use crate::secret::Secret;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem::Finder;
use std::ops::Range;
use std::sync::OnceLock;
use url::{Position, Url};
use view::View;

/// A shorter secret is looked for as it is and escaped alone: in other writings it would be found where it is not.
const REWRITTEN_MIN: usize = 6;
/// And one that is longer: a body, which no message has room for.
const REWRITTEN_MAX: usize = 16 * 1024;
/// Lines and words of a secret shorter than this are words like any other, and parts of its path shorter than that.
const WORD_MIN: usize = 6;
const PART_MIN: usize = 8;
/// A part at least so long is a secret even when it looks like a word.
const PART_LONG: usize = 16;
/// Words before a secret that tell what it is.
const SCHEMES: [&str; 5] = ["bearer", "basic", "digest", "apikey", "negotiate"];
/// The most bytes that one byte of a secret becomes in an escape: `\u0041`, `&#x41;`.
const ESCAPE_MOST: usize = 6;

#[derive(Clone)]
pub struct Redactor {
    mask: &'static str,
    needles: Vec<Needle>,
}

/// A secret or a telling part of one. Most are never looked for: what they are looked for by is made when they are.
#[derive(Clone)]
struct Needle {
    value: Secret,
    writings: OnceLock<Writings>,
}

/// What a secret is looked for by.
#[derive(Clone)]
struct Writings {
    /// Whether it is a word or a number that could be in any answer.
    is_common: bool,
    plain: Finder<'static>,
    /// In lower case and without blanks; none of a short one.
    folded: Option<Finder<'static>>,
    /// Without what depends on its neighbours, at each of the three places that a byte can have there.
    base64: Vec<Finder<'static>>,
    hex: Option<Finder<'static>>,
}

impl Writings {
    fn of(text: &str) -> Self {
        let is_rewritten = (REWRITTEN_MIN..=REWRITTEN_MAX).contains(&text.len());
        let finder = |bytes: &[u8]| Finder::new(bytes).into_owned();
        let folded = || -> Vec<u8> {
            let bytes = text.bytes().filter(|byte| !view::is_blank(*byte));
            bytes.map(|byte| byte.to_ascii_lowercase()).collect()
        };
        let hex = || -> Vec<u8> {
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
            text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
        };
        let places = if is_rewritten { 0..3_usize } else { 0..0 };
        let base64 = places.map(|before| {
            let padded = [&[0; 2][..before], text.as_bytes()].concat();
            let digits = BASE64_STANDARD.encode(&padded);
            finder(&digits.as_bytes()[(before * 8).div_ceil(6)..padded.len() * 8 / 6])
        });
        Self {
            is_common: is_common(text),
            plain: finder(text.as_bytes()),
            base64: base64.collect(),
            folded: is_rewritten
                .then(folded)
                .filter(|folded| folded.len() >= REWRITTEN_MIN)
                .map(|folded| finder(&folded)),
            hex: is_rewritten.then(hex).map(|digits| finder(&digits)),
        }
    }

    /// Where it is in what a view shows.
    fn find(&self, view: &View, found: &mut Vec<Range<usize>>) {
        view.find(&self.plain, found);
        if let Some(folded) = &self.folded {
            view.folded().find(folded, found);
        }
        for digits in &self.base64 {
            view.base64().find(digits, found);
        }
        if let Some(digits) = &self.hex {
            view.hex().find(digits, found);
        }
    }
}

impl Needle {
    fn len(&self) -> usize {
        self.value.expose().len()
    }

    fn writings(&self) -> &Writings {
        self.writings.get_or_init(|| Writings::of(self.value.expose()))
    }
}

/// A short word or number: what any answer could have in it without meaning the secret.
fn is_common(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-' | b'_' | b'.'));
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_word && text.len() < PART_LONG || is_name && text.len() < PART_MIN
}

impl Redactor {
    /// One that knows no secret yet and writes `mask` in the place of each.
    pub fn new(mask: &'static str) -> Self {
        Self { mask, needles: Vec::new() }
    }

    pub fn of(mask: &'static str, secrets: &[Secret]) -> Self {
        let mut redactor = Self::new(mask);
        for secret in secrets {
            redactor.hide(secret.expose());
        }
        redactor
    }

    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Hides a secret, and the parts of it that a server could repeat alone: its lines and words but for a `Bearer`, of an
    /// address its path with the query and the parts of those that are no words of a language.
    pub fn hide(&mut self, secret: &str) {
        let url = Url::parse(secret).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        self.hide_whole(secret);
        if let Some(url) = url {
            let path = &url[Position::BeforePath..Position::AfterQuery];
            let pieces = path.split(['/', '?', '&', '=']).filter(|piece| !is_common(piece));
            pieces.chain([path]).filter(|part| part.len() >= PART_MIN).for_each(|part| self.hide_whole(part));
        } else {
            let is_scheme = |word: &str| SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word));
            let parts = secret.lines().map(str::trim).chain(secret.split_whitespace());
            let parts = parts.filter(|part| part.len() >= WORD_MIN && !is_scheme(part));
            parts.for_each(|part| self.hide_whole(part));
        }
    }

    pub fn hide_whole(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.needles.push(Needle { value: Secret::new(secret), writings: OnceLock::new() });
        }
    }

    pub fn redact(&self, text: &str) -> String {
        self.redact_from(text, 1)
    }

    /// As [`redact`](Self::redact), without those of at least `shortest` bytes alone: for words that are this program's
    /// own, in which a shorter secret would be told by what is missing.
    pub fn redact_from(&self, text: &str, shortest: usize) -> String {
        let bytes = text.as_bytes();
        let found = self.find(bytes, shortest, |_, _| true);
        String::from_utf8_lossy(&self.masked(bytes, &found)).into_owned()
    }

    /// Bytes from outside as a program may read them: a secret that is a common word or number is taken out only where it
    /// stands by itself and is no key or number of a JSON text, for the answer has to be read.
    pub fn redact_for_program(&self, bytes: &[u8]) -> Vec<u8> {
        self.masked(bytes, &self.find_for_program(bytes))
    }

    /// As [`redact_for_program`](Self::redact_for_program), of bytes whose end was cut off. A secret that begins there is cut
    /// off too, whatever its writing: as much is taken away as the longest could be, so that what is missing tells nothing.
    pub fn redact_cut(&self, bytes: &[u8]) -> Vec<u8> {
        let longest = self.needles.iter().map(Needle::len).max().unwrap_or(0);
        let end = bytes.len().saturating_sub(longest.saturating_mul(ESCAPE_MOST));
        let mut found = self.find_for_program(bytes);
        found.retain(|range| range.start < end);
        for range in &mut found {
            range.end = range.end.min(end);
        }
        self.masked(&bytes[..end], &found)
    }

    fn find_for_program(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        self.find(bytes, 1, |writings, range| !writings.is_common || stands_alone(bytes, range))
    }

    /// Where the secrets are, sorted.
    fn find(
        &self,
        bytes: &[u8],
        shortest: usize,
        counts: impl Fn(&Writings, &Range<usize>) -> bool,
    ) -> Vec<Range<usize>> {
        // Only without its blanks a secret could be in what is shorter than it.
        let longest = bytes.len().max(REWRITTEN_MAX);
        let fits = |needle: &&Needle| (shortest..=longest).contains(&needle.len());
        let needles: Vec<&Writings> = self.needles.iter().filter(fits).map(Needle::writings).collect();
        if needles.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        View::each(bytes, |view| {
            for needle in &needles {
                let mut places = Vec::new();
                needle.find(view, &mut places);
                found.extend(places.into_iter().filter(|range| counts(needle, range)));
            }
        });
        found.sort_by_key(|range| range.start);
        found
    }

    fn masked(&self, bytes: &[u8], found: &[Range<usize>]) -> Vec<u8> {
        let (mut shown, mut end) = (Vec::with_capacity(bytes.len()), 0);
        for range in found {
            if range.start >= end {
                shown.extend_from_slice(&bytes[end..range.start]);
                shown.extend_from_slice(self.mask.as_bytes());
            }
            end = end.max(range.end);
        }
        shown.extend_from_slice(&bytes[end..]);
        shown
    }
}

/// Whether what is at `range` is no part of a longer word, no key of a JSON object and no number of one.
fn stands_alone(bytes: &[u8], range: &Range<usize>) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let (before, behind) = (&bytes[..range.start], &bytes[range.end..]);
    if before.last().is_some_and(is_word) || behind.first().is_some_and(is_word) {
        return false;
    }
    let is_key = behind.strip_prefix(b"\"").is_some_and(|behind| behind.trim_ascii_start().starts_with(b":"));
    let opens = |byte: &u8| matches!(byte, b':' | b',' | b'[' | b'-');
    let closes = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b'.');
    let is_number = bytes[range.clone()].iter().all(u8::is_ascii_digit)
        && before.trim_ascii_end().last().is_some_and(opens)
        && behind.trim_ascii_start().first().is_some_and(closes);
    !is_key && !is_number
}

#[cfg(test)]
mod tests;
