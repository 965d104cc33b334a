//! A host for tests, which answers from a script and keeps what it was asked; events, deliveries and settings to ask
//! it with. Whole requests, and each kind of answer, are what `uptime plugin test` looks at.

use crate::{
    Delivery, Event, Hash, Host, HttpError, Level, Piece, Request, Response, Setting, SettingValue, Settings,
};
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};

/// How many requests the real host lets a call send before it ends it.
pub const REQUESTS_MAX: usize = 8;

/// The events that `uptime plugin test` rehearses, as JSON. The program writes them (`host/notifier/src/convert.rs`).
const EVENTS: &str = include_str!("../events.json");

/// One of [`events`].
#[derive(Clone, Debug, Deserialize)]
pub struct Sample {
    /// The event's type, or the word for its form.
    pub name: String,
    /// The event.
    pub event: Event,
}

/// An event of each type as `uptime` makes it, forms that the type alone does not tell (`digest-mixed`, `resolved`, …), and
/// `strange-texts`, which a stranger wrote to break a message. The monitor `shop` got a 503 on 2026-04-14 at 02:14:05 UTC, and
/// was back 4 min 12 s later.
///
/// # Panics
/// When the file is not what the program wrote.
pub fn events() -> Vec<Sample> {
    serde_json::from_str(EVENTS).expect("events of this interface")
}

/// The event of this name, one of [`events`].
///
/// # Panics
/// When there is none.
pub fn event(name: &str) -> Event {
    let found = events().into_iter().find(|sample| sample.name == name);
    found.unwrap_or_else(|| panic!("there is no event `{name}`")).event
}

/// An answer without headers.
pub fn answer(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
        truncated: false,
        retry_after_ms: None,
    }
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
    /// What was kept, by name.
    pub kept: HashMap<String, String>,
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

    /// What went into it, one behind the other: here nothing is signed, and a secret is its own reference.
    fn hmac(&mut self, _hash: Hash, key: &[Piece], message: &[Piece]) -> Result<Vec<u8>, String> {
        Ok(joined(key.iter().chain(message)).into_bytes())
    }

    fn derive(&mut self, _hash: Hash, key: &[Piece], message: &[Piece]) -> Result<String, String> {
        Ok(joined(key.iter().chain(message)))
    }

    fn base64(&mut self, pieces: &[Piece]) -> Result<String, String> {
        Ok(joined(pieces))
    }

    fn keep(&mut self, name: &str, value: &str, _ttl_s: u32) -> Result<String, String> {
        self.kept.insert(name.to_owned(), value.to_owned());
        Ok(value.to_owned())
    }

    fn kept(&mut self, name: &str) -> Option<String> {
        self.kept.get(name).cloned()
    }
}

fn joined<'a>(pieces: impl IntoIterator<Item = &'a Piece>) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Piece::Reference(secret) => secret.clone(),
    };
    pieces.into_iter().map(text).collect()
}

/// The first try to tell it, a second after it was decided.
pub fn delivery(event: &Event) -> Delivery {
    Delivery {
        id: "018f2b3c-0000-7000-8000-000000000001".into(),
        channel: "ops".into(),
        attempt: 1,
        now_ms: event.at_ms + 1_000,
        time_zone: "UTC".into(),
        first_remote_id: None,
        last_remote_id: None,
        progress: None,
    }
}
