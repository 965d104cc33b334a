//! What a plugin can ask of its host, as a trait, so that tests can be the host.

use crate::bindings::uptime::notifier::{http, log, sign};
use crate::{HttpError, Level, Request, Response};

/// The host.
pub trait Host {
    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// There was no answer. `?` makes the right [`NotifyError`](crate::NotifyError) of it.
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
