//! Discord, by a channel's webhook.
//!
//! Always with `wait=true`: without it a message that was not kept looks like one that was. Nothing in a message can
//! ping anybody.

mod render;

use uptime_plugin_sdk::{
    Delivery, Description, Event, FieldKind, Host, Notifier, NotifyError, Problem, Receipt, Request,
    Response, Settings, accepted, field, message, problem, text, verdict,
};

/// The notifier `discord`.
pub struct Discord;

uptime_plugin_sdk::export!(Discord);

impl Notifier for Discord {
    fn describe() -> Description {
        Description {
            name: "discord".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Sends messages to a Discord channel by its webhook".into(),
            fields: vec![
                field(
                    "webhook_url",
                    FieldKind::Secret,
                    true,
                    "the webhook's address, from the channel's integrations",
                ),
                field(
                    "thread_id",
                    FieldKind::Text,
                    false,
                    "the thread or forum post that the messages go to",
                ),
                field(
                    "username",
                    FieldKind::Text,
                    false,
                    "the name that the messages come from, at most 80 characters",
                ),
            ],
            hosts: vec!["https://discord.com".into()],
        }
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(id) = settings.text("thread_id").filter(|id| id.parse::<u64>().is_err()) {
            problems.push(problem("thread_id", format!("`{id}` is no thread's number")));
        }
        if let Some(name) = settings.text("username") {
            if name.trim().is_empty() || name.chars().count() > 80 {
                problems.push(problem("username", "has 1 to 80 characters"));
            }
            // Discord refuses each message of a webhook with such a name.
            let lower = name.to_lowercase();
            if let Some(word) = ["discord", "clyde"].into_iter().find(|word| lower.contains(word)) {
                problems.push(problem("username", format!("may not contain `{word}`")));
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
        let body =
            render::payload(&message::compose(event, delivery), event.at_ms, settings.text("username"));
        let mut request = Request::post_json(settings.text("webhook_url").unwrap_or_default(), &body);
        request.query.push(("wait".into(), "true".into()));
        if let Some(thread_id) = settings.text("thread_id") {
            request.query.push(("thread_id".into(), thread_id.into()));
        }
        let response = host.send(&request).map_err(verdict::no_answer)?;
        // A ban at the edge answers in HTML, so nothing is expected of the body.
        let answer = response.json().unwrap_or_default();
        let words = match answer["message"].as_str() {
            Some(words) => format!("{} (code {})", text::line(words, 300), answer["code"]),
            None => text::line(&response.text(), 100),
        };
        verdict::of_status(&response, &words, answer["retry_after"].as_f64(), delivery.now_ms)?;
        match answer["id"].as_str() {
            Some(id) => {
                Ok(Receipt { remote_id: Some(id.to_owned()), pause_ms: pause_ms(&response), ..accepted() })
            }
            None => Err(NotifyError::Permanent(format!(
                "the answer is not Discord's: {}",
                text::line(&response.text(), 100)
            ))),
        }
    }
}

/// How long nothing more may be sent, when this message was the last that was free.
fn pause_ms(response: &Response) -> Option<u64> {
    if response.header("x-ratelimit-remaining")?.trim() != "0" {
        return None;
    }
    verdict::seconds(response.header("x-ratelimit-reset-after")?.trim().parse().ok())
}

#[cfg(test)]
mod tests;
