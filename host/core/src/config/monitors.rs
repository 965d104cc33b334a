//! `[monitors.NAME]`: what is watched, how, and who is told.

mod dns;
mod http;
mod locations;
mod parents;
mod ping;
mod policy;
mod tcp;
mod tls;
mod values;

#[cfg(test)]
mod tests;

use super::kinds::{At, Boolean, Choice, List, Span, Text};
use super::references::Map;
use super::table::{Table, keys};
use crate::duration;
use crate::monitor::{CheckSpec, Conflict, IpFamily, Lookup, Monitor};
use crate::text::{did_you_mean_or_all, printable};
use std::collections::BTreeSet;
use std::time::Duration;
use values::RESOLVER;

pub(super) use values::{Proxy, path};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
/// The longest that a check may take, and so the longest that is worth comparing with.
const CHECK_MOST: Duration = Duration::from_mins(10);

/// What monitors need to know of the rest of the file.
pub(super) struct Surroundings {
    pub(super) channels: BTreeSet<String>,
    pub(super) monitors: BTreeSet<String>,
    /// The longest that a job of `monitor-checks` may take.
    pub(super) job_timeout: Duration,
}

type Reader = fn(&mut Table<'_, '_>, &Frame) -> Option<CheckSpec>;

/// The keys of each type of check.
const READERS: [(&str, Reader); 4] = [
    ("http", |table, frame| http::read(table, frame).map(CheckSpec::Http)),
    ("tcp", |table, frame| tcp::read(table, frame).map(CheckSpec::Tcp)),
    ("ping", |table, frame| ping::read(table, frame).map(CheckSpec::Ping)),
    ("dns", |table, frame| dns::read(table, frame).map(CheckSpec::Dns)),
];

pub(super) fn read(root: &mut Table<'_, '_>, surroundings: &Surroundings) -> Vec<Monitor> {
    let mut parents = parents::Parents::default();
    let monitors = root.tables("monitors", |name, table| monitor(name, table, surroundings, &mut parents));
    parents.refuse_circles(root.notes);
    monitors
}

fn group() -> Text {
    Text { most: 100, example: "shop" }
}

pub(super) fn groups() -> List<At<Text>> {
    List { of: At(group()), count: 1..=100, or_one: false }
}

pub(super) fn tags() -> Map<Text> {
    Map { of: Text { most: 200, example: "web" }, example: "{ team = \"web\" }" }
}

fn monitor(
    name: &str,
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings,
    parents: &mut parents::Parents,
) -> Option<Monitor> {
    let kind = kind(table);
    keys! { table:
        /// A disabled monitor keeps its history and is not checked.
        let enabled = or(true, &Boolean);
    }
    let mut policy = policy::read(table, surroundings);
    let locations = locations::read(table, &mut policy);
    let channels = channels(table, surroundings);
    let parent = parents.read(name, table, &surroundings.monitors);
    keys! { table:
        /// Group, for channels that filter by group and for lists.
        let group = optional("none", &group());
        /// Tags, for channels that filter by tag and for lists.
        let tags = optional("none", &tags()).unwrap_or_default();
    }
    let frame = Frame { lookup: lookup(table), timeout: policy.timeout };
    let check = kind.map(|kind| check(kind, table, &frame));
    if kind.is_none() || table.has_unknown() {
        for (other, _) in READERS.iter().filter(|(other, _)| Some(*other) != kind) {
            table.keys_of_other_types(&format!("type = \"{other}\""), |table| {
                drop(self::check(other, table, &frame));
            });
        }
        if kind.is_none() && !table.is_reference() {
            table.accept_keys_of_other_types();
        }
    }
    let name = name.to_owned();
    Some(Monitor { name, enabled, check: check??, policy, channels, locations, parent, group, tags })
}

fn kind(table: &mut Table<'_, '_>) -> Option<&'static str> {
    table.required("type", "Type of check.", &Choice::of(&READERS.map(|(word, _)| word)))
}

/// The check alone of a monitor, and its deadline.
pub(super) fn read_check(table: &mut Table<'_, '_>) -> Option<(CheckSpec, Duration)> {
    let kind = kind(table);
    let timeout = policy::timeout(table);
    let frame = Frame { lookup: lookup(table), timeout };
    Some((check(kind?, table, &frame)?, timeout))
}

fn channels(table: &mut Table<'_, '_>, surroundings: &Surroundings) -> Vec<String> {
    let names = List { of: At(Text { most: 100, example: "ops" }), count: 0..=100, or_one: false };
    keys! { table:
        /// Channels to notify, by name; an empty list: none.
        let channels = optional("all channels of the file", &names);
    }
    let Some(named) = channels else { return surroundings.channels.iter().cloned().collect() };
    let mut channels: Vec<String> = Vec::with_capacity(named.len());
    for (name, span) in named {
        let shown = printable(&name, 60);
        if !surroundings.channels.contains(&name) {
            let hint = if surroundings.channels.is_empty() {
                format!("the file has no channels: add `[channels.{shown}]`, or write `channels = []`")
            } else {
                did_you_mean_or_all(&name, surroundings.channels.iter().map(String::as_str))
            };
            table.notes.error(span, format!("unknown channel `{shown}`"), Some(hint));
        } else if channels.contains(&name) {
            let message = format!("the channel `{shown}` is listed twice");
            table.notes.error(span, message, Some("remove one".into()));
        } else {
            channels.push(name);
        }
    }
    channels
}

fn check(kind: &str, table: &mut Table<'_, '_>, frame: &Frame) -> Option<CheckSpec> {
    let (_, read) = READERS.iter().find(|(word, _)| *word == kind)?;
    let spec = read(table, frame)?;
    for Conflict { key, message, hint } in spec.conflicts(table.notes) {
        table.error_at(key, message, &hint);
    }
    Some(spec)
}

/// What each kind of check is told of the keys that all have.
struct Frame {
    lookup: Lookup,
    timeout: Duration,
}

fn lookup(table: &mut Table<'_, '_>) -> Lookup {
    keys! { table:
        /// Addresses to use; `all` checks each, and each must be up.
        let ip = or(IpFamily::default(), &Choice::of(IpFamily::ALL));
        /// Recursive name server to ask; one that serves only its own zones has no answer for other names. A `dns`
        /// check without `authoritative` checks it.
        let resolver = optional("this machine's own resolver", &RESOLVER);
    }
    Lookup { ip, resolver }
}

/// `latency_below` and `degraded_above`.
fn latency(table: &mut Table<'_, '_>, frame: &Frame, what: &str) -> [Option<Duration>; 2] {
    let down = format!("Down unless {what} is below this.");
    let degraded = format!("Degraded when {what} is above this.");
    [
        limit(table, frame, "latency_below", &down, "no limit but `timeout`"),
        limit(table, frame, "degraded_above", &degraded, "never"),
    ]
}

/// A limit on a time that is measured. Warns of one that the deadline comes before.
fn limit(table: &mut Table<'_, '_>, frame: &Frame, key: &str, doc: &str, absent: &str) -> Option<Duration> {
    let limit = table.optional(key, doc, absent, &Span(MILLISECOND..=CHECK_MOST));
    if let Some(limit) = limit.filter(|limit| *limit >= frame.timeout) {
        let (limit, timeout) = (duration::format(limit), duration::format(frame.timeout));
        let message = format!("`{key}` is `{limit}`, and `timeout`, `{timeout}`, ends the check before");
        table.warning_at(key, message, "make it shorter than `timeout`, or leave it out");
    }
    limit
}
