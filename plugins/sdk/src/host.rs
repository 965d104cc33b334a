//! What a plugin can ask of its host, as a trait, so that tests can be the host.

use crate::bindings::uptime::notifier::{http, log, sign};
use crate::{HttpError, Level, Request, Response};

/// The host.
pub trait Host {
    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// There was no answer; [`verdict::no_answer`](crate::verdict::no_answer) knows what follows.
    fn send(&mut self, request: &Request) -> Result<Response, HttpError>;

    /// Writes a line for the operator.
    fn log(&mut self, level: Level, line: &str);

    /// HMAC-SHA256 of `message` with the secret that `reference` (a secret setting's text) stands for.
    ///
    /// # Errors
    /// The reference or the secret is of no use for it.
    fn sign(&mut self, reference: &str, message: &[u8]) -> Result<Vec<u8>, String>;
}

/// The real host, by the component's imports.
pub(crate) struct Imports;

impl Host for Imports {
    fn send(&mut self, request: &Request) -> Result<Response, HttpError> {
        http::send(request)
    }

    fn log(&mut self, level: Level, line: &str) {
        log::write(level, line);
    }

    fn sign(&mut self, reference: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        sign::hmac_sha256(reference, message)
    }
}

impl Request {
    /// A POST of JSON.
    pub fn post_json(url: impl Into<String>, body: &crate::serde_json::Value) -> Self {
        Self {
            method: crate::Method::Post,
            url: url.into(),
            query: Vec::new(),
            headers: vec![("content-type".into(), "application/json".into())],
            basic_auth: None,
            body: Some(body.to_string().into_bytes()),
            timeout_ms: None,
        }
    }
}

impl Response {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<crate::serde_json::Value> {
        crate::serde_json::from_slice(&self.body).ok()
    }
}
