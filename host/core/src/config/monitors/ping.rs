//! The keys of `type = "ping"`.

use super::super::kinds::{Integer, Span};
use super::super::table::Table;
use super::super::values::HOSTNAME;
use super::{Frame, MILLISECOND, degraded_above, latency_below, limit};
use crate::duration;
use crate::monitor::PingSpec;
use crate::target;
use std::time::Duration;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<PingSpec> {
    let host = table.required("host", "Name or address.", &HOSTNAME);
    let is_whole = host.is_some();
    let defaults = target::ping(host.unwrap_or_default());
    let percent = Integer(1..=100);
    let ping = PingSpec {
        count: table.or("count", "Number of echo requests.", defaults.count, &Integer(1..=20)),
        spacing: table.or(
            "spacing",
            "Interval between echo requests.",
            defaults.spacing,
            &Span(MILLISECOND..=Duration::from_mins(1)),
        ),
        size: table.or("size", "Payload size in bytes.", defaults.size, &Integer(24..=1472)),
        loss_below: table.or(
            "loss_below",
            "Down at this packet loss in percent.",
            defaults.loss_below,
            &percent,
        ),
        loss_degraded: table.optional(
            "loss_degraded",
            "Degraded at this packet loss in percent.",
            "never",
            &percent,
        ),
        latency_below: latency_below(table, frame, "the mean round trip"),
        degraded_above: degraded_above(table, frame, "the mean round trip"),
        min_below: round_trip(table, frame, "min_below", "shortest round trip"),
        max_below: round_trip(table, frame, "max_below", "longest round trip"),
        jitter_below: round_trip(table, frame, "jitter_below", "mean jitter"),
        lookup: frame.lookup,
        ..defaults
    };
    let sending = ping.spacing * u32::from(ping.count.saturating_sub(1));
    if sending >= frame.timeout {
        let key = if table.span_of("spacing").is_some() { "spacing" } else { "count" };
        let (sending, timeout) = (duration::format(sending), duration::format(frame.timeout));
        table.warning_at(
            key,
            format!("`count` times `spacing` takes `{sending}`, and `timeout` is `{timeout}`: the echoes are sent closer"),
            "send fewer, or closer, or make `timeout` longer",
        );
    }
    if ping.count == 1 {
        table.warning_at(
            "jitter_below",
            "`jitter_below` has no use: with `count = 1` no round trip follows another".into(),
            "send more echoes, or leave it out",
        );
    }
    Some(ping).filter(|_| is_whole)
}

fn round_trip(table: &mut Table<'_, '_>, frame: &Frame, key: &str, what: &str) -> Option<Duration> {
    limit(table, frame, key, &format!("Down unless the {what} is below this."), "no limit")
}
