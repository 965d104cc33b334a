//! The limits of a plugin's call that an operator can move: their names, what holds when nobody says anything, and how
//! far each can go.
//!
//! There is one table of them ([`Limit`]): the file, the command line, the database and the plugin host all read it. A
//! change is kept as it is written (`cpu = "2s"`, `memory = "64 MiB"`, `requests = 20`), wherever it is kept.

use crate::words::words;
use crate::{duration, size};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Milliseconds, written as a duration.
    Duration,
    /// Bytes, written as a size.
    Size,
    Count,
}

struct Traits {
    measure: Measure,
    default: u64,
    bounds: RangeInclusive<u64>,
    doc: &'static str,
}

macro_rules! limits {
    ($($limit:ident = $word:literal: $measure:ident, $default:expr, $bounds:expr, $doc:literal;)+) => {
        words! {
            /// In the order in which people are shown them.
            #[derive(PartialOrd, Ord)]
            pub enum Limit: "limit" { $($limit = $word),+ }
        }

        impl Limit {
            fn traits(self) -> Traits {
                match self {
                    $(Self::$limit => {
                        Traits { measure: Measure::$measure, default: $default, bounds: $bounds, doc: $doc }
                    }),+
                }
            }
        }
    };
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

limits! {
    Cpu = "cpu": Duration, 500, 10..=MINUTE,
        "CPU time of one call; waiting for a provider does not count.";
    Timeout = "timeout": Duration, 45 * SECOND, 100..=10 * MINUTE,
        "Time limit for one call, waiting included; the queue's `timeout` applies too.";
    Memory = "memory": Size, 16 * MIB, MIB..=1_024 * MIB,
        "Memory of one call.";
    TableEntries = "table_entries": Count, 20_000, 100..=10_000_000,
        "Entries in all tables of one call.";
    Requests = "requests": Count, 8, 1..=1_000,
        "Requests of one call.";
    RequestTimeout = "request_timeout": Duration, 20 * SECOND, 100..=10 * MINUTE,
        "Time limit for one request and its response.";
    RequestBody = "request_body": Size, 256 * KIB, KIB..=64 * MIB,
        "Size of a request's body.";
    ResponseBody = "response_body": Size, 64 * KIB, KIB..=64 * MIB,
        "Bytes that are read of a response's body.";
    LogLines = "log_lines": Count, 50, 0..=10_000,
        "Log lines of one call; more are dropped.";
    LogLineChars = "log_line_chars": Count, 500, 20..=10_000,
        "Characters of one log line; more are cut off.";
    HandedOver = "handed_over": Size, 8 * MIB, 64 * KIB..=256 * MIB,
        "Size of what a plugin may pass to the host at once.";
    Concurrency = "concurrency": Count, 1_024, 1..=10_000,
        "Concurrent calls of the plugin; more wait.";
    Failures = "failures": Count, 5, 0..=1_000,
        "Consecutive crashes and exceeded limits that put the plugin in quarantine; 0: never.";
}

impl Limit {
    /// What it limits: a sentence.
    pub fn doc(self) -> &'static str {
        self.traits().doc
    }

    pub fn measure(self) -> Measure {
        self.traits().measure
    }

    /// What holds when nobody says anything, in its measure.
    pub fn default_value(self) -> u64 {
        self.traits().default
    }

    /// The least and the most that an operator may say, in its measure.
    pub fn bounds(self) -> RangeInclusive<u64> {
        self.traits().bounds
    }

    /// A value as a person writes it.
    pub fn show(self, value: u64) -> String {
        match self.measure() {
            Measure::Duration => duration::format(Duration::from_millis(value)),
            Measure::Size => size::format(value),
            Measure::Count => value.to_string(),
        }
    }

    /// Reads what a person wrote.
    ///
    /// # Errors
    /// A fragment that says what was expected, or names the bounds.
    pub fn parse(self, text: &str) -> Result<u64, String> {
        let value = match self.measure() {
            Measure::Duration => duration::parse(text)
                .map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))?,
            Measure::Size => size::parse(text)?,
            Measure::Count => text.trim().parse().map_err(|_| format!("`{text}` is no whole number"))?,
        };
        self.within(value)
    }

    /// The value, if it is within the bounds.
    fn within(self, value: u64) -> Result<u64, String> {
        let bounds = self.bounds();
        if bounds.contains(&value) {
            return Ok(value);
        }
        let [least, most] = [*bounds.start(), *bounds.end()].map(|bound| self.show(bound));
        Err(format!("`{}` goes from `{least}` to `{most}`, not `{}`", self.as_str(), self.show(value)))
    }
}

/// What an operator says of some limits; the others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "BTreeMap<String, Written>", try_from = "BTreeMap<String, Written>")]
pub struct LimitChanges(BTreeMap<Limit, u64>);

impl LimitChanges {
    /// What is said of `limit`, in its measure.
    pub fn get(&self, limit: Limit) -> Option<u64> {
        self.0.get(&limit).copied()
    }

    /// Says something of `limit`.
    ///
    /// # Errors
    /// A fragment that names the bounds.
    pub fn set(&mut self, limit: Limit, value: u64) -> Result<(), String> {
        self.0.insert(limit, limit.within(value)?);
        Ok(())
    }

    /// These, and what they leave open from `below`.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        let mut all = below.0.clone();
        all.extend(&self.0);
        Self(all)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each limit of which something is said, with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Limit, u64)> {
        self.0.iter().map(|(limit, value)| (*limit, *value))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl From<LimitChanges> for BTreeMap<String, Written> {
    fn from(changes: LimitChanges) -> Self {
        let written = |limit: Limit, value| match limit.measure() {
            Measure::Count => Written::Number(value),
            Measure::Duration | Measure::Size => Written::Text(limit.show(value)),
        };
        changes.iter().map(|(limit, value)| (limit.as_str().to_owned(), written(limit, value))).collect()
    }
}

impl TryFrom<BTreeMap<String, Written>> for LimitChanges {
    type Error = String;

    fn try_from(written: BTreeMap<String, Written>) -> Result<Self, String> {
        let mut changes = Self::default();
        for (key, value) in written {
            let limit: Limit = key.parse()?;
            let value = match value {
                Written::Number(number) if limit.measure() == Measure::Count => number,
                Written::Number(number) => return Err(format!("`{key}` has no unit: `{number}`")),
                Written::Text(text) => limit.parse(&text)?,
            };
            changes.set(limit, value)?;
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_limit_reads_what_it_writes_and_begins_within_its_bounds() {
        for &limit in Limit::ALL {
            assert_eq!(limit.as_str().parse(), Ok(limit));
            assert!(limit.bounds().contains(&limit.default_value()), "{limit:?}");
            for value in [limit.default_value(), *limit.bounds().start(), *limit.bounds().end()] {
                assert_eq!(limit.parse(&limit.show(value)), Ok(value), "{limit:?}");
            }
            for value in [limit.bounds().start().checked_sub(1), Some(limit.bounds().end() + 1)] {
                let refused = value.is_none_or(|value| LimitChanges::default().set(limit, value).is_err());
                assert!(refused, "{limit:?}");
            }
        }
    }

    #[test]
    fn changes_are_kept_as_they_are_written() {
        let json = json!({ "cpu": "2s", "memory": "64 MiB", "requests": 20, "timeout": "1m30s" });
        let changes: LimitChanges = serde_json::from_value(json.clone()).expect("changes");
        assert_eq!(changes.get(Limit::Memory), Some(64 << 20));
        assert_eq!(serde_json::to_value(&changes).expect("JSON"), json);
        for wrong in [json!({ "cpu": 2 }), json!({ "disk": "1 MiB" }), json!({ "memory": "2 GiB" })] {
            assert!(serde_json::from_value::<LimitChanges>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_lies_above_holds() {
        let changes = |json| serde_json::from_value::<LimitChanges>(json).expect("changes");
        let channel = changes(json!({ "cpu": "2s" }));
        let plugin = changes(json!({ "cpu": "1s", "requests": 3 }));
        assert_eq!(channel.over(&plugin), changes(json!({ "cpu": "2s", "requests": 3 })));
    }
}
