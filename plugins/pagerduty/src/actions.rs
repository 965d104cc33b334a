//! What is done for an event: an alert is triggered, acknowledged or resolved.

use uptime_plugin_sdk::json::{self, Json, Scalar, list, object};
use uptime_plugin_sdk::{Event, Link, Part, Phase, Severity};

const TRIGGER: &str = "trigger";
const ACKNOWLEDGE: &str = "acknowledge";
const RESOLVE: &str = "resolve";

/// One request.
pub(crate) struct Action<'a> {
    kind: &'static str,
    key: &'a str,
    /// The part of a digest that it is for; `None`: the event itself.
    part: Option<&'a Part>,
}

/// What is done for an event. Of a digest each alert once in each way: it is closed, if what it was about is over, before the
/// next one is opened.
pub(crate) fn of(event: &Event) -> Vec<Action<'_>> {
    let mut all: Vec<Action> = Vec::new();
    let mut add = |phase, key, part| {
        let kind = kind(phase);
        all.retain(|action| match (phase, action.kind) {
            _ if action.key != key => true,
            (Phase::Ends, _) | (Phase::Released, ACKNOWLEDGE) => false,
            _ => true,
        });
        match all.iter_mut().find(|action| action.key == key && action.kind == kind) {
            Some(known) => known.part = part,
            None => all.push(Action { kind, key, part }),
        }
    };
    for part in &event.parts {
        add(part.phase, &part.key, Some(part));
    }
    if event.parts.is_empty() {
        add(event.phase, &event.key, None);
    }
    all
}

/// There is no way to take an acknowledgement back; that it is open is true.
fn kind(phase: Phase) -> &'static str {
    match phase {
        Phase::Opens | Phase::Continues | Phase::Released | Phase::Other => TRIGGER,
        Phase::Taken => ACKNOWLEDGE,
        Phase::Ends => RESOLVE,
    }
}

impl Action<'_> {
    /// What it is known by when it is done.
    pub(crate) fn mark(&self) -> String {
        format!("{}{}", &self.kind[..1], self.key)
    }

    pub(crate) fn body(&self, event: &Event, routing_key: &str) -> Json {
        let payload = (self.kind == TRIGGER).then(|| match self.part {
            Some(part) => payload(&part.subject, &part.cause, &part.subject, part.severity, &[]),
            None => of_event(event),
        });
        let page = |link: &Link| {
            object(&[("href", link.address.as_str().into()), ("text", link.label.as_str().into())])
        };
        let pages: Vec<Json> = event.message.links.iter().map(page).collect();
        object(&[
            ("routing_key", routing_key.into()),
            ("event_action", self.kind.into()),
            ("dedup_key", self.key.into()),
            ("links", (payload.is_some() && !pages.is_empty()).then(|| list(&pages)).into()),
            ("payload", payload.into()),
            ("client", "uptime".into()),
        ])
    }
}

fn of_event(event: &Event) -> Json {
    let message = &event.message;
    let details: Vec<(&str, Json)> =
        message.facts.iter().map(|fact| (fact.label.as_str(), fact.value.to_string().into())).collect();
    let more = [
        ("timestamp", json::at(event.json.as_bytes(), &["at"]).and_then(Scalar::text).into()),
        ("custom_details", object(&details)),
    ];
    payload(
        &message.headline,
        message.cause.as_deref().unwrap_or_default(),
        &event.subject,
        event.severity,
        &more,
    )
}

/// A summary has at most 1,024 characters, which a message is always below.
fn payload(what: &str, why: &str, source: &str, severity: Severity, more: &[(&str, Json)]) -> Json {
    let summary = if why.is_empty() { what.to_owned() } else { format!("{what}: {why}") };
    let mut members =
        vec![("summary", summary.into()), ("source", source.into()), ("severity", word(severity).into())];
    members.extend_from_slice(more);
    object(&members)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Down => "error",
        Severity::Degraded => "warning",
        Severity::Info => "info",
    }
}
