//! The keys of `type = "tcp"`.

use super::super::kinds::{Boolean, Choice};
use super::super::table::Table;
use super::super::values::{HOSTNAME, Port};
use super::tls::{self, certificate_days, tls_version};
use super::values::{Expected, Sent};
use super::{Frame, degraded_above, latency_below};
use crate::monitor::{StartTls, TcpSpec, Words as _};
use crate::target;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<TcpSpec> {
    let host = table.required("host", "Name or address.", &HOSTNAME);
    let port = table.required("port", "Port to connect to.", &Port);
    let is_whole = host.is_some() && port.is_some();
    let tls = table.optional("tls", "Use TLS.", "`true` with `starttls`, else `false`", &Boolean);
    let starttls = table.optional(
        "starttls",
        "Upgrade to TLS with this protocol's STARTTLS.",
        "none",
        &Choice::of(StartTls::ALL),
    );
    let spec = tls::read(table);
    let mut read = TcpSpec {
        starttls,
        banner: table.optional(
            "banner",
            "What to expect before anything is sent, anywhere in what comes.",
            "nothing",
            &Expected,
        ),
        send: table.optional("send", "What to send.", "nothing", &Sent),
        expect: table.optional(
            "expect",
            "What to expect in the response, anywhere in it.",
            "nothing",
            &Expected,
        ),
        tls_version: tls_version(table),
        certificate_days: certificate_days(table),
        latency_below: latency_below(table, frame, "the latency"),
        degraded_above: degraded_above(table, frame, "the latency"),
        lookup: frame.lookup,
        ..target::tcp(host.unwrap_or_default(), port.unwrap_or_default())
    };
    if tls == Some(false) && starttls.is_some() {
        let message = format!("`tls = false`, and {} asks for TLS", table.notes.name("starttls"));
        table.error_at("tls", message, "leave one of the two out");
    }
    let secure = tls.unwrap_or(starttls.is_some());
    if !secure {
        for key in tls::KEYS.into_iter().chain(["tls_version", "certificate_days"]) {
            table.error_at(
                key,
                format!("`{key}` has no use without TLS"),
                "add `tls = true`, or `starttls` for a protocol that begins in the clear",
            );
        }
    }
    read.tls = secure.then_some(spec);
    Some(read).filter(|_| is_whole)
}
