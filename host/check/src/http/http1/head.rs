//! The heads of HTTP/1.1: a request's as it is written, an answer's as it is read. Pure.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use std::io::Write as _;
use uptime_core::monitor::HttpVersion;

const BARE_LF: &str = "the lines of its head end without CR";
const BLANK_BEFORE_COLON: &str = "a header has a blank before its colon";
const CONTROL_BYTE: &str = "a header's value has a control byte";
const FOLDED: &str = "a header goes over several lines";
const ICY: &str = "the answer begins with `ICY`";
const NAMELESS: &str = "a header has no name, and is ignored";
const NO_NAME: &str = "a header has a name that can't be one, and is ignored";
const OTHER_VERSION: &str = "the answer calls itself HTTP/2 on a connection that speaks HTTP/1.1";

const REPLACEMENT: &str = "\u{fffd}";

/// Names of headers as their author wrote them, for those who do not know them in another case.
#[derive(Clone)]
pub(crate) struct Spelling(pub(crate) Vec<String>);

/// A request as it is sent. Names that nobody has spelled are written like `Content-Type`: some devices know no others.
pub(super) fn written(request: &Request<Bytes>) -> Bytes {
    let body = request.body();
    let mut text = Vec::with_capacity(512 + body.len());
    // A `Vec` takes everything.
    let _ = write!(text, "{} {} HTTP/1.1\r\n", request.method(), request.uri());
    let spelled = request.extensions().get::<Spelling>().map_or(&[][..], |spelling| &spelling.0);
    for (name, value) in request.headers() {
        match spelled.iter().find(|spelled| spelled.eq_ignore_ascii_case(name.as_str())) {
            Some(spelled) => text.extend_from_slice(spelled.as_bytes()),
            None => text.extend(title_case(name.as_str())),
        }
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    // A body that is meant and empty is said to be (RFC 9110, 8.6).
    if !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(request.method()) {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(body);
    text.into()
}

fn title_case(name: &str) -> impl Iterator<Item = u8> {
    let before = std::iter::once(b'-').chain(name.bytes());
    before
        .zip(name.bytes())
        .map(|(before, byte)| if before == b'-' { byte.to_ascii_uppercase() } else { byte })
}

/// Where the head in `bytes` ends, which is after the first empty line. `looked`: how far it is known not to end, 0 at
/// first. `Err`: no head begins like this.
pub(super) fn end(bytes: &[u8], looked: &mut usize) -> Result<Option<usize>, &'static str> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, with)| byte.eq_ignore_ascii_case(with));
    if !begins(b"HTTP/") && !begins(b"ICY ") {
        return Err("it does not begin with `HTTP/`");
    }
    while let Some(at) = memchr::memchr(b'\n', &bytes[*looked..]) {
        let line = &bytes[*looked..*looked + at];
        // The first one is the status line.
        if without_cr(line).is_empty() {
            return Ok(Some(*looked + at + 1));
        }
        *looked += at + 1;
    }
    Ok(None)
}

fn without_cr(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\r'] = line {
        line = rest;
    }
    line
}

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) version: HttpVersion,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Where it departs from the standard.
    pub(crate) deviations: Vec<&'static str>,
}

impl Head {
    /// Reads a head that ends with `bytes`. `Err`: why it is not HTTP.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.contains(&0) {
            return Err("its head has a NUL byte");
        }
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let status_line = lines.next().unwrap_or_default();
        let mut deviations = Vec::new();
        let mut note = |deviation| {
            if !deviations.contains(&deviation) {
                deviations.push(deviation);
            }
        };
        let (version, status) = status(without_cr(status_line), &mut note)?;
        if !status_line.ends_with(b"\r") {
            note(BARE_LF);
        }
        let mut fields: Vec<(&[u8], Vec<u8>)> = Vec::new();
        for line in lines.map(without_cr).take_while(|line| !line.is_empty()) {
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                note(FOLDED);
                // Nothing is before the first.
                if let Some((_, value)) = fields.last_mut() {
                    value.push(b' ');
                    value.extend_from_slice(line.trim_ascii());
                }
                continue;
            }
            let colon = memchr::memchr(b':', line).ok_or("a line of its head has no colon")?;
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            if name.ends_with(b" ") || name.ends_with(b"\t") {
                note(BLANK_BEFORE_COLON);
            }
            fields.push((name.trim_ascii_end(), value.trim_ascii().to_vec()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let Ok(name) = HeaderName::from_bytes(name) else {
                note(if name.is_empty() { NAMELESS } else { NO_NAME });
                continue;
            };
            let is_odd = value.iter().copied().any(is_control);
            if is_odd {
                note(CONTROL_BYTE);
            }
            // A cookie with one is none (RFC 6265bis, 5.7).
            if is_odd && name == SET_COOKIE {
                continue;
            }
            // The blank is a fold's whose first line was empty.
            if let Ok(value) = HeaderValue::from_bytes(&readable(value.trim_ascii())) {
                headers.try_append(name, value).map_err(|_| "its head has too many headers")?;
            }
        }
        Ok(Self { version, status, headers, deviations })
    }

    /// Whether the answer is yet to come. 101 is final: what follows it is not HTTP.
    pub(super) fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Version and status of an answer. Its reason may be missing, and is nobody's.
fn status(
    line: &[u8],
    note: &mut impl FnMut(&'static str),
) -> Result<(HttpVersion, StatusCode), &'static str> {
    let (protocol, rest) = line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()));
    let version = match protocol.to_ascii_uppercase().as_slice() {
        b"HTTP/1.0" => HttpVersion::Http10,
        b"ICY" => {
            note(ICY);
            HttpVersion::Http10
        }
        // A later minor version changes nothing in how a message is read (RFC 9110, 2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => HttpVersion::Http11,
        b"HTTP/2" | b"HTTP/2.0" => {
            note(OTHER_VERSION);
            HttpVersion::Http11
        }
        _ => return Err("its version is not known here"),
    };
    let digits = rest.trim_ascii_start();
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match StatusCode::from_bytes(&digits[..length]) {
        Ok(status) => Ok((version, status)),
        Err(_) => Err("its status is no number of three digits"),
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// A value in which each control byte is replaced, so that what is around it can be judged.
fn readable(value: &[u8]) -> Vec<u8> {
    let one = std::slice::from_ref;
    let replaced =
        value.iter().map(|byte| if is_control(*byte) { REPLACEMENT.as_bytes() } else { one(byte) });
    replaced.collect::<Vec<_>>().concat()
}

/// The words of a header's lists, in lower case.
pub(crate) fn words(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let split = |value: std::borrow::Cow<'_, str>| {
        value.split(',').map(|word| word.trim().to_ascii_lowercase()).collect::<Vec<_>>()
    };
    values.flat_map(split).filter(|word| !word.is_empty()).collect()
}
