//! Discord, by a channel's webhook.
//!
//! Always with `wait=true`: without it a message that was not kept looks like one that was. Nothing in a message can
//! ping anybody. In a forum each incident gets a post of its own, which its later messages go to. A thread that is gone
//! is left out, once.

mod answer;
mod render;

use render::Destination;
use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Level, Notifier, NotifyError, Place, Problem, Receipt,
    Request, Settings,
};

pub struct Discord;

uptime_plugin_sdk::export!(Discord);

impl Notifier for Discord {
    fn describe() -> Description {
        let summary = "Sends messages to a Discord channel by its webhook";
        Description::new("discord", env!("CARGO_PKG_VERSION"), summary)
            .fields([
                Field::secret(
                    "webhook_url",
                    "the webhook's address, from the channel's integrations",
                    [Place::Address],
                )
                .required(),
                Field::text("thread_id", "the thread or forum post that all messages go to"),
                Field::text(
                    "thread_name",
                    "for a forum: the name of the post that each incident gets, with `{monitor}` and `{headline}`",
                ),
                Field::text("username", "the name that the messages come from, at most 80 characters")
                    .default("the webhook's own"),
            ])
            .hosts(["https://discord.com"])
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(id) = settings.text("thread_id").filter(|id| id.parse::<u64>().is_err()) {
            problems.push(Problem::with("thread_id", format!("`{id}` is no thread's number")));
        }
        if let Some(name) = settings.text("thread_name") {
            if name.trim().is_empty() {
                problems.push(Problem::with("thread_name", "is empty"));
            }
            if settings.text("thread_id").is_some() {
                problems
                    .push(Problem::with("thread_name", "is there beside `thread_id`: take one of them out"));
            }
        }
        if let Some(name) = settings.text("username") {
            if name.trim().is_empty() || name.chars().count() > 80 {
                problems.push(Problem::with("username", "has 1 to 80 characters"));
            }
            // Discord refuses each message of a webhook with such a name.
            let lower = name.to_ascii_lowercase();
            if let Some(word) = ["discord", "clyde"].into_iter().find(|word| lower.contains(word)) {
                problems.push(Problem::with("username", format!("may not contain `{word}`")));
            }
        }
        problems
    }

    fn notify(
        settings: &Settings,
        event: &Event,
        delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError> {
        let post = settings.text("thread_name").map(|name| render::post_name(name, event));
        let thread = match &post {
            Some(_) => delivery.first_remote_id.as_deref(),
            None => settings.text("thread_id"),
        };
        let mut place = Destination::of(thread, post.as_deref());
        let mut receipt = Receipt::new();
        loop {
            let body = render::body(event, settings.text("username"), place);
            let mut request = Request::post_json(settings.text("webhook_url").unwrap_or_default(), body)
                .query("wait", "true");
            if let Destination::Thread(id) = place {
                request = request.query("thread_id", id);
            }
            let response = host.send(&request)?;
            if let (200..300, Some(id)) = (response.status, response.text_at("id")) {
                // A post's first message is found again by the post that it opened.
                let id = match place {
                    Destination::NewPost(_) => response.text_at("channel_id").unwrap_or(id),
                    _ => id,
                };
                return Ok(receipt.remote_id(id).pause_ms(answer::pause_ms(&response)));
            }
            if !(answer::is_without_thread(&response) && matches!(place, Destination::Thread(_))) {
                return Err(answer::refused(&response));
            }
            place = Destination::of(None, post.as_deref());
            let note = match place {
                Destination::NewPost(_) => "the incident's post is gone: sent as another one",
                _ => "the thread is gone: sent to the channel itself",
            };
            host.log(Level::Warn, note);
            receipt = receipt.detail(note);
        }
    }
}

#[cfg(test)]
mod tests;
