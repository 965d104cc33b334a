//! What `sendMessage` is given, and how it is changed after a refusal that can be mended.
//!
//! A text may have 4096 UTF-16 units after its entities are parsed. The message's parts are cut to lengths whose sum
//! stays below 3900 even when every character takes two.

use crate::answer::{Answer, NO_TOPIC};
use uptime_plugin_sdk::Message;
use uptime_plugin_sdk::json::{Json, object};
use uptime_plugin_sdk::text::escape_html;

/// One message to one chat.
pub(crate) struct Draft<'a> {
    pub(crate) chat_id: &'a str,
    pub(crate) thread_id: Option<i64>,
    pub(crate) silent: bool,
    pub(crate) protected: bool,
    /// The message that this one answers.
    pub(crate) answers: Option<i64>,
    pub(crate) message: &'a Message,
    /// The id that has replaced the chat's.
    pub(crate) moved_to: Option<i64>,
    /// Whether it goes without markup.
    pub(crate) plain: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mended {
    Moved(String),
    NoThread,
    Plain,
}

impl Draft<'_> {
    pub(crate) fn body(&self) -> Json {
        let chat_id = match self.moved_to.or_else(|| self.chat_id.parse().ok()) {
            Some(number) => number.into(),
            None => self.chat_id.into(),
        };
        // The opening may have been deleted.
        let reply =
            |id: i64| object(&[("message_id", id.into()), ("allow_sending_without_reply", true.into())]);
        object(&[
            ("chat_id", chat_id),
            ("text", if self.plain { self.message.plain() } else { html(self.message) }.into()),
            ("parse_mode", (!self.plain).then_some("HTML").into()),
            ("message_thread_id", self.thread_id.into()),
            ("disable_notification", self.silent.then_some(true).into()),
            ("protect_content", self.protected.then_some(true).into()),
            ("link_preview_options", object(&[("is_disabled", true.into())])),
            ("reply_parameters", self.answers.map(reply).into()),
        ])
    }

    /// Changes what Telegram complained of, if that can be done and was not done before.
    pub(crate) fn mend(&mut self, answer: &Answer) -> Option<Mended> {
        if !answer.is_bad_request() {
            return None;
        }
        if let Some(chat_id) = answer.integer(&["parameters", "migrate_to_chat_id"]) {
            // A chat moves once; one that moves on and on would be followed for ever.
            if self.moved_to.replace(chat_id).is_some() {
                return None;
            }
            // The old chat's messages have other numbers in the new one.
            self.answers = None;
            return Some(Mended::Moved(chat_id.to_string()));
        }
        if answer.says(NO_TOPIC) && self.thread_id.take().is_some() {
            return Some(Mended::NoThread);
        }
        if answer.says(&["can't parse entities"]) && !self.plain {
            self.plain = true;
            return Some(Mended::Plain);
        }
        None
    }
}

/// Whether this can be a chat: a number of at most 52 bits, or `@name`.
pub(crate) fn is_chat_id(text: &str) -> bool {
    match text.strip_prefix('@') {
        Some(name) => {
            name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        None => text.parse::<i64>().is_ok_and(|id| id != 0 && id.unsigned_abs() < 1 << 52),
    }
}

fn html(message: &Message) -> String {
    message.lines(
        |headline| format!("<b>{}</b>", escape_html(headline)),
        // The words are a stranger's. Within `code` Telegram makes no links, of bare names of hosts or commands either.
        |cause| format!("<code>{}</code>", escape_html(cause)),
        |value| escape_html(&value.to_string()),
        |_, address| escape_html(address),
    )
}
