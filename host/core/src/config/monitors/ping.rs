//! The keys of `type = "ping"`.

use super::super::kinds::{Integer, Span};
use super::super::table::{Table, keys};
use super::super::values::HOSTNAME;
use super::{Frame, MILLISECOND, MINUTE, latency, limit};
use crate::duration;
use crate::monitor::PingSpec;
use crate::target;
use std::time::Duration;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<PingSpec> {
    keys! { table:
        /// Name or address.
        let host = required(&HOSTNAME);
    }
    let is_whole = host.is_some();
    let mut ping = target::ping(host.unwrap_or_default());
    let percent = Integer(1..=100);
    keys! { table:
        /// Number of echo requests.
        ping.count = or(ping.count, &Integer(1..=20));
        /// Interval between echo requests.
        ping.spacing = or(ping.spacing, &Span(MILLISECOND..=MINUTE));
        /// Payload size in bytes.
        ping.size = or(ping.size, &Integer(24..=1472));
        /// Down at this packet loss in percent.
        ping.loss_below = or(ping.loss_below, &percent);
        /// Degraded at this packet loss in percent.
        ping.loss_degraded = optional("never", &percent);
    }
    [ping.latency_below, ping.degraded_above] = latency(table, frame, "the mean round trip");
    ping.min_below = round_trip(table, frame, "min_below", "shortest round trip");
    ping.max_below = round_trip(table, frame, "max_below", "longest round trip");
    ping.jitter_below = round_trip(table, frame, "jitter_below", "mean jitter");
    ping.lookup = frame.lookup;
    let sending = ping.spacing * u32::from(ping.count.saturating_sub(1));
    if sending >= frame.timeout {
        let key = if table.span_of("spacing").is_some() { "spacing" } else { "count" };
        let (sending, timeout) = (duration::format(sending), duration::format(frame.timeout));
        let message = format!(
            "`count` times `spacing` takes `{sending}`, and `timeout` is `{timeout}`: echo requests will be sent closer together"
        );
        table.warning_at(key, message, "send fewer, or closer, or make `timeout` longer");
    }
    if ping.count == 1 {
        let why = "with `count = 1` no round trip follows another";
        table.useless(&["jitter_below"], why, "send more echoes, or leave it out");
    }
    Some(ping).filter(|_| is_whole)
}

fn round_trip(table: &mut Table<'_, '_>, frame: &Frame, key: &str, what: &str) -> Option<Duration> {
    limit(table, frame, key, &format!("Down unless the {what} is below this."), "no limit")
}
