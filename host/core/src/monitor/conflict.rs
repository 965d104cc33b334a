//! Settings of a check that contradict each other, so that no target could ever be up.
//!
//! Pure, and about the finished [`CheckSpec`]: the file's reader and the command line both ask here, each with its own
//! words for the settings. What is merely useless is not looked at: that depends on what somebody wrote.

use super::{CheckSpec, HttpExpect, HttpSpec, HttpVersion, HttpVersions, IpFamily, PingSpec, Spec};
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
    words: &'w dyn Words,
    conflicts: Vec<Conflict>,
}

impl Conflicts<'_> {
    fn add(&mut self, keys: [&'static str; 2], message: String, hint: impl Into<String>) {
        self.conflicts.push(Conflict { keys, message, hint: hint.into() });
    }

    fn names(&self, keys: [&'static str; 2]) -> [String; 2] {
        keys.map(|key| self.words.name(key))
    }

    /// Of a type that names its host, and its limits at the top.
    pub(super) fn of_host(&mut self, spec: &dyn Spec) {
        self.latency(["degraded_above", "latency_below"], spec);
        self.family("host", spec);
    }

    pub(super) fn of_http(&mut self, spec: &HttpSpec) {
        let expect = &spec.expect;
        self.latency(["expect.degraded_above", "expect.latency_below"], spec);
        // A proxy is what connects to the target.
        if spec.proxy.is_none() {
            self.family("url", spec);
        }
        if let Some(key) = asserts_body(expect).filter(|_| spec.method == "HEAD") {
            let [method, asserts] = self.names(["method", key]);
            let message = format!(
                "{method} is `HEAD`, whose answer has no body, and {asserts} asks for something in it"
            );
            let hint =
                format!("write {}, or expect nothing of the body", self.words.with("method", "\"GET\""));
            self.add(["method", key], message, hint);
        }
        // Whatever has the first of two has also what is part of it.
        let refused = |no: &String| expect.body_contains.iter().any(|yes| yes.contains(no.as_str()));
        if expect.body_not_contains.iter().any(refused) {
            let keys = ["expect.body_not_contains", "expect.body_contains"];
            let [no, yes] = self.names(keys);
            self.add(keys, format!("{no} refuses what {yes} asks for"), "take it out of one of the two");
        }
        self.final_url(spec);
        self.versions(spec);
    }

    fn latency(&mut self, keys: [&'static str; 2], spec: &dyn Spec) {
        let [Some(degraded), Some(below)] = spec.latency() else { return };
        if degraded >= below {
            let [first, second] = self.names(keys);
            let (degraded, below) = (duration::format(degraded), duration::format(below));
            let message = format!("{first} is `{degraded}`, and from {second}, `{below}`, on it is down");
            self.add(keys, message, degraded_before_down(&first));
        }
    }

    pub(super) fn loss(&mut self, spec: &PingSpec) {
        let below = spec.loss_below;
        if let Some(degraded) = spec.loss_degraded.filter(|degraded| *degraded >= below) {
            let keys = ["loss_degraded", "loss_below"];
            let [first, second] = self.names(keys);
            let message = format!("{first} is `{degraded}`, and from {second}, `{below}`, on it is down");
            self.add(keys, message, degraded_before_down(&first));
        }
    }

    /// An address has one family, whatever is asked for.
    fn family(&mut self, key: &'static str, spec: &dyn Spec) {
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

    fn final_url(&mut self, spec: &HttpSpec) {
        let Some(place) = &spec.expect.final_url else { return };
        let key = "expect.final_url";
        // The query may hold a secret, so neither is shown.
        if spec.redirects == 0 && !is_same_place(place, &spec.url) {
            let keys = [key, "redirects"];
            let [name, redirects] = self.names(keys);
            let (url, more) = (self.words.name("url"), self.words.with("redirects", "5"));
            let message =
                format!("{name} is another place than {url}, and {redirects} is `0`: nothing leads there");
            self.add(keys, message, format!("write {more}, or leave one of the two out"));
        } else if spec.url.scheme() == "https" && place.scheme() == "http" && !spec.downgrade {
            let keys = [key, "url"];
            let [name, url] = self.names(keys);
            let message = format!(
                "{name} is plain `http`, and from {url}, which is `https`, no redirect may lead there"
            );
            let allowed = self.words.with("downgrade", "true");
            self.add(keys, message, format!("write `https://` in it, or {allowed}"));
        }
    }

    fn versions(&mut self, spec: &HttpSpec) {
        let expect = &spec.expect;
        let plain = ends_in_the_clear(spec);
        let (speaks, key) = ("http_version", "expect.http_version");
        let spoken = |version: &HttpVersion| match spec.versions {
            HttpVersions::Auto => !plain || *version != HttpVersion::Http2,
            HttpVersions::Http1 => *version != HttpVersion::Http2,
            HttpVersions::Http2 => *version == HttpVersion::Http2,
        };
        if !expect.http_version.is_empty() && !expect.http_version.iter().any(spoken) {
            let [speaks_name, name] = self.names([speaks, key]);
            if spec.versions == HttpVersions::Auto {
                let message = format!("{name} wants HTTP/2, which without TLS is spoken only when asked for");
                let hint = format!("write {}, or ask for `https://`", self.words.with(speaks, "\"2\""));
                self.add([key, "url"], message, hint);
            } else {
                let message = format!("{speaks_name} speaks no version that {name} wants");
                self.add([speaks, key], message, "make them agree, or leave one of the two out");
            }
        }
        if expect.tls_version.is_some() && plain {
            let keys = ["expect.tls_version", "url"];
            let name = self.words.name(keys[0]);
            let message = format!("{name} asks for TLS, and the answer comes over plain `http`");
            self.add(keys, message, "ask for `https://`, or leave it out");
        }
    }
}

fn degraded_before_down(first: &str) -> String {
    format!("a target is degraded before it is down: make {first} the smaller one")
}

/// The key that expects something in the body.
fn asserts_body(expect: &HttpExpect) -> Option<&'static str> {
    let asked = [
        ("expect.body_contains", expect.body_contains.is_empty()),
        ("expect.body_matches", expect.body_matches.is_empty()),
        ("expect.json", expect.json.is_empty()),
    ];
    asked.into_iter().find(|(_, is_empty)| !is_empty).map(|(key, _)| key)
}

/// Whether no TLS can be spoken for the answer that is judged.
fn ends_in_the_clear(spec: &HttpSpec) -> bool {
    let place = spec.expect.final_url.as_ref().unwrap_or(&spec.url);
    place.scheme() == "http" && (spec.redirects == 0 || spec.expect.final_url.is_some())
}

/// Whether two URLs ask for the same: neither the user nor the fragment is asked for.
fn is_same_place(one: &url::Url, other: &url::Url) -> bool {
    use url::Position::{AfterQuery, BeforeHost, BeforePath};
    let place = |url: &url::Url| {
        let host = url[BeforeHost..BeforePath].to_owned();
        (url.scheme().to_owned(), host, url[BeforePath..AfterQuery].to_owned())
    };
    place(one) == place(other)
}

#[cfg(test)]
mod tests {
    use super::*;
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
                http.expect.tls_version = Some(crate::monitor::TlsVersion::Tls13);
            })
        };
        assert_eq!(tls(plain, 0), [["expect.tls_version", "url"]]);
        assert_eq!((tls(plain, 5), tls(web, 0)), (NONE.to_vec(), NONE.to_vec()));
    }
}
