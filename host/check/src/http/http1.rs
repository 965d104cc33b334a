//! HTTP/1.1 as clients of the web speak it: strict in what is sent, and what is taken is what curl and browsers take.
//!
//! Where an answer departs from the standard and its meaning is clear all the same, it is taken, and a deviation says how
//! ([`Head::deviations`], [`Http1::deviations`]). What has two meanings is refused. All that is buffered is bounded: the
//! heads of one answer by `head_max`, the lines between chunks by the [body](body)'s limits.

mod body;
mod head;

pub(super) use head::{Head, Spelling, words};

use body::Framing;
use bytes::{Buf as _, Bytes, BytesMut};
use http::Request;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

const READ_BYTES: usize = 16 * 1024;

const NO_CLOSE_NOTIFY: &str =
    "the end of the body is the end of the connection, without TLS's `close_notify`";
const RESET: &str = "the end of the body is a reset of the connection";

/// Why there is no answer, or not all of it.
pub(super) enum ReadError {
    TooLarge,
    /// It is not HTTP, and this is why.
    Malformed(&'static str),
    /// The connection was closed before the end.
    Closed,
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection that takes one request.
pub(super) struct Http1<S> {
    stream: S,
    /// What is not yet sent of the request. A target may answer before it has read everything.
    unsent: Bytes,
    /// Why the rest of the request can't be sent. The answer may be there all the same.
    unsendable: Option<io::Error>,
    /// What came and is not yet read.
    came: BytesMut,
    /// How the end of the answer's body is known.
    framing: Framing,
    has_body: bool,
    deviations: Vec<&'static str>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1<S> {
    pub(super) fn over(stream: S) -> Self {
        Self {
            stream,
            unsent: Bytes::new(),
            unsendable: None,
            came: BytesMut::new(),
            framing: Framing::Length(0),
            has_body: false,
            deviations: Vec::new(),
        }
    }

    /// Sends `request` and waits for the head of its answer. Interim answers are read over; they and the head have at
    /// most `head_max` bytes.
    pub(super) async fn ask(&mut self, request: &Request<Bytes>, head_max: usize) -> Result<Head, ReadError> {
        self.unsent = head::written(request);
        let mut room = head_max;
        let mut head = loop {
            let length = self.read_head(&mut room).await?;
            let head = Head::parse(&self.came.split_to(length)).map_err(ReadError::Malformed)?;
            if !head.is_interim() {
                break head;
            }
        };
        self.framing = Framing::of(&mut head, request.method()).map_err(ReadError::Malformed)?;
        self.deviations.clone_from(&head.deviations);
        Ok(head)
    }

    /// Waits until a whole head is here: its length, which is taken from `room`.
    async fn read_head(&mut self, room: &mut usize) -> Result<usize, ReadError> {
        let mut looked = 0;
        loop {
            // Some begin with an empty line (RFC 9112, 2.2).
            let empty = self.came.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if looked == 0 {
                self.came.advance(empty);
                *room = room.checked_sub(empty).ok_or(ReadError::TooLarge)?;
            }
            let end = head::end(&self.came, &mut looked).map_err(ReadError::Malformed)?;
            if end.unwrap_or(self.came.len()) > *room {
                return Err(ReadError::TooLarge);
            }
            if let Some(end) = end {
                *room -= end;
                return Ok(end);
            }
            if self.fill().await? == 0 {
                return Err(self.unsendable.take().map_or(ReadError::Closed, ReadError::Io));
            }
        }
    }

    /// The next bytes of the answer's body; `None`: there are no more.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            if let Some(bytes) = self.framing.take(&mut self.came).map_err(ReadError::Malformed)? {
                self.has_body = true;
                return Ok(Some(bytes));
            }
            if self.framing.is_over() {
                self.deviations.extend(self.framing.deviation());
                return Ok(None);
            }
            let filled = self.fill().await;
            if !matches!(filled, Ok(1..)) {
                self.ended(filled)?;
            }
        }
    }

    /// Nothing more comes. That is the end of a body whose length nobody has said.
    fn ended(&mut self, how: io::Result<usize>) -> Result<(), ReadError> {
        if self.framing == Framing::Close {
            self.framing = Framing::Length(0);
            match how.as_ref().map_err(io::Error::kind) {
                Ok(_) => return Ok(()),
                Err(io::ErrorKind::UnexpectedEof) => {
                    self.deviations.push(NO_CLOSE_NOTIFY);
                    return Ok(());
                }
                Err(io::ErrorKind::ConnectionReset) if self.has_body => {
                    self.deviations.push(RESET);
                    return Ok(());
                }
                Err(_) => {}
            }
        }
        Err(how.map_or_else(ReadError::Io, |_| ReadError::Closed))
    }

    /// How the answer departs from the standard, as far as it is known by now.
    pub(super) fn deviations(&self) -> &[&'static str] {
        &self.deviations
    }

    /// The connection itself, unless more came than was asked for.
    pub(super) fn into_inner(self) -> Option<S> {
        self.came.is_empty().then_some(self.stream)
    }

    /// Sends what can be sent, and waits for more of the answer. 0: there is no more.
    async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| {
            self.poll_send(cx);
            self.came.reserve(READ_BYTES);
            pin!(self.stream.read_buf(&mut self.came)).poll(cx)
        })
        .await
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) {
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.unsent) {
                Poll::Ready(Ok(count)) if count > 0 => self.unsent.advance(count),
                Poll::Ready(written) => {
                    self.unsent.clear();
                    self.unsendable = Some(written.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
                }
                Poll::Pending => return,
            }
        }
        // What TLS holds back.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(cx) {
            self.unsendable.get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    /// What is read of `answer` when it comes in pieces of so many bytes.
    async fn read(answer: &[u8], piece: usize) -> Result<(u16, Vec<u8>, Vec<&'static str>), ReadError> {
        // No more is under way than one piece.
        let (ours, mut theirs) = tokio::io::duplex(piece);
        let mut http1 = Http1::over(ours);
        let serve = async move {
            for piece in answer.chunks(piece) {
                let _ = theirs.write_all(piece).await;
            }
            drop(theirs);
            std::future::pending().await
        };
        let ask = async {
            let head = http1.ask(&Request::new(Bytes::new()), 1000).await?;
            let mut body = Vec::new();
            while let Some(bytes) = http1.chunk().await? {
                body.extend_from_slice(&bytes);
            }
            Ok((head.status.as_u16(), body, http1.deviations().to_vec()))
        };
        // What is not read of it is not waited for.
        tokio::select! { read = ask => read, read = serve => read }
    }

    #[tokio::test]
    async fn it_is_read_the_same_however_it_comes() {
        for (answer, body) in [
            (
                "\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nX : a\n b\nContent-Length: 3\n\nyes, and more",
                "yes",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\ny\r\n2\r\r\nes\n0\r\nX: y\r\n\r\n",
                "yes",
            ),
            ("HTTP/1.0 200\r\n\r\nyes", "yes"),
            ("HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n", ""),
        ] {
            let whole = read(answer.as_bytes(), answer.len()).await.ok().expect(answer);
            assert_eq!((whole.0, whole.1.as_slice()), (200, body.as_bytes()));
            for piece in 1..answer.len() {
                assert_eq!(
                    read(answer.as_bytes(), piece).await.ok().as_ref(),
                    Some(&whole),
                    "{piece}: {answer}"
                );
            }
        }
    }

    #[tokio::test]
    async fn nothing_of_a_head_is_without_bound() {
        for answer in [
            "\r\n".repeat(600),
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(50),
            format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1000)),
            format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(200)),
        ] {
            for piece in [1, 100, answer.len()] {
                assert!(matches!(read(answer.as_bytes(), piece).await, Err(ReadError::TooLarge)), "{answer}");
            }
        }
    }
}
