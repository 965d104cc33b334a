//! `[maintenance.NAME]`: when nobody is to be told, and of which monitors.

use super::calendar::{MOMENT, Moment, OF_MONTH, OF_WEEK, ZONE};
use super::table::Table;
use super::takes::{At, List, Text};
use crate::calendar::{Clock, Days, Hours, Range, Zone, span};
use crate::maintenance::{Maintenance, When};
use crate::text::{did_you_mean_or_all, printable};
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
            let hint = did_you_mean_or_all(&monitor, known.iter().map(String::as_str));
            table.notes.error(span, format!("there is no monitor `{}`", printable(&monitor, 60)), Some(hint));
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
        &List { of: OF_WEEK, count: 1..=7, or_one: true },
    );
    let month_days = table.optional(
        "month_days",
        "The days of the month on which it begins, instead of `days`.",
        "every day, if `from` is a time",
        &List { of: OF_MONTH, count: 1..=32, or_one: false },
    );
    let from = table.optional(
        "from",
        "When it begins: a time, for a window that recurs, or a date and a time, for one that is once.",
        "`00:00` of the days",
        &MOMENT,
    );
    let until = table.optional(
        "until",
        "When it is over; a time that is not after `from` is one of the next day.",
        "`24:00` of the days",
        &MOMENT,
    );
    let zone = table.optional("timezone", "Time zone of `from` and `until`.", "`UTC`", &ZONE);
    let [weekly, monthly, begins, ends] =
        ["days", "month_days", "from", "until"].map(|key| table.span_of(key).is_some());
    let recurs = weekly || monthly;
    if weekly && monthly {
        let message =
            "`month_days` is beside `days`, and a window recurs by the ones or the others".to_owned();
        table.complain("month_days", message, "make two windows of it, or leave the one out");
        return None;
    }
    match (begins, ends) {
        _ if !table.is_there() => return None,
        (true, false) => missing(table, "until"),
        (false, true) => missing(table, "from"),
        (false, false) if !recurs => missing(table, "from"),
        _ => {}
    }
    let zone = match (zone, table.span_of("timezone")) {
        // What was refused has been reported.
        (None, Some(_)) => return None,
        (zone, _) => zone,
    };
    let (from, until) = match (from, until) {
        (None, None) if recurs && !begins && !ends => {
            (Moment::Daily(Clock::MIDNIGHT), Moment::Daily(Clock::END))
        }
        (from, until) => (from?, until?),
    };
    if let (Moment::Daily(from), Moment::Daily(until)) = (from, until) {
        if from == Clock::END {
            let message = "a day ends at `24:00`, and nothing begins then".to_owned();
            table.complain("from", message, "write `from = \"00:00\"`");
            return None;
        }
        let together = |days: Vec<Days>| days.into_iter().reduce(|one, other| one.with(other).unwrap_or(one));
        let days = if recurs { days.or(month_days).and_then(together)? } else { Days::ALL };
        return Hours::new(vec![Range { days, from, until }], zone.unwrap_or_default()).map(When::Hours);
    }
    if recurs {
        let key = if weekly { "days" } else { "month_days" };
        let message = format!("`{key}` is for a window that recurs, and `from` or `until` has a date");
        table.complain(
            key,
            message,
            "write times without a date, such as `from = \"02:00\"`, or leave it out",
        );
        return None;
    }
    once(table, from, until, zone)
}

fn missing(table: &mut Table<'_, '_>, key: &str) {
    let example = if key == "from" { "02:00" } else { "04:00" };
    let message = format!("a window has `from` and `until`, and `{key}` is missing");
    table.notes.error(table.span(), message, Some(format!("add `{key} = \"{example}\"`")));
}

fn once(table: &mut Table<'_, '_>, from: Moment, until: Moment, zone: Option<Zone>) -> Option<When> {
    let instants = match (from, until) {
        (Moment::Reading(from), Moment::Reading(until)) => span(&zone.unwrap_or_default(), from, until),
        (Moment::Instant(from), Moment::Instant(until)) => {
            if zone.is_some() {
                let message = "`timezone` says nothing here: `from` and `until` have offsets".to_owned();
                table.advise("timezone", message, "leave it out");
            }
            Some((from, until)).filter(|(from, until)| from < until)
        }
        _ => {
            let message = "`from` and `until` are written in different ways".to_owned();
            let hint = "give both a date, and an offset to both or to neither; for a window that recurs, give both a time alone";
            table.complain("until", message, hint);
            return None;
        }
    };
    let Some((from, until)) = instants else {
        table.complain("until", "`until` is not after `from`".into(), "write a later one");
        return None;
    };
    Some(When::Once { from, until })
}
