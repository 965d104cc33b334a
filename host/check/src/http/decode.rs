//! A body in its plain form: what came compressed is decompressed, and no further than somebody would read.
//!
//! A body is decoded only when it is judged, and off the tasks that run the checks: a few kilobytes can become
//! gigabytes. It passes through in pieces: what is kept is kept of the plain form as it is of a body that came plain, and
//! the rest is counted. Codings are those of RFC 9110, 8.4.1, with `br` (RFC 7932) and `zstd` (RFC 8878).

use super::exchange::Body;
use super::fault::RequestContext;
use super::http1::words;
use brotli_decompressor::Decompressor as Brotli;
use flate2::bufread::{DeflateDecoder, GzDecoder};
use http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use tokio::time::Instant;
use uptime_core::check::{Failure, FailureClass};

/// What is asked for when a compressed answer is wanted.
pub(super) const ASKED: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");

/// How much of a compressed body is read, as it comes.
pub(super) const COMPRESSED_MAX_BYTES: u64 = 10 * 1024 * 1024;

/// Codings that there are and that nobody speaks who was not asked to (IANA's registry). Any other word is none: what is
/// sent as `utf-8`, `none`, `binary` or `aws-chunked` is not encoded.
const UNKNOWN: &[&str] = &["aes128gcm", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress"];

const NO_CODING: &str = "`Content-Encoding` names what is no coding, and that is ignored";
const NO_TRAILER: &str = "the body is gzip without its trailer";

const BROKEN: &str = "it breaks off, or is broken";

const PIECE_BYTES: usize = 32 * 1024;

/// Nobody applies more; each one more is a bomb's fuse.
const CODINGS_MAX: usize = 2;

/// What browsers take (RFC 9659).
const ZSTD_WINDOW_MAX_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn undo<'a>(
        self,
        mut source: Box<dyn BufRead + 'a>,
        lacks_trailer: &'a Cell<bool>,
    ) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Gzip | Self::Deflate => {
                let mut head = Vec::new();
                (&mut source).take(2).read_to_end(&mut head)?;
                let is_zlib = is_zlib(&head);
                // The RFC means zlib's form; half of those who send it mean the bare one, or leave its sum out.
                if is_zlib {
                    head.clear();
                }
                let source = Cursor::new(head).chain(source);
                // Some call zlib's form gzip.
                if self == Self::Gzip && !is_zlib {
                    Box::new(Members { member: Some(GzDecoder::new(source)), lacks_trailer })
                } else {
                    Box::new(DeflateDecoder::new(source))
                }
            }
            Self::Brotli => Box::new(Brotli::new(source, 4096)),
            Self::Zstd => {
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size(ZSTD_WINDOW_MAX_BYTES);
                Box::new(Frames { decoder, is_inside: false, source })
            }
        })
    }
}

/// gzip, member after member (RFC 1952, 2.2). What follows the last and begins none, zeros mostly, is padding.
struct Members<'a, R> {
    /// `None` at the stream's end.
    member: Option<GzDecoder<R>>,
    /// The last member's sum and length did not come.
    lacks_trailer: &'a Cell<bool>,
}

impl<R: BufRead> Read for Members<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = match member.read(buffer) {
                // A head or compressed data that breaks off has an error with words of its own.
                Err(error) if is_bare_end(&error) && member.header().is_some() => {
                    self.lacks_trailer.set(true);
                    self.member = None;
                    return Ok(0);
                }
                read => read?,
            };
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let rest = self.member.take().map(GzDecoder::into_inner);
            if let Some(mut rest) = rest
                && rest.fill_buf()?.first() == Some(&0x1f)
            {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Zstandard, frame after frame (RFC 8878, 3.1).
struct Frames<R> {
    decoder: FrameDecoder,
    is_inside: bool,
    source: R,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_inside && self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.is_inside && !self.decoder.is_finished() {
                let decoded =
                    self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| in_words(&error))?;
                continue;
            }
            if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.decoder.init(&mut self.source) {
                Ok(()) => self.is_inside = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    self.is_inside = false;
                    io::copy(&mut (&mut self.source).take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(in_words(&error)),
            }
        }
    }
}

/// What is wrong with Zstandard, for people.
fn in_words(error: &FrameDecoderError) -> io::Error {
    io::Error::other(match error {
        FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_)) => {
            "it does not begin like that"
        }
        FrameDecoderError::WindowSizeTooBig { .. } => "it needs a window of more than 8 MiB",
        _ => BROKEN,
    })
}

fn is_bare_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none()
}

/// Two bytes of a zlib head: the method, and a sum that is a multiple of 31 (RFC 1950, 2.2).
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

/// How the body comes, in the order in which it was done to it, and how that departs from the standard. `Err`: in one
/// that is not known here.
pub(super) fn codings(headers: &HeaderMap) -> Result<(Vec<Coding>, Option<&'static str>), String> {
    let (mut codings, mut deviation) = (Vec::new(), None);
    // What was done for the connection was done last.
    let transfer = words(headers, &TRANSFER_ENCODING).into_iter().filter(|name| name != "chunked");
    for name in words(headers, &CONTENT_ENCODING).into_iter().chain(transfer) {
        match Coding::parse(&name) {
            Some(coding) => codings.push(coding),
            None if UNKNOWN.contains(&name.as_str()) => return Err(format!("`{name}`")),
            None if name != "identity" => deviation = Some(NO_CODING),
            None => {}
        }
    }
    match codings.len() {
        ..=CODINGS_MAX => Ok((codings, deviation)),
        many => Err(format!("{many} ways at once")),
    }
}

/// How far somebody wants to see a body.
#[derive(Clone, Copy)]
pub(super) struct BodyLimits {
    /// How many of its first bytes are kept.
    pub(super) keep: usize,
    /// How far the bytes are counted.
    pub(super) count: u64,
    /// From then on nobody wants to know.
    pub(super) until: Instant,
}

/// Decompresses `body`, as far as it is wanted.
pub(super) async fn decode(
    body: Body,
    codings: Vec<Coding>,
    wanted: BodyLimits,
    about: &RequestContext,
) -> Result<Body, Failure> {
    let whole = !body.cut;
    let decoded = tokio::task::spawn_blocking(move || unpack(&body.bytes, whole, &codings, wanted)).await;
    let decoded = decoded.map_err(|_| about.failure(FailureClass::Resources, "its decoding broke off"))?;
    decoded.map_err(|words| about.failure(FailureClass::Protocol, &words))
}

fn unpack(bytes: &[u8], whole: bool, codings: &[Coding], wanted: BodyLimits) -> Result<Body, String> {
    let mut plain = Body { cut: !whole, ..Body::default() };
    // A body of no bytes is no gzip, and is sent as such by those who compress by a filter.
    if bytes.is_empty() {
        return Ok(plain);
    }
    match read_through(bytes, codings, wanted, &mut plain) {
        // The beginning of a compressed body ends in the middle of something.
        Err(error) if whole => {
            let names: Vec<&str> = codings.iter().map(|coding| coding.as_str()).collect();
            // All that the decoder of brotli says.
            let words = error.to_string().replace("Invalid Data", BROKEN);
            Err(format!("the body is not {}: {words}", names.join(", ")))
        }
        Ok(()) | Err(_) => Ok(plain),
    }
}

fn read_through(bytes: &[u8], codings: &[Coding], wanted: BodyLimits, plain: &mut Body) -> io::Result<()> {
    let lacks_trailer = Cell::new(false);
    let mut source: Box<dyn Read + '_> = Box::new(bytes);
    for coding in codings.iter().rev() {
        source = coding.undo(Box::new(BufReader::with_capacity(PIECE_BYTES, source)), &lacks_trailer)?;
    }
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = source.read(&mut piece)?;
        if length == 0 {
            plain.deviation = lacks_trailer.get().then_some(NO_TRAILER);
            return Ok(());
        }
        let kept = length.min(wanted.keep - plain.bytes.len());
        plain.bytes.extend_from_slice(&piece[..kept]);
        plain.cut |= kept < length;
        plain.length += length as u64;
        if plain.length > wanted.count || Instant::now() >= wanted.until {
            plain.length = plain.length.min(wanted.count);
            plain.cut = true;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write as _;

    fn all(bytes: &[u8], codings: &[Coding]) -> Result<Vec<u8>, String> {
        let plain = unpack(bytes, true, codings, wanted(1 << 20))?;
        assert!(!plain.cut && plain.length == plain.bytes.len() as u64, "{plain:?}");
        Ok(plain.bytes)
    }

    fn wanted(bytes: usize) -> BodyLimits {
        let until = Instant::now() + std::time::Duration::from_mins(1);
        BodyLimits { keep: bytes, count: bytes as u64, until }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn each_coding() {
        let text = b"hello hello hello\n";
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text).expect("memory");
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(text).expect("memory");
        // As `brotli` and `zstd` make them.
        let brotli = b"\x8b\x08\x80hello hello hello\n\x03";
        for (coding, bytes) in [
            (Coding::Gzip, gzip(text)),
            (Coding::Deflate, zlib.finish().expect("memory")),
            (Coding::Deflate, deflate.finish().expect("memory")),
            (Coding::Brotli, brotli.to_vec()),
            (Coding::Zstd, zstd(text)),
        ] {
            assert_eq!(all(&bytes, &[coding]).as_deref(), Ok(&text[..]), "{coding:?}");
            let broken = all(&bytes[..bytes.len() / 2], &[coding]).expect_err("it breaks off");
            assert!(broken.starts_with("the body is not "), "{broken}");
        }
    }

    #[test]
    fn codings_are_undone_from_the_last() {
        let twice = gzip(&gzip(b"x"));
        assert_eq!(all(&twice, &[Coding::Gzip; 2]).as_deref(), Ok(&b"x"[..]));
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("identity, BR"));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("x-gzip"));
        assert_eq!(codings(&headers), Ok((vec![Coding::Brotli, Coding::Gzip], None)));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("utf-8, None"));
        assert_eq!(codings(&headers), Ok((vec![Coding::Brotli, Coding::Gzip], Some(NO_CODING))));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(codings(&headers), Err("3 ways at once".to_owned()));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("compress"));
        assert_eq!(codings(&headers), Err("`compress`".to_owned()));
    }

    #[test]
    fn what_is_in_several_parts_is_whole() {
        // A frame to be skipped, of three bytes (RFC 8878, 3.1.2).
        let skipped = b"\x50\x2a\x4d\x18\x03\0\0\0any".to_vec();
        for (coding, parts) in [
            (Coding::Gzip, vec![gzip(b"one "), gzip(b"two")]),
            (Coding::Gzip, vec![gzip(b"one two"), vec![0; 1000]]),
            (Coding::Gzip, vec![gzip(b"one two"), b"\n".to_vec()]),
            (Coding::Zstd, vec![zstd(b"one "), zstd(b"two")]),
            (Coding::Zstd, vec![skipped.clone(), zstd(b"one "), skipped, zstd(b"two")]),
        ] {
            let plain = all(&parts.concat(), &[coding]);
            assert_eq!(plain.as_deref(), Ok(&b"one two"[..]), "{coding:?} {}", parts.len());
        }
        assert!(all(&[zstd(b"one"), b"garbage".to_vec()].concat(), &[Coding::Zstd]).is_err());
    }

    #[test]
    fn no_more_than_asked_and_no_less_than_there_is() {
        let zeros = 50 * 1024 * 1024;
        let bomb = gzip(&vec![0; zeros]);
        assert!(bomb.len() < 100 * 1024);
        let of = |keep, count| unpack(&bomb, true, &[Coding::Gzip], BodyLimits { keep, count, ..wanted(0) });
        for (keep, count, length) in
            [(1000, 1000, 1000), (1000, 60 << 20, zeros as u64), (0, 20 << 20, 20 << 20)]
        {
            let plain = of(keep, count).expect("gzip");
            assert_eq!((plain.bytes.len(), plain.length, plain.cut), (keep, length, true));
        }
        let late = BodyLimits { until: Instant::now(), ..wanted(usize::MAX) };
        let plain = unpack(&bomb, true, &[Coding::Gzip], late).expect("gzip");
        assert!(plain.cut && plain.length <= PIECE_BYTES as u64, "nobody waits for the rest");
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = gzip(&text);
        let half = &packed[..packed.len() / 2];
        let plain = unpack(half, false, &[Coding::Gzip], wanted(1 << 20)).expect("a beginning");
        assert!(plain.cut && !plain.bytes.is_empty() && text.starts_with(&plain.bytes));
        let error = unpack(half, true, &[Coding::Gzip], wanted(1 << 20)).expect_err("it breaks off");
        assert!(error.starts_with("the body is not gzip: "), "{error}");
    }
}
