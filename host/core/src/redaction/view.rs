//! What a text says once escapes are undone, and where in the text each byte of that comes from.

use memchr::memmem::Finder;
use std::cell::OnceCell;
use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// `%41`, as in URLs.
    Percent,
    /// `+` for a blank, as in a form.
    Plus,
    /// `\"`, `\u0041`, `\x41`, as in JSON and programs.
    Backslash,
    /// `&quot;`, `&#65;`, `&#x41;`, as in HTML.
    Entity,
}

/// Each kind of escapes, and all that may stand side by side.
const KINDS: [&[Escapes]; 5] = [
    &[Escapes::Percent],
    &[Escapes::Percent, Escapes::Plus],
    &[Escapes::Backslash],
    &[Escapes::Entity],
    &[Escapes::Percent, Escapes::Backslash, Escapes::Entity],
];

/// Escapes within escapes are undone so many times. One kind after the other, for what an escape stands for may itself look
/// like one of another kind and be none.
const DEPTH: usize = 2;

/// Bytes and where they come from.
pub(super) struct View {
    bytes: Vec<u8>,
    /// Of each byte, the range in the text.
    places: Vec<(u32, u32)>,
    folded: OnceCell<Box<View>>,
    base64: OnceCell<Box<View>>,
    hex: OnceCell<Box<View>>,
}

/// Whether a byte is one of those that break a long word for the eye.
pub(super) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

impl View {
    /// Shows `look` the text as it is, and what it says once escapes are undone.
    pub(super) fn each(text: &[u8], mut look: impl FnMut(&Self)) {
        let places = (0_u32..).zip(1..);
        Self::of(text.iter().copied().zip(places)).visit(DEPTH, &mut look);
    }

    fn visit(&self, depth: usize, look: &mut impl FnMut(&Self)) {
        look(self);
        if depth > 0 {
            for view in KINDS.iter().filter_map(|kinds| self.decoded(kinds)) {
                view.visit(depth - 1, look);
            }
        }
    }

    /// In lower case and without blanks.
    pub(super) fn folded(&self) -> &Self {
        self.folded.get_or_init(|| {
            Box::new(self.mapped(|byte| (!is_blank(byte)).then_some(byte.to_ascii_lowercase())))
        })
    }

    /// Digits of base64, of either alphabet, without the blanks and line breaks between them.
    pub(super) fn base64(&self) -> &Self {
        let digit = |byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            byte if is_blank(byte) => None,
            byte => Some(byte),
        };
        self.base64.get_or_init(|| Box::new(self.mapped(digit)))
    }

    /// Hexadecimal digits without what stands between them.
    pub(super) fn hex(&self) -> &Self {
        let digit = |byte: u8| match byte {
            b':' | b'-' | b',' => None,
            byte if is_blank(byte) => None,
            byte => Some(byte.to_ascii_lowercase()),
        };
        self.hex.get_or_init(|| Box::new(self.mapped(digit)))
    }

    /// Adds the ranges of the text in which `needle` is.
    pub(super) fn find(&self, needle: &Finder<'_>, found: &mut Vec<Range<usize>>) {
        let length = needle.needle().len();
        if length > 0 {
            let at = needle.find_iter(&self.bytes);
            let place = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
            found.extend(at.map(|at| place(self.places[at].0)..place(self.places[at + length - 1].1)));
        }
    }

    fn of(bytes: impl Iterator<Item = (u8, (u32, u32))>) -> Self {
        let (bytes, places) = bytes.unzip();
        let (folded, base64, hex) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { bytes, places, folded, base64, hex }
    }

    fn mapped(&self, to: impl Fn(u8) -> Option<u8>) -> Self {
        let pairs = self.bytes.iter().zip(&self.places);
        Self::of(pairs.filter_map(|(byte, place)| Some((to(*byte)?, *place))))
    }

    /// With escapes undone; `None`: there is none.
    fn decoded(&self, escapes: &[Escapes]) -> Option<Self> {
        let mut pairs = Vec::with_capacity(self.bytes.len());
        let (mut at, mut any) = (0, false);
        while let Some(&byte) = self.bytes.get(at) {
            let decoded = match byte {
                b'%' if escapes.contains(&Escapes::Percent) => percent(&self.bytes[at..]),
                b'+' if escapes.contains(&Escapes::Plus) => Some((u32::from(b' '), 1, false)),
                b'\\' if escapes.contains(&Escapes::Backslash) => backslash(&self.bytes[at..]),
                b'&' if escapes.contains(&Escapes::Entity) => entity(&self.bytes[at..]),
                _ => None,
            };
            any |= decoded.is_some();
            let (length, code) =
                decoded.map_or((1, None), |(code, length, is_char)| (length, Some((code, is_char))));
            let place = (self.places[at].0, self.places[at + length - 1].1);
            match code {
                None => pairs.push((byte, place)),
                Some((code, false)) => pairs.extend(u8::try_from(code).map(|byte| (byte, place))),
                Some((code, true)) => {
                    let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    pairs.extend(char.encode_utf8(&mut [0; 4]).bytes().map(|byte| (byte, place)));
                }
            }
            at += length;
        }
        any.then(|| Self::of(pairs.into_iter()))
    }
}

/// What an escape stands for, how long it is, and whether it is a character rather than a byte.
type Undone = Option<(u32, usize, bool)>;

fn number(digits: Option<&[u8]>, radix: u32) -> Option<u32> {
    let digits = digits
        .filter(|digits| !digits.is_empty() && digits.iter().all(|byte| char::from(*byte).is_digit(radix)))?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

fn percent(text: &[u8]) -> Undone {
    number(text.get(1..3), 16).map(|byte| (byte, 3, false))
}

fn backslash(text: &[u8]) -> Undone {
    let char = |char: u8| Some((u32::from(char), 2, false));
    match text.get(1)? {
        b'n' => char(b'\n'),
        b'r' => char(b'\r'),
        b't' => char(b'\t'),
        b'b' => char(8),
        b'f' => char(12),
        byte @ (b'"' | b'\'' | b'\\' | b'/') => char(*byte),
        b'x' => number(text.get(2..4), 16).map(|byte| (byte, 4, false)),
        b'u' => {
            let unit = |at: usize| number(text.get(at..at + 4), 16);
            let first = unit(2)?;
            let second = if text.get(6..8) == Some(b"\\u") { unit(8) } else { None };
            match (first, second) {
                (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) => {
                    Some((0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12, true))
                }
                _ => Some((first, 6, true)),
            }
        }
        _ => None,
    }
}

/// Entities that stand for what a secret may have in it, each with its character behind it; letters and digits have
/// none.
const NAMED: &[u8] = b"amp& lt< gt> quot\" apos' excl! num# dollar$ percnt% lpar( rpar) ast* plus+ comma, dash- \
    hyphen- period. sol/ colon: semi; equals= quest? commat@ lsqb[ lbrack[ bsol\\ rsqb] rbrack] Hat^ lowbar_ grave` \
    lcub{ rcub}";

fn named(name: &[u8]) -> Option<u8> {
    match name {
        b"nbsp" => Some(b' '),
        b"Tab" => Some(b'\t'),
        b"NewLine" => Some(b'\n'),
        _ => NAMED.split(|byte| *byte == b' ').find_map(|known| match known.strip_prefix(name)? {
            [byte] => Some(*byte),
            _ => None,
        }),
    }
}

fn entity(text: &[u8]) -> Undone {
    const LONGEST: usize = 10;
    let rest = &text[1..];
    let Some(digits) = rest.strip_prefix(b"#") else {
        let end = rest.iter().take(LONGEST).position(|byte| *byte == b';')?;
        return Some((named(&rest[..end])?.into(), end + 2, false));
    };
    let (digits, radix, before) = match digits.first() {
        Some(b'x' | b'X') => (&digits[1..], 16, 3),
        _ => (digits, 10, 2),
    };
    let end = digits.iter().take(LONGEST).take_while(|byte| char::from(**byte).is_digit(radix)).count();
    let code = number(digits.get(..end), radix)?;
    let closed = usize::from(digits.get(end) == Some(&b';'));
    Some((code, before + end + closed, true))
}
