//! What Discord answers, and what its refusals mean.

use uptime_plugin_sdk::serde::Deserialize;
use uptime_plugin_sdk::{Delivery, NotifyError, Response, text, verdict};

/// A kept message, or a refusal, as far as it is looked at.
#[derive(Default, Deserialize)]
#[serde(crate = "uptime_plugin_sdk::serde", default)]
pub(crate) struct Answer {
    pub(crate) id: Option<String>,
    pub(crate) channel_id: Option<String>,
    message: Option<String>,
    code: i64,
    retry_after: Option<f64>,
    global: bool,
}

const UNKNOWN_CHANNEL: i64 = 10_003;

impl Answer {
    /// Whether the thread, rather than the webhook, is what is not there.
    pub(crate) fn is_without_thread(&self) -> bool {
        self.code == UNKNOWN_CHANNEL
    }

    /// Why Discord did not take the message.
    pub(crate) fn refused(&self, response: &Response, delivery: &Delivery) -> NotifyError {
        let words = match &self.message {
            Some(words) if self.code != 0 => format!("{} (code {})", text::line(words, 300), self.code),
            Some(words) if self.global => format!("{} (all of Discord)", text::line(words, 300)),
            Some(words) => text::line(words, 300),
            None => response.words(),
        };
        let after_ms = self.retry_after.and_then(verdict::seconds_f64);
        match verdict::of_status(response, &words, after_ms, delivery) {
            Err(error) => error,
            Ok(()) => verdict::not_theirs("Discord", response),
        }
    }
}

/// How long nothing more may be sent, when this message was the last that was free.
pub(crate) fn pause_ms(response: &Response) -> Option<u64> {
    if response.header("x-ratelimit-remaining")? != "0" {
        return None;
    }
    verdict::seconds(response.header("x-ratelimit-reset-after")?)
}
