//! The body of an answer, out of the bytes of its connection (RFC 9112, 6 and 7). Pure.

use super::head::{Head, words};
use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode};

/// The longest line between chunks or after them.
const LINE_MAX_BYTES: usize = 16 * 1024;

/// How much all those lines may have beside the sizes of the chunks.
const LINES_MAX_BYTES: usize = 1024 * 1024;

/// A size of more digits has no place in a number.
const SIZE_MAX_DIGITS: usize = 16;

const BARE_LF: &str = "the lines between the body's chunks end without CR";
const NO_LENGTH: &str = "its `Content-Length` is no number";
const ODD_LENGTH: &str = "`Content-Length` is a number with something beside it";
const ODD_SIZE: &str = "a chunk of the body has a size with something behind it";

/// How the end of a body is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are yet to come.
    Length(u64),
    Chunked(Chunks),
    /// All that comes until the connection ends.
    Close,
}

/// Where a reader of chunks is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    place: ChunkState,
    lines: usize,
    deviation: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    Size,
    /// In a chunk, with so many bytes yet to come.
    Within(u64),
    /// Between a chunk and the line's end that follows it.
    Behind,
    Trailers,
    End,
}

impl Framing {
    /// How the body behind `head` is framed, which answers a request with `method`.
    pub(super) fn of(head: &mut Head, method: &Method) -> Result<Self, &'static str> {
        let has_none = head.status.is_informational()
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || *method == Method::HEAD
            || *method == Method::CONNECT && head.status.is_success();
        if has_none {
            return Ok(Self::Length(0));
        }
        let codings = words(&head.headers, &TRANSFER_ENCODING);
        if codings.iter().any(|coding| coding == "chunked") {
            return Ok(Self::Chunked(Chunks { place: ChunkState::Size, lines: 0, deviation: None }));
        }
        // With another coding nobody knows how many bytes are sent.
        if codings.iter().any(|coding| coding != "identity") {
            return Ok(Self::Close);
        }
        if !head.headers.contains_key(CONTENT_LENGTH) {
            return Ok(Self::Close);
        }
        let mut lengths = Vec::new();
        for said in words(&head.headers, &CONTENT_LENGTH) {
            let number = said.strip_prefix('+').unwrap_or(&said);
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(NO_LENGTH);
            }
            if digits < said.len() && !head.deviations.contains(&ODD_LENGTH) {
                head.deviations.push(ODD_LENGTH);
            }
            lengths.push(number[..digits].parse().ok());
        }
        lengths.dedup();
        match lengths[..] {
            [Some(length)] => Ok(Self::Length(length)),
            // It is beyond all numbers, and says nothing.
            [None] => Ok(Self::Close),
            [] => Err(NO_LENGTH),
            _ => Err("it has more than one `Content-Length`"),
        }
    }

    /// The next bytes of the body in what `came`. `None`: it is over, or more must come first.
    pub(super) fn take(&mut self, came: &mut BytesMut) -> Result<Option<Bytes>, &'static str> {
        match self {
            Self::Length(left) => Ok(split(left, came)),
            Self::Close => Ok((!came.is_empty()).then(|| came.split().freeze())),
            Self::Chunked(chunks) => chunks.take(came),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.place == ChunkState::End,
            Self::Close => false,
        }
    }

    /// How the body departed from the standard.
    pub(super) fn deviation(&self) -> Option<&'static str> {
        match self {
            Self::Chunked(chunks) => chunks.deviation,
            Self::Length(_) | Self::Close => None,
        }
    }
}

impl Chunks {
    fn take(&mut self, came: &mut BytesMut) -> Result<Option<Bytes>, &'static str> {
        loop {
            match &mut self.place {
                ChunkState::Size => {
                    let Some(line) = self.line(came)? else { return Ok(None) };
                    let (size, behind) = size(&line)?;
                    if !behind.trim_ascii_start().is_empty() && !behind.trim_ascii_start().starts_with(b";") {
                        self.deviation = Some(ODD_SIZE);
                    }
                    self.place = if size == 0 { ChunkState::Trailers } else { ChunkState::Within(size) };
                }
                ChunkState::Within(0) => self.place = ChunkState::Behind,
                ChunkState::Within(left) => return Ok(split(left, came)),
                ChunkState::Behind => match self.line(came)? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.place = ChunkState::Size,
                    Some(_) => return Err("a chunk of its body is longer than it says"),
                },
                ChunkState::Trailers => match self.line(came)? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.place = ChunkState::End,
                    Some(_) => self.lines += SIZE_MAX_DIGITS,
                },
                ChunkState::End => return Ok(None),
            }
        }
    }

    /// The next line, without its end; `None`: it is not yet here.
    fn line(&mut self, came: &mut BytesMut) -> Result<Option<BytesMut>, &'static str> {
        let too_long = "the lines between the chunks of its body are too long";
        let Some(length) = memchr::memchr(b'\n', &came[..came.len().min(LINE_MAX_BYTES)]) else {
            return if came.len() < LINE_MAX_BYTES { Ok(None) } else { Err(too_long) };
        };
        let mut line = came.split_to(length);
        came.advance(1);
        if !line.ends_with(b"\r") {
            self.deviation = Some(BARE_LF);
        }
        while line.ends_with(b"\r") {
            line.truncate(line.len() - 1);
        }
        self.lines += line.len().saturating_sub(SIZE_MAX_DIGITS);
        if self.lines > LINES_MAX_BYTES { Err(too_long) } else { Ok(Some(line)) }
    }
}

/// As many of the bytes that are `left` as came, if any did.
fn split(left: &mut u64, came: &mut BytesMut) -> Option<Bytes> {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(came.len());
    *left -= count as u64;
    (count > 0).then(|| came.split_to(count).freeze())
}

/// The size in the line before a chunk, and what is behind it: extensions that nobody knows.
fn size(line: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let (digits, behind) = line.split_at(line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count());
    let size = str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    // Others read the last chunk in `0x3`.
    if digits.len() > SIZE_MAX_DIGITS
        || size.is_some() && behind.first().is_some_and(u8::is_ascii_alphanumeric)
    {
        return Err("a chunk of its body has a size that is no size");
    }
    Ok((size.ok_or("a chunk of its body has no size")?, behind))
}
