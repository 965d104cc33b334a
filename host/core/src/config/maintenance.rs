//! `[maintenance.NAME]`: when nobody is to be told, and of which monitors.

use super::calendar::{HOURS, MOMENT, PointInTime, ZONE};
use super::kinds::{At, List, Text};
use super::monitors::{groups, tags};
use super::table::{Table, keys};
use crate::calendar::{Zone, span};
use crate::maintenance::{Maintenance, When};
use crate::text::{did_you_mean_or_all, printable};
use std::collections::BTreeSet;
use std::ops;

/// A window, with the place in the file of each group that it names.
pub(super) struct ReadWindow {
    pub(super) name: String,
    pub(super) window: Maintenance,
    pub(super) groups: Vec<(String, ops::Range<usize>)>,
}

/// Reads `[maintenance]`. `monitors` are the names of those that there are.
pub(super) fn read(root: &mut Table<'_, '_>, monitors: &BTreeSet<String>) -> Vec<ReadWindow> {
    root.tables("maintenance", |name, table| window(name, table, monitors))
}

fn window(name: &str, table: &mut Table<'_, '_>, known: &BTreeSet<String>) -> Option<ReadWindow> {
    let names = List { of: At(Text { most: 100, example: "shop" }), count: 1..=10_000, or_one: false };
    keys! { table:
        /// Monitors that it covers, by name; `groups` and `tags` add others.
        let monitors = optional("those of `groups` and `tags`; without these, all", &names);
        /// Covers every monitor in these groups.
        let groups = optional("those of `monitors` and `tags`; without these, all", &groups()).unwrap_or_default();
        /// Covers every monitor with all of these tags.
        let tags = optional("those of `monitors` and `groups`; without these, all", &tags()).unwrap_or_default();
    }
    let named = monitors.unwrap_or_default();
    let mut monitors = Vec::new();
    for (monitor, span) in named {
        if known.contains(&monitor) {
            monitors.push(monitor);
        } else {
            let hint = did_you_mean_or_all(&monitor, known.iter().map(String::as_str));
            table.notes.error(span, format!("there is no monitor `{}`", printable(&monitor, 60)), Some(hint));
        }
    }
    let when = when(table)?;
    let names = groups.iter().map(|(group, _)| group.clone()).collect();
    let window = Maintenance { monitors, groups: names, tags, when };
    Some(ReadWindow { name: name.to_owned(), window, groups })
}

fn when(table: &mut Table<'_, '_>) -> Option<When> {
    keys! { table:
        /// Recurring hours.
        let hours = optional("it is once, from `from` to `until`", &HOURS);
        /// Start of a one-time window.
        let from = optional("it recurs, by `hours`", &MOMENT);
        /// End of a one-time window.
        let until = optional("it recurs, by `hours`", &MOMENT);
        /// Time zone of `from` and `until`.
        let timezone = optional("`UTC`", &ZONE);
    }
    let [recurs, begins, ends, zoned] =
        ["hours", "from", "until", "timezone"].map(|key| table.span_of(key).is_some());
    match (recurs, begins, ends) {
        _ if !table.is_there() => None,
        (true, false, false) => {
            if zoned {
                let message = "`timezone` says nothing beside `hours`, which end with their own".to_owned();
                table.warning_at("timezone", message, "write it at the end of `hours`");
            }
            hours.map(When::Hours)
        }
        (true, ..) => {
            let message = "a window has `hours`, or `from` and `until`, and here are both".to_owned();
            table.error_at("hours", message, "make two windows of it, or leave the one out");
            None
        }
        // What was refused has been reported.
        (false, true, true) if zoned && timezone.is_none() => None,
        (false, true, true) => once(table, from?, until?, timezone),
        (false, true, false) => missing(table, "until", "2026-12-02T06:00"),
        (false, false, true) => missing(table, "from", "2026-12-01T22:00"),
        (false, false, false) => missing(table, "hours", "sun 02:00-04:00"),
    }
}

fn missing(table: &mut Table<'_, '_>, key: &str, example: &str) -> Option<When> {
    let message = format!("a window has `hours`, or `from` and `until`, and `{key}` is missing");
    table.notes.error(table.span(), message, Some(format!("add `{key} = \"{example}\"`")));
    None
}

fn once(
    table: &mut Table<'_, '_>,
    from: PointInTime,
    until: PointInTime,
    zone: Option<Zone>,
) -> Option<When> {
    let instants = match (from, until) {
        (PointInTime::Reading(from), PointInTime::Reading(until)) => {
            span(&zone.unwrap_or_default(), from, until)
        }
        (PointInTime::Instant(from), PointInTime::Instant(until)) => {
            if zone.is_some() {
                let message = "`timezone` says nothing here: `from` and `until` have offsets".to_owned();
                table.warning_at("timezone", message, "leave it out");
            }
            Some((from, until)).filter(|(from, until)| from < until)
        }
        _ => {
            let message = "one of `from` and `until` has an offset, and the other has none".to_owned();
            let hint = "write an offset in both, or in neither";
            table.error_at("until", message, hint);
            return None;
        }
    };
    let Some((from, until)) = instants else {
        table.error_at("until", "`until` is not after `from`".into(), "write a later one");
        return None;
    };
    Some(When::Once { from, until })
}
