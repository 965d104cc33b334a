//! A request and its answer over one connection: [HTTP/1.1](super::http1) or h2's HTTP/2 client, driven in the check's own
//! task.
//!
//! No task is spawned and nothing outlives the check, so dropping a check closes its connection. What the target sends is
//! bounded: the head by [`HEAD_MAX_BYTES`](super::fault::HEAD_MAX_BYTES), the body by the reader's limit, and HTTP/2's
//! windows by h2.

use super::fault::{self, HEAD_MAX_BYTES, RequestContext};
use super::http1::{Head, Http1};
use super::wire::{IoTimestamps, Wire};
use crate::connect::Stream;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use std::future::{poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use uptime_core::check::Failure;
use uptime_core::monitor::HttpVersion;

/// How much of an answer HTTP/2 lets a target send before we have read it. Most answers need no second window.
const HTTP2_WINDOW_BYTES: u32 = 256 * 1024;

type Http2 = h2::client::Connection<Stream, Bytes>;

/// A connection that takes one request.
pub(super) struct Connection {
    protocol: Protocol,
    pub(super) marks: Arc<IoTimestamps>,
}

enum Protocol {
    Http1(Http1<Wire<Stream>>),
    Http2 {
        sender: h2::client::SendRequest<Bytes>,
        /// `None` once it has ended.
        connection: Option<Http2>,
    },
}

/// An answer whose head is here and whose body may still be on its way.
pub(super) struct TargetResponse {
    pub(super) status: StatusCode,
    pub(super) version: HttpVersion,
    pub(super) headers: HeaderMap,
    /// The body's; HTTP/2 alone has one.
    stream: Option<h2::RecvStream>,
    connection: Connection,
}

/// A body, as it came or in its plain form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// The first of its bytes, as many as were asked for.
    pub(super) bytes: Vec<u8>,
    /// How many there are, or were counted.
    pub(super) length: u64,
    /// `bytes` are the beginning of more.
    pub(super) cut: bool,
    pub(super) deviation: Option<&'static str>,
}

impl Connection {
    /// Begins to speak over `stream`, HTTP/2 when `http2`. `about` is what a failure names.
    pub(super) async fn over(stream: Stream, http2: bool, about: &RequestContext) -> Result<Self, Failure> {
        let marks = Arc::new(IoTimestamps::new());
        let protocol = if http2 {
            let (sender, connection) = h2::client::Builder::new()
                .enable_push(false)
                .max_header_list_size(u32::try_from(HEAD_MAX_BYTES).unwrap_or(u32::MAX))
                .initial_window_size(HTTP2_WINDOW_BYTES)
                .initial_connection_window_size(HTTP2_WINDOW_BYTES)
                .handshake(stream)
                .await
                .map_err(|error| fault::http2(about, &error))?;
            Protocol::Http2 { sender, connection: Some(connection) }
        } else {
            Protocol::Http1(Http1::over(Wire { stream, marks: Arc::clone(&marks) }))
        };
        Ok(Self { protocol, marks })
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.protocol, Protocol::Http2 { .. })
    }

    /// Sends `request` and waits for the head of its answer.
    pub(super) async fn ask(
        mut self,
        request: Request<Bytes>,
        about: &RequestContext,
    ) -> Result<TargetResponse, Failure> {
        match &mut self.protocol {
            Protocol::Http1(http1) => {
                let head = http1.ask(&request, HEAD_MAX_BYTES).await;
                let Head { status, version, headers, .. } =
                    head.map_err(|trouble| fault::http1(about, &trouble))?;
                Ok(TargetResponse { status, version, headers, stream: None, connection: self })
            }
            Protocol::Http2 { sender, connection } => {
                let answer = ask_http2(sender, connection, request, &self.marks).await;
                let (head, body) = answer.map_err(|error| fault::http2(about, &error))?.into_parts();
                let (status, version) = (head.status, HttpVersion::Http2);
                let (headers, stream) = (head.headers, Some(body));
                Ok(TargetResponse { status, version, headers, stream, connection: self })
            }
        }
    }
}

async fn ask_http2(
    sender: &mut h2::client::SendRequest<Bytes>,
    connection: &mut Option<Http2>,
    request: Request<Bytes>,
    marks: &IoTimestamps,
) -> Result<http::Response<h2::RecvStream>, h2::Error> {
    let (head, body) = request.into_parts();
    drive(connection, poll_fn(|cx| sender.poll_ready(cx))).await?;
    let (response, mut stream) = sender.send_request(Request::from_parts(head, ()), body.is_empty())?;
    if !body.is_empty() {
        // All of it is in memory already; h2 sends as much at once as the target has room for.
        stream.send_data(body, true)?;
    }
    drive(connection, ready(())).await;
    marks.sent();
    let response = drive(connection, response).await?;
    marks.received();
    Ok(response)
}

impl TargetResponse {
    /// How it departs from the standard, as far as it was read.
    pub(super) fn deviations(&self) -> &[&'static str] {
        match &self.connection.protocol {
            Protocol::Http1(http1) => http1.deviations(),
            Protocol::Http2 { .. } => &[],
        }
    }

    pub(super) fn marks(&self) -> &IoTimestamps {
        &self.connection.marks
    }

    /// Reads the body to its end, or to `max` bytes; keeps as many of its first bytes as asked.
    pub(super) async fn read_body(
        &mut self,
        max: u64,
        keep: usize,
        about: &RequestContext,
    ) -> Result<Body, Failure> {
        let mut body = Body::default();
        while let Some(bytes) = self.chunk(about).await {
            let bytes = bytes.map_err(|failure| {
                Failure::new(
                    failure.class,
                    format!("{} (after {} bytes of the body)", failure.message, body.length),
                )
            })?;
            let room = max - body.length;
            let fitting = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let kept = fitting.min(keep - body.bytes.len());
            body.bytes.extend_from_slice(&bytes[..kept]);
            body.cut |= kept < bytes.len();
            body.length += fitting as u64;
            self.connection.marks.add_body_bytes(fitting as u64);
            if bytes.len() > fitting {
                break;
            }
        }
        Ok(body)
    }

    /// The next bytes of the body; `None`: there are no more.
    async fn chunk(&mut self, about: &RequestContext) -> Option<Result<Bytes, Failure>> {
        match &mut self.connection.protocol {
            Protocol::Http1(http1) => {
                http1.chunk().await.map_err(|trouble| fault::http1(about, &trouble)).transpose()
            }
            Protocol::Http2 { connection, .. } => {
                let stream = self.stream.as_mut()?;
                let bytes = drive(connection, stream.data()).await?;
                if let Ok(bytes) = &bytes {
                    // It fails only for more than was taken.
                    let _ = stream.flow_control().release_capacity(bytes.len());
                }
                Some(bytes.map_err(|error| fault::http2(about, &error)))
            }
        }
    }
}

/// Runs the connection and what depends on it in one task. The connection's error, if it has one, also comes to whoever
/// waits for an answer. A finished connection must not be polled again.
async fn drive<C: Future + Unpin, F: Future>(connection: &mut Option<C>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready()) {
            *connection = None;
        }
        future.as_mut().poll(cx)
    })
    .await
}
