//! What a plugin can ask of its host, as a trait, so that tests can be the host.

use crate::bindings::uptime::notifier::{http, log, secrets};
use crate::{Hash, HttpError, Level, Piece, Request, Response};

/// The host.
pub trait Host {
    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// There was no answer. `?` makes the right [`NotifyError`](crate::NotifyError) of it.
    fn send(&mut self, request: &Request) -> Result<Response, HttpError>;

    /// Writes a line for the operator.
    fn log(&mut self, level: Level, line: &str);

    /// HMAC of the pieces of `message` with those of `key`. (A request that is signed as a whole says so: see
    /// [`Request::signed`].)
    ///
    /// # Errors
    /// A reference or its secret is of no use for it.
    fn hmac(&mut self, hash: Hash, key: &[Piece], message: &[Piece]) -> Result<Vec<u8>, String>;

    /// As [`hmac`](Self::hmac), for a chain of keys: a reference to the result.
    ///
    /// # Errors
    /// As there.
    fn derive(&mut self, hash: Hash, key: &[Piece], message: &[Piece]) -> Result<String, String>;

    /// A reference to base64 of the pieces.
    ///
    /// # Errors
    /// A reference is none.
    fn base64(&mut self, pieces: &[Piece]) -> Result<String, String>;

    /// Keeps a text (a token that a provider gave) for later calls for this channel; a reference to it.
    ///
    /// # Errors
    /// It is too long, or one too many.
    fn keep(&mut self, name: &str, value: &str, ttl_s: u32) -> Result<String, String>;

    /// A reference to what was kept, if it is still there.
    fn kept(&mut self, name: &str) -> Option<String>;
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

    fn hmac(&mut self, hash: Hash, key: &[Piece], message: &[Piece]) -> Result<Vec<u8>, String> {
        secrets::hmac(hash, key, message)
    }

    fn derive(&mut self, hash: Hash, key: &[Piece], message: &[Piece]) -> Result<String, String> {
        secrets::derive(hash, key, message)
    }

    fn base64(&mut self, pieces: &[Piece]) -> Result<String, String> {
        secrets::base64(pieces)
    }

    fn keep(&mut self, name: &str, value: &str, ttl_s: u32) -> Result<String, String> {
        secrets::keep(name, value, ttl_s)
    }

    fn kept(&mut self, name: &str) -> Option<String> {
        secrets::kept(name)
    }
}
