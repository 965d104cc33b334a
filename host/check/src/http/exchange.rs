//! One request and its answer over one connection: hyper's HTTP/1.1 client, driven in the check's own task.
//!
//! No task is spawned and nothing outlives the answer, so dropping a check closes its connection. What the target
//! sends is bounded: the head by [`HEAD_MAX_BYTES`], the body by the reader's limit.

use crate::errno;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use uptime_core::check::{Failure, FailureClass, Phases};

/// The largest head of an answer; beyond it the answer is not HTTP that anyone could use.
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// A connection to a target.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// When the request's last and the answer's first bytes went over the connection. Kept apart from the exchange, so
/// that they are still there when the deadline has ended it.
pub(crate) struct Marks {
    since: Instant,
    /// Nanoseconds after `since`; 0: not yet.
    sent: AtomicU64,
    first_byte: AtomicU64,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), sent: AtomicU64::new(0), first_byte: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// Writes down the phases as they are now: `transfer` only when an answer began.
    pub(crate) fn complete(&self, phases: &mut Phases) {
        let now = self.now();
        let (sent, first_byte) = (self.sent.load(Relaxed), self.first_byte.load(Relaxed));
        let answered = first_byte != 0;
        let first_byte = if answered { first_byte } else { now };
        phases.first_byte = Some(Duration::from_nanos(first_byte.saturating_sub(sent)));
        phases.transfer = answered.then(|| Duration::from_nanos(now.saturating_sub(first_byte)));
    }
}

/// A connection that marks when bytes go over it.
struct Wire {
    stream: Stream,
    marks: Arc<Marks>,
}

type Conn = Connection<TokioIo<Wire>, Full<Bytes>>;

/// An answer whose head is here and whose body may still be on its way.
pub(super) struct Answer {
    response: Response<Incoming>,
    connection: Option<Conn>,
    /// While it lives, hyper holds the connection open.
    _sender: SendRequest<Full<Bytes>>,
    marks: Arc<Marks>,
}

/// As much of a body as was read.
pub(super) struct Body {
    /// Empty unless it was asked for.
    pub(super) kept: Vec<u8>,
    /// There was more than the limit.
    pub(super) cut: bool,
}

impl Answer {
    /// Sends `request` and waits for the head of its answer. `shown` names the request in a failure.
    pub(super) async fn to(
        request: http::Request<Full<Bytes>>,
        stream: Stream,
        marks: Arc<Marks>,
        shown: &str,
    ) -> Result<Self, Failure> {
        let io = TokioIo::new(Wire { stream, marks: Arc::clone(&marks) });
        let shaken = http1::Builder::new()
            .max_header_size(HEAD_MAX_BYTES)
            .max_buf_size(HEAD_MAX_BYTES)
            .handshake(io)
            .await;
        let (mut sender, connection) = shaken.map_err(|error| failure(shown, &error))?;
        let mut connection = Some(connection);
        let response = drive(&mut connection, sender.send_request(request)).await;
        let response = response.map_err(|error| failure(shown, &error))?;
        Ok(Self { response, connection, _sender: sender, marks })
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Reads the body to its end, or to `max` bytes; keeps it when asked to.
    pub(super) async fn read_body(&mut self, max: usize, keep: bool, shown: &str) -> Result<Body, Failure> {
        let mut body = Body { kept: Vec::new(), cut: false };
        let mut length = 0;
        while let Some(frame) = drive(&mut self.connection, self.response.body_mut().frame()).await {
            let frame = frame.map_err(|error| {
                let failure = failure(shown, &error);
                Failure::new(failure.class, format!("{} (after {length} bytes of the body)", failure.message))
            })?;
            let Ok(bytes) = frame.into_data() else { continue };
            let room = max - length;
            let fitting = bytes.len().min(room);
            if keep {
                body.kept.extend_from_slice(&bytes[..fitting]);
            }
            length += fitting;
            if bytes.len() > room {
                body.cut = true;
                break;
            }
        }
        Ok(body)
    }
}

/// Runs the connection and what depends on it in one task.
async fn drive<F: Future>(connection: &mut Option<Conn>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        // Its error, if it has one, also comes to the future. A finished connection must not be polled again.
        if connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready()) {
            *connection = None;
        }
        future.as_mut().poll(cx)
    })
    .await
}

fn failure(shown: &str, error: &hyper::Error) -> Failure {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let (class, words) = if error.is_parse_too_large() {
        (
            FailureClass::Protocol,
            format!("the head of the answer is larger than {} KiB", HEAD_MAX_BYTES / 1024),
        )
    } else if error.is_parse() {
        (FailureClass::Protocol, format!("the answer is not HTTP: {error}"))
    } else if error.is_incomplete_message()
        || cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof)
    {
        (FailureClass::Protocol, "the connection was closed before the answer was complete".to_owned())
    } else if let Some(tls) =
        cause.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        // With TLS 1.3 a server's refusal of the handshake comes after our side of it is done.
        (FailureClass::TlsHandshake, tls.to_string())
    } else if let Some(cause) = cause {
        errno::classify(cause)
    } else if let Some(source) = std::error::Error::source(error) {
        (FailureClass::Protocol, format!("{error}: {source}"))
    } else {
        (FailureClass::Protocol, error.to_string())
    };
    Failure::new(class, format!("{shown}: {words}"))
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if buf.filled().len() > before && self.marks.first_byte.load(Relaxed) == 0 {
            self.marks.first_byte.store(self.marks.now(), Relaxed);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.mark_sent(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        self.mark_sent(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl Wire {
    fn mark_sent(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(_))) {
            self.marks.sent.store(self.marks.now(), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_divide_the_time_between_request_and_end() {
        let marks = Marks::new();
        let mut phases = Phases::default();
        marks.sent.store(10, Relaxed);
        marks.complete(&mut phases);
        assert!(phases.first_byte.is_some() && phases.transfer.is_none(), "no answer began: {phases:?}");
        marks.first_byte.store(30, Relaxed);
        marks.complete(&mut phases);
        assert_eq!(phases.first_byte, Some(Duration::from_nanos(20)));
        assert!(phases.transfer.is_some_and(|transfer| transfer <= marks.since.elapsed()), "{phases:?}");
        // A banner: the answer began before the request was sent.
        marks.sent.store(40, Relaxed);
        marks.complete(&mut phases);
        assert_eq!(phases.first_byte, Some(Duration::ZERO));
    }
}
