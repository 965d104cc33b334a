//! `locations` and `down_in`: from where a monitor is looked at, and in how many of these places it has to be down.

use super::super::kinds::{At, Integer, List, ValueError};
use super::super::parsed::Parsed;
use super::super::table::{Table, keys};
use crate::judgement::locations::majority;
use crate::monitor::{Location, NoLocation, Policy};

const MOST: usize = 20;

/// Reads the places, and into `policy` in how many of them.
pub(super) fn read(table: &mut Table<'_, '_>, policy: &mut Policy) -> Vec<Location> {
    let names = List { of: At(LOCATION), count: 1..=MOST, or_one: true };
    keys! { table:
        /// Locations to check from: the workers started with one of these names as `--location`.
        let locations = optional("workers without a `--location`", &names).unwrap_or_default();
        /// Number of `locations` that must find it down. A location that has not reported for 5 intervals does not
        /// count.
        policy.down_in = optional("more than half of them", &Integer(1..=20));
    }
    let mut known: Vec<Location> = Vec::new();
    for (location, span) in locations {
        if known.contains(&location) {
            let message = format!("the location `{location}` is listed twice");
            table.notes.error(span, message, Some("remove one".into()));
        } else {
            known.push(location);
        }
    }
    if let Some(down_in) = policy.down_in {
        if known.is_empty() {
            let hint = "add `locations = [\"fra\", \"nyc\"]`, or leave it out";
            table.warning_at("down_in", "`down_in` says nothing without `locations`".into(), hint);
        } else if usize::try_from(down_in).is_ok_and(|down_in| down_in > known.len()) {
            let message = format!("`down_in` is {down_in}, and there are {} locations", known.len());
            let hint = format!("write `down_in = {}`, or name more of them", majority(known.len()));
            table.error_at("down_in", message, &hint);
        }
    }
    known
}

const LOCATION: Parsed<Location> =
    Parsed::new("NAME", "a location such as `fra`", "\"fra\"", |text, _, _| {
        text.parse().map_err(|error: NoLocation| ValueError::form(error.to_string()))
    });
