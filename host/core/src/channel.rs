//! A channel: a configured destination, and what it wants to hear.

use crate::calendar::Hours;
use crate::event::{Event, EventType, Severity};
use crate::grant::HostGrant;
use crate::notifier::LimitChanges;
use crate::route::DigestPolicy;
use crate::secret::SecretRef;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// A destination, as the file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Unique; what people call it.
    pub name: String,
    /// The plugin that speaks for it.
    pub notifier: String,
    /// A disabled channel gets no messages.
    pub enabled: bool,
    /// The notifier's own settings, by key.
    pub settings: Settings,
    pub filter: ChannelFilter,
    /// How many messages it gets one by one.
    pub digest_policy: DigestPolicy,
    /// Egress beyond what the notifier asks for.
    pub allow: Vec<HostGrant>,
    /// What a call for it may use up, over what its notifier may.
    pub limits: LimitChanges,
    /// The proxy that its requests go through.
    pub proxy: Option<SecretRef>,
}

/// A notifier's settings by key, secrets by reference.
pub type Settings = BTreeMap<String, Setting>;

/// One setting. Which form a key takes is the notifier's word ([`FieldKind`](crate::notifier::FieldKind)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    Boolean(bool),
    Integer(i64),
    /// A text, or where it is kept.
    Text(SecretRef),
    List(Vec<SecretRef>),
    Map(BTreeMap<String, SecretRef>),
}

impl Setting {
    /// Whether a provider that replaces a setting with it refuses the setting: 0, or an empty text.
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Integer(number) => *number == 0,
            Self::Text(SecretRef::Literal(text)) => text.is_empty(),
            _ => false,
        }
    }
}

/// What a channel wants to hear. Each condition that is there must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelFilter {
    /// These events; `None`: all.
    #[serde(default, deserialize_with = "known")]
    pub events: Option<Vec<EventType>>,
    /// Of incidents that are so bad; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known")]
    pub severities: Option<Vec<Severity>>,
    /// Monitors of these groups; `None`: all.
    pub groups: Option<Vec<String>>,
    /// Monitors with each of these tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it may be told; outside of these hours what it wants waits for them. `None`: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

/// The words that this program knows. What a newer one has written beside them is about what this one does not tell.
fn known<'de, D: Deserializer<'de>, T: FromStr>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    let words: Option<Vec<String>> = Deserialize::deserialize(from)?;
    Ok(words.map(|words| words.iter().filter_map(|word| word.parse().ok()).collect()))
}

impl ChannelFilter {
    /// Whether a channel with this filter wants to hear such events at all, whatever they are about. Who heard of an
    /// incident is asked this alone for its end, however bad it was.
    pub fn wants_event(&self, event: EventType) -> bool {
        self.events.as_ref().is_none_or(|events| events.contains(&event))
    }

    /// Whether a channel with this filter wants to hear `event`.
    pub fn wants(&self, event: &Event) -> bool {
        let monitor = &event.monitor;
        let is_in = |groups: &Vec<String>| monitor.group.as_ref().is_some_and(|group| groups.contains(group));
        self.wants_event(event.kind)
            && self.severities.as_ref().is_none_or(|severities| severities.contains(&event.severity))
            && self.groups.as_ref().is_none_or(is_in)
            && self.tags.iter().all(|(key, value)| monitor.tags.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_must_hold() {
        let down = crate::samples::event(EventType::Down);
        let all = ChannelFilter::default;
        let group = |group: &str| ChannelFilter { groups: Some(vec![group.into()]), ..all() };
        let severity = |severity| ChannelFilter { severities: Some(vec![severity]), ..all() };
        let tag = |key: &str, value: &str| ChannelFilter {
            tags: BTreeMap::from([(key.into(), value.into())]),
            ..all()
        };
        for (filter, wanted) in [
            (all(), true),
            (ChannelFilter { events: Some(vec![EventType::Up]), ..all() }, false),
            (group("web"), true),
            (group("db"), false),
            (severity(Severity::Down), true),
            (severity(Severity::Critical), false),
            (tag("team", "a"), true),
            (tag("team", "b"), false),
            (tag("zone", "a"), false),
        ] {
            assert_eq!(filter.wants(&down), wanted, "{filter:?}");
        }
        assert!(severity(Severity::Critical).wants_event(EventType::Up));
    }

    #[test]
    fn an_event_of_a_newer_release_is_no_reason_to_hear_nothing_or_all() {
        let json =
            serde_json::json!({"events": ["down", "of-a-newer"], "severities": ["worse-than-critical"]});
        let filter: ChannelFilter = serde_json::from_value(json).expect("a filter");
        assert_eq!((filter.events, filter.severities), (Some(vec![EventType::Down]), Some(Vec::new())));
    }

    #[test]
    fn settings_keep_the_files_form_in_json() {
        let json = serde_json::json!({"token": {"env": "T"}, "silent": true, "thread": 7, "headers": {"A": "b"}, "secret": [{"file": "f"}, "x"]});
        let settings: Settings = serde_json::from_value(json.clone()).expect("settings");
        assert_eq!(settings["token"], Setting::Text(SecretRef::Env { env: "T".into() }));
        assert_eq!(serde_json::to_value(&settings).expect("settings serialize"), json);
    }
}
