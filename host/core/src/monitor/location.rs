//! Where a check runs from, for monitors that are looked at from several places.

use crate::queue::MONITOR_CHECKS;
use crate::words::as_text;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a place with workers of its own: `fra`, `office-2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Location(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a location has 1 to {} lower-case letters, digits and `-`", Location::LONGEST)]
pub struct NoLocation;

impl Location {
    /// The longest name, in characters.
    pub const LONGEST: usize = 40;

    /// The queue of the checks that run from here.
    pub fn queue(&self) -> String {
        format!("{MONITOR_CHECKS}:{self}")
    }

    /// The location whose queue this is. `None`: checks of monitors that name none, or no checks at all.
    pub fn of_queue(queue: &str) -> Option<Self> {
        queue.strip_prefix(MONITOR_CHECKS)?.strip_prefix(':')?.parse().ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Location {
    type Err = NoLocation;

    fn from_str(text: &str) -> Result<Self, NoLocation> {
        // In a queue's name, a metric's label and a command line alike.
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let is_name =
            (1..=Self::LONGEST).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(fits);
        if is_name { Ok(Self(text.to_owned())) } else { Err(NoLocation) }
    }
}

as_text!(Location);

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_told_by_its_queue() {
        let fra: Location = "fra-2".parse().expect("a location");
        assert_eq!(fra.queue(), "monitor-checks:fra-2");
        assert_eq!(Location::of_queue(&fra.queue()), Some(fra));
        for queue in ["monitor-checks", "monitor-checks:", "notifications", "monitor-checks-fra", "x:fra"] {
            assert_eq!(Location::of_queue(queue), None, "{queue}");
        }
        for text in ["", "Fra", "fra:1", "-fra", "f ra", "é", &"a".repeat(41)] {
            assert_eq!(text.parse::<Location>(), Err(NoLocation), "{text}");
        }
    }
}
