//! `[maintenance.NAME]`: when nobody is to be told, and of which monitors.

use super::calendar::{Moment, MomentText, OfMonth, OfWeek, ZoneName};
use super::table::Table;
use super::takes::{At, List, Text, nearest};
use crate::calendar::{Clock, Days, Hours, Range, Zone, span};
use crate::check::printable;
use crate::maintenance::{Maintenance, When};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::ops;

/// A window, and where the groups are that it names.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) window: Maintenance,
    pub(super) groups: Vec<(String, ops::Range<usize>)>,
}

/// Reads `[maintenance]`. `monitors` are the names of those that there are.
pub(super) fn read(root: &mut Table<'_, '_>, monitors: &BTreeSet<String>) -> Vec<Found> {
    root.tables("maintenance", |name, table| window(name, table, monitors))
}

fn window(name: &str, table: &mut Table<'_, '_>, known: &BTreeSet<String>) -> Option<Found> {
    let named = table.optional(
        "monitors",
        "The monitors that it is for, by name; `groups` and `tags` add others.",
        "those of `groups` and `tags`; without these, all",
        &List { of: At(Text { most: 100, example: "shop" }), count: 1..=10_000, or_one: false },
    );
    let groups = table.optional(
        "groups",
        "It is for each monitor of these groups.",
        "those of `monitors` and `tags`; without these, all",
        &List { of: At(super::monitors::group()), count: 1..=100, or_one: false },
    );
    let tags = table.optional(
        "tags",
        "It is for each monitor that has all of these tags.",
        "those of `monitors` and `groups`; without these, all",
        &super::monitors::tags(),
    );
    let mut monitors = Vec::new();
    for (monitor, span) in named.into_iter().flatten() {
        if known.contains(&monitor) {
            monitors.push(monitor);
        } else {
            let hint = nearest(&monitor, known.iter().map(String::as_str));
            table.notes.missing(span, format!("there is no monitor `{}`", printable(&monitor, 60)), Some(hint));
        }
    }
    let when = when(table);
    let groups = groups.unwrap_or_default();
    let window = Maintenance {
        monitors,
        groups: groups.iter().map(|(group, _)| group.clone()).collect(),
        tags: tags.unwrap_or_default(),
        when: when?,
    };
    Some(Found { name: name.to_owned(), window, groups })
}

fn when(table: &mut Table<'_, '_>) -> Option<When> {
    let days = table.optional(
        "days",
        "The days of the week on which it begins.",
        "every day, if `from` is a time",
        &List { of: OfWeek, count: 1..=7, or_one: true },
    );
    let month_days = table.optional(
        "month_days",
        "The days of the month on which it begins, instead of `days`.",
        "every day, if `from` is a time",
        &List { of: OfMonth, count: 1..=32, or_one: false },
    );
    let from = table.optional(
        "from",
        "When it begins: a time, for a window that recurs, or a date and a time, for one that is once.",
        "`00:00` of the days",
        &MomentText,
    );
    let until = table.optional(
        "until",
        "When it is over; a time that is not after `from` is one of the next day.",
        "`24:00` of the days",
        &MomentText,
    );
    let zone = table.optional(
        "timezone",
        "Where the clock hangs that `from` and `until` are read from.",
        "`UTC`",
        &ZoneName,
    );
    let is_there = |key| table.span_of(key).is_some();
    if is_there("days") && is_there("month_days") {
        let message = "`month_days` is beside `days`, and a window recurs by the ones or the others".to_owned();
        table.complain("month_days", message, "make two windows of it, or leave the one out");
        return None;
    }
    let recurs = is_there("days") || is_there("month_days");
    match (is_there("from"), is_there("until")) {
        (true, false) => missing(table, "until"),
        (false, true) => missing(table, "from"),
        (false, false) if !recurs => missing(table, "from"),
        _ => {}
    }
    let all = |days: Vec<Days>| days.into_iter().reduce(|one, other| one.with(other).unwrap_or(one));
    let days = days.or(month_days).and_then(all);
    let (from, until) = match (from, until) {
        (None, None) if recurs && !is_there("from") && !is_there("until") => {
            (Moment::Daily(Clock::MIDNIGHT), Moment::Daily(Clock::END))
        }
        (Some(from), Some(until)) => (from, until),
        _ => return None,
    };
    match (from, until) {
        (Moment::Daily(from), Moment::Daily(until)) => recurring(table, days, recurs, (from, until), zone),
        (Moment::Daily(_), _) | (_, Moment::Daily(_)) => {
            let message = "of `from` and `until` one has a date and the other does not".to_owned();
            table.complain("until", message, "give a date to both, or, for a window that recurs, to neither");
            None
        }
        _ => {
            if recurs {
                let key = if is_there("days") { "days" } else { "month_days" };
                let message = format!("`{key}` is for a window that recurs, and `from` has a date");
                table.complain(key, message, "write times without a date, such as `from = \"02:00\"`, or leave it out");
                return None;
            }
            once(table, from, until, zone)
        }
    }
}

fn missing(table: &mut Table<'_, '_>, key: &str) {
    let example = if key == "from" { "02:00" } else { "04:00" };
    let message = format!("a window has `from` and `until`, and `{key}` is missing");
    table.notes.missing(table.span(), message, Some(format!("add `{key} = \"{example}\"`")));
}

fn recurring(
    table: &mut Table<'_, '_>,
    days: Option<Days>,
    recurs: bool,
    (from, until): (Clock, Clock),
    zone: Option<Zone>,
) -> Option<When> {
    if from == Clock::END {
        table.complain("from", "a day ends at `24:00`, and nothing begins then".into(), "write `from = \"00:00\"`");
        return None;
    }
    // What was refused has been reported.
    let days = if recurs { days? } else { Days::ALL };
    if table.span_of("timezone").is_some() && zone.is_none() {
        return None;
    }
    Hours::new(vec![Range { days, from, until }], zone.unwrap_or_default()).map(When::Hours)
}

fn once(table: &mut Table<'_, '_>, from: Moment, until: Moment, zone: Option<Zone>) -> Option<When> {
    if table.span_of("timezone").is_some() && zone.is_none() {
        return None;
    }
    if let (Moment::Instant(_), Moment::Instant(_), Some(_)) = (from, until, &zone) {
        let message = "`timezone` says nothing here: `from` and `until` have offsets".to_owned();
        table.advise("timezone", message, "leave it out");
    }
    let zone = zone.unwrap_or_default();
    let instants = match (from, until) {
        (Moment::Reading(from), Moment::Reading(until)) => span(&zone, from, until),
        _ => begin(&zone, from).zip(end(&zone, until)).filter(|(from, until)| from < until),
    };
    let Some((from, until)) = instants else {
        table.complain("until", "`until` is not after `from`".into(), "write a later one");
        return None;
    };
    Some(When::Once { from, until })
}

fn begin(zone: &Zone, moment: Moment) -> Option<Timestamp> {
    match moment {
        Moment::Daily(_) => None,
        Moment::Reading(reading) => {
            span(zone, reading, reading.checked_add(jiff::Span::new().minutes(1)).ok()?).map(|(begin, _)| begin)
        }
        Moment::Instant(instant) => Some(instant),
    }
}

fn end(zone: &Zone, moment: Moment) -> Option<Timestamp> {
    match moment {
        Moment::Daily(_) => None,
        Moment::Reading(reading) => {
            let before = reading.checked_sub(jiff::Span::new().days(2)).ok()?;
            span(zone, before, reading).map(|(_, end)| end)
        }
        Moment::Instant(instant) => Some(instant),
    }
}
