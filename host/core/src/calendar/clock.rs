//! A time of a day.

use crate::text::printable;
use std::fmt;
use std::str::FromStr;

/// A reading of a clock to the minute, from 00:00 to 24:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(u16);

impl Clock {
    pub const END: Self = Self(1_440);

    /// So many minutes after midnight; `None`: more than a day.
    pub fn new(minutes: u16) -> Option<Self> {
        (minutes <= Self::END.0).then_some(Self(minutes))
    }

    /// In minutes since midnight; the day's end is 1440.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Why a text is not hours, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotHours {
    /// What is wrong: a fragment.
    pub message: String,
    pub hint: String,
}

pub(super) fn wrong(message: String, hint: impl Into<String>) -> NotHours {
    NotHours { message, hint: hint.into() }
}

/// Something that is wrong with a part of the text.
pub(super) fn wrong_part(part: &str, problem: &str, hint: impl Into<String>) -> NotHours {
    wrong(format!("`{}` {problem}", printable(part, 60)), hint)
}

impl FromStr for Clock {
    type Err = NotHours;

    fn from_str(text: &str) -> Result<Self, NotHours> {
        let number = |digits: &str, least: usize| -> Option<u16> {
            let fits = (least..=2).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
            if fits { digits.parse().ok() } else { None }
        };
        let form = "write hours and minutes from `00:00` to `24:00`";
        let refuse = || wrong_part(text, "is no time of a day", form);
        let (hours, minutes) = text.split_once(':').ok_or_else(refuse)?;
        let (hours, minutes) = (number(hours, 1).ok_or_else(refuse)?, number(minutes, 2).ok_or_else(refuse)?);
        if minutes > 59 {
            return Err(refuse());
        }
        Self::new(hours * 60 + minutes).ok_or_else(refuse)
    }
}
