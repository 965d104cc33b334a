//! What Slack's words mean where its status says nothing (a 200 that is no success).

use uptime_plugin_sdk::{NotifyError, Response, Retry, verdict};

/// The class of an error word.
pub(crate) fn of_word(word: &str, response: &Response, now_ms: u64) -> NotifyError {
    let message = format!("Slack said: {word}");
    let retry = |message| Retry { message, after_ms: verdict::retry_after_ms(response, None, now_ms) };
    match word {
        "ratelimited" | "rate_limited" => NotifyError::RateLimited(retry(message)),
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "rollup_error" => {
            NotifyError::Transient(retry(message))
        }
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired"
        | "invalid_token" | "missing_scope" | "not_in_channel" | "access_denied" | "action_prohibited"
        | "no_permission" | "restricted_action" => NotifyError::Unauthorized(message),
        "channel_not_found"
        | "is_archived"
        | "channel_is_archived"
        | "no_service"
        | "no_team"
        | "user_not_found" => NotifyError::Gone(message),
        _ => NotifyError::Permanent(message),
    }
}
