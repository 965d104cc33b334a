//! The bytes between us and a target, and when they went over.
//!
//! A connection marks its first and last bytes itself, so that the phases are still there when the deadline has cut
//! the exchange off.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use uptime_core::check::{Failure, FailureClass, Phases};

/// When a request's last and its answer's first bytes went over the connection.
pub(super) struct IoTimestamps {
    since: Instant,
    /// Nanoseconds after `since`; 0: not yet.
    sent: AtomicU64,
    first_byte: AtomicU64,
    /// How much of the answer's body came.
    body_bytes: AtomicU64,
}

impl IoTimestamps {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            sent: AtomicU64::new(0),
            first_byte: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    pub(super) fn sent(&self) {
        self.sent.store(self.now(), Relaxed);
    }

    pub(super) fn received(&self) {
        if !self.has_received() {
            self.first_byte.store(self.now(), Relaxed);
        }
    }

    /// Whether anything came.
    pub(super) fn has_received(&self) -> bool {
        self.first_byte.load(Relaxed) != 0
    }

    /// So many more bytes of the body are here.
    pub(super) fn add_body_bytes(&self, count: u64) {
        self.body_bytes.fetch_add(count, Relaxed);
    }

    /// Writes down the phases as they are now: `transfer` only when an answer began.
    pub(super) fn complete(&self, phases: &mut Phases) {
        let now = self.now();
        let (sent, first_byte) = (self.sent.load(Relaxed), self.first_byte.load(Relaxed));
        let answered = first_byte != 0;
        let first_byte = if answered { first_byte } else { now };
        phases.first_byte = Some(Duration::from_nanos(first_byte.saturating_sub(sent)));
        phases.transfer = answered.then(|| Duration::from_nanos(now.saturating_sub(first_byte)));
    }

    /// The failure of `request` (`GET https://…`), whose answer the deadline cut off.
    pub(super) fn cut_off(&self, request: &str, phases: &mut Phases, limit: &str) -> Failure {
        self.complete(phases);
        if phases.transfer.is_none() {
            let message = format!("{request}: connected, and no answer within {limit}");
            return Failure::new(FailureClass::FirstByteTimeout, message);
        }
        let count = self.body_bytes.load(Relaxed);
        let began = format!("{request}: the answer began and did not end within {limit}");
        Failure::new(FailureClass::BodyTimeout, format!("{began} (after {count} bytes of the body)"))
    }
}

/// A connection that marks when bytes go over it. With HTTP/2 also bytes that belong to no request go over it, so there
/// the exchange marks for itself.
pub(super) struct Wire<S> {
    pub(super) stream: S,
    pub(super) marks: Arc<IoTimestamps>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.marks.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if matches!(written, Poll::Ready(Ok(_))) {
            self.marks.sent();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_divide_the_time_between_request_and_end() {
        let marks = IoTimestamps::new();
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
