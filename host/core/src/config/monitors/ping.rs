//! The keys of `type = "ping"`.

use super::super::table::Table;
use super::super::takes::{Integer, Span};
use super::super::values::Hostname;
use super::{CHECK_MOST, Frame, MILLISECOND, latency, never_reached};
use crate::duration;
use crate::monitor::PingSpec;
use crate::target;
use std::time::Duration;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<PingSpec> {
    let defaults = target::ping(String::new());
    let host = table.required("host", "A name or an address.", &Hostname);
    let count = table.or("count", "Echoes that are sent.", defaults.count, &Integer(1..=20));
    let spacing = table.or(
        "spacing",
        "From one echo to the next.",
        defaults.spacing,
        &Span(MILLISECOND..=Duration::from_mins(1)),
    );
    let size = table.or("size", "Bytes of an echo.", defaults.size, &Integer(24..=1472));
    let loss_below = table.or(
        "loss_below",
        "Down when this share of the echoes or more is lost, in percent; 100: only when all are.",
        defaults.loss_below,
        &Integer(1..=100),
    );
    let loss_degraded = table.optional(
        "loss_degraded",
        "Degraded when this share of the echoes or more is lost, in percent.",
        "never",
        &Integer(1..=100),
    );
    let (latency_below, degraded_above) = latency(table, frame, "the mean round trip");
    let limits = [
        ("min_below", "Down unless the shortest round trip is below it."),
        ("max_below", "Down unless the longest round trip is below it."),
        ("jitter_below", "Down unless the mean difference from one round trip to the next is below it."),
    ];
    let [min_below, max_below, jitter_below] = limits.map(|(key, doc)| {
        let limit = table.optional(key, doc, "no limit", &Span(MILLISECOND..=CHECK_MOST));
        never_reached(table, frame, key, limit);
        limit
    });
    let sending = spacing * u32::from(count.saturating_sub(1));
    if sending >= frame.timeout {
        let key = if table.span_of("spacing").is_some() { "spacing" } else { "count" };
        let (sending, timeout) = (duration::format(sending), duration::format(frame.timeout));
        table.advise(
            key,
            format!("`count` times `spacing` takes `{sending}`, and `timeout` is `{timeout}`: the echoes are sent closer"),
            "send fewer, or closer, or make `timeout` longer",
        );
    }
    if count == 1 {
        table.advise(
            "jitter_below",
            "`jitter_below` has no use: with `count = 1` no round trip follows another".into(),
            "send more echoes, or leave it out",
        );
    }
    Some(PingSpec {
        count,
        spacing,
        size,
        loss_below,
        loss_degraded,
        latency_below,
        degraded_above,
        min_below,
        max_below,
        jitter_below,
        lookup: frame.lookup,
        ..target::ping(host?)
    })
}
