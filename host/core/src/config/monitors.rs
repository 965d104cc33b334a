//! `[monitors.NAME]`: what is watched, how, and who is told.

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

use super::references::Map;
use super::table::Table;
use super::takes::{At, Boolean, Choice, List, Span, Text};
use crate::duration;
use crate::monitor::{CheckSpec, Conflict, IpFamily, Lookup, Monitor, Words};
use crate::text::{did_you_mean_or_all, printable};
use std::collections::BTreeSet;
use std::time::Duration;
use values::Resolver;

pub(super) use values::{FilePath, Proxy};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Tcp,
    Ping,
}

pub(super) fn read(root: &mut Table<'_, '_>, surroundings: &Surroundings) -> Vec<Monitor> {
    let mut parents = parents::Parents::default();
    let monitors = root.tables("monitors", |name, table| monitor(name, table, surroundings, &mut parents));
    parents.refuse_circles(root.notes);
    monitors
}

pub(super) fn group() -> Text {
    Text { most: 100, example: "shop" }
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
    let kinds = [("http", Kind::Http), ("tcp", Kind::Tcp), ("ping", Kind::Ping)];
    let kind = table.required("type", "What a check does.", &Choice::new(kinds));
    let enabled =
        table.or("enabled", "A disabled monitor keeps its history and is not checked.", true, &Boolean);
    let mut policy = policy::read(table, surroundings);
    let locations = locations::read(table, &mut policy);
    let channels = channels(table, surroundings);
    let parent = parents.read(name, table, &surroundings.monitors);
    let group = table.optional(
        "group",
        "For channels that want some groups alone, and for displays.",
        "none",
        &group(),
    );
    let tags =
        table.optional("tags", "For channels that want some tags alone, and for displays.", "none", &tags());
    let frame = Frame { lookup: lookup(table), timeout: policy.timeout };
    let check = kind.map(|kind| check(kind, table, &frame));
    if kind.is_none() || table.has_unknown() {
        for (word, other) in kinds.into_iter().filter(|(_, other)| Some(*other) != kind) {
            table.elsewhere(&format!("type = \"{word}\""), |table| drop(self::check(other, table, &frame)));
        }
        if kind.is_none() && !table.is_reference() {
            table.accept_elsewhere();
        }
    }
    let (name, tags) = (name.to_owned(), tags.unwrap_or_default());
    Some(Monitor { name, enabled, check: check??, policy, channels, locations, parent, group, tags })
}

fn channels(table: &mut Table<'_, '_>, surroundings: &Surroundings) -> Vec<String> {
    let named = table.optional(
        "channels",
        "Who is told, by name; an empty list: nobody.",
        "all channels of the file",
        &List { of: At(Text { most: 100, example: "ops" }), count: 0..=100, or_one: false },
    );
    let Some(named) = named else { return surroundings.channels.iter().cloned().collect() };
    let mut channels: Vec<String> = Vec::with_capacity(named.len());
    for (name, span) in named {
        let shown = printable(&name, 60);
        if !surroundings.channels.contains(&name) {
            let hint = if surroundings.channels.is_empty() {
                format!("the file has no channels: add `[channels.{shown}]`, or write `channels = []`")
            } else {
                did_you_mean_or_all(&name, surroundings.channels.iter().map(String::as_str))
            };
            table.notes.missing(span, format!("there is no channel `{shown}`"), Some(hint));
        } else if channels.contains(&name) {
            table.notes.error(
                span,
                format!("the channel `{shown}` is there twice"),
                Some("remove one".into()),
            );
        } else {
            channels.push(name);
        }
    }
    channels
}

fn check(kind: Kind, table: &mut Table<'_, '_>, frame: &Frame) -> Option<CheckSpec> {
    let spec = match kind {
        Kind::Http => CheckSpec::Http(http::read(table, frame)?),
        Kind::Tcp => CheckSpec::Tcp(tcp::read(table, frame)?),
        Kind::Ping => CheckSpec::Ping(ping::read(table, frame)?),
    };
    for Conflict { keys: [key, _], message, hint } in spec.conflicts(&Keys) {
        table.complain(key, message, &hint);
    }
    Some(spec)
}

/// The settings as the file calls them.
struct Keys;

impl Words for Keys {
    fn name(&self, key: &str) -> String {
        match key {
            // It has a namesake outside.
            "expect.http_version" => "`http_version` in `expect`".into(),
            key => format!("`{}`", key.trim_start_matches("expect.")),
        }
    }

    fn with(&self, key: &str, value: &str) -> String {
        let place = if key == "http_version" { " outside of `expect`" } else { "" };
        format!("`{key} = {value}`{place}")
    }
}

/// What each kind of check is told of the keys that all have.
struct Frame {
    lookup: Lookup,
    timeout: Duration,
}

fn lookup(table: &mut Table<'_, '_>) -> Lookup {
    let ip = table.or(
        "ip",
        "Which addresses of a name are used; `all`: each by itself, and each must be up.",
        IpFamily::default(),
        &Choice::of(IpFamily::ALL),
    );
    let resolver = table.optional(
        "resolver",
        "The name server that is asked. It has to be recursive: one that only knows its own zones has no answer for \
         other names.",
        "this machine's own resolver",
        &Resolver,
    );
    Lookup { ip, resolver }
}

/// The limits on how long a check takes, or an echo.
fn latency(table: &mut Table<'_, '_>, frame: &Frame, what: &str) -> (Option<Duration>, Option<Duration>) {
    let below = table.optional(
        "latency_below",
        &format!("Down unless {what} takes less."),
        "no limit but `timeout`",
        &Span(MILLISECOND..=CHECK_MOST),
    );
    let degraded = table.optional(
        "degraded_above",
        &format!("Degraded when {what} takes longer."),
        "never",
        &Span(MILLISECOND..=CHECK_MOST),
    );
    for (key, limit) in [("latency_below", below), ("degraded_above", degraded)] {
        never_reached(table, frame, key, limit);
    }
    (below, degraded)
}

/// Warns of a limit that the deadline comes before.
fn never_reached(table: &mut Table<'_, '_>, frame: &Frame, key: &str, limit: Option<Duration>) {
    if let Some(limit) = limit.filter(|limit| *limit >= frame.timeout) {
        let (limit, timeout) = (duration::format(limit), duration::format(frame.timeout));
        table.advise(
            key,
            format!("`{key}` is `{limit}`, and `timeout`, `{timeout}`, ends the check before"),
            "make it shorter than `timeout`, or leave it out",
        );
    }
}
