//! What is done for an event: an alert is triggered, acknowledged or resolved.

use std::collections::BTreeMap;
use uptime_plugin_sdk::json::{self, Scalar};
use uptime_plugin_sdk::serde::Serialize;
use uptime_plugin_sdk::{Event, Part, Phase, Severity};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde", rename_all = "lowercase")]
pub(crate) enum Kind {
    Trigger,
    Acknowledge,
    Resolve,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Action<'a> {
    pub(crate) kind: Kind,
    pub(crate) key: &'a str,
    /// The part of a digest that it is for; `None`: the event itself.
    part: Option<&'a Part>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
pub(crate) struct Body<'a> {
    routing_key: &'a str,
    event_action: Kind,
    dedup_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Page<'a>>,
    client: &'static str,
}

/// A summary has at most 1,024 characters, which a message is always below.
#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Payload<'a> {
    summary: String,
    source: &'a str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    custom_details: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Page<'a> {
    href: &'a str,
    text: &'a str,
}

/// What is done for an event. Of a digest each alert once in each way: it is closed, if what it was about is over, before the
/// next one is opened.
pub(crate) fn of(event: &Event) -> Vec<Action<'_>> {
    let mut all: Vec<Action> = Vec::new();
    let mut add = |phase, key, part| {
        let kind = kind(phase);
        all.retain(|action| match (phase, action.kind) {
            _ if action.key != key => true,
            (Phase::Ends, _) | (Phase::Released, Kind::Acknowledge) => false,
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
fn kind(phase: Phase) -> Kind {
    match phase {
        Phase::Opens | Phase::Continues | Phase::Released | Phase::Other => Kind::Trigger,
        Phase::Taken => Kind::Acknowledge,
        Phase::Ends => Kind::Resolve,
    }
}

impl<'a> Action<'a> {
    /// What it is known by when it is done.
    pub(crate) fn mark(&self) -> String {
        let letter = match self.kind {
            Kind::Trigger => 't',
            Kind::Acknowledge => 'a',
            Kind::Resolve => 'r',
        };
        format!("{letter}{}", self.key)
    }

    pub(crate) fn body(&self, event: &'a Event, routing_key: &'a str) -> Body<'a> {
        let payload = (self.kind == Kind::Trigger).then(|| match self.part {
            Some(part) => Payload {
                summary: format!("{}: {}", part.subject, part.cause),
                source: &part.subject,
                severity: severity(part.severity),
                timestamp: None,
                custom_details: BTreeMap::new(),
            },
            None => of_event(event),
        });
        let pages = event.message.links.iter().filter(|_| payload.is_some());
        Body {
            routing_key,
            event_action: self.kind,
            dedup_key: self.key,
            links: pages.map(|link| Page { href: &link.address, text: &link.label }).collect(),
            payload,
            client: "uptime",
        }
    }
}

fn of_event(event: &Event) -> Payload<'_> {
    let message = &event.message;
    let cause = message.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    Payload {
        summary: format!("{}{cause}", message.headline),
        source: &event.subject,
        severity: severity(event.severity),
        timestamp: json::at(event.json.as_bytes(), &["at"]).and_then(Scalar::text),
        custom_details: message
            .facts
            .iter()
            .map(|fact| (fact.label.as_str(), fact.value.to_string()))
            .collect(),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Down => "error",
        Severity::Degraded => "warning",
        Severity::Info => "info",
    }
}
