//! What is said and heard over a connection, step by step, and what to say of a target that says something else.
//!
//! What came so far is kept apart from the task that reads it, so that it is still there when the deadline has ended
//! the task. It is bounded.

use super::expected::Expected;
use crate::connect::Stream;
use crate::redaction::Redaction;
use crate::trace::Trace;
use crate::{errno, tls};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_util::either::Either;
use uptime_core::check::{Failure, FailureClass, Phases};
use uptime_core::monitor::TlsSpec;

/// How far something is looked for.
const HEARD_MAX_BYTES: usize = 64 * 1024;

/// The largest answer of a protocol.
const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// One step of a dialogue.
pub(super) enum Step<'spec> {
    Send(Vec<u8>),
    Expect(Expect),
    /// From here on over TLS. What came in the clear and was not asked for is refused.
    StartTls(&'spec TlsSpec),
}

type End = dyn Fn(&[u8]) -> Option<usize> + Send + Sync;
type Verdict = dyn Fn(&[u8]) -> Result<(), Failure> + Send + Sync;

/// What must come.
pub(super) struct Expect {
    /// For people, as `the banner`.
    what: &'static str,
    expected: String,
    /// The end of it, as soon as that can be told.
    end: Box<End>,
    /// `Err`: it is something else.
    verdict: Box<Verdict>,
    /// Whether it is a protocol's, and ends by itself.
    is_answer: bool,
}

impl Expect {
    /// Something anywhere in what comes. `is_last`: what came with it counts no more.
    pub(super) fn anywhere(what: &'static str, expected: Expected, is_last: bool) -> Self {
        Self {
            what,
            expected: expected.shown(),
            end: Box::new(move |came| {
                let length = if is_last { came.len() } else { 0 };
                expected.is_in(came).then_some(length)
            }),
            verdict: Box::new(|_| Ok(())),
            is_answer: false,
        }
    }

    /// An answer that ends where `end` says. A failure's message is the end of a sentence about the target.
    pub(super) fn answer(
        what: &'static str,
        expected: &str,
        end: fn(&[u8]) -> Option<usize>,
        verdict: impl Fn(&[u8]) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        let (expected, end, verdict) = (expected.to_owned(), Box::new(end), Box::new(verdict));
        Self { what, expected, end, verdict, is_answer: true }
    }
}

pub(super) struct Dialogue {
    /// Who is spoken to, as `host:port`.
    target: String,
    /// Names the target where TLS breaks.
    host: String,
    redaction: Redaction,
    /// Came, and no step has taken it.
    came: Vec<u8>,
}

impl Dialogue {
    pub(super) fn new(target: String, host: String, redaction: Redaction) -> Self {
        Self { target, host, redaction, came: Vec::new() }
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) async fn send(
        &self,
        stream: &mut Stream,
        bytes: &[u8],
        trace: &mut Trace,
    ) -> Result<(), Failure> {
        let target = self.target.clone();
        trace.enter(move |_, _, limit| {
            let message = format!("`{target}`: connected, and what is sent was not taken within {limit}");
            Failure::new(FailureClass::FirstByteTimeout, message)
        });
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        let Err(error) = sent.await else { return Ok(()) };
        // A target that refused us may have said why before it closed.
        let error = match stream {
            Either::Right(stream) => stream.read(&mut [0; 1]).await.err().unwrap_or(error),
            Either::Left(_) => error,
        };
        Err(self.broken(&format!("sending to `{}`", self.target), &error))
    }

    /// Waits for what must come, and judges it.
    pub(super) async fn expect(
        &mut self,
        stream: &mut Stream,
        expect: &Expect,
        trace: &mut Trace,
    ) -> Result<(), Failure> {
        let progress = Arc::new(ReadProgress {
            target: self.target.clone(),
            what: expect.what,
            expected: expect.expected.clone(),
            redaction: self.redaction.clone(),
            since: Instant::now(),
            read: Mutex::default(),
        });
        progress.extend(&std::mem::take(&mut self.came));
        let waited_for = Arc::clone(&progress);
        trace.enter(move |_, phases, limit| waited_for.cut_off(phases, limit));
        let end = self.read_until(stream, expect, &progress).await;
        if !expect.is_answer {
            progress.complete(&mut trace.hop.phases);
        }
        let mut heard = progress.read().bytes.clone();
        self.came = heard.split_off(end?.min(heard.len()));
        (expect.verdict)(&heard).map_err(|failure| Failure {
            message: format!("`{}`: {}", self.target, failure.message),
            ..failure
        })
    }

    async fn read_until(
        &self,
        stream: &mut Stream,
        expect: &Expect,
        progress: &ReadProgress,
    ) -> Result<usize, Failure> {
        let what = expect.what;
        let mut buffer = [0; 4096];
        loop {
            let came = {
                let read = progress.read();
                // What matches nothing at all still wants to hear something.
                if !read.bytes.is_empty()
                    && let Some(end) = (expect.end)(&read.bytes)
                {
                    return Ok(end);
                }
                read.bytes.len()
            };
            let max = if expect.is_answer { ANSWER_MAX_BYTES } else { HEARD_MAX_BYTES };
            let room = max.saturating_sub(came).min(buffer.len());
            if room == 0 {
                let kib = max / 1024;
                return Err(if expect.is_answer {
                    progress.other(FailureClass::Protocol, &format!("{what} has no end within {kib} KiB"))
                } else {
                    let words = format!("{what} is not in the first {kib} KiB that came");
                    progress.other(FailureClass::Assertion, &words)
                });
            }
            let read = match stream.read(&mut buffer[..room]).await {
                // TLS whose end was not announced is an end as well.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            };
            match read {
                Ok(0) if came == 0 => {
                    let message = format!("`{}`: the connection was closed before {what}", self.target);
                    return Err(
                        Failure::new(FailureClass::Protocol, message).with(&expect.expected, "nothing")
                    );
                }
                Ok(0) => {
                    let words = format!("the connection was closed after something else than {what}");
                    return Err(progress.other(FailureClass::Assertion, &words));
                }
                Ok(count) => progress.extend(&buffer[..count]),
                Err(error) => {
                    let failure = self.broken(&format!("`{}`: waiting for {what}", self.target), &error);
                    let came = progress.shown();
                    let got = if came.is_empty() { "nothing" } else { &came };
                    return Err(failure.with(&expect.expected, got).with_excerpt(&came, 0));
                }
            }
        }
    }

    /// Whatever a target says after its last answer and before TLS could come from somebody in between who hopes that it
    /// is taken for protected (CVE-2011-0411, CVE-2021-23222): that is a failure, and none of it is used.
    pub(super) fn refuse_the_rest(&self) -> Result<(), Failure> {
        if self.came.is_empty() {
            return Ok(());
        }
        let injected = String::from_utf8_lossy(&self.came);
        let words = "words came in the clear after the agreement on TLS: somebody may be in between";
        let failure = Failure::new(FailureClass::Protocol, format!("`{}`: {words}", self.target));
        Err(failure.with("TLS", format!("{} bytes in the clear: {injected}", self.came.len())))
    }

    /// The failure of a connection that broke while `doing`.
    fn broken(&self, doing: &str, error: &io::Error) -> Failure {
        let (class, words) = tls::late_refusal(&self.host, error).unwrap_or_else(|| errno::classify(error));
        Failure::new(class, format!("{doing}: {words}"))
    }
}

/// What is waited for, and what came so far.
struct ReadProgress {
    target: String,
    what: &'static str,
    expected: String,
    redaction: Redaction,
    since: Instant,
    read: Mutex<ReadBytes>,
}

#[derive(Default)]
struct ReadBytes {
    bytes: Vec<u8>,
    first_byte: Option<Duration>,
}

impl ReadProgress {
    fn read(&self) -> MutexGuard<'_, ReadBytes> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what came, or came before.
    fn extend(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let mut read = self.read();
            read.first_byte.get_or_insert(self.since.elapsed());
            read.bytes.extend_from_slice(bytes);
        }
    }

    /// Writes down the phases as they are now: `transfer` only when something came.
    fn complete(&self, phases: &mut Phases) {
        let (now, first_byte) = (self.since.elapsed(), self.read().first_byte);
        phases.first_byte = Some(first_byte.unwrap_or(now));
        phases.transfer = first_byte.map(|first_byte| now.saturating_sub(first_byte));
    }

    /// The failure of a check that its deadline cut off here.
    fn cut_off(&self, phases: &mut Phases, limit: &str) -> Failure {
        self.complete(phases);
        let (target, what, came) = (&self.target, self.what, self.read().bytes.len());
        if came == 0 {
            let message = format!("`{target}`: connected, and {what} did not come within {limit}");
            return Failure::new(FailureClass::FirstByteTimeout, message).with(&self.expected, "nothing");
        }
        let words = format!("{what} did not come within {limit}, but {came} bytes of something else");
        self.other(FailureClass::BodyTimeout, &words)
    }

    /// A failure with what came instead.
    fn other(&self, class: FailureClass, words: &str) -> Failure {
        let came = self.shown();
        let failure = Failure::new(class, format!("`{}`: {words}", self.target));
        failure.with(&self.expected, &came).with_excerpt(&came, 0)
    }

    fn shown(&self) -> String {
        // Before it is cut: a part of a secret is not known as one.
        self.redaction.redact_target_text(String::from_utf8_lossy(&self.read().bytes).trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_divide_the_time_of_waiting() {
        let progress = ReadProgress {
            target: "h:1".into(),
            what: "the banner",
            expected: String::new(),
            redaction: Redaction::default(),
            since: Instant::now(),
            read: Mutex::default(),
        };
        let mut phases = Phases::default();
        let failure = progress.cut_off(&mut phases, "1s");
        assert_eq!(failure.class, FailureClass::FirstByteTimeout);
        assert_eq!(failure.message, "`h:1`: connected, and the banner did not come within 1s");
        assert!(phases.first_byte.is_some() && phases.transfer.is_none());
        progress.extend(b"x");
        assert_eq!(progress.cut_off(&mut phases, "1s").class, FailureClass::BodyTimeout);
        assert!(phases.transfer.is_some());
    }
}
