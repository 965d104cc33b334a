//! ICMP's echo messages as bytes (RFC 792, RFC 4443). Pure: no socket, no clock.
//!
//! What comes in is whatever the network sends to this machine: it may be cut short, broken, or meant for another
//! process. [`parse`] gives nothing for all that is not an answer to an echo.

use std::net::IpAddr;

/// The version of IP, and with it of ICMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// What identifies an echo on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Echo {
    /// The same for all echoes of a socket.
    pub(crate) ident: u16,
    /// Told apart by this.
    pub(crate) sequence: u16,
}

/// An answer to an echo of somebody on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EchoAnswer<'packet> {
    /// The target sent it back.
    Reply { echo: Echo, payload: &'packet [u8] },
    /// A host on the way, or the target's, says that it can't be delivered.
    Undeliverable { echo: Echo, destination: IpAddr, reason: &'static str },
}

/// Type, code, checksum, identifier, sequence.
const HEADER_BYTES: usize = 8;

/// The types whose messages say that something can't be delivered, as far as [`reason`] has words for them.
pub(crate) const UNDELIVERABLE_V4: [u8; 2] = [3, 11];
pub(crate) const UNDELIVERABLE_V6: [u8; 2] = [1, 3];

/// The message that asks for `payload` to be sent back.
pub(crate) fn request(version: Version, echo: Echo, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_BYTES + payload.len());
    message.extend_from_slice(&[request_kind(version), 0, 0, 0]);
    message.extend_from_slice(&echo.ident.to_be_bytes());
    message.extend_from_slice(&echo.sequence.to_be_bytes());
    message.extend_from_slice(payload);
    if version == Version::V4 {
        // For ICMPv6 the kernel does it, which alone knows the source address that goes into it.
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// What a received packet says, if it is an answer to an echo. `packet` may begin with its IPv4 header, as raw
/// sockets give it, or without, as datagram sockets do.
pub(crate) fn parse(version: Version, packet: &[u8]) -> Option<EchoAnswer<'_>> {
    let message = match version {
        // No ICMP type begins with a 4, so the first half-byte tells whether an IP header is there.
        Version::V4 if packet.first()? >> 4 == 4 => after_v4_header(packet)?,
        Version::V4 | Version::V6 => packet,
    };
    // A raw socket sees a message of IPv4 before the kernel has checked it.
    if version == Version::V4 && checksum(message) != 0 {
        return None;
    }
    let (kind, code) = (*message.first()?, *message.get(1)?);
    let rest = message.get(HEADER_BYTES..)?;
    if (kind, code) == (reply_kind(version), 0) {
        return Some(EchoAnswer::Reply { echo: echo(message)?, payload: rest });
    }
    let reason = reason(version, kind, code)?;
    // What follows is the beginning of the packet that it is about.
    let (is_icmp, destination, sent) = match version {
        Version::V4 => {
            (rest.get(9) == Some(&1), IpAddr::from(*bytes::<4>(rest, 16)?), after_v4_header(rest)?)
        }
        Version::V6 => (rest.get(6) == Some(&58), IpAddr::from(*bytes::<16>(rest, 24)?), rest.get(40..)?),
    };
    let echo = requested(version, sent).filter(|_| is_icmp)?;
    Some(EchoAnswer::Undeliverable { echo, destination, reason })
}

fn bytes<const N: usize>(packet: &[u8], at: usize) -> Option<&[u8; N]> {
    packet.get(at..)?.first_chunk()
}

/// Why an echo can't be delivered, by the type and the code of the message that says so; `None` for other messages.
pub(crate) fn reason(version: Version, kind: u8, code: u8) -> Option<&'static str> {
    match (version, kind, code) {
        (Version::V4, 3, 0) => Some("network unreachable"),
        (Version::V4, 3, 1) | (Version::V6, 1, 3) => Some("host unreachable"),
        (Version::V4, 3, 9 | 10 | 13) | (Version::V6, 1, 1) => Some("prohibited"),
        // A fragment is too large for a part of the way: the kernel learns it, and makes the next ones smaller.
        (Version::V4, 3, 4) => None,
        (Version::V6, 1, 0) => Some("no route"),
        (Version::V4, 3, _) | (Version::V6, 1, _) => Some("unreachable"),
        (Version::V4, 11, _) => Some("time to live exceeded"),
        (Version::V6, 3, _) => Some("hop limit exceeded"),
        _ => None,
    }
}

/// The echo that `message`, or the beginning of it that somebody quotes, asks for.
pub(crate) fn requested(version: Version, message: &[u8]) -> Option<Echo> {
    (*message.first()? == request_kind(version)).then_some(())?;
    echo(message)
}

fn request_kind(version: Version) -> u8 {
    match version {
        Version::V4 => 8,
        Version::V6 => 128,
    }
}

/// The type of an echo that came back.
pub(crate) fn reply_kind(version: Version) -> u8 {
    match version {
        Version::V4 => 0,
        Version::V6 => 129,
    }
}

/// What follows an IPv4 header, whose length is in its first byte.
fn after_v4_header(packet: &[u8]) -> Option<&[u8]> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    if length < 20 { None } else { packet.get(length..) }
}

fn echo(message: &[u8]) -> Option<Echo> {
    let word = |at| bytes(message, at).copied().map(u16::from_be_bytes);
    Some(Echo { ident: word(4)?, sequence: word(6)? })
}

/// The Internet checksum (RFC 1071). Over a message that bears its right checksum it is 0.
fn checksum(message: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for word in message.chunks(2) {
        let low = word.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([word[0], low]));
        // Folded at once: no length can make it overflow.
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("because the carry was folded in")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    const ECHO: Echo = Echo { ident: 0x1234, sequence: 0x0a0b };

    fn with_v4_header(header_words: u8, message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; usize::from(header_words) * 4];
        packet[0] = 0x40 | header_words;
        packet[9] = 1;
        packet[16..20].copy_from_slice(&[192, 0, 2, 7]);
        packet.extend_from_slice(message);
        packet
    }

    fn with_v6_header(message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x60;
        packet[6] = 58;
        packet[39] = 7;
        packet.extend_from_slice(message);
        packet
    }

    /// A message of the kernel or of a router, with its checksum.
    fn answer(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
        let mut message = [&[kind, code, 0, 0], rest].concat();
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    fn reply(payload: &[u8]) -> Vec<u8> {
        answer(0, 0, &request(Version::V4, ECHO, payload)[4..])
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 1071's example: the sum is 0xddf2 and the checksum its complement.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&vec![0xff; 65_536]), 0);
        assert_eq!(checksum(&[0x01]), !0x0100);
        assert_eq!(checksum(&request(Version::V4, ECHO, b"odd")), 0);
    }

    #[test]
    fn a_reply_is_read_with_and_without_its_ip_header() {
        let mut six = request(Version::V6, ECHO, b"payload");
        six[0] = 129;
        for (version, packet) in [
            (Version::V4, reply(b"payload")),
            (Version::V4, with_v4_header(5, &reply(b"payload"))),
            (Version::V4, with_v4_header(15, &reply(b"payload"))),
            (Version::V6, six),
        ] {
            let expected = EchoAnswer::Reply { echo: ECHO, payload: b"payload" };
            assert_eq!(parse(version, &packet), Some(expected), "{packet:?}");
        }
    }

    /// Errors about an echo, of each version, as a raw socket sees them.
    fn undeliverable() -> [(Version, Vec<u8>); 2] {
        let sent = with_v4_header(6, &request(Version::V4, ECHO, b"")[..8]);
        let four = with_v4_header(5, &answer(3, 1, &[&[0; 4], sent.as_slice()].concat()));
        let sent = with_v6_header(&request(Version::V6, ECHO, b""));
        [(Version::V4, four), (Version::V6, answer(1, 0, &[&[0; 4], sent.as_slice()].concat()))]
    }

    #[test]
    fn what_can_not_be_delivered_names_the_echo() {
        let [four, six] = undeliverable();
        let at = |destination, reason| Some(EchoAnswer::Undeliverable { echo: ECHO, destination, reason });
        assert_eq!(parse(four.0, &four.1), at([192, 0, 2, 7].into(), "host unreachable"));
        assert_eq!(parse(six.0, &six.1), at(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 7).into(), "no route"));
    }

    #[test]
    fn what_is_no_answer_is_nothing() {
        // Our own request, which a raw socket on the loopback sees too.
        assert_eq!(parse(Version::V4, &request(Version::V4, ECHO, b"x")), None);
        assert_eq!(parse(Version::V6, &request(Version::V6, ECHO, b"x")), None);
        let mut broken = reply(b"payload");
        broken[9] ^= 1;
        assert_eq!(parse(Version::V4, &broken), None, "a wrong checksum");
        let of_udp = {
            let mut sent = with_v4_header(5, &[8; 8]);
            sent[9] = 17;
            answer(3, 3, &[&[0; 4], sent.as_slice()].concat())
        };
        assert_eq!(parse(Version::V4, &of_udp), None, "another protocol's trouble");
    }

    #[test]
    fn no_length_is_too_short() {
        let [four, six] = undeliverable();
        for (version, whole) in [(Version::V4, with_v4_header(5, &reply(b""))), four, six] {
            assert!(parse(version, &whole).is_some());
            for length in 0..whole.len() {
                assert_eq!(parse(version, &whole[..length]), None, "{length} bytes of {version:?}");
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state: u32 = 1;
        for _ in 0..20_000 {
            let packet: Vec<u8> = (0..state % 64)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_be_bytes()[0]
                })
                .collect();
            state = state.wrapping_add(1);
            let _ = (parse(Version::V4, &packet), parse(Version::V6, &packet));
        }
    }
}
