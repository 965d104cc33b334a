//! ntfy: a topic, shown on phones and desktops.
//!
//! Who knows a topic's name can read it, so that it is a secret. ntfy turns a longer message into an attached file; what is
//! over is cut.

use uptime_plugin_sdk::json::object;
use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Notifier, NotifyError, Phase, Place, Problem, Receipt,
    Request, Settings, Severity, verdict,
};

pub struct Ntfy;

uptime_plugin_sdk::export!(Ntfy);

const SERVER: &str = "https://ntfy.sh";

/// The longest message, in bytes.
const MESSAGE_MAX: usize = 4_000;

impl Notifier for Ntfy {
    fn describe() -> Description {
        let summary = "Sends messages to a topic of ntfy, which shows them on phones and desktops";
        Description::new("ntfy", env!("CARGO_PKG_VERSION"), summary)
            .fields([
                Field::secret(
                    "topic",
                    "the topic; who knows it can read it",
                    [SERVER, "server"].map(Place::in_body),
                )
                .required(),
                Field::secret(
                    "token",
                    "an access token (tk_…), where the topic is protected",
                    [SERVER, "server"].map(|to| Place::in_header(to, "authorization")),
                ),
                Field::url("server", "a server of your own").default(SERVER),
            ])
            .hosts([SERVER])
    }

    fn validate(_settings: &Settings) -> Vec<Problem> {
        Vec::new()
    }

    fn notify(
        settings: &Settings,
        event: &Event,
        _delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError> {
        let message = &event.message;
        let body = object(&[
            ("topic", settings.text("topic").into()),
            ("title", format!("{} {}", message.symbol, message.headline).into()),
            ("message", rest(event).into()),
            ("priority", priority(event).into()),
            ("click", message.links.first().map(|link| link.address.as_str()).into()),
        ]);
        let mut request = Request::post_json(settings.text("server").unwrap_or(SERVER), body);
        if let Some(token) = settings.text("token") {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = host.send(&request)?;
        verdict::of_status(&response, &response.words_at("error"), None)?;
        match response.text_at("id") {
            Some(id) => Ok(Receipt::new().remote_id(id)),
            None => Err(verdict::not_theirs("ntfy", &response)),
        }
    }
}

/// What stands below the title.
fn rest(event: &Event) -> String {
    let message = &event.message;
    let facts = message.facts.iter().map(|fact| format!("{}: {}", fact.label, fact.value));
    let mut rest = message.cause.iter().cloned().chain(facts).collect::<Vec<_>>().join("\n");
    rest.truncate(rest.floor_char_boundary(MESSAGE_MAX));
    rest
}

/// 5 rings through silence, 3 is ntfy's own default. What is over, or in somebody's hands, is no alarm.
fn priority(event: &Event) -> i64 {
    match (event.phase, event.severity) {
        (Phase::Ends | Phase::Taken, _) | (_, Severity::Info | Severity::Degraded) => 3,
        (_, Severity::Down) => 4,
        (_, Severity::Critical) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_plugin_sdk::serde_json::json;
    use uptime_plugin_sdk::testing::{self, FakeHost, answer, delivery, event};

    const SENT: &str = r#"{"id":"sPs71M8A2T","time":1776132866,"event":"message","topic":"t"}"#;

    fn sent(more: &[(&str, &str)], event: &Event) -> FakeHost {
        let settings = testing::settings(
            more.iter().chain(&[("topic", "ref")]).map(|(key, value)| (*key, (*value).into())),
        );
        let mut host = FakeHost::answering([answer(200, SENT)]);
        let receipt = Ntfy::notify(&settings, event, &delivery(event), &mut host);
        assert_eq!(receipt, Ok(Receipt::new().remote_id("sPs71M8A2T".to_owned())));
        host
    }

    #[test]
    fn a_message_has_its_priority_and_a_page_to_open() {
        let host = sent(&[("token", "tk")], &event("down-linked"));
        assert_eq!(host.sent[0].url, SERVER);
        assert!(host.sent[0].headers.contains(&("authorization".into(), "Bearer tk".into())));
        let body = host.json(0);
        assert_eq!(
            (&body["topic"], &body["title"], &body["priority"]),
            (&json!("ref"), &json!("🔴 shop is DOWN"), &json!(4))
        );
        assert_eq!(body["click"], "https://status.example.com/incidents/7");
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|text| text.contains("\nDown since: 2026-04-14 02:14:05 UTC\n"))
        );
        for (name, priority) in
            [("critical", 5), ("reminder", 4), ("degraded", 3), ("up", 3), ("acknowledged", 3), ("test", 3)]
        {
            assert_eq!(sent(&[], &event(name)).json(0)["priority"], priority, "{name}");
        }
        let host = sent(&[("server", "https://ntfy.example")], &event("test"));
        assert_eq!((host.sent[0].url.as_str(), host.json(0).get("click")), ("https://ntfy.example", None));
    }

    #[test]
    fn a_message_is_never_so_long_that_it_becomes_a_file() {
        let mut down = event("down");
        down.message.cause = Some("語".repeat(1_900));
        let host = sent(&[], &down);
        let length = host.json(0)["message"].as_str().expect("a text").len();
        assert!((3_990..=4_000).contains(&length), "{length}");
    }
}
