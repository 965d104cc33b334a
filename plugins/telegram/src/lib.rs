//! Telegram, by the Bot API's `sendMessage`.
//!
//! Three refusals are mended on the spot, each at most once: a group that became a supergroup has a new chat id (which
//! is reported, to be used from now on), a topic that is closed or gone is left out (which is reported, so that the next
//! messages leave it out at once), and markup that is not understood is sent again as plain text.

mod answer;
mod render;

use answer::Answer;
use render::Draft;
use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Level, Notifier, NotifyError, Place, Problem, Receipt,
    Request, Settings,
};

pub struct Telegram;

uptime_plugin_sdk::export!(Telegram);

const API: &str = "https://api.telegram.org";

impl Notifier for Telegram {
    fn describe() -> Description {
        let summary = "Sends messages to a Telegram chat, group or channel by a bot of yours";
        Description::new("telegram", env!("CARGO_PKG_VERSION"), summary)
            .fields([
                Field::secret(
                    "bot_token",
                    "the bot's token, from @BotFather",
                    [Place::in_path(API), Place::in_path("base_url")],
                )
                .required(),
                Field::text(
                    "chat_id",
                    "the chat's number (-100… for groups), or `@name` of a public channel",
                )
                .required(),
                Field::integer("message_thread_id", "the topic, in a group that has topics"),
                Field::boolean("silent", "messages make no sound").default("false"),
                Field::boolean("protect_content", "messages can't be forwarded or saved").default("false"),
                Field::url("base_url", "a Bot API server of your own").default(API),
            ])
            .hosts([API])
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        let chat_id = settings.text("chat_id").unwrap_or_default();
        if !render::is_chat_id(chat_id) {
            let message = format!("`{chat_id}` is neither a chat's number nor an `@name`");
            problems.push(Problem::with("chat_id", message));
        }
        if settings.integer("message_thread_id").is_some_and(|id| id <= 0) {
            problems.push(Problem::with("message_thread_id", "is a positive number"));
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
        let mut draft = Draft {
            chat_id: settings.text("chat_id").unwrap_or_default(),
            thread_id: settings.integer("message_thread_id"),
            silent: settings.is_on("silent"),
            protected: settings.is_on("protect_content"),
            answers: delivery.first_remote_id.as_ref().and_then(|id| id.parse().ok()),
            message: &event.message,
            moved_to: None,
            plain: false,
        };
        let mut receipt = Receipt::new();
        loop {
            let response = host.send(&Request::post_json(&url, draft.body()))?;
            let answer = Answer::of(&response);
            if answer.is_ok() {
                let id = answer.integer(&["result", "message_id"]);
                return Ok(receipt.remote_id(id.map(|id| id.to_string())));
            }
            let note = match draft.mend(&answer) {
                Some(render::Mended::Moved(chat_id)) => {
                    receipt = receipt.replaced("chat_id", chat_id.as_str().into());
                    format!("the chat has moved: set chat_id to \"{chat_id}\"")
                }
                Some(render::Mended::NoThread) => {
                    receipt = receipt.replaced("message_thread_id", 0.into());
                    "the topic is gone: sent to the chat itself".into()
                }
                Some(render::Mended::Plain) => "the markup was not understood: sent as plain text".into(),
                None => return Err(answer.refused()),
            };
            host.log(Level::Warn, &note);
            receipt = receipt.detail(&note);
        }
    }
}

#[cfg(test)]
mod tests;
