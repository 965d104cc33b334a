//! What kind of place an IP address is.
//!
//! The egress guard asks before each connection: a plugin may speak to public addresses, to inner ones only when an
//! operator granted them, and to some never. An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4) is judged
//! by what it carries, so a disguise changes nothing. The ranges are those of the IANA special-purpose registries.

use crate::words::words;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

words! {
    /// The kind of place that an address is.
    pub enum AddressClass: "class of addresses" {
        Public = "public",
        Loopback = "loopback",
        /// An inner network (RFC 1918, RFC 8215).
        Private = "private",
        /// An inner network of IPv6 (RFC 4193, and the older site-local range).
        UniqueLocal = "unique-local",
        /// A provider's inner network (RFC 6598).
        CarrierGrade = "carrier-grade NAT",
        /// For documentation and benchmarks; nobody is there.
        Documentation = "documentation",
        /// Of no use today, or of a use of its own.
        Reserved = "reserved",
        /// No address: `0.0.0.0/8` and `::`. Many systems take it for themselves.
        Unspecified = "unspecified",
        LinkLocal = "link-local",
        /// A cloud's metadata service, which gives credentials to whoever asks.
        Metadata = "metadata",
        Multicast = "multicast",
        Broadcast = "broadcast",
    }
}

impl AddressClass {
    /// Whether no grant opens it.
    pub fn never_allowed(self) -> bool {
        matches!(
            self,
            Self::Unspecified | Self::LinkLocal | Self::Metadata | Self::Multicast | Self::Broadcast
        )
    }

    /// Whether it takes an operator's grant.
    pub fn needs_grant(self) -> bool {
        self != Self::Public && !self.never_allowed()
    }
}

/// Who can reach an address, the fewest first. A redirect that leads to a smaller reach makes us ask, in the target's
/// place, where the target itself may not get to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    Machine,
    Link,
    Site,
    /// Nobody is supposed to be there.
    Unassigned,
    Internet,
}

impl AddressClass {
    /// Who can reach addresses of this kind.
    pub fn reach(self) -> Reach {
        match self {
            Self::Loopback | Self::Unspecified => Reach::Machine,
            Self::LinkLocal | Self::Metadata | Self::Multicast | Self::Broadcast => Reach::Link,
            Self::Private | Self::UniqueLocal | Self::CarrierGrade => Reach::Site,
            Self::Documentation | Self::Reserved => Reach::Unassigned,
            Self::Public => Reach::Internet,
        }
    }

    /// Whether a redirect from an address of this kind may lead to one of the kind `to`; `to_private`: the operator lets
    /// redirects lead inwards. Some places are closed in any case.
    pub fn may_redirect_to(self, to: Self, to_private: bool) -> bool {
        match to {
            Self::Unspecified | Self::Metadata | Self::Multicast | Self::Broadcast => false,
            to => to_private || to.reach() >= self.reach(),
        }
    }
}

pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// Metadata services outside the link-local range: Alibaba Cloud, Oracle Cloud, Azure.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// Metadata services of AWS (instances, EKS) and of Google Cloud.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    if METADATA_V4.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::CarrierGrade,
        [169, 254, 169, 254] | [169, 254, 170, 2 | 23] => AddressClass::Metadata,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] => {
            AddressClass::Documentation
        }
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if METADATA_V6.contains(&address) {
        return AddressClass::Metadata;
    }
    if let Some(inner) = carried_v4(address) {
        return classify_v4(inner);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0x64, 0xff9b, 1, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => AddressClass::UniqueLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Documentation,
        // IETF protocol assignments, Teredo among them.
        [0x2001, 0..=0x1ff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

/// The IPv4 address behind the ways to write or to reach it by IPv6.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        // Mapped, translated (RFC 2765) and NAT64's well-known prefix.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4.
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        // The old "compatible" form, but for `::` and `::1`.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_at_both_ends() {
        use AddressClass as C;
        for (class, addresses) in [
            (C::Unspecified, "0.0.0.0 0.255.255.255 ::"),
            (C::Private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 64:ff9b:1::1"),
            (C::CarrierGrade, "100.64.0.0 100.127.255.255"),
            (C::Metadata, "100.100.100.200 168.63.129.16 169.254.169.254 169.254.170.2 192.0.0.192"),
            (C::Metadata, "fd00:ec2::254 fd20:ce::254"),
            (C::Loopback, "127.0.0.1 127.255.255.255 ::1"),
            (C::LinkLocal, "169.254.0.0 169.254.255.255 fe80::1 febf::1"),
            (C::Documentation, "192.0.2.1 198.18.0.0 198.19.255.255 198.51.100.9 203.0.113.9"),
            (C::Documentation, "2001:db8::1 3fff:fff::"),
            (C::Multicast, "224.0.0.1 239.255.255.255 ff02::1"),
            (C::Reserved, "192.0.0.1 192.88.99.1 240.0.0.0 255.255.255.254"),
            (C::Reserved, "100::1 2001::1 2001:1ff::1 4000:: fe00::1"),
            (C::Broadcast, "255.255.255.255"),
            (C::UniqueLocal, "fc00:: fd00:ec2::253 fdff::1 fec0::1"),
            (
                C::Public,
                "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 128.0.0.0 169.253.255.255",
            ),
            (C::Public, "169.255.0.0 172.15.255.255 172.32.0.0 192.169.0.0 198.17.255.255 223.255.255.255"),
            (C::Public, "2000:: 2001:200::1 2606:4700::1111 3fff:1000::"),
            // A disguise changes nothing.
            (C::Loopback, "::ffff:127.0.0.1 2002:7f00:1::"),
            (C::Metadata, "::ffff:169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1"),
            (C::Private, "::ffff:0:10.0.0.1 ::10.0.0.1 64:ff9b::10.0.0.1"),
            (C::Public, "::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1"),
            (C::Unspecified, "::2"),
        ] {
            for text in addresses.split(' ') {
                assert_eq!(classify(text.parse().expect(text)), class, "{text}");
            }
        }
    }

    #[test]
    fn a_redirect_leads_outwards_only() {
        let inwards = ["8.8.8.8", "203.0.113.9", "10.0.0.1", "fe80::1", "127.0.0.1"];
        let class = |text: &str| classify(text.parse().expect(text));
        for (place, from) in inwards.iter().enumerate() {
            for (other, to) in inwards.iter().enumerate() {
                let (from, to) = (class(from), class(to));
                assert_eq!(from.may_redirect_to(to, false), other <= place, "{from} to {to}");
                assert!(from.may_redirect_to(to, true), "{from} to {to}");
            }
            for closed in "0.0.0.0 :: 169.254.169.254 fd00:ec2::254 224.0.0.1 255.255.255.255".split(' ') {
                assert!(!class(from).may_redirect_to(class(closed), true), "{from} to {closed}");
            }
        }
        for inner in ["192.168.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b:1::1"] {
            assert!(!AddressClass::Public.may_redirect_to(class(inner), false), "{inner}");
            assert!(class("172.16.0.1").may_redirect_to(class(inner), false), "{inner}");
        }
    }

    #[test]
    fn a_class_is_open_or_granted_or_never() {
        use AddressClass as C;
        for class in [C::Loopback, C::Private, C::UniqueLocal, C::CarrierGrade, C::Documentation, C::Reserved]
        {
            assert!(class.needs_grant() && !class.never_allowed(), "{class}");
        }
        for class in [C::Unspecified, C::LinkLocal, C::Metadata, C::Multicast, C::Broadcast] {
            assert!(class.never_allowed() && !class.needs_grant(), "{class}");
        }
        assert!(!C::Public.needs_grant() && !C::Public.never_allowed());
    }
}
