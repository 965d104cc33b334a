//! The days on which hours recur: of the week or of the month.

use jiff::civil::{Date, Weekday};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// Of the week: a bit for each, Monday the lowest.
    Week(u8),
    /// Of the month: the bit `n` for the `n`th, and whether the last one of each month is one of them.
    Month {
        /// The days by number.
        numbers: u32,
        /// The last one, whatever its number.
        last: bool,
    },
}

pub(super) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Days {
    pub const ALL: Self = Self::Week(0b111_1111);

    pub fn is_empty(self) -> bool {
        matches!(self, Self::Week(0) | Self::Month { numbers: 0, last: false })
    }

    pub fn contains(self, date: Date) -> bool {
        match self {
            Self::Week(days) => days >> weekday(date.weekday()) & 1 == 1,
            Self::Month { numbers, last } => {
                numbers >> date.day() & 1 == 1 || (last && date.day() == date.days_in_month())
            }
        }
    }

    /// Whether each day is one of them.
    pub(super) fn is_all(self) -> bool {
        const TO_30TH: u32 = 0x7fff_fffe;
        match self {
            Self::Week(days) => days == 0b111_1111,
            Self::Month { numbers, last } => numbers & TO_30TH == TO_30TH && (last || numbers >> 31 == 1),
        }
    }
}

fn weekday(day: Weekday) -> i8 {
    day.to_monday_zero_offset()
}

impl fmt::Display for Days {
    /// `mon-fri`, `1,15,last`; nothing for every day.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match *self {
            Self::Week(_) if self.is_all() => {}
            Self::Week(days) => {
                runs(&mut parts, 0, 6, |n| days >> n & 1 == 1, |n| WEEKDAYS[usize::from(n)].to_owned());
            }
            Self::Month { numbers, last } => {
                runs(&mut parts, 1, 31, |n| numbers >> n & 1 == 1, |n| n.to_string());
                parts.extend(last.then(|| "last".to_owned()));
            }
        }
        f.write_str(&parts.join(","))
    }
}

/// Writes the numbers that are in as `first-last`.
fn runs(
    parts: &mut Vec<String>,
    least: u8,
    most: u8,
    is_in: impl Fn(u8) -> bool,
    name: impl Fn(u8) -> String,
) {
    let mut n = least;
    while n <= most {
        let first = n;
        while n <= most && is_in(n) {
            n += 1;
        }
        match n - first {
            0 => n += 1,
            1 => parts.push(name(first)),
            _ => parts.push(format!("{}-{}", name(first), name(n - 1))),
        }
    }
}
