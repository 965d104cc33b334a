//! What Discord answers, and what its refusals mean.

use uptime_plugin_sdk::json::Scalar;
use uptime_plugin_sdk::{NotifyError, Response, verdict};

const UNKNOWN_CHANNEL: i64 = 10_003;

fn code(response: &Response) -> i64 {
    response.json_at(&["code"]).and_then(|code| code.integer()).unwrap_or_default()
}

/// Whether the thread, rather than the webhook, is what is not there.
pub(crate) fn is_without_thread(response: &Response) -> bool {
    code(response) == UNKNOWN_CHANNEL
}

/// Why Discord did not take the message. A ban at the edge answers in HTML, so nothing is expected of the body.
pub(crate) fn refused(response: &Response) -> NotifyError {
    let mut words = response.words_at("message");
    match code(response) {
        0 if response.json_at(&["global"]) == Some(Scalar::Bool(true)) => words.push_str(" (all of Discord)"),
        0 => {}
        code => words = format!("{words} (code {code})"),
    }
    match verdict::of_status(response, &words, verdict::seconds_at(response, &["retry_after"])) {
        Err(error) => error,
        Ok(()) => verdict::not_theirs("Discord", response),
    }
}

/// How long nothing more may be sent, when this message was the last that was free.
pub(crate) fn pause_ms(response: &Response) -> Option<u64> {
    if response.header("x-ratelimit-remaining")? != "0" {
        return None;
    }
    verdict::seconds(response.header("x-ratelimit-reset-after")?)
}
