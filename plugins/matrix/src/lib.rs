//! Matrix: a room, by the client-server API.
//!
//! Each message is sent under the delivery's id as its transaction, so that a second try shows nothing twice. Later messages of
//! an incident answer its first. Nobody is mentioned, whatever names the texts hold.

use uptime_plugin_sdk::json::{Json, object};
use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Method, Notifier, NotifyError, Place, Problem, Receipt,
    Request, Settings, text, verdict,
};

pub struct Matrix;

uptime_plugin_sdk::export!(Matrix);

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
        let token = settings.text("access_token").unwrap_or_default();
        let request = Request::new(Method::Put, url)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(content.into_text());
        let response = host.send(&request)?;
        let after_ms = response.json_at(&["retry_after_ms"]).and_then(|after| after.integer());
        let after_ms = after_ms.and_then(|after| u64::try_from(after).ok());
        verdict::of_status(&response, &response.words_at("error"), after_ms)?;
        match response.text_at("event_id") {
            Some(id) => Ok(Receipt::new().remote_id(id)),
            None => Err(verdict::not_theirs("a homeserver", &response)),
        }
    }
}

/// The event's content: plain, and as HTML in which nothing that came from outside is markup.
fn content(event: &Event, delivery: &Delivery, is_quiet: bool) -> Json {
    let html = event.message.lines(
        |headline| format!("<strong>{}</strong>", text::escape_html(headline)),
        text::escape_html,
        |value| text::escape_html(&value.to_string()),
        |_, address| text::escape_html(address),
    );
    let answers = delivery.first_remote_id.as_deref();
    let relation = answers.map(|id| object(&[("m.in_reply_to", object(&[("event_id", id.into())]))]));
    object(&[
        ("msgtype", if is_quiet { "m.notice" } else { "m.text" }.into()),
        ("body", event.message.plain().into()),
        ("format", "org.matrix.custom.html".into()),
        ("formatted_body", html.replace('\n', "<br>").into()),
        ("m.mentions", object(&[])),
        ("m.relates_to", relation.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_plugin_sdk::testing;

    #[test]
    fn a_room_has_an_id() {
        for (room, is_one) in
            [("!a:m.example", true), ("#ops:m.example", false), ("!", false), ("ops", false)]
        {
            let settings = testing::settings([("room", room.into())]);
            assert_eq!(Matrix::validate(&settings).is_empty(), is_one, "{room}");
        }
    }
}
