//! Hours that recur: some of the day, on some days, by the clock of a place.

use super::clock::Clock;
use super::days::Days;
use super::zone::Zone;
use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The days on which it begins.
    pub days: Days,
    /// The clock's reading at which it begins.
    pub from: Clock,
    /// The reading at which it is over: of the day after, if that is not later than `from`.
    pub until: Clock,
}

impl Range {
    /// What it is on `day`, by the clock.
    fn on(&self, day: Date) -> Option<(DateTime, DateTime)> {
        let until = if self.until <= self.from { day.tomorrow().ok()? } else { day };
        Some((self.from.on(day)?, self.until.on(until)?))
    }

    fn is_always(&self) -> bool {
        self.days.is_all() && (self.from == self.until || self.from.minutes() + 1_440 == self.until.minutes())
    }
}

/// Hours that recur. As a text: `mon-fri 08:00-18:00, sat 10:00-14:00 Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    /// By `from`, so that what is made of them day by day is in order.
    pub(super) ranges: Vec<Range>,
    zone: Zone,
}

/// Whoever has hours that join for longer has them always.
const HORIZON_DAYS: i32 = 3_660;

impl Hours {
    /// Hours of `zone`; `None`: a range has no days, or there is no range.
    pub fn new(mut ranges: Vec<Range>, zone: Zone) -> Option<Self> {
        if ranges.is_empty() || ranges.iter().any(|range| range.days.is_empty()) {
            return None;
        }
        ranges.sort_by_key(|range| range.from);
        Some(Self { ranges, zone })
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// If `at` is within them, when they are over: spans that touch or overlap are one. `Timestamp::MAX`: never.
    pub fn covers(&self, at: Timestamp) -> Option<Timestamp> {
        self.run(at).filter(|(begin, _)| *begin <= at).map(|(_, end)| end)
    }

    /// When they begin next, after `at`. `Timestamp::MAX`: never, as they are never over.
    pub fn next_begin(&self, at: Timestamp) -> Timestamp {
        let after = match self.run(at) {
            Some((begin, end)) if begin <= at => self.run(end),
            later => later,
        };
        after.map_or(Timestamp::MAX, |(begin, _)| begin)
    }

    /// The first spans on end that are not over at `at`. One that has begun may have begun earlier.
    fn run(&self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        if self.ranges.iter().any(Range::is_always) {
            return (at < Timestamp::MAX).then_some((Timestamp::MIN, Timestamp::MAX));
        }
        let today = at.to_zoned(self.zone.time_zone().clone()).date();
        let mut run: Option<(Timestamp, Timestamp)> = None;
        // A span is over when the day after its own is, or a little later where the clock was set.
        for ahead in -2..HORIZON_DAYS {
            let Ok(day) = today.checked_add(ahead.days()) else { continue };
            for range in self.ranges.iter().filter(|range| range.days.contains(day)) {
                let readings = range.on(day);
                let Some((begin, end)) =
                    readings.and_then(|(from, until)| super::span(&self.zone, from, until))
                else {
                    continue;
                };
                run = match run {
                    Some((first, last)) if begin <= last => Some((first, last.max(end))),
                    Some((_, last)) if last > at => return run,
                    _ => Some((begin, end)),
                };
            }
        }
        run.filter(|(_, end)| *end > at).map(|(begin, _)| (begin, Timestamp::MAX))
    }
}

impl Clock {
    /// This reading of `day`; 24:00 is the day after's 00:00.
    fn on(self, day: Date) -> Option<DateTime> {
        day.to_datetime(Time::midnight()).checked_add(i64::from(self.minutes()).minutes()).ok()
    }
}
