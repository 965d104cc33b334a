//! Any receiver of HTTP requests, by the Standard Webhooks specification: the event as JSON, an id that is the same
//! over all tries, a timestamp, and a signature for each secret (two while one replaces the other).
//!
//! The receiver may want its own shape: method, headers and body can be chosen. Only a 2xx is success.

mod body;
mod render;

use body::Escape;
use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Method, Notifier, NotifyError, Place, Problem, Receipt,
    Request, Settings,
};

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

/// What a channel's body can be, the default first.
const BODY_TYPES: [(&str, &str, Escape); 3] = [
    ("json", "application/json", Escape::Json),
    ("text", "text/plain; charset=utf-8", Escape::None),
    ("form", "application/x-www-form-urlencoded", Escape::Percent),
];

impl Notifier for Webhook {
    fn describe() -> Description {
        let summary = "Sends each event as JSON to an address of yours, signed as Standard Webhooks are";
        Description::new("webhook", env!("CARGO_PKG_VERSION"), summary).fields([
            Field::url("url", "where the events go").required(),
            Field::choice("method", "the request's method", &METHODS.map(|(name, _)| name)).default("POST"),
            Field::map("headers", "further headers; a value may be a secret", [Place::in_header("url", "*")]),
            Field::secret(
                "secret",
                "signs the requests; a list of two while one replaces the other",
                [Place::Signature],
            ),
            Field::text(
                "body",
                "another body than the JSON, with places such as `{type}` and `{monitor.name}`",
            ),
            Field::choice(
                "body_type",
                "what `body` is, and so how its places are escaped",
                &BODY_TYPES.map(|(name, ..)| name),
            )
            .default("json"),
        ])
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        match settings.text("body") {
            Some(template) => problems.extend(body::unknown_places(template).map(|place| {
                let places = body::places();
                Problem::with(
                    "body",
                    format!("`{{{place}}}` is no place that can be filled; there are {places}"),
                )
            })),
            None if settings.text("body_type").is_some() => {
                problems.push(Problem::with("body_type", "has no meaning without `body`"));
            }
            None => {}
        }
        for (name, _) in settings.map("headers") {
            if render::is_ours(name) {
                problems.push(Problem::with("headers", format!("`{name}` is set by uptime itself")));
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
        let method = METHODS.into_iter().find(|(name, _)| settings.text("method") == Some(name));
        let method = method.map_or(Method::Post, |(_, method)| method);
        let (_, content_type, escape) = BODY_TYPES
            .into_iter()
            .find(|(name, ..)| settings.text("body_type") == Some(name))
            .unwrap_or(BODY_TYPES[0]);
        let body = match (method, settings.text("body")) {
            (Method::Get, _) => String::new(),
            (_, Some(template)) => body::fill(template, escape, event),
            (_, None) => event.json.clone(),
        };
        let mut request = Request::new(method, settings.text("url").unwrap_or_default());
        request.headers =
            render::headers(delivery, settings.map("headers"), (!body.is_empty()).then_some(content_type));
        request.signatures =
            settings.texts("secret").into_iter().map(|key| render::signature(delivery, key)).collect();
        if !body.is_empty() {
            request = request.body(body);
        }
        host.send(&request)?.verdict()?;
        Ok(Receipt::new())
    }
}

#[cfg(test)]
mod tests;
