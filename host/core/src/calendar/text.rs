//! Hours as a text: `mon-fri 08:00-12:00 13:00-18:00, sat 10:00-14:00 Europe/Berlin`.
//!
//! Days, times and the zone tell themselves apart, so commas and spaces only part them. Days that come after times
//! begin anew; times without days are those of each day; without a zone they are UTC's. What is written is read
//! again as the same, which is how the database keeps it.

use super::clock::{Clock, NotHours, wrong, wrong_part};
use super::days::{Days, WEEKDAYS};
use super::hours::{Hours, Range};
use super::zone::{UnknownZone, Zone};
use crate::text::did_you_mean;
use crate::words::as_text;
use std::fmt;
use std::str::FromStr;

/// Both ends of `08:00-18:00`.
fn times(text: &str) -> Result<(Clock, Clock), NotHours> {
    let form = "write the first and the last, such as `08:00-18:00`";
    let ends = text.split_once('-');
    let (from, until) = ends.ok_or_else(|| wrong_part(text, "is one time and not two", form))?;
    let (from, until): (Clock, Clock) = (from.parse()?, until.parse()?);
    if from == Clock::END {
        return Err(wrong("a day ends at `24:00`, and nothing begins then".into(), "write `00:00`"));
    }
    Ok((from, until))
}

impl FromStr for Days {
    type Err = NotHours;

    /// `mon-fri`, `sat`, `15`, `1-7`, `last`.
    fn from_str(text: &str) -> Result<Self, NotHours> {
        let text = text.to_lowercase();
        if text == "last" {
            return Ok(Self::Month { numbers: 0, last: true });
        }
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        if first.starts_with(|c: char| c.is_ascii_digit()) {
            let form = "write a number from 1 to 31, or `last`; a time has minutes, such as `08:00`";
            let number = |digits: &str| {
                let day = digits.parse().ok().filter(|day| (1..=31).contains(day));
                day.ok_or_else(|| wrong_part(digits, "is no day of a month", form))
            };
            let (first, last): (u32, u32) = (number(first)?, number(last)?);
            if last < first {
                return Err(wrong_part(&text, "goes backwards", format!("write `{last}-{first}`")));
            }
            let numbers = (first..=last).fold(0, |numbers, day| numbers | 1 << day);
            return Ok(Self::Month { numbers, last: false });
        }
        let (first, last) = (weekday(first)?, weekday(last)?);
        // `sat-mon` goes over the week's end.
        let mut days = 1 << last;
        let mut day = first;
        while day != last {
            days |= 1 << day;
            day = (day + 1) % 7;
        }
        Ok(Self::Week(days))
    }
}

fn weekday(text: &str) -> Result<usize, NotHours> {
    const LONG: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let place = |names: &[&str; 7]| names.iter().position(|name| *name == text);
    place(&WEEKDAYS).or_else(|| place(&LONG)).ok_or_else(|| {
        let near = did_you_mean(text, WEEKDAYS.into_iter().chain(LONG).chain(["last"]));
        let all = "write `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`";
        wrong_part(text, "is no day", near.unwrap_or_else(|| all.into()))
    })
}

impl Days {
    /// These and `more`; `None`: the ones are of the week and the others of the month.
    pub fn with(self, more: Self) -> Option<Self> {
        match (self, more) {
            (Self::Week(one), Self::Week(other)) => Some(Self::Week(one | other)),
            (Self::Month { numbers, last }, Self::Month { numbers: more, last: other }) => {
                Some(Self::Month { numbers: numbers | more, last: last || other })
            }
            _ => None,
        }
    }
}

impl FromStr for Hours {
    type Err = NotHours;

    fn from_str(text: &str) -> Result<Self, NotHours> {
        let mut ranges: Vec<Range> = Vec::new();
        let mut zone: Option<Zone> = None;
        // The days that the next times are of, and whether times have come since.
        let mut days: Option<Days> = None;
        let mut waiting = false;
        for word in text.split([' ', '\t', ',', ';']).filter(|word| !word.is_empty()) {
            if let Some(zone) = &zone {
                let problem = format!("comes after the time zone `{zone}`");
                return Err(wrong_part(word, &problem, "the time zone comes last, and there is one for all"));
            }
            if word.contains(':') {
                let (from, until) = times(word)?;
                ranges.push(Range { days: days.unwrap_or(Days::ALL), from, until });
                waiting = false;
            } else if is_zone(word) {
                zone = Some(word.parse().map_err(|error: UnknownZone| wrong(error.to_string(), error.hint))?);
            } else {
                let more: Days =
                    word.parse().map_err(|no_day| perhaps_zone(word, no_day, !ranges.is_empty()))?;
                days = Some(match days.filter(|_| waiting) {
                    None => more,
                    Some(days) => days.with(more).ok_or_else(|| {
                        let problem = "puts days of the week and of the month together";
                        let hint = "write times between them; a time has minutes, such as `08:00-18:00`";
                        wrong_part(word, problem, hint)
                    })?,
                });
                waiting = true;
            }
        }
        let form = "write them after the days, such as `mon-fri 08:00-18:00`";
        let no_times = || wrong("there are no times".into(), form);
        if waiting {
            return Err(no_times());
        }
        if ranges.len() > MOST {
            let message = format!("there are {} times, and {MOST} are the most", ranges.len());
            return Err(wrong(message, "join some"));
        }
        Self::new(ranges, zone.unwrap_or_default()).ok_or_else(no_times)
    }
}

/// After times a word that is no day may be meant as the time zone.
fn perhaps_zone(word: &str, no_day: NotHours, after_times: bool) -> NotHours {
    let is_near = |hint: &str| hint.starts_with("did you mean");
    match word.parse::<Zone>() {
        Err(no_zone) if after_times && !is_near(&no_day.hint) && is_near(&no_zone.hint) => {
            wrong(no_zone.to_string(), no_zone.hint)
        }
        _ => no_day,
    }
}

const MOST: usize = 50;

/// Whether a word is meant as a time zone: no day has a `/` or is written so.
fn is_zone(word: &str) -> bool {
    let days_begin = word.chars().next().is_some_and(|c| c.is_ascii_digit());
    let is_day = |part: &str| weekday(&part.to_lowercase()).is_ok();
    let is_days = word.split('-').all(is_day) || word.eq_ignore_ascii_case("last");
    !days_begin && !is_days && (word.contains('/') || word.parse::<Zone>().is_ok())
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.ranges.iter().enumerate() {
            let (days, parted) = (range.days.to_string(), if place == 0 { "" } else { ", " });
            let days = match days.as_str() {
                // Days that came before would be meant.
                "" if place > 0 => "mon-sun".into(),
                _ => days,
            };
            let space = if days.is_empty() { "" } else { " " };
            write!(f, "{parted}{days}{space}{}-{}", range.from, range.until)?;
        }
        write!(f, " {}", self.zone())
    }
}

as_text!(Hours);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (written, canonical) in [
            ("mon-fri 08:00-18:00 Europe/Berlin", "mon-fri 08:00-18:00 Europe/Berlin"),
            ("08:00-18:00", "08:00-18:00 UTC"),
            ("Mon,Tue,thu 8:00-18:00 europe/berlin", "mon-tue,thu 08:00-18:00 Europe/Berlin"),
            ("sat-mon 22:00-06:00 UTC", "mon,sat-sun 22:00-06:00 UTC"),
            ("monday 00:00-24:00", "mon 00:00-24:00 UTC"),
            (
                "mon-fri 13:00-18:00 8:00-12:00; sat 10:00-14:00 Asia/Jakarta",
                "mon-fri 08:00-12:00, sat 10:00-14:00, mon-fri 13:00-18:00 Asia/Jakarta",
            ),
            ("1,15,last 02:00-04:00 UTC", "1,15,last 02:00-04:00 UTC"),
            ("1-3, 5 02:00-04:00", "1-3,5 02:00-04:00 UTC"),
            ("mon-sun 01:00-02:00, fri 00:00-00:30", "fri 00:00-00:30, mon-sun 01:00-02:00 UTC"),
        ] {
            let hours: Hours = written.parse().expect(written);
            assert_eq!(hours.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(hours.clone()));
            assert_eq!(serde_json::to_value(&hours).expect("hours serialize"), canonical);
        }
    }

    /// Hours, what is wrong with them, and the way out.
    const WRONG: &str = "
        mon-fri: there are no times: write them after the days, such as `mon-fri 08:00-18:00`
        mon-fri 08:00: `08:00` is one time and not two: write the first and the last, such as `08:00-18:00`
        mon-fri 8-18: `8-18` puts days of the week and of the month together: \
            write times between them; a time has minutes, such as `08:00-18:00`
        08:00-25:00: `25:00` is no time of a day: write hours and minutes from `00:00` to `24:00`
        08:60-18:00: `08:60` is no time of a day: write hours and minutes from `00:00` to `24:00`
        24:00-06:00: a day ends at `24:00`, and nothing begins then: write `00:00`
        mon-fry 08:00-18:00: `fry` is no day: did you mean `fri`?
        wekend 08:00-18:00: `wekend` is no day: write `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`
        32 08:00-18:00: `32` is no day of a month: \
            write a number from 1 to 31, or `last`; a time has minutes, such as `08:00`
        7-1 08:00-18:00: `7-1` goes backwards: write `1-7`
        08:00-18:00 Europe/Berlim: there is no time zone `Europe/Berlim`: did you mean `Europe/Berlin`?
        08:00-18:00 Berlin: there is no time zone `Berlin`: did you mean `Europe/Berlin`?
        08:00-18:00 UTC mon: `mon` comes after the time zone `UTC`: the time zone comes last, and there is one for all";

    #[test]
    fn what_is_wrong_is_named_with_the_way_out() {
        assert!("".parse::<Hours>().is_err_and(|wrong| wrong.message == "there are no times"));
        for case in WRONG.lines().map(str::trim).filter(|case| !case.is_empty()) {
            let parts: Vec<&str> = case.split(": ").collect();
            let [text, message, hint] = parts[..] else { panic!("{case}") };
            let message = message.to_owned();
            assert_eq!(text.parse::<Hours>(), Err(wrong(message, hint)), "{text}");
        }
    }
}
