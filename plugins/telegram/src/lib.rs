//! Telegram, by the Bot API's `sendMessage`.
//!
//! Three refusals are mended on the spot, each at most once: a group that became a supergroup has a new chat id (which
//! is reported, to be used from now on), a topic that is gone is left out, and markup that is not understood is sent
//! again as plain text.

mod render;

use uptime_plugin_sdk::serde_json::Value;
use uptime_plugin_sdk::{
    Delivery, Description, Event, FieldKind, Host, Level, Notifier, NotifyError, Problem, Receipt, Request,
    Response, Setting, SettingValue, Settings, accepted, field, message, problem, text, verdict,
};

/// The notifier `telegram`.
pub struct Telegram;

uptime_plugin_sdk::export!(Telegram);

const API: &str = "https://api.telegram.org";

impl Notifier for Telegram {
    fn describe() -> Description {
        Description {
            name: "telegram".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Sends messages to a Telegram chat, group or channel by a bot of yours".into(),
            fields: vec![
                field("bot_token", FieldKind::Secret, true, "the bot's token, from @BotFather"),
                field(
                    "chat_id",
                    FieldKind::Text,
                    true,
                    "the chat's number (-100… for groups), or `@name` of a public channel",
                ),
                field(
                    "message_thread_id",
                    FieldKind::Integer,
                    false,
                    "the topic, in a group that has topics",
                ),
                field("silent", FieldKind::Boolean, false, "messages make no sound"),
                field(
                    "base_url",
                    FieldKind::Url,
                    false,
                    "a Bot API server of your own; https://api.telegram.org by default",
                ),
            ],
            hosts: vec![API.into()],
        }
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        let chat_id = settings.text("chat_id").unwrap_or_default();
        if !render::is_chat_id(chat_id) {
            problems
                .push(problem("chat_id", format!("`{chat_id}` is neither a chat's number nor an `@name`")));
        }
        if settings.integer("message_thread_id").is_some_and(|id| id <= 0) {
            problems.push(problem("message_thread_id", "is a positive number"));
        }
        problems
    }

    fn notify(
        settings: &Settings,
        event: &Event,
        delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError> {
        let base = settings.text("base_url").unwrap_or(API).trim_end_matches('/');
        let url = format!("{base}/bot{}/sendMessage", settings.text("bot_token").unwrap_or_default());
        let mut payload = render::Payload {
            chat_id: settings.text("chat_id").unwrap_or_default().to_owned(),
            thread_id: settings.integer("message_thread_id"),
            silent: settings.is_on("silent"),
            answers: delivery.opening_remote_id.clone(),
            message: message::compose(event, delivery),
            moved: false,
            plain: false,
        };
        let mut receipt = accepted();
        let mut notes = Vec::new();
        loop {
            let response =
                host.send(&Request::post_json(&url, &payload.to_json())).map_err(verdict::no_answer)?;
            let answer = response.json().unwrap_or_default();
            if response.status == 200 && answer["ok"] == true {
                receipt.remote_id = answer["result"]["message_id"].as_i64().map(|id| id.to_string());
                receipt.detail = (!notes.is_empty()).then(|| notes.join("; "));
                return Ok(receipt);
            }
            match payload.mend(&answer) {
                Some(render::Mended::Moved(chat_id)) => {
                    notes.push(format!("the chat has moved: set chat_id to \"{chat_id}\""));
                    receipt.replaced =
                        vec![Setting { key: "chat_id".into(), value: SettingValue::Text(chat_id) }];
                }
                Some(render::Mended::NoThread) => {
                    notes.push("the topic is gone: sent to the chat itself".into());
                }
                Some(render::Mended::Plain) => {
                    notes.push("the markup was not understood: sent as plain text".into());
                }
                None => return Err(refused(&response, &answer, delivery)),
            }
            host.log(Level::Warn, notes.last().map(String::as_str).unwrap_or_default());
        }
    }
}

/// Why Telegram did not take the message.
fn refused(response: &Response, answer: &Value, delivery: &Delivery) -> NotifyError {
    let words = match answer["description"].as_str() {
        Some(description) => text::line(description, 300),
        None => text::line(&response.text(), 100),
    };
    match verdict::of_status(response, &words, answer["parameters"]["retry_after"].as_f64(), delivery.now_ms)
    {
        // The chat is not there, whatever the number says: no message will get through.
        Err(NotifyError::Permanent(message)) if words.to_lowercase().contains("chat not found") => {
            NotifyError::Gone(message)
        }
        Err(error) => error,
        Ok(()) => NotifyError::Permanent(format!("the answer is not Telegram's: {words}")),
    }
}

#[cfg(test)]
mod tests;
