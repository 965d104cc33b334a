//! What a broken exchange says about the target, in words and by its class.

use super::http1::ReadError;
use crate::errno;
use crate::tls::late_refusal;
use h2::Reason;
use std::io;
use uptime_core::check::{Failure, FailureClass};

/// The largest head of an answer, as curl takes it.
pub(super) const HEAD_MAX_BYTES: usize = 300 * 1024;

/// Whose fault it would be: what the failures of an exchange name.
pub(super) struct RequestContext {
    /// The request, as `GET https://example.com/`.
    pub(super) shown: String,
    pub(super) host: String,
}

impl RequestContext {
    pub(super) fn failure(&self, class: FailureClass, words: &str) -> Failure {
        Failure::new(class, format!("{}: {words}", self.shown))
    }
}

/// What the monitor asks for can't be sent: ours, the target was never asked.
pub(super) fn unusable(message: String) -> Failure {
    Failure::new(FailureClass::Settings, message)
}

/// The failure of a request over HTTP/1.1.
pub(super) fn http1(about: &RequestContext, trouble: &ReadError) -> Failure {
    let (class, words) = match trouble {
        ReadError::TooLarge => {
            let words = format!("the head of the answer is larger than {} KiB", HEAD_MAX_BYTES / 1024);
            (FailureClass::Protocol, words)
        }
        ReadError::Malformed(why) => (FailureClass::Protocol, format!("the answer is not HTTP: {why}")),
        ReadError::Closed => closed_early(),
        ReadError::Io(cause) => broken(about, cause),
    };
    about.failure(class, &words)
}

/// The failure of a request over HTTP/2.
pub(super) fn http2(about: &RequestContext, error: &h2::Error) -> Failure {
    let reason = error.reason().map(|reason| format!("{reason:?}")).unwrap_or_default();
    let (class, words) = if let Some(cause) = error.get_io() {
        broken(about, cause)
    } else if error.is_remote() && error.is_reset() {
        (FailureClass::Protocol, format!("the target broke the answer off ({reason})"))
    } else if error.is_remote() {
        (FailureClass::Protocol, format!("the target ended the connection ({reason})"))
    } else if error.is_reset() && error.reason() == Some(Reason::PROTOCOL_ERROR) {
        // What our side says to a head beyond its limit, and to some others.
        let kib = HEAD_MAX_BYTES / 1024;
        let words = format!("the answer's head is larger than {kib} KiB, or breaks the rules of HTTP/2");
        (FailureClass::Protocol, words)
    } else {
        (FailureClass::Protocol, format!("the answer is not HTTP/2: {error}"))
    };
    about.failure(class, &words)
}

fn closed_early() -> (FailureClass, String) {
    (FailureClass::Protocol, "the connection was closed before the answer was complete".to_owned())
}

fn broken(about: &RequestContext, cause: &io::Error) -> (FailureClass, String) {
    if matches!(cause.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe) {
        return closed_early();
    }
    // With TLS 1.3 a server's refusal of the handshake comes after our side of it is done.
    late_refusal(&about.host, cause).unwrap_or_else(|| errno::classify(cause))
}
