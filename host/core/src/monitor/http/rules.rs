//! Settings of an HTTP check that contradict each other.

use super::{HttpExpect, HttpSpec, HttpVersion, HttpVersions};
use crate::monitor::{Conflicts, Spec as _};

impl Conflicts<'_> {
    pub(super) fn of_http(&mut self, spec: &HttpSpec) {
        let expect = &spec.expect;
        self.latency(["expect.degraded_above", "expect.latency_below"], spec);
        if spec.connects_to_host() {
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
