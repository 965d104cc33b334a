//! What keys of times take: hours as a text, days, a time of the day or an instant, time zones.

use super::key::quoted;
use super::takes::{Item, Parsed, Refusal};
use crate::calendar::{Clock, Days, Hours, NotHours, UnknownZone, Zone};
use crate::text::printable;
use jiff::Timestamp;
use jiff::civil::DateTime;

/// A refusal in the words of the calendar.
fn refusal(key: &str, wrong: NotHours) -> Refusal {
    Refusal::Value(format!("in `{key}`, {}", wrong.message), Some(wrong.hint))
}

/// Hours that recur.
pub(super) const HOURS: Parsed<Hours> = Parsed::new(
    "HOURS",
    "hours such as `mon-fri 08:00-18:00 Europe/Berlin`",
    "\"mon-fri 08:00-18:00 Europe/Berlin\"",
    |text, item, _| text.parse().map_err(|wrong| refusal(item.key, wrong)),
)
.within(
    "days, times and a zone (UTC if there is none), and again: `mon-fri 08:00-18:00, sat 10:00-14:00 UTC`",
);

pub(super) const OF_WEEK: Parsed<Days> =
    Parsed::new("DAYS", "a day such as `mon` or days such as `mon-fri`", "\"mon-fri\"", |text, item, _| {
        match text.parse() {
            Ok(days @ Days::Week(_)) => Ok(days),
            Ok(Days::Month { .. }) => {
                Err(Refusal::Form(Some(format!("write `month_days = [{}]`", of_month_as_toml(text)))))
            }
            Err(wrong) => Err(refusal(item.key, wrong)),
        }
    });

fn of_month_as_toml(text: &str) -> String {
    if text.parse::<u8>().is_ok() { text.to_owned() } else { quoted(&text.to_lowercase()) }
}

pub(super) const OF_MONTH: Parsed<Days> =
    Parsed::new("DAY", "a day of the month from 1 to 31, or `\"last\"`", "1", |text, _, _| {
        match text.parse() {
            Ok(days @ Days::Month { .. }) => Ok(days),
            _ => Err(Refusal::Form(None)),
        }
    })
    .or_number();

pub(super) const ZONE: Parsed<Zone> = Parsed::new(
    "ZONE",
    "the name of a time zone such as `Europe/Berlin`",
    "\"Europe/Berlin\"",
    |text, _, _| {
        text.parse().map_err(|error: UnknownZone| Refusal::Value(error.to_string(), Some(error.hint)))
    },
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Each day that is meant, at that time.
    Daily(Clock),
    /// Once, when the clock reads so.
    Reading(DateTime),
    /// Once, at that instant.
    Instant(Timestamp),
}

pub(super) const MOMENT: Parsed<Moment> = Parsed::new(
    "TIME",
    "a time such as `02:00`, or a date and a time such as `2026-12-01T22:00`",
    "\"02:00\"",
    |text, item, _| moment(text, item),
)
.within("perhaps with an offset, such as `+01:00` or `Z`")
.or_number();

fn moment(text: &str, item: Item<'_>) -> Result<Moment, Refusal> {
    let is_time = !text.contains('-') && text.contains(':');
    if is_time {
        let to_minutes = text.split(':').count() == 3;
        let text = text.strip_suffix(":00").filter(|_| to_minutes).unwrap_or(text);
        return text.parse().map(Moment::Daily).map_err(|wrong| refusal(item.key, wrong));
    }
    if text.contains('[') || text.contains('/') {
        return Err(Refusal::Form(Some("the time zone is a key of its own, `timezone`".into())));
    }
    if let Ok(instant) = text.parse() {
        return Ok(Moment::Instant(instant));
    }
    text.parse().map(Moment::Reading).map_err(|_| {
        let example = format!("write `{} = \"2026-12-01T22:00\"`, or `\"22:00\"`", printable(item.key, 60));
        Refusal::Form(Some(example))
    })
}
