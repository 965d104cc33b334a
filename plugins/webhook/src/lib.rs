//! Any receiver of HTTP requests, by the Standard Webhooks specification: the event as JSON, an id that is the same
//! over all tries, a timestamp, and a signature for each secret (two while one replaces the other).
//!
//! The receiver may want its own shape: method, headers and body can be chosen. Only a 2xx is success.

mod body;
mod render;

use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, FieldKind, Host, Method, Notifier, NotifyError, Problem, Receipt,
    Request, Settings, accepted, field, problem, text, verdict,
};

/// The notifier `webhook`.
pub struct Webhook;

uptime_plugin_sdk::export!(Webhook);

/// The methods a channel can choose, the default first.
const METHODS: [(&str, Method); 5] = [
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("PATCH", Method::Patch),
    ("GET", Method::Get),
    ("DELETE", Method::Delete),
];

impl Notifier for Webhook {
    fn describe() -> Description {
        Description {
            name: "webhook".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Sends each event as JSON to an address of yours, signed as Standard Webhooks are"
                .into(),
            fields: vec![
                field("url", FieldKind::Url, true, "where the events go"),
                Field {
                    choices: METHODS.map(|(name, _)| name.to_owned()).to_vec(),
                    ..field("method", FieldKind::Choice, false, "the request's method; POST by default")
                },
                field("headers", FieldKind::Map, false, "further headers; a value may be a secret"),
                field(
                    "secret",
                    FieldKind::Secret,
                    false,
                    "signs the requests; a list of two while one replaces the other",
                ),
                field(
                    "body",
                    FieldKind::Text,
                    false,
                    "another body than the JSON, with places such as `{type}` and `{monitor.name}`",
                ),
            ],
            hosts: Vec::new(),
        }
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(template) = settings.text("body") {
            problems.extend(body::unknown_places(template).map(|place| {
                problem(
                    "body",
                    format!("`{{{place}}}` is no place that can be filled; there are {}", body::places()),
                )
            }));
        }
        for (name, _) in settings.map("headers") {
            if render::is_ours(name) {
                problems.push(problem("headers", format!("`{name}` is set by uptime itself")));
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
        let method =
            settings.text("method").and_then(|chosen| METHODS.iter().find(|(name, _)| *name == chosen));
        let method = method.map_or(Method::Post, |(_, method)| *method);
        let body = match (method, settings.text("body")) {
            (Method::Get, _) => String::new(),
            (_, Some(template)) => body::fill(template, event, delivery),
            (_, None) => body::event_json(event, delivery),
        };
        let signed = render::signed_content(delivery, &body);
        let signatures = settings
            .texts("secret")
            .into_iter()
            .map(|secret| host.sign(secret, signed.as_bytes()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|reason| NotifyError::Config(vec![problem("secret", reason)]))?;
        let request = Request {
            method,
            url: settings.text("url").unwrap_or_default().to_owned(),
            query: Vec::new(),
            headers: render::headers(delivery, &signatures, settings.map("headers"), !body.is_empty()),
            basic_auth: None,
            body: (!body.is_empty()).then(|| body.into_bytes()),
            timeout_ms: None,
        };
        let response = host.send(&request).map_err(verdict::no_answer)?;
        verdict::of_status(&response, &text::line(&response.text(), 200), None, delivery.now_ms)?;
        Ok(accepted())
    }
}

#[cfg(test)]
mod tests;
