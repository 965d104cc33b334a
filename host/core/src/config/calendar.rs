//! What keys of times take: hours as a text, a date and a time or an instant, time zones.

use super::kinds::ValueError;
use super::parsed::Parsed;
use crate::calendar::{Hours, NotHours, UnknownZone, Zone};
use jiff::Timestamp;
use jiff::civil::DateTime;

/// Hours that recur.
pub(super) const HOURS: Parsed<Hours> = Parsed::new(
    "HOURS",
    "hours such as `mon-fri 08:00-18:00 Europe/Berlin`",
    "\"mon-fri 08:00-18:00 Europe/Berlin\"",
    |text, item, _| {
        text.parse().map_err(|wrong: NotHours| {
            ValueError::value(format!("in `{}`, {}", item.key, wrong.message), wrong.hint)
        })
    },
)
.within(
    "days, times and a zone (UTC if there is none), and again: `mon-fri 08:00-18:00, sat 10:00-14:00 UTC`",
);

pub(super) const ZONE: Parsed<Zone> = Parsed::new(
    "ZONE",
    "the name of a time zone such as `Europe/Berlin`",
    "\"Europe/Berlin\"",
    |text, _, _| text.parse().map_err(|error: UnknownZone| ValueError::value(error.to_string(), error.hint)),
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PointInTime {
    /// When the clock reads so.
    Reading(DateTime),
    Instant(Timestamp),
}

pub(super) const MOMENT: Parsed<PointInTime> = Parsed::new(
    "TIME",
    "a date and a time such as `2026-12-01T22:00`",
    "\"2026-12-01T22:00\"",
    |text, _, _| moment(text),
)
.within("perhaps with an offset, such as `+01:00` or `Z`")
.or_number();

fn moment(text: &str) -> Result<PointInTime, ValueError> {
    if !text.contains('-') && text.contains(':') {
        return Err(ValueError::form("for a window that recurs, write `hours = \"02:00-04:00\"`"));
    }
    if text.contains('[') || text.contains('/') {
        return Err(ValueError::form("the time zone is a key of its own, `timezone`"));
    }
    let instant = text.parse().map(PointInTime::Instant);
    instant.or_else(|_| text.parse().map(PointInTime::Reading)).map_err(|_| ValueError::Form(None))
}
