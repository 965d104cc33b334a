//! The limits of a plugin's call that an operator can move: their names, what holds when nobody says anything, and how
//! far each can go.
//!
//! There is one table of them ([`Limit`]): the file, the command line, the database and the plugin host all read it. A
//! change is kept as it is written (`cpu = "2s"`, `memory = "64 MiB"`, `requests = 20`), wherever it is kept.

use crate::{duration, size};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    Cpu,
    Timeout,
    Memory,
    TableEntries,
    Requests,
    RequestTimeout,
    RequestBody,
    ResponseBody,
    LogLines,
    LogLineChars,
    HandedOver,
    Concurrency,
    Failures,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Milliseconds, written as a duration.
    Duration,
    /// Bytes, written as a size.
    Size,
    Count,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

impl Limit {
    /// All, in the order in which people are shown them.
    pub const ALL: [Self; 13] = [
        Self::Cpu,
        Self::Timeout,
        Self::Memory,
        Self::TableEntries,
        Self::Requests,
        Self::RequestTimeout,
        Self::RequestBody,
        Self::ResponseBody,
        Self::LogLines,
        Self::LogLineChars,
        Self::HandedOver,
        Self::Concurrency,
        Self::Failures,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::TableEntries => "table_entries",
            Self::Requests => "requests",
            Self::RequestTimeout => "request_timeout",
            Self::RequestBody => "request_body",
            Self::ResponseBody => "response_body",
            Self::LogLines => "log_lines",
            Self::LogLineChars => "log_line_chars",
            Self::HandedOver => "handed_over",
            Self::Concurrency => "concurrency",
            Self::Failures => "failures",
        }
    }

    /// What it limits: a sentence.
    pub fn doc(self) -> &'static str {
        match self {
            Self::Cpu => "CPU time of a call; waiting for a provider does not count.",
            Self::Timeout => "From a call to its return, everything in it; the queue's `timeout` holds too.",
            Self::Memory => "Memory of a call.",
            Self::TableEntries => "Entries in all tables of a call together.",
            Self::Requests => "Requests of a call.",
            Self::RequestTimeout => "From a request's start to the end of its answer.",
            Self::RequestBody => "The body of a request.",
            Self::ResponseBody => "So much of an answer's body is read.",
            Self::LogLines => "Log lines of a call; what is over is dropped.",
            Self::LogLineChars => "Characters of a log line; what is over is cut off.",
            Self::HandedOver => "What a plugin may hand over to the host at once.",
            Self::Concurrency => "Calls of the plugin at the same time; what is over waits.",
            Self::Failures => {
                "Crashes and the like in a row after which the plugin is in quarantine; 0: never."
            }
        }
    }

    pub fn measure(self) -> Measure {
        match self {
            Self::Cpu | Self::Timeout | Self::RequestTimeout => Measure::Duration,
            Self::Memory | Self::RequestBody | Self::ResponseBody | Self::HandedOver => Measure::Size,
            Self::TableEntries
            | Self::Requests
            | Self::LogLines
            | Self::LogLineChars
            | Self::Concurrency
            | Self::Failures => Measure::Count,
        }
    }

    /// What holds when nobody says anything, in its measure.
    #[expect(clippy::match_same_arms, reason = "equal numbers of different things")]
    pub fn default_value(self) -> u64 {
        match self {
            Self::Cpu => 500,
            Self::Timeout => 45 * SECOND,
            Self::Memory => 16 * MIB,
            Self::TableEntries => 20_000,
            Self::Requests => 8,
            Self::RequestTimeout => 20 * SECOND,
            Self::RequestBody => 256 * KIB,
            Self::ResponseBody => 64 * KIB,
            Self::LogLines => 50,
            Self::LogLineChars => 500,
            Self::HandedOver => 8 * MIB,
            Self::Concurrency => 1_024,
            Self::Failures => 5,
        }
    }

    /// The least and the most that an operator may say, in its measure.
    pub fn bounds(self) -> RangeInclusive<u64> {
        match self {
            Self::Cpu => 10..=MINUTE,
            Self::Timeout | Self::RequestTimeout => 100..=10 * MINUTE,
            Self::Memory => MIB..=1_024 * MIB,
            Self::TableEntries => 100..=10_000_000,
            Self::Requests => 1..=1_000,
            Self::RequestBody | Self::ResponseBody => KIB..=64 * MIB,
            Self::LogLines => 0..=10_000,
            Self::LogLineChars => 20..=10_000,
            Self::HandedOver => 64 * KIB..=256 * MIB,
            Self::Concurrency => 1..=10_000,
            Self::Failures => 0..=1_000,
        }
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

impl std::str::FromStr for Limit {
    type Err = String;

    fn from_str(key: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|limit| limit.as_str() == key).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.into_iter().map(Self::as_str).collect();
            format!("there is no limit `{key}`; there are {}", all.join(", "))
        })
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
        for limit in Limit::ALL {
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
