//! What Telegram answers, and what its refusals mean.

use uptime_plugin_sdk::serde::Deserialize;
use uptime_plugin_sdk::{Delivery, NotifyError, Response, text, verdict};

/// As far as it is looked at; each part may be missing.
#[derive(Default, Deserialize)]
#[serde(crate = "uptime_plugin_sdk::serde", default)]
pub(crate) struct Answer {
    pub(crate) ok: bool,
    pub(crate) result: Option<Sent>,
    pub(crate) error_code: i64,
    pub(crate) description: Option<String>,
    pub(crate) parameters: Option<Parameters>,
}

#[derive(Deserialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
pub(crate) struct Sent {
    pub(crate) message_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
pub(crate) struct Parameters {
    pub(crate) migrate_to_chat_id: Option<i64>,
    pub(crate) retry_after: Option<f64>,
}

/// Refusals with a 400 that say that nothing will get through to this chat.
const GONE: &[&str] = &["chat not found", "peer_id_invalid"];
const FORBIDDEN: &[&str] = &["not enough rights", "have no rights", "chat_write_forbidden"];

impl Answer {
    /// Whether the refusal's words are among these.
    pub(crate) fn says(&self, any_of: &[&str]) -> bool {
        let words = self.description.as_deref().unwrap_or_default().to_ascii_lowercase();
        any_of.iter().any(|known| words.contains(known))
    }

    /// Why Telegram did not take the message.
    pub(crate) fn refused(&self, response: &Response, delivery: &Delivery) -> NotifyError {
        let words =
            self.description.as_ref().map_or_else(|| response.words(), |words| text::line(words, 300));
        let after_s = self.parameters.as_ref().and_then(|parameters| parameters.retry_after);
        match verdict::of_status(response, &words, after_s.and_then(verdict::seconds_f64), delivery) {
            Err(NotifyError::Permanent(message)) if self.says(GONE) => NotifyError::Gone(message),
            Err(NotifyError::Permanent(message)) if self.says(FORBIDDEN) => {
                NotifyError::Unauthorized(message)
            }
            Err(error) => error,
            Ok(()) => verdict::not_theirs("Telegram", response),
        }
    }
}
