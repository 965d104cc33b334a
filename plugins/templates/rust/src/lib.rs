//! Tells an address of yours, with a POST of JSON.

use uptime_plugin_sdk::serde_json::json;
use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Notifier, NotifyError, Problem, Receipt, Request, Settings,
    export,
};

pub struct Plugin;

export!(Plugin);

impl Notifier for Plugin {
    fn describe() -> Description {
        Description::new("hello", env!("CARGO_PKG_VERSION"), "Tells an address of yours")
            .fields([Field::url("url", "where it is told").required()])
    }

    fn validate(_settings: &Settings) -> Vec<Problem> {
        // Missing keys and wrong kinds have been found already. Here is what only this plugin knows.
        Vec::new()
    }

    fn notify(
        settings: &Settings,
        event: &Event,
        delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError> {
        // The words are composed already; here they are brought into the form that the receiver wants.
        let body = json!({
            "text": event.message.headline,
            "cause": event.message.cause,
        });
        let request = Request::post_json(settings.text("url").unwrap_or_default(), body);
        // The id is the same on each try: who has seen it has the message already.
        let response = host.send(&request.header("idempotency-key", &delivery.id))?;
        // By the status: accepted, or what makes sense next.
        response.verdict()?;
        Ok(Receipt::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_plugin_sdk::testing::{FakeHost, answer, delivery, event, settings};

    fn url() -> Settings {
        settings([("url", "https://hooks.example.com/uptime".into())])
    }

    #[test]
    fn an_opening_is_told() {
        let mut host = FakeHost::answering([answer(204, "")]);
        let event = event("down");
        assert_eq!(Plugin::notify(&url(), &event, &delivery(&event), &mut host), Ok(Receipt::new()));
        assert_eq!(host.sent[0].url, "https://hooks.example.com/uptime");
        assert!(host.json(0)["text"].as_str().expect("a text").contains("shop"));
    }
}
