//! What the fuzz targets (`tests/fuzz`) need to see of this crate's inside. Only there when built for them.

use crate::icmp::{self, Answer, Echo, Version};

/// Parses `packet` as both versions of ICMP, and sends it round as the payload of an echo.
///
/// # Panics
/// When the decoder says what it can't know, or an echo does not come back as it was sent.
pub fn icmp(packet: &[u8]) {
    for version in [Version::V4, Version::V6] {
        match icmp::parse(version, packet) {
            Some(Answer::Reply { payload, .. }) => assert!(packet.ends_with(payload)),
            Some(Answer::Undeliverable { destination, reason, .. }) => {
                assert!(!reason.is_empty() && destination.is_ipv4() == (version == Version::V4));
            }
            None => {}
        }
        let echo =
            Echo { ident: 0x1234, sequence: u16::try_from(packet.len() % 0x10000).unwrap_or_default() };
        let asked = icmp::request(version, echo, packet);
        assert_eq!(icmp::parse(version, &asked), None, "a request is no answer");
        let answered = reply(version, asked);
        assert_eq!(icmp::parse(version, &answered), Some(Answer::Reply { echo, payload: packet }));
    }
}

/// The request as its target sends it back: another type, and for IPv4 the checksum that fits.
fn reply(version: Version, mut message: Vec<u8>) -> Vec<u8> {
    match version {
        // RFC 1624, with a type of 8 that becomes 0: the one's complement sum loses 0x0800.
        Version::V4 => {
            let sum = u32::from(u16::from_be_bytes([message[2], message[3]])) + 0x0800;
            let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or_default();
            message[0] = 0;
            message[2..4].copy_from_slice(&folded.to_be_bytes());
        }
        Version::V6 => message[0] = 129,
    }
    message
}
