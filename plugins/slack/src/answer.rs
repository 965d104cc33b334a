//! What Slack answers, and what its words mean where the status says less, or nothing (a 200 that is no success).

use uptime_plugin_sdk::json::Scalar;
use uptime_plugin_sdk::{NotifyError, Response, Retry, verdict};

/// An answer of either API.
pub(crate) struct Answer {
    /// What `chat.postMessage` says of itself.
    pub(crate) ok: bool,
    /// The error's word, or else the body's beginning.
    pub(crate) word: String,
    /// The message's name, for answers to it.
    pub(crate) ts: Option<String>,
}

impl Answer {
    pub(crate) fn of(response: &Response) -> Self {
        Self {
            ok: response.json_at(&["ok"]) == Some(Scalar::Bool(true)),
            word: response.words_at("error"),
            ts: response.text_at("ts"),
        }
    }

    /// Why Slack did not take the message.
    pub(crate) fn refused(self, response: &Response) -> NotifyError {
        let message = match verdict::of_status(response, &self.word, None) {
            Ok(()) if !is_word(&self.word) => return verdict::not_theirs("Slack", response),
            Ok(()) => format!("Slack said: {}", self.word),
            Err(NotifyError::Permanent(message)) => message,
            Err(error) => return error,
        };
        let retry = |message| Retry::new(message, response.retry_after_ms);
        match self.word.as_str() {
            "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
                NotifyError::RateLimited(retry(message))
            }
            "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
            | "rollup_error"
            | "team_added_to_org" => NotifyError::Transient(retry(message)),
            "invalid_auth"
            | "not_authed"
            | "account_inactive"
            | "token_revoked"
            | "token_expired"
            | "invalid_token"
            | "missing_scope"
            | "not_in_channel"
            | "access_denied"
            | "action_prohibited"
            | "no_permission"
            | "restricted_action"
            | "team_access_not_granted"
            | "ekm_access_denied"
            | "org_login_required"
            | "not_allowed_token_type" => NotifyError::Unauthorized(message),
            "channel_not_found"
            | "is_archived"
            | "channel_is_archived"
            | "no_service"
            | "no_active_hooks"
            | "no_team"
            | "team_disabled"
            | "user_not_found" => NotifyError::Gone(message),
            _ => NotifyError::Permanent(message),
        }
    }
}

/// Whether this can be one of Slack's own words.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
