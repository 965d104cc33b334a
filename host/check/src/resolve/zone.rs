//! The zone of an address that is local to a link: `fe80::1%eth0` (RFC 4007).

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An address as text, perhaps with its zone, and with the port 0.
pub(crate) fn parse(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, 0));
    }
    let (address, zone) = text.split_once('%')?;
    let address = address.parse::<Ipv6Addr>().ok()?;
    Some(SocketAddrV6::new(address, 0, 0, index(zone)?).into())
}

/// The number of the interface that a zone names.
pub(crate) fn index(zone: &str) -> Option<u32> {
    zone.parse().ok().filter(|&index| index != 0).or_else(|| by_name(zone))
}

#[cfg(target_os = "linux")]
fn by_name(interface: &str) -> Option<u32> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET6, rustix::net::SocketType::DGRAM, None);
    rustix::net::netdevice::name_to_index(socket.ok()?, interface).ok()
}

/// Elsewhere interfaces have numbers alone.
#[cfg(not(target_os = "linux"))]
fn by_name(_interface: &str) -> Option<u32> {
    None
}
