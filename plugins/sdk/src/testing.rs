//! A host for tests: it answers from a script and keeps what it was asked.

use crate::{
    Delivery, Event, EventType, Host, HttpError, Incident, Level, Monitor, Outcome, Request, Response,
    Severity,
};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::VecDeque;

/// An answer without headers.
pub fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_vec(), truncated: false }
}

/// A host that answers from a script.
#[derive(Default)]
pub struct FakeHost {
    /// What is answered next. When there is nothing left, the connection fails.
    pub answers: VecDeque<Result<Response, HttpError>>,
    /// What was sent.
    pub sent: Vec<Request>,
    /// What was logged.
    pub logged: Vec<(Level, String)>,
}

impl FakeHost {
    /// A host that gives these answers, in this order.
    pub fn answering(answers: impl IntoIterator<Item = Response>) -> Self {
        Self { answers: answers.into_iter().map(Ok).collect(), ..Self::default() }
    }

    /// The body of the `n`th request as JSON.
    ///
    /// # Panics
    /// When there is none, or it is not JSON.
    pub fn json(&self, n: usize) -> serde_json::Value {
        serde_json::from_slice(self.sent[n].body.as_deref().expect("a body")).expect("JSON")
    }
}

impl Host for FakeHost {
    fn send(&mut self, request: &Request) -> Result<Response, HttpError> {
        self.sent.push(request.clone());
        self.answers
            .pop_front()
            .unwrap_or_else(|| Err(HttpError::Connect("the script has no answer left".into())))
    }

    fn log(&mut self, level: Level, line: &str) {
        self.logged.push((level, line.to_owned()));
    }

    /// Here a secret is its own reference.
    fn sign(&mut self, reference: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        let key = match reference.strip_prefix("whsec_") {
            Some(encoded) => base64::engine::general_purpose::STANDARD
                .decode(encoded)
                .map_err(|error| error.to_string())?,
            None => reference.as_bytes().to_vec(),
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

/// An event of this type with something in each of its fields: the monitor `shop` got a 503 on 2026-04-14 at
/// 02:14:05 UTC, and for `up` was back 4 min 12 s later.
pub fn event(kind: EventType) -> Event {
    const STARTED_MS: u64 = 1_776_132_845_000;
    const ENDED_MS: u64 = STARTED_MS + 252_000;
    let over = kind == EventType::Up;
    Event {
        kind,
        severity: match kind {
            EventType::Down | EventType::Reminder => Severity::Down,
            EventType::Critical => Severity::Critical,
            EventType::Degraded => Severity::Degraded,
            _ => Severity::Info,
        },
        at_ms: if over { ENDED_MS } else { STARTED_MS + 20_000 },
        monitor: Monitor {
            name: "shop".into(),
            kind: "http".into(),
            target: "https://shop.example.com/health".into(),
            group: Some("web".into()),
            tags: vec![("team".into(), "a".into())],
        },
        incident: Some(Incident {
            id: 7,
            started_at_ms: STARTED_MS,
            ended_at_ms: over.then_some(ENDED_MS),
            duration_s: over.then_some(252),
            failures: 3,
            acknowledged_by: None,
            link: None,
        }),
        outcome: Some(Outcome {
            class: "status".into(),
            expected: Some("2xx".into()),
            got: Some("503".into()),
            message: "the status is 503".into(),
        }),
    }
}

/// The first try to tell it, a second after it was decided.
pub fn delivery(event: &Event) -> Delivery {
    Delivery {
        id: "018f2b3c-0000-7000-8000-000000000001".into(),
        channel: "ops".into(),
        attempt: 1,
        now_ms: event.at_ms + 1_000,
        opening_remote_id: None,
    }
}
