//! `PagerDuty`, by the Events API v2: alerts that open, are acknowledged and close by their key.
//!
//! A digest is not one alert but its parts. They are told one after the other, and where a call ends before all are, the next
//! one goes on behind the last that was. Of a part that begins and ends in the same digest only the end is told.

mod actions;

use uptime_plugin_sdk::{
    Delivery, Description, Event, Field, Host, Notifier, NotifyError, Place, Problem, Receipt, Request,
    Response, Retry, Settings, verdict,
};

pub struct PagerDuty;

uptime_plugin_sdk::export!(PagerDuty);

const API: &str = "https://events.pagerduty.com";
const EU: &str = "https://events.eu.pagerduty.com";

/// What the host lets a call send.
const REQUESTS_MAX: usize = 8;

impl Notifier for PagerDuty {
    fn describe() -> Description {
        let summary = "Opens, acknowledges and resolves alerts of a PagerDuty service";
        Description::new("pagerduty", env!("CARGO_PKG_VERSION"), summary)
            .fields([
                Field::secret(
                    "routing_key",
                    "the integration key of the service's Events API v2",
                    [API, EU, "base_url"].map(Place::in_body),
                )
                .required(),
                Field::choice("region", "where the account is", &["us", "eu"]).default("us"),
                Field::url("base_url", "another server that speaks the Events API"),
            ])
            .hosts([API, EU])
    }

    fn validate(_settings: &Settings) -> Vec<Problem> {
        Vec::new()
    }

    fn notify(
        settings: &Settings,
        event: &Event,
        delivery: &Delivery,
        host: &mut dyn Host,
    ) -> Result<Receipt, NotifyError> {
        let region = if settings.text("region") == Some("eu") { EU } else { API };
        let base = settings.text("base_url").unwrap_or(region).trim_end_matches('/');
        let url = format!("{base}/v2/enqueue");
        let routing_key = settings.text("routing_key").unwrap_or_default();
        let actions = actions::of(event);
        let last = delivery.progress.as_deref();
        let done =
            actions.iter().position(|action| Some(action.mark().as_bytes()) == last).map_or(0, |at| at + 1);
        let mut progress = None;
        for action in actions[done..].iter().take(REQUESTS_MAX) {
            let sent = host.send(&Request::post_json(&url, action.body(event, routing_key)));
            sent.map_err(NotifyError::from)
                .and_then(|response| accepted(&response))
                .map_err(|error| with_progress(error, progress.take()))?;
            progress = Some(action.mark().into_bytes());
        }
        let told = (done + REQUESTS_MAX).min(actions.len());
        if told < actions.len() {
            let message = format!("{told} of {} alerts are told so far", actions.len());
            return Err(NotifyError::Transient(Retry { progress, ..Retry::new(message, None) }));
        }
        Ok(Receipt::new())
    }
}

fn accepted(response: &Response) -> Result<(), NotifyError> {
    match verdict::of_status(response, &response.words_at("message"), None) {
        Ok(()) if response.text_at("status").as_deref() == Some("success") => Ok(()),
        Ok(()) => Err(verdict::not_theirs("PagerDuty", response)),
        // It says so with a 400.
        Err(NotifyError::Permanent(message)) if response.text().contains("routing_key") => {
            Err(NotifyError::Unauthorized(message))
        }
        Err(error) => Err(error),
    }
}

/// The error with how far this call has come.
fn with_progress(error: NotifyError, progress: Option<Vec<u8>>) -> NotifyError {
    let with = |retry: Retry| Retry { progress, ..retry };
    match error {
        NotifyError::Transient(retry) => NotifyError::Transient(with(retry)),
        NotifyError::RateLimited(retry) => NotifyError::RateLimited(with(retry)),
        error => error,
    }
}

#[cfg(test)]
mod tests;
