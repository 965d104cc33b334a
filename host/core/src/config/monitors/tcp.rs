//! The keys of `type = "tcp"`.

use super::super::kinds::{Boolean, Choice};
use super::super::table::{Table, keys};
use super::super::values::{HOSTNAME, Port};
use super::tls;
use super::values::{Expected, Sent};
use super::{Frame, latency};
use crate::monitor::{StartTls, TcpSpec, Words as _};
use crate::target;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<TcpSpec> {
    keys! { table:
        /// Name or address.
        let host = required(&HOSTNAME);
        /// Port to connect to.
        let port = required(&Port);
    }
    let is_whole = host.is_some() && port.is_some();
    let mut tcp = target::tcp(host.unwrap_or_default(), port.unwrap_or_default());
    keys! { table:
        /// Use TLS.
        let tls = optional("`true` with `starttls`, else `false`", &Boolean);
        /// Upgrade to TLS with this protocol's STARTTLS.
        tcp.starttls = optional("none", &Choice::of(StartTls::ALL));
    }
    let spec = tls::read(table);
    keys! { table:
        /// What to expect before anything is sent, anywhere in what comes.
        tcp.banner = optional("nothing", &Expected);
        /// What to send.
        tcp.send = optional("nothing", &Sent);
        /// What to expect in the response, anywhere in it.
        tcp.expect = optional("nothing", &Expected);
    }
    (tcp.tls_version, tcp.certificate_days) = tls::expected(table);
    [tcp.latency_below, tcp.degraded_above] = latency(table, frame, "the latency");
    tcp.lookup = frame.lookup;
    if tls == Some(false) && tcp.starttls.is_some() {
        let message = format!("`tls = false`, and {} asks for TLS", table.notes.name("starttls"));
        table.error_at("tls", message, "leave one of the two out");
    }
    let secure = tls.unwrap_or(tcp.starttls.is_some());
    if !secure {
        for key in tls::KEYS.into_iter().chain(["tls_version", "certificate_days"]) {
            let hint = "add `tls = true`, or `starttls` for a protocol that begins in the clear";
            table.error_at(key, format!("`{key}` has no use without TLS"), hint);
        }
    }
    tcp.tls = secure.then_some(spec);
    Some(tcp).filter(|_| is_whole)
}
