//! `[monitors.NAME]`: what is watched, how, and who is told.

use super::references::{Headers, Map};
use super::table::Table;
use super::takes::{At, Boolean, Choice, Integer, List, Span, Text, nearest};
use super::values::{Address, Hostname, Port, Status};
use crate::check::printable;
use crate::duration;
use crate::monitor::{CheckSpec, HttpExpect, HttpSpec, IpFamily, Lookup, Monitor, PingSpec, Policy, TcpSpec};
use crate::target;
use std::collections::BTreeSet;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
/// The longest that a check may take, and so the longest that is worth comparing with.
const CHECK_MOST: Duration = Duration::from_mins(10);

/// What monitors need to know of the rest of the file.
pub(super) struct Surroundings {
    /// The channels' names.
    pub(super) channels: BTreeSet<String>,
    /// The longest that a job of `monitor-checks` may take.
    pub(super) job_timeout: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Tcp,
    Ping,
}

/// Reads `[monitors]`.
pub(super) fn read(root: &mut Table<'_, '_>, surroundings: &Surroundings) -> Vec<Monitor> {
    root.tables("monitors", |name, table| monitor(name, table, surroundings))
}

/// What a group's name is.
pub(super) fn group() -> Text {
    Text { most: 100, example: "shop" }
}

/// What tags are.
pub(super) fn tags() -> Map<Text> {
    Map { of: Text { most: 200, example: "web" }, example: "{ team = \"web\" }" }
}

fn monitor(name: &str, table: &mut Table<'_, '_>, surroundings: &Surroundings) -> Option<Monitor> {
    let kinds = [("http", Kind::Http), ("tcp", Kind::Tcp), ("ping", Kind::Ping)];
    let kind = table.required("type", "What a check does.", &Choice::new(kinds));
    let enabled =
        table.or("enabled", "A disabled monitor keeps its history and is not checked.", true, &Boolean);
    let policy = policy(table, surroundings);
    let channels = channels(table, surroundings);
    let group = table.optional(
        "group",
        "For channels that want some groups alone, and for displays.",
        "none",
        &group(),
    );
    let tags =
        table.optional("tags", "For channels that want some tags alone, and for displays.", "none", &tags());
    let ip = table.or(
        "ip",
        "Which addresses of a name are used.",
        IpFamily::default(),
        &Choice::new([("any", IpFamily::Any), ("4", IpFamily::V4), ("6", IpFamily::V6)]),
    );
    let lookup = Lookup { ip, resolver: None };
    let check = kind.map(|kind| check(kind, table, lookup));
    if kind.is_none() || table.has_unknown() {
        for (word, other) in kinds.into_iter().filter(|(_, other)| Some(*other) != kind) {
            table.elsewhere(&format!("type = \"{word}\""), |table| drop(self::check(other, table, lookup)));
        }
        if kind.is_none() && !table.is_reference() {
            table.accept_elsewhere();
        }
    }
    let (name, tags) = (name.to_owned(), tags.unwrap_or_default());
    Some(Monitor { name, enabled, check: check??, policy, channels, group, tags })
}

fn policy(table: &mut Table<'_, '_>, surroundings: &Surroundings) -> Policy {
    let defaults = Policy::default();
    let policy = Policy {
        interval: table.or(
            "interval",
            "From one check to the next.",
            defaults.interval,
            &Span(SECOND..=7 * DAY),
        ),
        timeout: table.or(
            "timeout",
            "The deadline of one check, over everything that it does.",
            defaults.timeout,
            &Span(100 * MILLISECOND..=CHECK_MOST),
        ),
        confirm: table.or(
            "confirm",
            "Failures in a row that open an incident.",
            defaults.confirm,
            &Integer(1..=100),
        ),
        retry_interval: table.or(
            "retry_interval",
            "From a failure that opens no incident yet to the next look.",
            defaults.retry_interval,
            &Span(100 * MILLISECOND..=DAY),
        ),
        recover: table.or(
            "recover",
            "Successes in a row that close an incident.",
            defaults.recover,
            &Integer(1..=100),
        ),
    };
    if policy.timeout >= surroundings.job_timeout {
        let span = table.span_of("timeout").unwrap_or_else(|| table.span());
        let (timeout, job) = (duration::format(policy.timeout), duration::format(surroundings.job_timeout));
        let longer = duration::format(policy.timeout + 10 * SECOND);
        table.notes.warning(
            span,
            format!("a check may take `{timeout}` and its job on `monitor-checks` only `{job}`"),
            Some(format!(
                "write `timeout = \"{longer}\"` in `[queues.monitor-checks]`, or a shorter one for the monitor"
            )),
        );
    }
    policy
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
                nearest(&name, surroundings.channels.iter().map(String::as_str))
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

fn check(kind: Kind, table: &mut Table<'_, '_>, lookup: Lookup) -> Option<CheckSpec> {
    match kind {
        Kind::Http => http(table, lookup).map(CheckSpec::Http),
        Kind::Tcp => tcp(table, lookup).map(CheckSpec::Tcp),
        Kind::Ping => ping(table, lookup).map(CheckSpec::Ping),
    }
}

fn http(table: &mut Table<'_, '_>, lookup: Lookup) -> Option<HttpSpec> {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let url = table.required(
        "url",
        "What is asked for.",
        &Address { better: "headers = { Authorization = { env = \"NAME\" } }" },
    );
    let method =
        table.or("method", "The request's method.", "GET", &Choice::new(methods.map(|word| (word, word))));
    let headers = table.optional("headers", "Sent with the request.", "none", &Headers);
    let body =
        table.optional("body", "Sent with the request.", "none", &Text { most: 100_000, example: "{}" });
    let redirects = table.or(
        "redirects",
        "How many redirects are followed; 0 judges the first answer.",
        REDIRECTS,
        &Integer(0..=20),
    );
    let expect = table.table("expect", expect);
    let defaults = target::http(url?);
    Some(HttpSpec {
        method: method.into(),
        headers: headers.unwrap_or_default(),
        body,
        redirects,
        lookup,
        expect,
        ..defaults
    })
}

/// As for a target of the command line ([`target::http`]).
const REDIRECTS: u8 = 5;

fn expect(table: &mut Table<'_, '_>) -> HttpExpect {
    let defaults = HttpExpect::default();
    let parts = || List { of: Text { most: 10_000, example: "ok" }, count: 1..=50, or_one: true };
    let shown: Vec<String> = defaults.status.iter().map(ToString::to_string).collect();
    HttpExpect {
        status: table
            .optional(
                "status",
                "Statuses of which the answer must have one.",
                &format!("`{}`", shown.join(", ")),
                &List { of: Status, count: 1..=50, or_one: true },
            )
            .unwrap_or_else(|| defaults.status.clone()),
        body_contains: table
            .optional("body_contains", "Texts that must each be in the body.", "none", &parts())
            .unwrap_or_default(),
        body_not_contains: table
            .optional("body_not_contains", "Texts of which none may be in the body.", "none", &parts())
            .unwrap_or_default(),
        latency_below: latency_below(table, "The whole check must take less."),
        ..defaults
    }
}

fn latency_below(table: &mut Table<'_, '_>, doc: &str) -> Option<Duration> {
    table.optional("latency_below", doc, "no limit but `timeout`", &Span(MILLISECOND..=CHECK_MOST))
}

fn tcp(table: &mut Table<'_, '_>, lookup: Lookup) -> Option<TcpSpec> {
    let host = table.required("host", "A name or an address.", &Hostname);
    let port = table.required("port", "What is connected to.", &Port);
    Some(TcpSpec { lookup, ..target::tcp(host?, port?) })
}

fn ping(table: &mut Table<'_, '_>, lookup: Lookup) -> Option<PingSpec> {
    let defaults = target::ping(String::new());
    let host = table.required("host", "A name or an address.", &Hostname);
    let count = table.or("count", "Echoes that are sent.", defaults.count, &Integer(1..=20));
    let loss_below = table.or(
        "loss_below",
        "Down when this share of the echoes or more is lost, in percent; 100: only when all are.",
        defaults.loss_below,
        &Integer(1..=100),
    );
    let latency_below = latency_below(table, "The mean round trip must take less.");
    Some(PingSpec { count, loss_below, latency_below, lookup, ..target::ping(host?) })
}
