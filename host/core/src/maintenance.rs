//! Maintenance: when nobody is to be told, and of what.
//!
//! A window says both, so that the two are read together: which monitors, and from when until when, once or again and
//! again. Checks go on in it; what they find is judged and not told until the window is over.

use crate::calendar::Hours;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A window. A monitor is in it that is named, is in one of the groups, or has all of the tags; without any of these,
/// each monitor is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitors: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Those that have each of these tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    pub when: When,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    Once { from: Timestamp, until: Timestamp },
    Hours(Hours),
}

impl Maintenance {
    /// Whether it is about this monitor.
    pub fn concerns(&self, name: &str, group: Option<&str>, tags: &BTreeMap<String, String>) -> bool {
        let all = self.monitors.is_empty() && self.groups.is_empty() && self.tags.is_empty();
        all || self.monitors.iter().any(|monitor| monitor == name)
            || group.is_some_and(|group| self.groups.iter().any(|other| other == group))
            || (!self.tags.is_empty() && self.tags.iter().all(|(key, value)| tags.get(key) == Some(value)))
    }

    /// If `at` is within it, when it is over. `Timestamp::MAX`: never.
    pub fn covers(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Once { from, until } => (*from <= at && at < *until).then_some(*until),
            When::Hours(hours) => hours.covers(at),
        }
    }

    /// When it begins next, after `at`; `None`: never.
    pub fn next_begin(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Once { from, .. } => Some(*from).filter(|from| *from > at),
            When::Hours(hours) => Some(hours.next_begin(at)).filter(|begin| *begin < Timestamp::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(monitors: &[&str], groups: &[&str], tags: &[(&str, &str)]) -> Maintenance {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let when = When::Hours("sun 02:00-04:00 UTC".parse().expect("hours"));
        Maintenance { monitors: texts(monitors), groups: texts(groups), tags, when }
    }

    #[test]
    fn a_monitor_is_in_it_by_name_by_group_or_by_all_of_the_tags() {
        let tags = BTreeMap::from([("team".to_owned(), "a".to_owned()), ("zone".to_owned(), "x".to_owned())]);
        let concerns = |window: Maintenance| window.concerns("shop", Some("web"), &tags);
        assert!(concerns(window(&[], &[], &[])));
        assert!(concerns(window(&["blog", "shop"], &[], &[])));
        assert!(concerns(window(&["blog"], &["web"], &[])));
        assert!(concerns(window(&["blog"], &["db"], &[("team", "a"), ("zone", "x")])));
        assert!(!concerns(window(&["blog"], &["db"], &[("team", "a"), ("zone", "y")])));
        assert!(!window(&[], &["web"], &[]).concerns("shop", None, &tags));
        assert!(!window(&["blog"], &[], &[]).concerns("shop", Some("web"), &tags));
    }

    #[test]
    fn one_that_is_once_is_over_for_good() {
        let at = |text: &str| text.parse::<Timestamp>().expect(text);
        let (from, until) = (at("2026-12-01T22:00:00Z"), at("2026-12-02T02:00:00Z"));
        let once = Maintenance { when: When::Once { from, until }, ..window(&[], &[], &[]) };
        assert_eq!(once.covers(at("2026-12-01T21:59:59Z")), None);
        assert_eq!((once.covers(from), once.covers(until)), (Some(until), None));
        assert_eq!((once.next_begin(at("2026-01-01T00:00:00Z")), once.next_begin(from)), (Some(from), None));
    }

    #[test]
    fn it_is_kept_as_it_was() {
        let json = serde_json::json!({"monitors": ["shop"], "when": {"hours": "sun 02:00-04:00 UTC"}});
        assert_eq!(serde_json::to_value(window(&["shop"], &[], &[])).expect("a window serializes"), json);
        let read: Maintenance = serde_json::from_value(json).expect("a window");
        assert_eq!(read, window(&["shop"], &[], &[]));
    }
}
