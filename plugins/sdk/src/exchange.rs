//! Requests and answers, and the receipt that a good answer is worth.

use crate::json::{self, Json, Scalar};
use crate::{
    Encoding, Hash, Method, NotifyError, Receipt, Request, Response, Retry, Setting, SettingValue, Signature,
    text, verdict,
};

impl Request {
    /// A request without a body. `url` may begin with a secret's reference, or hold some.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            query: Vec::new(),
            headers: Vec::new(),
            basic_auth: None,
            body: None,
            timeout_ms: None,
            signatures: Vec::new(),
        }
    }

    /// A POST of JSON: of [`json::object`], or of `serde_json`'s `json!`.
    pub fn post_json(url: impl Into<String>, body: impl Into<Json>) -> Self {
        let body = body.into().into_text();
        Self::new(Method::Post, url).header("content-type", "application/json").body(body)
    }

    /// With one more header; its value may hold references.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With one more pair at the end of the address's query; the host encodes it.
    #[must_use]
    pub fn query(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((key.into(), value.into()));
        self
    }

    /// With a user's name and password; each may be a reference.
    #[must_use]
    pub fn basic_auth(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.basic_auth = Some((user.into(), password.into()));
        self
    }

    /// With this body. The header `content-type` says how references in it are escaped.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With a signature that the host makes of the body, secrets and all.
    #[must_use]
    pub fn signed(mut self, signature: Signature) -> Self {
        self.signatures.push(signature);
        self
    }

    /// With this much time, where that is less than the host's limit.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }
}

impl Signature {
    /// HMAC-SHA256 of the body, in hexadecimal digits behind `prefix` (`sha256=`). `key` is a secret's reference.
    pub fn new(header: impl Into<String>, prefix: impl Into<String>, key: impl Into<String>) -> Self {
        let (header, prefix, key) = (header.into(), prefix.into(), key.into());
        let (hash, encoding, before) = (Hash::Sha256, Encoding::Hex, Vec::new());
        Self { header, prefix, hash, key, before, encoding }
    }
}

impl Retry {
    /// Another try, after so long where the provider said so.
    pub fn new(message: impl Into<String>, after_ms: Option<u64>) -> Self {
        Self { message: message.into(), after_ms, progress: None }
    }
}

impl Response {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body's beginning, on one line, for a message to people.
    pub fn words(&self) -> String {
        text::line(&String::from_utf8_lossy(&self.body[..self.body.len().min(1_000)]), 200)
    }

    /// One value of the body's JSON, by the keys that lead to it.
    pub fn json_at(&self, path: &[&str]) -> Option<Scalar> {
        json::at(&self.body, path)
    }

    /// A text of the body's JSON, by its key.
    pub fn text_at(&self, key: &str) -> Option<String> {
        self.json_at(&[key]).and_then(Scalar::text)
    }

    /// The provider's words: the text of the body's JSON at `key`, else the body's beginning.
    pub fn words_at(&self, key: &str) -> String {
        self.text_at(key).map_or_else(|| self.words(), |words| text::line(&words, 300))
    }

    /// What the status means, by [the one rule](verdict), in the words of the body.
    ///
    /// # Errors
    /// For every status but a 2xx.
    pub fn verdict(&self) -> Result<(), NotifyError> {
        verdict::of_status(self, &self.words(), None)
    }
}

impl Receipt {
    /// The message was accepted, and nothing more is to be said of it.
    pub fn new() -> Self {
        Self { remote_id: None, detail: None, replaced: Vec::new(), pause_ms: None }
    }

    /// The provider's name for the message; later ones of the incident get it as `delivery.first_remote_id`, and the next as
    /// `delivery.last_remote_id`.
    #[must_use]
    pub fn remote_id(mut self, id: impl Into<Option<String>>) -> Self {
        self.remote_id = id.into();
        self
    }

    /// What an operator should know about it, one line; a second one is put behind the first.
    #[must_use]
    pub fn detail(mut self, line: &str) -> Self {
        self.detail = Some(self.detail.map_or_else(|| line.to_owned(), |first| format!("{first}; {line}")));
        self
    }

    /// The provider has named another value for a setting, to be used from now on. With 0 or an empty text it refuses a setting
    /// that is not required: that is left out for ten minutes, and then tried again.
    #[must_use]
    pub fn replaced(mut self, key: &str, value: SettingValue) -> Self {
        self.replaced.push(Setting { key: key.to_owned(), value });
        self
    }

    /// The provider wants no other message for so long.
    #[must_use]
    pub fn pause_ms(mut self, ms: impl Into<Option<u64>>) -> Self {
        self.pause_ms = ms.into();
        self
    }
}

impl Default for Receipt {
    fn default() -> Self {
        Self::new()
    }
}
