//! Matrix: a room, by the client-server API.
//!
//! Each message is sent under the delivery's id as its transaction, so that a second try shows nothing twice. Later messages of
//! an incident answer its first. Nobody is mentioned, whatever names the texts hold.

use uptime_plugin_sdk::json::Scalar;
use uptime_plugin_sdk::serde::Serialize;
use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Method, Notifier, NotifyError, Place, Problem, Receipt,
    Request, Settings, serde_json, text, verdict,
};

/// The notifier `matrix`.
pub struct Matrix;

uptime_plugin_sdk::export!(Matrix);

/// The event's content: plain, and as HTML in which nothing that came from outside is markup.
#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Content<'a> {
    msgtype: &'static str,
    body: String,
    format: &'static str,
    formatted_body: String,
    #[serde(rename = "m.mentions")]
    mentions: Nobody,
    #[serde(rename = "m.relates_to", skip_serializing_if = "Option::is_none")]
    relates_to: Option<Relation<'a>>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Nobody {}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Relation<'a> {
    #[serde(rename = "m.in_reply_to")]
    answers: EventId<'a>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct EventId<'a> {
    event_id: &'a str,
}

impl Notifier for Matrix {
    fn describe() -> Description {
        Description::new("matrix", env!("CARGO_PKG_VERSION"), "Sends messages to a room of Matrix").fields([
            Field::url("homeserver", "the account's server, such as `https://matrix.org`").required(),
            Field::secret(
                "access_token",
                "the account's access token",
                [Place::in_header("homeserver", "authorization")],
            )
            .required(),
            Field::text("room", "the room's id, `!…`; the account has to be in the room").required(),
            Field::boolean("quiet", "messages are notices, which ring nowhere").default("false"),
        ])
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let room = settings.text("room").unwrap_or_default();
        let is_id = room.starts_with('!') && room.len() > 1;
        let problem = || Problem::with("room", "is the room's id, which begins with `!`: its alias can move");
        if is_id { Vec::new() } else { vec![problem()] }
    }

    fn notify(
        settings: &Settings,
        event: &Event,
        delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError> {
        let base = settings.text("homeserver").unwrap_or_default().trim_end_matches('/');
        let room = text::escape_percent(settings.text("room").unwrap_or_default());
        let url = format!("{base}/_matrix/client/v3/rooms/{room}/send/m.room.message/{}", delivery.id);
        let content = content(event, delivery, settings.is_on("quiet"));
        let body = serde_json::to_vec(&content).expect("because texts are JSON");
        let token = settings.text("access_token").unwrap_or_default();
        let request = Request::new(Method::Put, url)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(body);
        let response = host.send(&request)?;
        let text_at = |key| response.json_at(&[key]).and_then(Scalar::text);
        let words = text_at("error").map_or_else(|| response.words(), |words| text::line(&words, 300));
        let after_ms = response.json_at(&["retry_after_ms"]).and_then(|after| after.integer());
        let after_ms = after_ms.and_then(|after| u64::try_from(after).ok());
        verdict::of_status(&response, &words, after_ms, delivery)?;
        match text_at("event_id") {
            Some(id) => Ok(Receipt::new().remote_id(id)),
            None => Err(verdict::not_theirs("a homeserver", &response)),
        }
    }
}

fn content<'a>(event: &Event, delivery: &'a Delivery, is_quiet: bool) -> Content<'a> {
    let html = event.message.lines(
        |headline| format!("<strong>{}</strong>", text::escape_html(headline)),
        text::escape_html,
        |value| text::escape_html(&value.to_string()),
        |_, address| text::escape_html(address),
    );
    let answers = delivery.first_remote_id.as_deref();
    Content {
        msgtype: if is_quiet { "m.notice" } else { "m.text" },
        body: event.message.plain(),
        format: "org.matrix.custom.html",
        formatted_body: html.replace('\n', "<br>"),
        mentions: Nobody {},
        relates_to: answers.map(|event_id| Relation { answers: EventId { event_id } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_plugin_sdk::serde_json::json;
    use uptime_plugin_sdk::testing::{self, FakeHost, answer, delivery, event};

    const SENT: &str = r#"{"event_id":"$made-up"}"#;

    fn settings(more: &[(&str, &str)]) -> Settings {
        let own = [("homeserver", "https://m.example/"), ("access_token", "ref"), ("room", "!a:m.example")];
        let all: Vec<_> =
            own.iter().filter(|(key, _)| !more.iter().any(|(other, _)| other == key)).chain(more).collect();
        testing::settings(all.into_iter().map(|(key, value)| (*key, (*value).into())))
    }

    #[test]
    fn a_recovery_answers_the_opening_and_is_sent_once() {
        let mut up = event("up");
        up.message.headline = "a <b> & c".into();
        let mut host = FakeHost::answering([answer(200, SENT)]);
        let delivery = Delivery { first_remote_id: Some("$first".into()), ..delivery(&up) };
        let receipt = Matrix::notify(&settings(&[]), &up, &delivery, &mut host);
        assert_eq!(receipt, Ok(Receipt::new().remote_id("$made-up".to_owned())));
        let request = &host.sent[0];
        assert_eq!(request.method, Method::Put);
        assert_eq!(
            request.url,
            format!(
                "https://m.example/_matrix/client/v3/rooms/%21a%3Am.example/send/m.room.message/{}",
                delivery.id
            )
        );
        assert!(request.headers.contains(&("authorization".into(), "Bearer ref".into())));
        let body = host.json(0);
        assert!(
            body["formatted_body"]
                .as_str()
                .is_some_and(|html| html.starts_with("✅ <strong>a &lt;b&gt; &amp; c</strong><br>"))
        );
        assert!(body["body"].as_str().is_some_and(|text| text.starts_with("✅ a <b> & c\n")));
        assert_eq!(body["m.mentions"], json!({}));
        assert_eq!(body["m.relates_to"], json!({"m.in_reply_to": {"event_id": "$first"}}));
    }

    #[test]
    fn a_servers_wait_is_obeyed() {
        let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":2500}"#;
        let mut host = FakeHost::answering([answer(429, limited)]);
        let down = event("down");
        let result = Matrix::notify(&settings(&[]), &down, &delivery(&down), &mut host);
        let expected = uptime_plugin_sdk::Retry::new("status 429: Too Many Requests", Some(2_500));
        assert_eq!(result, Err(NotifyError::RateLimited(expected)));
    }

    #[test]
    fn a_room_has_an_id() {
        assert!(Matrix::validate(&settings(&[])).is_empty());
        for room in ["#ops:m.example", "!", "ops"] {
            assert_eq!(Matrix::validate(&settings(&[("room", room)])).len(), 1, "{room}");
        }
    }

    #[test]
    fn every_answer_has_its_class() {
        testing::conformance::<Matrix>(&settings(&[]), &answer(200, SENT));
    }
}
