//! Slack, by an incoming webhook or by `chat.postMessage` with a bot's token.
//!
//! A webhook has taken a message when its body says `ok`; the status alone says nothing. `chat.postMessage` answers
//! everything with a 200 and says in JSON what it means; its messages can answer each other, so a recovery goes into
//! the opening's thread, and is shown in the channel too.

mod render;
mod verdicts;

use uptime_plugin_sdk::{
    Delivery, Description, Event, FieldKind, Host, Notifier, NotifyError, Problem, Receipt, Request,
    Settings, accepted, field, message, problem, text, verdict,
};

/// The notifier `slack`.
pub struct Slack;

uptime_plugin_sdk::export!(Slack);

const API: &str = "https://slack.com/api";

impl Notifier for Slack {
    fn describe() -> Description {
        Description {
            name: "slack".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Sends messages to a Slack channel by an incoming webhook or a bot".into(),
            fields: vec![
                field("webhook_url", FieldKind::Secret, false, "the incoming webhook's address"),
                field(
                    "bot_token",
                    FieldKind::Secret,
                    false,
                    "instead of a webhook: a bot's token (xoxb-…) with the scope chat:write",
                ),
                field("channel", FieldKind::Text, false, "with a bot: the channel's id or name"),
                field(
                    "base_url",
                    FieldKind::Url,
                    false,
                    "with a bot: another API server; https://slack.com/api by default",
                ),
            ],
            hosts: vec!["https://hooks.slack.com".into(), "https://slack.com".into()],
        }
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let has = |key| settings.text(key).is_some();
        let mut problems = Vec::new();
        match (has("webhook_url"), has("bot_token")) {
            (true, true) => {
                problems.push(problem("bot_token", "is there beside `webhook_url`: take one of them out"));
            }
            (false, false) => problems.push(problem(
                "webhook_url",
                "is missing: an incoming webhook's address, or `bot_token` and `channel`",
            )),
            (true, false) => {
                problems.extend(["channel", "base_url"].into_iter().filter(|key| has(key)).map(|key| {
                    problem(key, "has no meaning with `webhook_url`, which leads to its own channel")
                }));
            }
            (false, true) if !has("channel") => {
                problems.push(problem("channel", "is missing: where the bot sends the messages"));
            }
            (false, true) => {}
        }
        problems
    }

    fn notify(
        settings: &Settings,
        event: &Event,
        delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError> {
        let body = render::payload(&message::compose(event, delivery));
        match (settings.text("webhook_url"), settings.text("bot_token"), settings.text("channel")) {
            (Some(url), _, _) => by_webhook(url, &body, delivery, host),
            (None, Some(token), Some(channel)) => {
                let body = render::to_channel(body, channel, delivery.opening_remote_id.as_deref());
                by_bot(settings.text("base_url").unwrap_or(API), token, &body, delivery, host)
            }
            _ => Err(NotifyError::Config(Self::validate(settings))),
        }
    }
}

fn by_webhook(
    url: &str,
    body: &uptime_plugin_sdk::serde_json::Value,
    delivery: &Delivery,
    host: &mut dyn Host,
) -> Result<Receipt, NotifyError> {
    let response = host.send(&Request::post_json(url, body)).map_err(verdict::no_answer)?;
    let words = text::line(&response.text(), 200);
    verdict::of_status(&response, &words, None, delivery.now_ms)?;
    if words == "ok" { Ok(accepted()) } else { Err(verdicts::of_word(&words, &response, delivery.now_ms)) }
}

fn by_bot(
    base: &str,
    token: &str,
    body: &uptime_plugin_sdk::serde_json::Value,
    delivery: &Delivery,
    host: &mut dyn Host,
) -> Result<Receipt, NotifyError> {
    let mut request = Request::post_json(format!("{}/chat.postMessage", base.trim_end_matches('/')), body);
    request.headers = vec![
        ("content-type".into(), "application/json; charset=utf-8".into()),
        ("authorization".into(), format!("Bearer {token}")),
    ];
    let response = host.send(&request).map_err(verdict::no_answer)?;
    let answer = response.json().unwrap_or_default();
    let words = answer["error"]
        .as_str()
        .map_or_else(|| text::line(&response.text(), 100), |word| text::line(word, 100));
    verdict::of_status(&response, &words, None, delivery.now_ms)?;
    if answer["ok"] == true {
        return Ok(Receipt { remote_id: answer["ts"].as_str().map(str::to_owned), ..accepted() });
    }
    Err(verdicts::of_word(&words, &response, delivery.now_ms))
}

#[cfg(test)]
mod tests;
