//! What it means, and whose fault it is, that a name server gives no addresses.

use super::question::QueryError;
use super::server::{DnsError, mnemonic};
use crate::errno;
use hickory_proto::op::ResponseCode;
use std::net::SocketAddr;
use uptime_core::check::{Failure, FailureClass};

/// A name server for people: its port is told when it is not the usual one.
pub(crate) fn shown(server: SocketAddr) -> String {
    if server.port() == 53 { server.ip().to_string() } else { server.to_string() }
}

/// A trouble that is the target's own, whoever was asked.
pub(crate) fn of_name(host: &str, dns_error: &DnsError) -> Failure {
    let words = match dns_error {
        DnsError::NotAName => "it is no name that can be looked up",
        DnsError::Circle => "its names lead in a circle",
        DnsError::TooLong => "it leads over too many other names",
        DnsError::NoSuchName | DnsError::Code(_) | DnsError::QueryError(_) => "no such name",
    };
    Failure::new(FailureClass::Dns, format!("looking up `{host}`: {words}"))
}

/// The resolver works, and the name servers of the target's zone do not.
pub(super) fn zone_fails(host: &str, code: ResponseCode) -> Failure {
    let code = mnemonic(code);
    Failure::new(FailureClass::Dns, format!("looking up `{host}`: its name servers gave no answer ({code})"))
}

/// The same, of a resolver that waits for them.
pub(super) fn zone_is_silent(host: &str) -> Failure {
    Failure::new(FailureClass::Dns, format!("looking up `{host}`: its name servers gave no answer"))
}

/// What `server` said to `host`; `works`: it knows the root's name servers.
pub(super) fn failure(host: &str, server: SocketAddr, dns_error: &DnsError, works: bool) -> Failure {
    let who = shown(server);
    let (class, words) = match dns_error {
        DnsError::Code(code) if works => return zone_fails(host, *code),
        DnsError::Code(code) => (
            FailureClass::Resolver,
            format!("{who} answered {} to this and to the question for the root", mnemonic(*code)),
        ),
        DnsError::QueryError(why) => {
            // Whatever became of the question, it was not the target that was asked.
            let failure = unanswered(&format!("looking up `{host}`"), server, why);
            let class = if failure.class.is_ours() { failure.class } else { FailureClass::Resolver };
            return Failure { class, ..failure };
        }
        DnsError::NotAName | DnsError::NoSuchName | DnsError::Circle | DnsError::TooLong => {
            return of_name(host, dns_error);
        }
    };
    Failure::new(class, format!("looking up `{host}`: {words}"))
}

/// The failure of `doing`, if `server` itself is the target.
pub(crate) fn unanswered(doing: &str, server: SocketAddr, why: &QueryError) -> Failure {
    let who = shown(server);
    let (how, error) = match why {
        QueryError::Io(error) => ("", error),
        QueryError::Tcp(error) => (" over TCP", error),
        QueryError::Garbage(words) => {
            return Failure::new(FailureClass::Protocol, format!("{doing}: {who} {words}"));
        }
    };
    errno::failure(&format!("{doing}: asking {who}{how}"), error, server.ip())
}
