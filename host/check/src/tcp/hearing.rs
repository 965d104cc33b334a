//! Listening to a target until it has said what is expected, and what to say when it does not.
//!
//! What came so far is kept apart from the task that reads it, so that it is still there when the deadline has ended
//! the task. It is bounded by [`HEARD_MAX_BYTES`].

use super::broken;
use crate::redaction::Redaction;
use crate::trace::Trace;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;
use uptime_core::check::{Failure, FailureClass, Phases};

const HEARD_MAX_BYTES: usize = 64 * 1024;

/// What is waited for, and what came so far.
pub(super) struct Hearing {
    /// Who is listened to, as `host:port`.
    target: String,
    /// What is waited for, as `the banner`.
    what: &'static str,
    expected: String,
    redaction: Redaction,
    since: Instant,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    first_byte: Option<Duration>,
}

impl Hearing {
    pub(super) fn new(target: &str, what: &'static str, expected: String, redaction: Redaction) -> Self {
        let (target, heard) = (target.to_owned(), Mutex::default());
        Self { target, what, expected, redaction, since: Instant::now(), heard }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.heard().bytes.clone()
    }

    /// Adds what came, or came before.
    pub(super) fn extend(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let mut heard = self.heard();
            heard.first_byte.get_or_insert(self.since.elapsed());
            heard.bytes.extend_from_slice(bytes);
        }
    }

    /// Writes down the phases as they are now: `transfer` only when something came.
    pub(super) fn complete(&self, phases: &mut Phases) {
        let (now, first_byte) = (self.since.elapsed(), self.heard().first_byte);
        phases.first_byte = Some(first_byte.unwrap_or(now));
        phases.transfer = first_byte.map(|first_byte| now.saturating_sub(first_byte));
    }

    pub(super) fn enter(self: &Arc<Self>, trace: &mut Trace) {
        let hearing = Arc::clone(self);
        trace.enter(move |_, phases, limit| hearing.cut_off(phases, limit));
    }

    /// The failure of a check that its deadline cut off here.
    fn cut_off(&self, phases: &mut Phases, limit: &str) -> Failure {
        self.complete(phases);
        let (target, what) = (&self.target, self.what);
        if self.heard().bytes.is_empty() {
            let message = format!("`{target}`: connected, and {what} did not come within {limit}");
            return Failure::new(FailureClass::FirstByteTimeout, message).with(&self.expected, "nothing");
        }
        let came = self.heard().bytes.len();
        let words = format!("{what} did not come within {limit}, but {came} bytes of something else");
        self.other(FailureClass::BodyTimeout, &words)
    }

    /// A failure with what came instead.
    pub(super) fn other(&self, class: FailureClass, words: &str) -> Failure {
        let came = self.shown();
        Failure::new(class, format!("`{}`: {words}", self.target))
            .with(&self.expected, &came)
            .with_excerpt(&came, 0)
    }

    fn shown(&self) -> String {
        // Before it is cut: a part of a secret is not known as one.
        self.redaction.theirs(String::from_utf8_lossy(&self.heard().bytes).trim())
    }
}

/// Listens until `done` with what came. `host` names the target where TLS breaks.
pub(super) async fn hear(
    stream: &mut (impl AsyncRead + Unpin),
    host: &str,
    hearing: &Hearing,
    done: impl Fn(&[u8]) -> bool,
) -> Result<(), Failure> {
    let mut buffer = [0; 4096];
    let what = hearing.what;
    loop {
        {
            let heard = hearing.heard();
            // What matches nothing at all still wants to hear something.
            if !heard.bytes.is_empty() && done(&heard.bytes) {
                return Ok(());
            }
        }
        let room = HEARD_MAX_BYTES - hearing.heard().bytes.len();
        if room == 0 {
            let words = format!("{what} is not in the first {} KiB that came", HEARD_MAX_BYTES / 1024);
            return Err(hearing.other(FailureClass::Assertion, &words));
        }
        let room = room.min(buffer.len());
        let read = match stream.read(&mut buffer[..room]).await {
            // TLS whose end was not announced is an end as well.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        };
        match read {
            Ok(0) if hearing.heard().bytes.is_empty() => {
                let message = format!("`{}`: the connection was closed before {what}", hearing.target);
                return Err(Failure::new(FailureClass::Protocol, message).with(&hearing.expected, "nothing"));
            }
            Ok(0) => {
                let words = format!("the connection was closed after something else than {what}");
                return Err(hearing.other(FailureClass::Assertion, &words));
            }
            Ok(count) => hearing.extend(&buffer[..count]),
            Err(error) => {
                let doing = format!("`{}`: waiting for {what}", hearing.target);
                let failure = broken(&doing, host, &error);
                let came = hearing.shown();
                let got = if came.is_empty() { "nothing" } else { &came };
                return Err(failure.with(&hearing.expected, got).with_excerpt(&came, 0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_divide_the_time_of_waiting() {
        let hearing = Hearing::new("h:1", "the banner", String::new(), Redaction::default());
        let mut phases = Phases::default();
        let failure = hearing.cut_off(&mut phases, "1s");
        assert_eq!(failure.class, FailureClass::FirstByteTimeout);
        assert_eq!(failure.message, "`h:1`: connected, and the banner did not come within 1s");
        assert!(phases.first_byte.is_some() && phases.transfer.is_none());
        hearing.extend(b"x");
        assert_eq!(hearing.cut_off(&mut phases, "1s").class, FailureClass::BodyTimeout);
        assert!(phases.transfer.is_some());
    }
}
