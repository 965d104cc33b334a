//! What Discord answers, and what its refusals mean.

use uptime_plugin_sdk::json::Scalar;
use uptime_plugin_sdk::{Delivery, NotifyError, Response, text, verdict};

const UNKNOWN_CHANNEL: i64 = 10_003;

/// A text of the answer.
pub(crate) fn text_at(response: &Response, key: &str) -> Option<String> {
    response.json_at(&[key]).and_then(Scalar::text)
}

fn code(response: &Response) -> i64 {
    response.json_at(&["code"]).and_then(|code| code.integer()).unwrap_or_default()
}

/// Whether the thread, rather than the webhook, is what is not there.
pub(crate) fn is_without_thread(response: &Response) -> bool {
    code(response) == UNKNOWN_CHANNEL
}

/// Why Discord did not take the message. A ban at the edge answers in HTML, so nothing is expected of the body.
pub(crate) fn refused(response: &Response, delivery: &Delivery) -> NotifyError {
    let words = match (text_at(response, "message").map(|words| text::line(&words, 300)), code(response)) {
        (Some(words), 0) if response.json_at(&["global"]) == Some(Scalar::Bool(true)) => {
            format!("{words} (all of Discord)")
        }
        (Some(words), 0) => words,
        (Some(words), code) => format!("{words} (code {code})"),
        (None, _) => response.words(),
    };
    match verdict::of_status(response, &words, verdict::seconds_at(response, &["retry_after"]), delivery) {
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
