//! Who may speak to whom.
//!
//! A grant (the notifier's own hosts, an address in the channel's settings) opens HTTPS to public addresses. The
//! channel's `allow` opens its origin whatever it is, plain HTTP and inner networks too. Nothing opens link-local and
//! metadata addresses.

use super::EgressError;
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
    pub(crate) fn admit_all(&self, addresses: &[SocketAddr]) -> Result<(), EgressError> {
        // A literal has been admitted already, so what is refused here is an answer.
        let refused = |denial| EgressError::Denied(Denial { by_answer: true, ..denial });
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
        for url in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://any.LOCALHOST./",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://10.0.0.1/",
            "https://100.64.0.1/",
            "https://[fd00::1]/",
        ] {
            let url = Url::parse(url).expect(url);
            let origin = HostGrant::origin_of(&url).expect("an origin");
            let denial = Policy { granted: vec![origin.clone()], ..Policy::default() }
                .admit(&url)
                .expect_err("not public");
            assert!(denial.reason.ends_with("has to be allowed explicitly"), "{url}: {}", denial.reason);
            assert!(Policy { allowed: vec![origin], ..Policy::default() }.admit(&url).is_ok(), "{url}");
        }
    }

    #[test]
    fn no_grant_opens_metadata() {
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://0.0.0.0/",
            "http://0/",
            "http://[::]/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://100.100.100.200/",
        ] {
            let url = Url::parse(url).expect(url);
            let allowed = vec![HostGrant::origin_of(&url).expect("an origin")];
            let denial = Policy { allowed, ..Policy::default() }.admit(&url).expect_err("never");
            assert!(denial.reason.ends_with("which is never open to a plugin"), "{url}: {}", denial.reason);
        }
    }
}
