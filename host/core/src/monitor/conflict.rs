//! Settings of a check that contradict each other, so that no target could ever be up.
//!
//! Pure, and about the finished [`CheckSpec`]: the file's reader and the command line both ask here, each with its own
//! words for the settings. What is merely useless is not looked at: that depends on what somebody wrote.

use super::{CheckSpec, IpFamily, Spec};
use crate::duration;
use std::net::IpAddr;

/// How settings are called where they are written. A key is the file's, and in `[monitors.NAME.expect]` begins with
/// `expect.`.
pub trait Words {
    /// The setting, such as `` `method` ``.
    fn name(&self, key: &str) -> String;
    /// The setting with another value, to be pasted; `value` is TOML.
    fn with(&self, key: &str, value: &str) -> String;
}

/// Two settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The keys, as [`Words`] has them; the first is the one to point at.
    pub keys: [&'static str; 2],
    /// One line: what contradicts what.
    pub message: String,
    /// One line: the way out.
    pub hint: String,
}

impl CheckSpec {
    pub fn conflicts(&self, words: &dyn Words) -> Vec<Conflict> {
        let mut found = Conflicts { words, conflicts: Vec::new() };
        self.rules(&mut found);
        found.conflicts
    }
}

/// What was found so far.
pub struct Conflicts<'w> {
    pub(super) words: &'w dyn Words,
    conflicts: Vec<Conflict>,
}

impl Conflicts<'_> {
    pub(super) fn add(&mut self, keys: [&'static str; 2], message: String, hint: impl Into<String>) {
        self.conflicts.push(Conflict { keys, message, hint: hint.into() });
    }

    pub(super) fn names(&self, keys: [&'static str; 2]) -> [String; 2] {
        keys.map(|key| self.words.name(key))
    }

    /// Of a type that names its host, and its limits at the top.
    pub(super) fn of_host(&mut self, spec: &dyn Spec) {
        self.latency(["degraded_above", "latency_below"], spec);
        self.family("host", spec);
    }

    pub(super) fn latency(&mut self, keys: [&'static str; 2], spec: &dyn Spec) {
        let [Some(degraded), Some(below)] = spec.latency() else { return };
        if degraded >= below {
            self.never_degraded(keys, &duration::format(degraded), &duration::format(below));
        }
    }

    pub(super) fn never_degraded(&mut self, keys: [&'static str; 2], degraded: &str, below: &str) {
        let [first, second] = self.names(keys);
        let message = format!("{first} is `{degraded}`, and from {second}, `{below}`, on it is down");
        let hint = format!("a target is degraded before it is down: make {first} the smaller one");
        self.add(keys, message, hint);
    }

    /// An address has one family, whatever is asked for.
    pub(super) fn family(&mut self, key: &'static str, spec: &dyn Spec) {
        // A zone (`fe80::1%eth0`) is no part of the address.
        let address = spec.host().split('%').next().and_then(|host| host.parse::<IpAddr>().ok());
        let (wanted, other) = match (spec.lookup().ip, address) {
            (IpFamily::V6, Some(IpAddr::V4(_))) => ("6", "4"),
            (IpFamily::V4, Some(IpAddr::V6(_))) => ("4", "6"),
            _ => return,
        };
        let [ip, target] = self.names(["ip", key]);
        let message = format!("{ip} is `{wanted}`, and {target} is an IPv{other} address");
        let right = self.words.with("ip", &format!("\"{other}\""));
        self.add(["ip", key], message, format!("write {right}, or leave it out"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{HttpSpec, HttpVersions};
    use crate::protocol::{HttpVersion, TlsVersion};
    use crate::target;

    struct Plain;

    impl Words for Plain {
        fn name(&self, key: &str) -> String {
            key.to_owned()
        }

        fn with(&self, key: &str, value: &str) -> String {
            format!("{key} {value}")
        }
    }

    fn http(target: &str, change: impl FnOnce(&mut HttpSpec)) -> Vec<[&'static str; 2]> {
        let mut spec = target::parse(target).expect(target);
        if let CheckSpec::Http(http) = &mut spec {
            change(http);
        }
        spec.conflicts(&Plain).into_iter().map(|conflict| conflict.keys).collect()
    }

    const NONE: [[&str; 2]; 0] = [];

    #[test]
    fn an_address_has_one_family() {
        for (target, ip, is_conflict) in [
            ("https://192.0.2.1/", IpFamily::V6, true),
            ("https://[2001:db8::1]/", IpFamily::V4, true),
            ("https://[2001:db8::1]/", IpFamily::V6, false),
            ("https://192.0.2.1/", IpFamily::All, false),
            ("https://a.example/", IpFamily::V6, false),
            ("tcp://192.0.2.1:22", IpFamily::V6, true),
            ("tcp://[2001:db8::1]:22", IpFamily::V4, true),
            ("ping://192.0.2.1", IpFamily::V6, true),
            ("ping://192.0.2.1", IpFamily::V4, false),
        ] {
            let mut spec = target::parse(target).expect(target);
            match &mut spec {
                CheckSpec::Http(http) => http.lookup.ip = ip,
                CheckSpec::Tcp(tcp) => tcp.lookup.ip = ip,
                CheckSpec::Ping(ping) => ping.lookup.ip = ip,
                CheckSpec::Dns(dns) => dns.lookup.ip = ip,
            }
            let keys: Vec<&str> = spec.conflicts(&Plain).iter().map(|conflict| conflict.keys[0]).collect();
            assert_eq!(keys, if is_conflict { vec!["ip"] } else { vec![] }, "{target} {ip:?}");
        }
        let proxied = |http: &mut HttpSpec| {
            http.lookup.ip = IpFamily::V6;
            http.proxy = Some(crate::secret::SecretRef::Literal("http://p.example:3128".into()));
        };
        assert_eq!(http("http://192.0.2.1/", proxied), NONE);
        let mut zoned = target::ping("fe80::1%eth0".into());
        zoned.lookup.ip = IpFamily::V4;
        assert_eq!(CheckSpec::Ping(zoned).conflicts(&Plain).len(), 1);
    }

    #[test]
    fn a_final_url_must_be_within_reach() {
        let ends = |target: &str, place: &str, redirects, downgrade| {
            http(target, |http| {
                http.expect.final_url = place.parse().ok();
                (http.redirects, http.downgrade) = (redirects, downgrade);
            })
        };
        let (web, plain) = ("https://a.example/", "http://a.example/");
        let stays = [["expect.final_url", "redirects"]];
        let secure = [["expect.final_url", "url"]];
        assert_eq!(ends(web, "https://a.example/end", 0, false), stays);
        assert_eq!(ends(web, "https://a.example/?q", 0, false), stays);
        assert_eq!(ends(plain, web, 0, false), stays);
        assert_eq!(ends(web, "https://a.example/end", 1, false), NONE);
        assert_eq!(ends("https://u:p@a.example/?q", "https://a.example:443/?q#f", 0, false), NONE);
        assert_eq!(ends(web, plain, 5, false), secure);
        assert_eq!(ends(web, plain, 5, true), NONE);
        assert_eq!(ends(plain, web, 5, false), NONE);
    }

    #[test]
    fn what_needs_tls_is_not_asked_of_an_answer_in_the_clear() {
        let wants = |target: &str, versions, redirects, place: Option<&str>| {
            http(target, |http| {
                (http.versions, http.redirects) = (versions, redirects);
                http.expect.http_version = vec![HttpVersion::Http2];
                http.expect.final_url = place.and_then(|place| place.parse().ok());
            })
        };
        let (web, plain) = ("https://a.example/", "http://a.example/");
        let clear = [["expect.http_version", "url"]];
        assert_eq!(wants(plain, HttpVersions::Auto, 0, None), clear);
        assert_eq!(wants(plain, HttpVersions::Auto, 5, Some("http://a.example/end")), clear);
        // A redirect may lead to `https`, and there it is spoken.
        assert_eq!(wants(plain, HttpVersions::Auto, 5, None), NONE);
        assert_eq!(wants(plain, HttpVersions::Http2, 0, None), NONE);
        assert_eq!(wants(web, HttpVersions::Auto, 0, None), NONE);
        assert_eq!(wants(web, HttpVersions::Http1, 0, None), [["http_version", "expect.http_version"]]);

        let tls = |target: &str, redirects| {
            http(target, |http| {
                http.redirects = redirects;
                http.expect.tls_version = Some(TlsVersion::Tls13);
            })
        };
        assert_eq!(tls(plain, 0), [["expect.tls_version", "url"]]);
        assert_eq!((tls(plain, 5), tls(web, 0)), (NONE.to_vec(), NONE.to_vec()));
    }
}
