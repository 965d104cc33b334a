//! A body in its plain form: what came compressed is decompressed, and no further than somebody would read.
//!
//! A body is decoded only when it is judged, and off the tasks that run the checks: a few kilobytes can become
//! megabytes. Codings are those of RFC 9110, 8.4.1, with `br` (RFC 7932) and `zstd` (RFC 8878).

use super::exchange::Body;
use super::fault::Subject;
use brotli_decompressor::Decompressor as Brotli;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, Read};
use uptime_core::check::{Failure, FailureClass};

/// What is asked for when a compressed answer is wanted.
pub(super) const ASKED: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");

/// The largest plain form of a compressed body.
pub(super) const DECODED_MAX_BYTES: usize = 10 * 1024 * 1024;

/// Nobody applies more; each one more is a bomb's fuse.
const CODINGS_MAX: usize = 2;

/// What browsers take (RFC 9659).
const ZSTD_WINDOW_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// A way of compressing.
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

    /// The plain form of `bytes`, up to `max` bytes of it, in `plain`. What was decoded before an error stays there.
    fn decode(self, bytes: &[u8], max: u64, plain: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Gzip => MultiGzDecoder::new(bytes).take(max).read_to_end(plain),
            // The RFC means zlib's form; half of those who send it mean the bare one.
            Self::Deflate if is_zlib(bytes) => ZlibDecoder::new(bytes).take(max).read_to_end(plain),
            Self::Deflate => DeflateDecoder::new(bytes).take(max).read_to_end(plain),
            Self::Brotli => Brotli::new(bytes, 4096).take(max).read_to_end(plain),
            Self::Zstd => {
                let mut frames = FrameDecoder::new();
                frames.set_max_window_size(ZSTD_WINDOW_MAX_BYTES);
                let mut decoder =
                    StreamingDecoder::new_with_decoder(bytes, frames).map_err(io::Error::other)?;
                (&mut decoder).take(max).read_to_end(plain)
            }
        }
        .map(drop)
    }
}

/// Two bytes of a zlib head: the method, and a sum that is a multiple of 31 (RFC 1950, 2.2).
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

/// How the body comes, in the order in which it was done to it. `Err`: one that is not known here.
pub(super) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, String> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| "what is no text".to_owned())?.to_ascii_lowercase();
        for name in value.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "identity")) {
            codings.push(Coding::parse(name).ok_or_else(|| format!("`{name}`"))?);
        }
    }
    if codings.len() > CODINGS_MAX { Err(format!("{} ways at once", codings.len())) } else { Ok(codings) }
}

/// A body in its plain form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    /// It is the beginning of more.
    pub(super) cut: bool,
}

/// Decompresses `body`, to at most `max` bytes. What is beyond them makes it cut.
pub(super) async fn decode(
    body: Body,
    codings: Vec<Coding>,
    max: usize,
    about: &Subject,
) -> Result<Plain, Failure> {
    let whole = !body.cut;
    // A body of no bytes is no gzip, and is sent as such by those who compress by a filter.
    if codings.is_empty() || body.kept.is_empty() {
        return Ok(Plain { bytes: body.kept, cut: body.cut });
    }
    let decoded = tokio::task::spawn_blocking(move || unpack(body.kept, whole, &codings, max)).await;
    let decoded = decoded.map_err(|_| about.failure(FailureClass::Resources, "its decoding broke off"))?;
    decoded.map_err(|words| about.failure(FailureClass::Protocol, &words))
}

/// The failure of a body that has no end that anybody would wait for.
pub(super) fn too_large(about: &Subject) -> Failure {
    let mib = DECODED_MAX_BYTES / (1024 * 1024);
    about.failure(FailureClass::Protocol, &format!("the body decompresses to more than {mib} MiB"))
}

fn unpack(mut bytes: Vec<u8>, mut whole: bool, codings: &[Coding], max: usize) -> Result<Plain, String> {
    for coding in codings.iter().rev() {
        let mut plain = Vec::new();
        let decoded = coding.decode(&bytes, max as u64 + 1, &mut plain);
        if let Err(error) = decoded {
            // The beginning of a compressed body ends in the middle of something.
            if whole {
                return Err(format!("the body is not {}: {error}", coding.as_str()));
            }
        }
        if plain.len() > max {
            plain.truncate(max);
            whole = false;
        }
        bytes = plain;
    }
    Ok(Plain { bytes, cut: !whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn each_coding() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(b"hello hello hello\n").expect("memory");
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(b"hello hello hello\n").expect("memory");
        // As `brotli` and `zstd` make them.
        let brotli = b"\x8b\x08\x80hello hello hello\n\x03";
        let zstd = ruzstd::encoding::compress_to_vec(
            &b"hello hello hello\n"[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        for (coding, bytes) in [
            (Coding::Gzip, gzip(b"hello hello hello\n")),
            (Coding::Deflate, zlib.finish().expect("memory")),
            (Coding::Deflate, deflate.finish().expect("memory")),
            (Coding::Brotli, brotli.to_vec()),
            (Coding::Zstd, zstd),
        ] {
            let plain = unpack(bytes, true, &[coding], 100).expect(coding.as_str());
            assert_eq!(plain, Plain { bytes: b"hello hello hello\n".to_vec(), cut: false }, "{coding:?}");
        }
    }

    #[test]
    fn codings_are_undone_from_the_last() {
        let twice = gzip(&gzip(b"x"));
        assert_eq!(unpack(twice, true, &[Coding::Gzip; 2], 100).expect("gzip").bytes, b"x");
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("identity, BR"));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("x-gzip"));
        assert_eq!(codings(&headers), Ok(vec![Coding::Brotli, Coding::Gzip]));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(codings(&headers), Err("3 ways at once".to_owned()));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("compress"));
        assert_eq!(codings(&headers), Err("`compress`".to_owned()));
    }

    #[test]
    fn no_more_than_asked_and_no_less_than_there_is() {
        let bomb = gzip(&vec![0; 50 * 1024 * 1024]);
        assert!(bomb.len() < 100 * 1024);
        let plain = unpack(bomb, true, &[Coding::Gzip], 1000).expect("gzip");
        assert_eq!((plain.bytes.len(), plain.cut), (1000, true));
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = gzip(&text);
        let half = packed[..packed.len() / 2].to_vec();
        let plain = unpack(half.clone(), false, &[Coding::Gzip], usize::MAX - 1).expect("a beginning");
        assert!(plain.cut && !plain.bytes.is_empty() && text.starts_with(&plain.bytes));
        let error = unpack(half, true, &[Coding::Gzip], 1000_000).expect_err("it breaks off");
        assert!(error.starts_with("the body is not gzip: "), "{error}");
    }
}
