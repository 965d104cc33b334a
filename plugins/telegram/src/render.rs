//! What `sendMessage` is given, and how it is changed after a refusal that can be mended.
//!
//! A text may have 4096 UTF-16 units after its entities are parsed. The message's parts are cut to lengths whose sum
//! stays below that even when every character takes two.

use uptime_plugin_sdk::message::{Message, Value as FactValue};
use uptime_plugin_sdk::serde_json::{Value, json};
use uptime_plugin_sdk::text;

/// One message to one chat.
pub(crate) struct Payload {
    pub(crate) chat_id: String,
    pub(crate) thread_id: Option<i64>,
    pub(crate) silent: bool,
    /// The message that this one answers.
    pub(crate) answers: Option<String>,
    pub(crate) message: Message,
    /// Whether the chat's id was replaced.
    pub(crate) moved: bool,
    /// Whether it goes without markup.
    pub(crate) plain: bool,
}

/// What was changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mended {
    Moved(String),
    NoThread,
    Plain,
}

impl Payload {
    /// The request's body.
    pub(crate) fn to_json(&self) -> Value {
        let chat_id =
            self.chat_id.parse::<i64>().map_or_else(|_| json!(self.chat_id), |number| json!(number));
        let mut body = json!({
            "chat_id": chat_id,
            "text": if self.plain { render(&self.message, &Plain) } else { render(&self.message, &Html) },
            "link_preview_options": { "is_disabled": true },
        });
        if !self.plain {
            body["parse_mode"] = json!("HTML");
        }
        if let Some(thread_id) = self.thread_id {
            body["message_thread_id"] = json!(thread_id);
        }
        if self.silent {
            body["disable_notification"] = json!(true);
        }
        if let Some(id) = self.answers.as_ref().and_then(|id| id.parse::<i64>().ok()) {
            body["reply_parameters"] = json!({ "message_id": id, "allow_sending_without_reply": true });
        }
        body
    }

    /// Changes what Telegram complained of, if that can be done and was not done before.
    pub(crate) fn mend(&mut self, answer: &Value) -> Option<Mended> {
        if answer["error_code"] != 400 {
            return None;
        }
        if let Some(chat_id) = answer["parameters"]["migrate_to_chat_id"].as_i64().map(|id| id.to_string()) {
            // A chat moves once; one that moves on and on would be followed for ever.
            if std::mem::replace(&mut self.moved, true) {
                return None;
            }
            self.chat_id.clone_from(&chat_id);
            // The old chat's messages have other numbers in the new one.
            self.answers = None;
            return Some(Mended::Moved(chat_id));
        }
        let description = answer["description"].as_str().unwrap_or_default().to_lowercase();
        if description.contains("message thread not found") && self.thread_id.take().is_some() {
            return Some(Mended::NoThread);
        }
        if description.contains("can't parse entities") && !self.plain {
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

trait Markup {
    fn escape(&self, text: &str) -> String;
    fn bold(&self, escaped: &str) -> String;
}

struct Html;
struct Plain;

impl Markup for Html {
    fn escape(&self, text: &str) -> String {
        text::escape_html(text)
    }

    fn bold(&self, escaped: &str) -> String {
        format!("<b>{escaped}</b>")
    }
}

impl Markup for Plain {
    fn escape(&self, text: &str) -> String {
        text.to_owned()
    }

    fn bold(&self, escaped: &str) -> String {
        escaped.to_owned()
    }
}

/// The headline in bold, the cause below it, then a line for each fact.
fn render(message: &Message, markup: &impl Markup) -> String {
    let mut lines = vec![format!("{} {}", message.symbol, markup.bold(&markup.escape(&message.headline)))];
    lines.extend(message.cause.as_ref().map(|cause| markup.escape(cause)));
    if !message.facts.is_empty() {
        lines.push(String::new());
    }
    lines.extend(message.facts.iter().map(|fact| {
        let value = match &fact.value {
            FactValue::Text(text) | FactValue::Address(text) => markup.escape(text),
            FactValue::Instant(ms) => text::utc(*ms),
        };
        format!("{}: {value}", fact.label)
    }));
    lines.join("\n")
}
