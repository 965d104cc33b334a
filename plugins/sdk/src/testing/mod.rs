//! A host for tests, which answers from a script and keeps what it was asked; events, deliveries and settings to ask
//! it with; [`conformance`], which every notifier runs; [`golden`], for whole requests.

mod conformance;
mod golden;

pub use conformance::{CONFORMANCE, Row, conformance, rows};
pub use golden::golden;

use crate::{
    Delivery, Event, EventType, Host, HttpError, Incident, Level, Monitor, NotifyError, Outcome, Request,
    Response, Setting, SettingValue, Settings, Severity,
};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::VecDeque;

/// How many requests the real host lets a call send before it ends it.
pub const REQUESTS_MAX: usize = 8;

/// Each type of event.
pub const EVENTS: [EventType; 16] = [
    EventType::Down,
    EventType::Up,
    EventType::Degraded,
    EventType::Critical,
    EventType::Reminder,
    EventType::FlappingStart,
    EventType::FlappingEnd,
    EventType::Certificate,
    EventType::Acknowledged,
    EventType::Blind,
    EventType::Seeing,
    EventType::Stalled,
    EventType::Running,
    EventType::QueueBusy,
    EventType::ChannelBroken,
    EventType::Test,
];

/// An answer without headers.
pub fn answer(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_vec(), truncated: false }
}

impl Response {
    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }
}

/// A channel's settings: `settings([("chat_id", "-42".into()), ("silent", true.into())])`. A secret is its own
/// reference.
pub fn settings<'a>(pairs: impl IntoIterator<Item = (&'a str, SettingValue)>) -> Settings {
    let settings = pairs.into_iter().map(|(key, value)| Setting { key: key.to_owned(), value });
    Settings::from(settings.collect::<Vec<_>>())
}

/// A host that answers from a script.
#[derive(Default)]
pub struct FakeHost {
    /// What is answered next.
    pub answers: VecDeque<Result<Response, HttpError>>,
    /// What is answered when there is nothing left in `answers`. Without it the connection fails.
    pub afterwards: Option<Result<Response, HttpError>>,
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

    /// A host at which every request ends like this.
    pub fn always(answer: Result<Response, HttpError>) -> Self {
        Self { afterwards: Some(answer), ..Self::default() }
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
        assert!(self.sent.len() < REQUESTS_MAX, "the host ends a call at its {REQUESTS_MAX}th request");
        self.sent.push(request.clone());
        self.answers
            .pop_front()
            .or_else(|| self.afterwards.clone())
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

/// The word for what an error makes of a delivery, as the conformance table has it.
pub fn class(error: &NotifyError) -> &'static str {
    match error {
        NotifyError::Config(_) => "config",
        NotifyError::Unauthorized(_) => "unauthorized",
        NotifyError::Gone(_) => "gone",
        NotifyError::RateLimited(_) => "rate-limited",
        NotifyError::Transient(_) => "transient",
        NotifyError::Permanent(_) => "permanent",
    }
}

/// An event of this type as `uptime` makes it, with something in each field that it has: the monitor `shop` got a 503
/// on 2026-04-14 at 02:14:05 UTC, and for `up` was back 4 min 12 s later.
pub fn event(kind: EventType) -> Event {
    const STARTED_MS: u64 = 1_776_132_845_000;
    const ENDED_MS: u64 = STARTED_MS + 252_000;
    let over = kind == EventType::Up;
    let (severity, after_ms) = match kind {
        EventType::Down | EventType::Acknowledged | EventType::Stalled | EventType::ChannelBroken => {
            (Severity::Down, 20_000)
        }
        EventType::Reminder => (Severity::Down, 3_600_000),
        EventType::Critical => (Severity::Critical, 600_000),
        EventType::Degraded
        | EventType::FlappingStart
        | EventType::Certificate
        | EventType::Blind
        | EventType::QueueBusy => (Severity::Degraded, 20_000),
        EventType::Up => (Severity::Info, 252_000),
        _ => (Severity::Info, 20_000),
    };
    Event {
        kind,
        severity,
        at_ms: STARTED_MS + after_ms,
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
            acknowledged_by: (kind == EventType::Acknowledged).then(|| "ada".into()),
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
