//! The keys of `type = "tcp"`.

use super::super::table::Table;
use super::super::takes::{Boolean, Choice};
use super::super::values::{Hostname, Port};
use super::tls::{self, certificate_days, tls_version};
use super::values::{Expected, Sent};
use super::{Frame, latency};
use crate::monitor::{StartTls, TcpSpec};
use crate::target;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<TcpSpec> {
    let host = table.required("host", "A name or an address.", &Hostname);
    let port = table.required("port", "What is connected to.", &Port);
    let tls = table.optional("tls", "TLS is spoken.", "`true` with `starttls`, else `false`", &Boolean);
    let starttls = table.optional(
        "starttls",
        "The protocol in which TLS is asked for; without it TLS begins at once.",
        "none",
        &Choice::of(StartTls::ALL),
    );
    let spec = tls::read(table);
    let banner = table.optional(
        "banner",
        "What the target must say before anything is sent; a text, anywhere in it.",
        "nothing",
        &Expected,
    );
    let send = table.optional("send", "What is sent then.", "nothing", &Sent);
    let expect =
        table.optional("expect", "What must come then; a text, anywhere in it.", "nothing", &Expected);
    let tls_version = tls_version(table);
    let certificate_days = certificate_days(table);
    let (latency_below, degraded_above) = latency(table, frame, "the whole check");
    if tls == Some(false) && starttls.is_some() {
        table.complain(
            "tls",
            "`tls = false`, and `starttls` asks for TLS".into(),
            "leave one of the two out",
        );
    }
    let secure = tls.unwrap_or(starttls.is_some());
    if !secure {
        for key in tls::KEYS.into_iter().chain(["tls_version", "certificate_days"]) {
            table.complain(
                key,
                format!("`{key}` has no use without TLS"),
                "add `tls = true`, or `starttls` for a protocol that begins in the clear",
            );
        }
    }
    Some(TcpSpec {
        lookup: frame.lookup,
        tls: secure.then_some(spec),
        starttls,
        banner,
        send,
        expect,
        tls_version,
        certificate_days,
        latency_below,
        degraded_above,
        ..target::tcp(host?, port?)
    })
}
