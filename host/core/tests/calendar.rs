//! Hours and single spans against an oracle that knows no time zones.
//!
//! It has the offsets of four places in 2026 written down here, walks through the days around each change of the clock
//! minute by minute, and marks what belongs to a span by the readings alone. Everything in it is in minutes: instants
//! since the year's first one in UTC, readings since the year's first one on the wall.

use jiff::civil::{DateTime, date};
use jiff::{Timestamp, ToSpan};
use uptime_core::calendar::{Clock, Days, Hours, Range, Zone, span};

/// A place: its offset at the beginning of the year, and the changes: instant, offset from then on.
struct Place {
    zone: &'static str,
    offset: i32,
    changes: &'static [(&'static str, i32)],
}

const PLACES: [Place; 4] = [
    place("Europe/Berlin", 60, &[("2026-03-29T01:00:00Z", 120), ("2026-10-25T01:00:00Z", 60)]),
    place("America/New_York", -300, &[("2026-03-08T07:00:00Z", -240), ("2026-11-01T06:00:00Z", -300)]),
    place("Australia/Lord_Howe", 660, &[("2026-04-04T15:00:00Z", 630), ("2026-10-03T15:30:00Z", 660)]),
    // The clock is never set there: the middle of the walk is any day, and the offset stays.
    place("Asia/Jakarta", 420, &[("2026-06-30T17:00:00Z", 420)]),
];

const fn place(zone: &'static str, offset: i32, changes: &'static [(&'static str, i32)]) -> Place {
    Place { zone, offset, changes }
}

const DAY: i32 = 1_440;
/// How far the walk goes to both sides of a change.
const REACH: i32 = 10 * DAY;

fn instant(minute: i32) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().expect("an instant") + i64::from(minute).minutes()
}

fn minute(text: &str) -> i32 {
    let seconds = text.parse::<Timestamp>().expect(text).as_second() - instant(0).as_second();
    i32::try_from(seconds / 60).expect("within the year")
}

impl Place {
    fn reading(&self, at: i32) -> i32 {
        let changed = self.changes.iter().rev().find(|(change, _)| minute(change) <= at);
        at + changed.map_or(self.offset, |(_, offset)| *offset)
    }
}

/// The minutes around a change, and what the clock reads in each.
struct Walk {
    first: i32,
    readings: Vec<i32>,
}

impl Walk {
    fn new(place: &Place, around: i32) -> Self {
        let first = around - REACH;
        Self { first, readings: (first..around + REACH).map(|at| place.reading(at)).collect() }
    }

    /// The minutes of the walk that belong to what lies between two readings: first and last, whatever lies between.
    fn between(&self, from: i32, until: i32) -> Option<(usize, usize)> {
        // Clocks are set by an hour at most: what lies further away than two is not looked at.
        let near =
            |reading: i32| usize::try_from(reading - self.readings[0]).unwrap_or(0).min(self.readings.len());
        let (near, beyond) = (near(from - 120), near(until + 120));
        let is_in = |reading: &i32| (from..until).contains(reading);
        let looked_at = &self.readings[near..beyond];
        match (looked_at.iter().position(is_in), looked_at.iter().rposition(is_in)) {
            (Some(first), Some(last)) => Some((near + first, near + last + 1)),
            _ if self.readings[0] < from && until <= self.readings[self.readings.len() - 1] => {
                // The clock never read so: from the change on, for as long.
                let change = self.readings.iter().position(|reading| *reading >= until)?;
                Some((change, change + usize::try_from(until - from).expect("a span")))
            }
            _ => None,
        }
    }
}

/// The `n`th day of 2026, counted from 0: of the week from Monday, of the month, and whether it is its last.
fn calendar_day(n: i32) -> (u32, u32, bool) {
    const LENGTHS: [i32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut day = n;
    for length in LENGTHS {
        if day < length {
            let of_month = u32::try_from(day + 1).expect("a day of the year");
            return (u32::try_from((n + 3) % 7).expect("a day of the year"), of_month, day + 1 == length);
        }
        day -= length;
    }
    panic!("{n} is no day of the year")
}

fn is_on(days: Days, n: i32) -> bool {
    let (of_week, of_month, is_last) = calendar_day(n);
    match days {
        Days::Week(bits) => u32::from(bits) >> of_week & 1 == 1,
        Days::Month { numbers, last } => numbers >> of_month & 1 == 1 || (last && is_last),
    }
}

/// Which minutes of the walk belong to the ranges.
fn marked(walk: &Walk, ranges: &[Range]) -> Vec<bool> {
    let mut marks = vec![false; walk.readings.len()];
    let (first, last) = (walk.readings[0] / DAY - 1, walk.readings[walk.readings.len() - 1] / DAY + 1);
    for n in first..=last {
        for range in ranges.iter().filter(|range| is_on(range.days, n)) {
            let (from, until) = (i32::from(range.from.minutes()), i32::from(range.until.minutes()));
            let over_midnight = if until <= from { DAY } else { 0 };
            if let Some((begin, end)) = walk.between(n * DAY + from, n * DAY + until + over_midnight) {
                let end = end.min(marks.len());
                marks[begin.min(end)..end].fill(true);
            }
        }
    }
    marks
}

/// For each minute, counted from `first`, the next one from it on whose mark is `wanted`.
fn coming(marks: &[bool], first: i32, wanted: bool) -> Vec<Option<i32>> {
    let mut coming = vec![None; marks.len()];
    let mut next = None;
    for place in (0..marks.len()).rev() {
        if marks[place] == wanted {
            next = Some(first + i32::try_from(place).expect("within the walk"));
        }
        coming[place] = next;
    }
    coming
}

/// The generator SplitMix64 (Steele, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn number(&mut self, bound: u64) -> i32 {
        i32::try_from(self.below(bound)).expect("a small bound")
    }

    /// A time of the day, often near those at which clocks are set.
    fn clock(&mut self, most: u64) -> Clock {
        let minutes = match self.below(3) {
            0 => self.below(most + 1),
            1 => 45 + self.below(180),
            _ => 60 + 15 * self.below(10),
        };
        Clock::new(u16::try_from(minutes).expect("minutes of a day")).expect("minutes of a day")
    }

    fn days(&mut self) -> Days {
        match self.below(5) {
            0 => Days::ALL,
            1 => Days::Month {
                numbers: u32::try_from(self.below(1 << 31)).expect("31 bits") << 1,
                last: self.below(2) == 0,
            },
            _ => Days::Week(u8::try_from(1 + self.below(127)).expect("7 bits")),
        }
    }

    fn range(&mut self) -> Range {
        Range { days: self.days(), from: self.clock(1_439), until: self.clock(1_440) }
    }
}

/// Each place with each of its changes.
fn walks() -> impl Iterator<Item = (Zone, Walk, i32)> {
    PLACES.iter().flat_map(|place| {
        place.changes.iter().map(|(change, _)| {
            let around = minute(change);
            (place.zone.parse().expect(place.zone), Walk::new(place, around), around)
        })
    })
}

#[test]
fn hours_are_those_that_the_clock_on_the_wall_shows() {
    let (mut cases, mut questions) = (0, 0);
    for (number, (zone, walk, around)) in walks().enumerate() {
        for case in 0..700 {
            let mut random = Random(0xca1e_0000 + (number as u64) * 1_000_000 + case);
            let ranges: Vec<Range> = (0..=random.below(3)).map(|_| random.range()).collect();
            let Some(hours) = Hours::new(ranges.clone(), zone.clone()) else { continue };
            let marks = marked(&walk, &ranges);
            let place = |at: i32| usize::try_from(at - walk.first).expect("within the walk");
            let is_marked = |at: i32| marks[place(at)];
            let [on, off] = [true, false].map(|wanted| coming(&marks, walk.first, wanted));
            // A day from the walk's ends what is marked is complete.
            let inner = walk.first + 2 * DAY..walk.first + 2 * REACH - 2 * DAY;
            let edges = (inner.start + 1..inner.end).filter(|at| is_marked(*at) != is_marked(at - 1));
            let mut asked: Vec<i32> = edges.flat_map(|at| [at - 1, at, at + 1]).collect();
            asked.extend((0..20).map(|_| around - 300 + random.number(600)));
            asked.extend((0..10).map(|_| inner.start + random.number(14 * 1_440)));
            for at in asked.into_iter().filter(|at| inner.contains(at)) {
                let told = hours.covers(instant(at));
                let context = || format!("{hours} at {} ({at})", instant(at));
                assert_eq!(told.is_some(), is_marked(at), "{}", context());
                let over = off[place(at)].filter(|at| *at < inner.end);
                match (told, over) {
                    (Some(end), Some(over)) => assert_eq!(end, instant(over), "{}", context()),
                    (Some(end), None) => assert!(end >= instant(inner.end), "{}", context()),
                    (None, _) => {}
                }
                let begins = over.and_then(|over| on[place(over)]).filter(|at| *at < inner.end);
                match begins {
                    Some(begins) => {
                        assert_eq!(hours.next_begin(instant(at)), instant(begins), "{}", context());
                    }
                    None => assert!(hours.next_begin(instant(at)) >= instant(inner.end), "{}", context()),
                }
                // Between two minutes it is as at the first.
                let later = instant(at) + 59_999_999_999_i64.nanoseconds();
                assert_eq!(hours.covers(later), told, "{} and a little later", context());
                questions += 1;
            }
            assert_eq!(hours.to_string().parse(), Ok(hours));
            cases += 1;
        }
    }
    assert!(cases > 4_000 && questions > 100_000, "{cases} hours, {questions} instants");
}

fn reading(minutes: i32) -> DateTime {
    date(2026, 1, 1).at(0, 0, 0, 0) + i64::from(minutes).minutes()
}

#[test]
fn a_span_is_what_the_clock_on_the_wall_shows() {
    let mut cases = 0;
    for (place, (zone, walk, around)) in walks().enumerate() {
        let middle = walk.readings[usize::try_from(around - walk.first).expect("within the walk")];
        for case in 0..700 {
            let mut random = Random(0x59a7_0000 + (place as u64) * 1_000_000 + case);
            let from = middle - 200 + random.number(400);
            let longest = if random.below(2) == 0 { 90 } else { 3_000 };
            let until = from + 1 + random.number(longest);
            let (begin, end) = walk.between(from, until).expect("within the walk");
            let at = |place: usize| instant(walk.first + i32::try_from(place).expect("within the walk"));
            let (from, until) = (reading(from), reading(until));
            assert_eq!(span(&zone, from, until), Some((at(begin), at(end))), "{from} to {until} {zone}");
            cases += 1;
        }
    }
    assert!(cases >= 4_000);
}

#[test]
fn an_hour_that_is_there_twice_and_one_that_is_not() {
    let at = |text: &str| text.parse::<Timestamp>().expect(text);
    let for_ever = Some("9999-12-30T22:00:00.999999999Z");
    for (hours, asked, end) in [
        // 02:30 comes at 00:30Z and again at 01:30Z.
        ("sun 02:00-02:30 Europe/Berlin", "2026-10-25T00:00:00Z", Some("2026-10-25T01:30:00Z")),
        // From 02:00 to 03:00 there is nothing.
        ("sun 02:15-02:45 Europe/Berlin", "2026-03-29T01:00:00Z", Some("2026-03-29T01:30:00Z")),
        // Over midnight it belongs to the day it begins.
        ("fri 22:00-06:00 Asia/Jakarta", "2026-11-27T22:59:00Z", Some("2026-11-27T23:00:00Z")),
        ("sat 22:00-06:00 Asia/Jakarta", "2026-11-27T22:59:00Z", None),
        // Half an hour is there twice.
        ("sun 01:30-02:00 Australia/Lord_Howe", "2026-04-04T14:30:00Z", Some("2026-04-04T15:30:00Z")),
        ("last 00:00-24:00 UTC", "2028-02-29T12:00:00Z", Some("2028-03-01T00:00:00Z")),
        ("mon-fri 00:00-24:00 UTC", "2026-11-25T12:00:00Z", Some("2026-11-28T00:00:00Z")),
        ("mon-fri 00:00-24:00, sat-sun 00:00-24:00 UTC", "2026-11-25T12:00:00Z", for_ever),
        ("08:00-08:00 America/New_York", "2026-11-25T12:00:00Z", for_ever),
    ] {
        let parsed: Hours = hours.parse().expect(hours);
        assert_eq!(parsed.covers(at(asked)), end.map(at), "{hours} at {asked}");
    }
}

#[test]
fn what_is_always_never_begins() {
    let always: Hours = "00:00-24:00 Europe/Berlin".parse().expect("hours");
    assert_eq!(always.next_begin(instant(0)), Timestamp::MAX);
    let twice: Hours = "00:00-12:00 12:00-24:00 Europe/Berlin".parse().expect("hours");
    assert_eq!(
        (twice.covers(instant(0)), twice.next_begin(instant(0))),
        (Some(Timestamp::MAX), Timestamp::MAX)
    );
}
