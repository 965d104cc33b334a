//! Slack, by an incoming webhook or by `chat.postMessage` with a bot's token.
//!
//! A webhook has taken a message when its body says `ok`; the status alone says nothing. `chat.postMessage` answers
//! everything with a 200 and says in JSON what it means; its messages can answer each other, so a recovery goes into
//! the opening's thread, and is shown in the channel too. Two refusals are mended, each once: a thread that takes no
//! answer is left, and a message whose blocks are not understood is sent again as plain text.

mod answer;
mod render;

use answer::Answer;
use render::Draft;
use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Level, Notifier, NotifyError, Place, Problem, Receipt,
    Request, Settings,
};

pub struct Slack;

uptime_plugin_sdk::export!(Slack);

const HOST: &str = "https://slack.com";
const API: &str = "https://slack.com/api";

impl Notifier for Slack {
    fn describe() -> Description {
        let summary = "Sends messages to a Slack channel by an incoming webhook or a bot";
        Description::new("slack", env!("CARGO_PKG_VERSION"), summary)
            .fields([
                Field::secret("webhook_url", "the incoming webhook's address", [Place::Address]),
                Field::secret(
                    "bot_token",
                    "instead of a webhook: a bot's token (xoxb-…) with the scope chat:write",
                    [HOST, "base_url"].map(|to| Place::in_header(to, "authorization")),
                ),
                Field::text("channel", "with a bot: the channel's id or name"),
                Field::url("base_url", "with a bot: another API server").default(API),
            ])
            .hosts(["https://hooks.slack.com", HOST])
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let has = |key| settings.text(key).is_some();
        let problem = |key, message| vec![Problem::with(key, message)];
        match (has("webhook_url"), has("bot_token")) {
            (true, true) => problem("bot_token", "is there beside `webhook_url`: take one of them out"),
            (false, false) => problem(
                "webhook_url",
                "is missing: an incoming webhook's address, or `bot_token` and `channel`",
            ),
            (true, false) => ["channel", "base_url"]
                .into_iter()
                .filter(|key| has(key))
                .map(|key| {
                    Problem::with(key, "has no meaning with `webhook_url`, which leads to its own channel")
                })
                .collect(),
            (false, true) if !has("channel") => {
                problem("channel", "is missing: where the bot sends the messages")
            }
            (false, true) => Vec::new(),
        }
    }

    fn notify(
        settings: &Settings,
        event: &Event,
        delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError> {
        let webhook = settings.text("webhook_url");
        let mut draft = Draft { message: &event.message, channel: None, answers: None, plain: false };
        if webhook.is_none() {
            draft.channel = settings.text("channel");
            draft.answers = delivery.first_remote_id.as_deref();
        }
        let mut receipt = Receipt::new();
        loop {
            let request = match (webhook, settings.text("bot_token"), draft.channel) {
                (Some(url), _, _) => Request::post_json(url, draft.body()),
                (None, Some(token), Some(_)) => to_bot(settings, token, &draft),
                _ => return Err(NotifyError::Config(Self::validate(settings))),
            };
            let response = host.send(&request)?;
            let answer = Answer::of(&response);
            if response.status == 200 && if webhook.is_some() { answer.word == "ok" } else { answer.ok } {
                return Ok(receipt.remote_id(answer.ts));
            }
            let Some(note) = draft.mend(&answer) else { return Err(answer.refused(&response)) };
            host.log(Level::Warn, note);
            receipt = receipt.detail(note);
        }
    }
}

fn to_bot(settings: &Settings, token: &str, draft: &Draft) -> Request {
    let base = settings.text("base_url").unwrap_or(API).trim_end_matches('/');
    Request::post_json(format!("{base}/chat.postMessage"), draft.body())
        .header("authorization", format!("Bearer {token}"))
}

#[cfg(test)]
mod tests;
