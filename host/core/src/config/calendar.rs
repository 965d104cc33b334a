//! What keys of times take: hours as a text, days, a time of the day or an instant, time zones.

use super::diagnostic::Notes;
use super::takes::{Item, Refusal, Takes, quoted};
use crate::calendar::{Clock, Days, Hours, NotHours, UnknownZone, Zone};
use crate::text::printable;
use jiff::Timestamp;
use jiff::civil::DateTime;
use toml::de::DeValue;

/// A refusal in the words of the calendar.
fn refusal(key: &str, wrong: NotHours) -> Refusal {
    Refusal::Value(format!("in `{key}`, {}", wrong.message), Some(wrong.hint))
}

/// Hours that recur, as a text.
pub(super) struct HoursText;

impl Takes for HoursText {
    type Value = Hours;

    fn words(&self) -> String {
        "hours such as `mon-fri 08:00-18:00 Europe/Berlin`".into()
    }

    fn limits(&self) -> Option<String> {
        Some("days, times and a zone (UTC if there is none), and again: `mon-fri 08:00-18:00, sat 10:00-14:00 UTC`".into())
    }

    fn example(&self) -> String {
        quoted("mon-fri 08:00-18:00 Europe/Berlin")
    }

    fn parse(&self, item: Item<'_>, _: &mut Notes) -> Result<Hours, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        text.parse().map_err(|wrong| refusal(item.key, wrong))
    }
}

pub(super) struct OfWeek;

impl Takes for OfWeek {
    type Value = Days;

    fn words(&self) -> String {
        "a day such as `mon` or days such as `mon-fri`".into()
    }

    fn example(&self) -> String {
        quoted("mon-fri")
    }

    fn parse(&self, item: Item<'_>, _: &mut Notes) -> Result<Days, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        match text.parse() {
            Ok(days @ Days::Week(_)) => Ok(days),
            Ok(Days::Month { .. }) => {
                Err(Refusal::Form(Some(format!("write `month_days = [{}]`", of_month_as_toml(text)))))
            }
            Err(wrong) => Err(refusal(item.key, wrong)),
        }
    }
}

fn of_month_as_toml(text: &str) -> String {
    if text.parse::<u8>().is_ok() { text.to_owned() } else { quoted(&text.to_lowercase()) }
}

pub(super) struct OfMonth;

impl Takes for OfMonth {
    type Value = Days;

    fn words(&self) -> String {
        "a day of the month from 1 to 31, or `\"last\"`".into()
    }

    fn example(&self) -> String {
        "1".into()
    }

    fn parse(&self, item: Item<'_>, _: &mut Notes) -> Result<Days, Refusal> {
        let text = match item.value {
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_default().to_string()
            }
            DeValue::String(text) => text.to_string(),
            _ => return Err(Refusal::Type),
        };
        match text.parse() {
            Ok(days @ Days::Month { .. }) => Ok(days),
            _ => Err(Refusal::Form(None)),
        }
    }
}

pub(super) struct ZoneName;

impl Takes for ZoneName {
    type Value = Zone;

    fn words(&self) -> String {
        "the name of a time zone such as `Europe/Berlin`".into()
    }

    fn example(&self) -> String {
        quoted("Europe/Berlin")
    }

    fn parse(&self, item: Item<'_>, _: &mut Notes) -> Result<Zone, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        text.parse().map_err(|error: UnknownZone| Refusal::Value(error.to_string(), Some(error.hint)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Each day that is meant, at that time.
    Daily(Clock),
    /// Once, when the clock reads so.
    Reading(DateTime),
    /// Once, at that instant.
    Instant(Timestamp),
}

pub(super) struct MomentText;

impl Takes for MomentText {
    type Value = Moment;

    fn words(&self) -> String {
        "a time such as `02:00`, or a date and a time such as `2026-12-01T22:00`".into()
    }

    fn limits(&self) -> Option<String> {
        Some("perhaps with an offset, such as `+01:00` or `Z`".into())
    }

    fn example(&self) -> String {
        quoted("02:00")
    }

    fn parse(&self, item: Item<'_>, _: &mut Notes) -> Result<Moment, Refusal> {
        // TOML has dates and times of its own; they are written as in a text.
        let text = match item.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(datetime) => datetime.to_string(),
            _ => return Err(Refusal::Type),
        };
        let is_time = !text.contains('-') && text.contains(':');
        if is_time {
            let to_minutes = text.split(':').count() == 3;
            let text = text.strip_suffix(":00").filter(|_| to_minutes).unwrap_or(&text);
            return text.parse().map(Moment::Daily).map_err(|wrong| refusal(item.key, wrong));
        }
        if text.contains('[') || text.contains('/') {
            return Err(Refusal::Form(Some("the time zone is a key of its own, `timezone`".into())));
        }
        if let Ok(instant) = text.parse() {
            return Ok(Moment::Instant(instant));
        }
        text.parse().map(Moment::Reading).map_err(|_| {
            let example =
                format!("write `{} = \"2026-12-01T22:00\"`, or `\"22:00\"`", printable(item.key, 60));
            Refusal::Form(Some(example))
        })
    }
}
