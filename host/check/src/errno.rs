//! What an error of a socket call says about the target or about us, as one table.
//!
//! The distinction wakes people: a class that [is ours](FailureClass::is_ours) opens no incident.

use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use uptime_core::check::{Failure, FailureClass};

/// Error number, whose fault, and the words for it.
const MEANINGS: &[(Errno, FailureClass, &str)] = &[
    (Errno::CONNREFUSED, FailureClass::Refused, "connection refused"),
    (Errno::HOSTUNREACH, FailureClass::Unreachable, "no route to the host"),
    (Errno::HOSTDOWN, FailureClass::Unreachable, "the host is down"),
    (Errno::NETUNREACH, FailureClass::Unreachable, "the network is unreachable"),
    (Errno::TIMEDOUT, FailureClass::ConnectTimeout, "no answer"),
    (Errno::CONNRESET, FailureClass::Protocol, "connection reset"),
    (Errno::CONNABORTED, FailureClass::Protocol, "connection aborted"),
    (Errno::PIPE, FailureClass::Protocol, "connection closed"),
    (Errno::NETDOWN, FailureClass::Network, "this machine's network is down"),
    (Errno::AFNOSUPPORT, FailureClass::Network, "this machine has no such address family"),
    (Errno::MFILE, FailureClass::Resources, "this process has no file descriptors left; raise `ulimit -n`"),
    (Errno::NFILE, FailureClass::Resources, "this machine has no file descriptors left; raise `fs.file-max`"),
    (Errno::NOBUFS, FailureClass::Resources, "this machine has no socket buffers left"),
    (Errno::NOMEM, FailureClass::Resources, "this machine has no memory left"),
    (Errno::ADDRNOTAVAIL, FailureClass::Resources, "this machine has no local address or port for it"),
    (Errno::ADDRINUSE, FailureClass::Resources, "this machine has no local port left for it"),
    (Errno::AGAIN, FailureClass::Resources, "this machine has no local port left for it"),
    (
        Errno::INVAL,
        FailureClass::Settings,
        "this machine can't send to that address (a link-local one needs its interface, as in `fe80::1%eth0`)",
    ),
    (Errno::ACCESS, FailureClass::Permission, "this process may not do that"),
    (Errno::PERM, FailureClass::Permission, "this process, or a firewall of this machine, does not allow it"),
];

/// The class and the words for `error`. An unknown one is the target's, in the system's own words.
pub(crate) fn classify(error: &io::Error) -> (FailureClass, String) {
    let known = Errno::from_io_error(error)
        .and_then(|errno| MEANINGS.iter().find(|(candidate, ..)| *candidate == errno))
        .map(|&(_, class, words)| (class, words.to_owned()));
    known.unwrap_or_else(|| match error.kind() {
        io::ErrorKind::UnexpectedEof => (FailureClass::Protocol, "connection closed".to_owned()),
        _ => (FailureClass::Protocol, error.to_string()),
    })
}

/// Whether a message of ICMP about another packet of the same socket can have become `error`: all that is not this
/// machine's own trouble, and IPv6's `EACCES` (ip(7), `ping_err` and `icmpv6_err_convert` of Linux).
pub(crate) fn is_told_by_icmp(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::ACCESS) || !classify(error).0.is_ours()
}

/// The failure of `doing` (`connecting to 192.0.2.1:80`) to reach `peer`.
pub(crate) fn failure(doing: &str, error: &io::Error, peer: IpAddr) -> Failure {
    failure_with(doing, error, peer, has_any_route)
}

/// [`failure`] with the look at the routing table as an argument.
fn failure_with(
    doing: &str,
    error: &io::Error,
    peer: IpAddr,
    has_any_route: impl Fn(IpAddr) -> bool,
) -> Failure {
    let (class, words) = classify(error);
    if Errno::from_io_error(error) == Some(Errno::NETUNREACH) && !has_any_route(peer) {
        let family = if peer.is_ipv4() { "IPv4" } else { "IPv6" };
        return Failure::new(
            FailureClass::Network,
            format!("{doing}: this machine has no {family} route to any network"),
        );
    }
    Failure::new(class, format!("{doing}: {words}"))
}

/// Whether this machine knows a way to the world in the family of `peer`: to an address that is kept for documentation
/// (RFC 5737, RFC 3849).
pub(crate) fn has_any_route(peer: IpAddr) -> bool {
    let world: IpAddr = match peer {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    ask_route((world, 0).into()).is_ok()
}

/// Asks the routing table for a way to `peer`. Connecting a UDP socket sends nothing, and its errors are its own.
pub(crate) fn ask_route(mut peer: SocketAddr) -> io::Result<()> {
    let local: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Not every system has a way to port 0.
    peer.set_port(9);
    UdpSocket::bind((local, 0)).and_then(|socket| socket.connect(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_class() {
        for (errno, class, ours) in [
            (Errno::CONNREFUSED, FailureClass::Refused, false),
            (Errno::HOSTUNREACH, FailureClass::Unreachable, false),
            (Errno::MFILE, FailureClass::Resources, true),
            (Errno::ADDRNOTAVAIL, FailureClass::Resources, true),
            (Errno::ACCESS, FailureClass::Permission, true),
            (Errno::PERM, FailureClass::Permission, true),
            (Errno::NETDOWN, FailureClass::Network, true),
            (Errno::NOTCONN, FailureClass::Protocol, false),
        ] {
            let (found, words) = classify(&errno.into());
            assert_eq!((found, found.is_ours()), (class, ours), "{words}");
        }
    }

    #[test]
    fn without_any_route_the_fault_is_ours() {
        let peer = IpAddr::from([203, 0, 113, 1]);
        for (has_route, class, message) in [
            (true, FailureClass::Unreachable, "pinging: the network is unreachable"),
            (false, FailureClass::Network, "pinging: this machine has no IPv4 route to any network"),
        ] {
            let failure = failure_with("pinging", &Errno::NETUNREACH.into(), peer, |_| has_route);
            assert_eq!((failure.class, failure.message.as_str()), (class, message));
        }
        let refused = failure_with("pinging", &Errno::CONNREFUSED.into(), peer, |_| false);
        assert_eq!(refused.class, FailureClass::Refused, "whoever refuses was reached");
    }
}
