//! Who may speak to whom.
//!
//! A grant (the notifier's own hosts, an address in the channel's settings) opens HTTPS to public addresses. The
//! channel's `allow` opens its origin whatever it is, plain HTTP and inner networks too. Nothing opens link-local and
//! metadata addresses.

use super::proxy::Proxy;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use uptime_core::address::classify;
use uptime_core::grant::HostGrant;
use url::Url;

#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// HTTPS to public addresses.
    pub(crate) granted: Vec<HostGrant>,
    /// As the operator wrote it, so wherever it leads.
    pub(crate) allowed: Vec<HostGrant>,
    /// The way that all requests take. It changes nothing of where they may go.
    pub(crate) proxy: Option<Proxy>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    /// Has the form `scheme://host[:port]`.
    pub(crate) origin: String,
    pub(crate) reason: String,
    /// Whether the channel's `allow` could open it.
    pub(crate) openable: bool,
    /// Whether a name server's answer was refused, and not what the plugin asked for.
    pub(crate) by_answer: bool,
}

/// A URL that may be spoken to, if its addresses may.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    origin: String,
    /// Whether inner networks are open.
    inner: bool,
}

impl Policy {
    /// Whether `url` may be spoken to, as far as it can be told without resolving its name.
    pub(crate) fn admit(&self, url: &Url) -> Result<Admission, Denial> {
        let origin = HostGrant::origin_of(url)
            .map_or_else(|| format!("{}:", url.scheme()), |origin| origin.to_string());
        let deny = |reason: &str, openable| {
            Err(Denial { origin: origin.clone(), reason: reason.into(), openable, by_answer: false })
        };
        if !matches!(url.scheme(), "http" | "https") {
            return deny("only http and https are spoken", false);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return deny("an address may not hold a user; use a header", false);
        }
        let literal = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            // RFC 6761: whatever a name server says.
            Some(url::Host::Domain(name)) if is_localhost(name) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            _ => None,
        };
        // First, for no grant opens it, and nobody should be told to write one.
        if let Some(address) = literal.filter(|address| classify(*address).never_allowed()) {
            Admission { origin: origin.clone(), inner: false }.admit_address(address)?;
        }
        let inner = self.allowed.iter().any(|grant| grant.covers(url));
        if !inner && !self.granted.iter().any(|grant| grant.covers(url)) {
            return deny("nobody granted it", true);
        }
        if !inner && url.scheme() != "https" {
            return deny("plain HTTP has to be allowed explicitly", true);
        }
        let admission = Admission { origin: origin.clone(), inner };
        if let Some(address) = literal {
            // Of a name it is what the machine's resolver would answer.
            let by_answer = matches!(url.host(), Some(url::Host::Domain(_)));
            admission.admit_address(address).map_err(|denial| Denial { by_answer, ..denial })?;
        }
        Ok(admission)
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

impl Admission {
    /// Whether each of the addresses that a name server has for it may be connected to.
    pub(crate) fn admit_all(&self, addresses: &[SocketAddr]) -> Result<(), Denial> {
        // A literal has been admitted already, so what is refused here is an answer.
        let refused = |denial| Denial { by_answer: true, ..denial };
        addresses.iter().try_for_each(|address| self.admit_address(address.ip()).map_err(refused))
    }

    /// Whether this address of it may be connected to.
    pub(crate) fn admit_address(&self, address: IpAddr) -> Result<(), Denial> {
        let class = classify(address);
        let reason = if class.never_allowed() {
            format!("`{address}` is a {class} address, which is never open to a plugin")
        } else if class.needs_grant() && !self.inner {
            format!("`{address}` is a {class} address and has to be allowed explicitly")
        } else {
            return Ok(());
        };
        let openable = !class.never_allowed();
        Err(Denial { origin: self.origin.clone(), reason, openable, by_answer: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(granted: &[&str], allowed: &[&str]) -> Policy {
        let grants = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
        Policy { granted: grants(granted), allowed: grants(allowed), proxy: None }
    }

    #[test]
    fn the_rules_that_need_no_name_server() {
        let rule = |policy: &Policy, url: &str| {
            policy.admit(&Url::parse(url).expect(url)).map(|_| ()).map_err(|denial| denial.reason)
        };
        let nobody = Err("nobody granted it".to_owned());
        let telegram = policy(&["https://api.telegram.org"], &[]);
        assert_eq!(rule(&telegram, "https://api.telegram.org/bot1/x"), Ok(()));
        assert_eq!(rule(&telegram, "https://api.telegram.org:8443/"), nobody);
        assert_eq!(rule(&telegram, "https://api.telegram.org./"), nobody);
        assert_eq!(rule(&telegram, "http://api.telegram.org/"), nobody);
        assert_eq!(rule(&telegram, "https://api.telegram.org.evil.example/"), nobody);
        assert_eq!(
            rule(&telegram, "https://me:pw@api.telegram.org/"),
            Err("an address may not hold a user; use a header".into())
        );
        assert_eq!(rule(&telegram, "ftp://api.telegram.org/"), Err("only http and https are spoken".into()));
        assert_eq!(rule(&telegram, "file:///etc/passwd"), Err("only http and https are spoken".into()));

        let plain = policy(&["http://hooks.example"], &[]);
        assert_eq!(
            rule(&plain, "http://hooks.example/"),
            Err("plain HTTP has to be allowed explicitly".into())
        );
        let allowed = policy(&[], &["http://127.0.0.1:9000"]);
        for url in [
            "http://127.0.0.1:9000/",
            "http://2130706433:9000/",
            "http://0x7f.1:9000/",
            "http://0177.0.0.1:9000/",
        ] {
            assert_eq!(rule(&allowed, url), Ok(()), "{url}");
        }
        assert_eq!(rule(&allowed, "http://127.0.0.1:9001/"), nobody);
    }

    #[test]
    fn a_granted_literal_is_judged_in_every_disguise() {
        for (class, literals) in [
            (
                "loopback",
                "127.0.0.1 localhost any.LOCALHOST. l%6fcalhost 2130706433 0x7f000001 0x7f.1 0x7F.0.0.0x1 0177.0.0.1 \
                 017700000001 127.1 127.0.1 127.000.000.001 127.0.0.1. %31%32%37.0.0.1 127。0。0。1 ①②⑦.⓪.⓪.① [::1] \
                 [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:7f00:0001] [::127.0.0.1] [::ffff:0:127.0.0.1] \
                 [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::]",
            ),
            (
                "private",
                // The last but one is the prefix for translation inside a network (RFC 8215).
                "10.0.0.1 0xa000001 172.31.255.255 192.168.1 [::ffff:10.0.0.1] [::10.0.0.1] [64:ff9b::10.0.0.1] \
                 [64:ff9b:1::5db8:d70e] [2002:a00:1::]",
            ),
            // The first is Teredo.
            ("reserved", "[2001:0:4136:e378:8000:63bf:3fff:fdd2] 240.0.0.1"),
            ("carrier-grade NAT", "100.64.0.1"),
            ("unique-local", "[fd00::1] [fec0::1]"),
            ("documentation", "198.18.0.1"),
        ] {
            for literal in literals.split(' ') {
                let url = Url::parse(&format!("https://{literal}/")).expect(literal);
                let origin = HostGrant::origin_of(&url).expect("an origin");
                let granted = Policy { granted: vec![origin.clone()], ..Policy::default() };
                let reason = granted.admit(&url).expect_err("not public").reason;
                let expected = format!("is a {class} address and has to be allowed explicitly");
                assert!(reason.ends_with(&expected), "{literal}: {reason}");
                assert!(
                    Policy { allowed: vec![origin], ..Policy::default() }.admit(&url).is_ok(),
                    "{literal}"
                );
            }
        }
    }

    #[test]
    fn no_grant_opens_metadata() {
        let literals = "169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518 [::ffff:169.254.169.254] \
                        [::169.254.169.254] [64:ff9b::a9fe:a9fe] [2002:a9fe:a9fe::] [fd00:ec2::254] [fe80::1] 0.0.0.0 0 [::] \
                        224.0.0.1 255.255.255.255 100.100.100.200";
        for literal in literals.split(' ') {
            let url = Url::parse(&format!("http://{literal}/latest/meta-data/")).expect(literal);
            let allowed = vec![HostGrant::origin_of(&url).expect("an origin")];
            let reason = Policy { allowed, ..Policy::default() }.admit(&url).expect_err("never").reason;
            assert!(reason.ends_with("which is never open to a plugin"), "{literal}: {reason}");
        }
    }
}
