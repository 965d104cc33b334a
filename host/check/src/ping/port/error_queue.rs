//! Linux's queue of the errors of a socket: where a datagram socket learns that an echo can't be delivered, and which
//! one (ip(7), `IP_RECVERR`).

use crate::icmp::{self, EchoAnswer, Version};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::Ipv4RecvErr,
    sockopt::Ipv6RecvErr,
};
use socket2::Socket;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use tokio::net::UdpSocket;

/// What made an entry: a message of ICMP or of its IPv6 kin (`SO_EE_ORIGIN_ICMP`, `SO_EE_ORIGIN_ICMP6`).
const BY_ICMP: u8 = 2;
const BY_ICMP6: u8 = 3;

/// Room for one error with the address of who says it, and for what else the kernel may add.
const CONTROL_BYTES: usize = 256;

/// Has the kernel keep the errors of `socket`.
pub(super) fn enable(socket: &Socket, version: Version) -> io::Result<()> {
    match version {
        Version::V4 => setsockopt(socket, Ipv4RecvErr, &true)?,
        Version::V6 => setsockopt(socket, Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// Takes the oldest entry, an echo that can't be delivered, and who says so: `None` for one about something else, an
/// error that would block when there is none.
pub(super) fn take(
    socket: &UdpSocket,
    version: Version,
    packet: &mut [u8],
) -> io::Result<Option<(EchoAnswer<'static>, IpAddr)>> {
    let mut control = [0; CONTROL_BYTES];
    let (said, destination, length) = {
        let mut buffers = [IoSliceMut::new(packet)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags)?;
        let said = message.cmsgs()?.find_map(|control| reason(&control));
        (said, message.address.as_ref().and_then(ip), message.bytes)
    };
    // The packet is the echo's request, beginning with its ICMP header; the address is where it was sent to.
    let echo = packet.get(..length).and_then(|request| icmp::requested(version, request));
    let (Some((from, reason)), Some(destination), Some(echo)) = (said, destination, echo) else {
        return Ok(None);
    };
    let answer = EchoAnswer::Undeliverable { echo, destination, reason };
    Ok(Some((answer, from.unwrap_or(destination))))
}

/// Who says that an echo can't be delivered, as far as it is known, and why.
fn reason(control: &ControlMessageOwned) -> Option<(Option<IpAddr>, &'static str)> {
    match control {
        ControlMessageOwned::Ipv4RecvErr(error, from) if error.ee_origin == BY_ICMP => {
            let from = from.map(|from| Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr)).into());
            Some((from, icmp::reason(Version::V4, error.ee_type, error.ee_code)?))
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) if error.ee_origin == BY_ICMP6 => {
            let from = from.map(|from| Ipv6Addr::from(from.sin6_addr.s6_addr).into());
            Some((from, icmp::reason(Version::V6, error.ee_type, error.ee_code)?))
        }
        _ => None,
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
}
