//! Spans of time as people say them: by the clock on the wall of a place, on some days.
//!
//! A clock on a wall is set forward and back, and so a reading is not an instant. One rule holds everywhere
//! ([`span`]): a span from one reading to another is everything from the first instant whose reading lies between
//! the two to the last one. So an hour that is there twice belongs to it both times and never interrupts it, and a
//! span whose beginning is skipped begins when the clock is set. One that is skipped as a whole begins then too,
//! and lasts as long as it would have on the clock. [`Hours`] recur; maintenance windows and quiet hours are made
//! of them.

mod clock;
mod days;
mod hours;
mod text;
mod zone;

pub use clock::{Clock, NotHours};
pub use days::Days;
pub use hours::{Hours, Range};
pub use zone::{UnknownZone, Zone};

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset};
use jiff::{Timestamp, ToSpan};

/// The instants from the reading `from` to the reading `until` of a clock in `zone`, which itself is not among them.
/// `None`: they lie outside of the years that there are, or `until` is not after `from`.
pub fn span(zone: &Zone, from: DateTime, until: DateTime) -> Option<(Timestamp, Timestamp)> {
    if until <= from {
        return None;
    }
    let begin = match zone.offset(from) {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(from).ok()?
        }
        AmbiguousOffset::Gap { after, .. } => change(zone, from, after)?,
    };
    // The last reading tells the end, not the one that comes next: at the beginning of an hour that is there twice,
    // what comes before is there once.
    let instant = 1.nanosecond();
    let last = until.checked_sub(instant).ok()?;
    let end = match zone.offset(last) {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { after: offset, .. } => {
            offset.to_timestamp(last).ok()?.checked_add(instant).ok()?
        }
        AmbiguousOffset::Gap { after, .. } => change(zone, last, after)?,
    };
    let end = if end > begin { end } else { begin.checked_add(from.duration_until(until)).ok()? };
    Some((begin, end))
}

/// When the clock was set forward over `skipped`, to the offset `after`.
fn change(zone: &Zone, skipped: DateTime, after: Offset) -> Option<Timestamp> {
    // Read with the offset that did not hold yet, it lies before the change by less than what was skipped.
    let before = after.to_timestamp(skipped).ok()?;
    zone.time_zone()
        .following(before)
        .find(|change| change.offset() == after)
        .map(|change| change.timestamp())
}
