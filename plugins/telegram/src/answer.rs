//! What Telegram answers, and what its refusals mean.

use uptime_plugin_sdk::json::Scalar;
use uptime_plugin_sdk::{NotifyError, Response, verdict};

/// As far as it is looked at; each part may be missing.
pub(crate) struct Answer<'a> {
    response: &'a Response,
    description: String,
}

/// Refusals with a 400 that say that nothing will get through to this chat.
const GONE: &[&str] = &["chat not found", "peer_id_invalid"];
/// And to this topic of it.
pub(crate) const NO_TOPIC: &[&str] = &["message thread not found", "topic_closed", "topic_deleted"];
const FORBIDDEN: &[&str] = &["not enough rights", "have no rights", "chat_write_forbidden"];

impl<'a> Answer<'a> {
    pub(crate) fn of(response: &'a Response) -> Self {
        Self { response, description: response.words_at("description") }
    }

    /// Whether the message was taken.
    pub(crate) fn is_ok(&self) -> bool {
        self.response.status == 200 && self.response.json_at(&["ok"]) == Some(Scalar::Bool(true))
    }

    /// Whether this is a refusal of the message as it is.
    pub(crate) fn is_bad_request(&self) -> bool {
        self.integer(&["error_code"]) == Some(400)
    }

    pub(crate) fn integer(&self, path: &[&str]) -> Option<i64> {
        self.response.json_at(path)?.integer()
    }

    /// Whether the refusal's words are among these.
    pub(crate) fn says(&self, any_of: &[&str]) -> bool {
        let words = self.description.to_ascii_lowercase();
        any_of.iter().any(|known| words.contains(known))
    }

    /// Why Telegram did not take the message.
    pub(crate) fn refused(&self) -> NotifyError {
        let after_ms = verdict::seconds_at(self.response, &["parameters", "retry_after"]);
        match verdict::of_status(self.response, &self.description, after_ms) {
            Err(NotifyError::Permanent(message)) if self.says(GONE) || self.says(NO_TOPIC) => {
                NotifyError::Gone(message)
            }
            Err(NotifyError::Permanent(message)) if self.says(FORBIDDEN) => {
                NotifyError::Unauthorized(message)
            }
            Err(error) => error,
            Ok(()) => verdict::not_theirs("Telegram", self.response),
        }
    }
}
