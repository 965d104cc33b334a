//! Egress grants: `scheme://host[:port]`, the host perhaps with `*.` as its first label.

use crate::address::{AddressClass, classify};
use crate::words::as_text;
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HostGrant {
    scheme: String,
    /// Lower case, IPv6 in brackets; without `*.`.
    host: String,
    any_subdomain: bool,
    port: u16,
}

impl HostGrant {
    /// The grant that covers exactly the origin of `url`; `None` when it is not http or https.
    pub fn origin_of(url: &Url) -> Option<Self> {
        matches!(url.scheme(), "http" | "https").then_some(())?;
        let (scheme, host) = (url.scheme().to_owned(), url.host_str()?.to_owned());
        Some(Self { scheme, host, any_subdomain: false, port: url.port_or_known_default()? })
    }

    /// Why it opens nothing, where it names an address that is never open to a plugin.
    pub fn never_opens(&self) -> Option<AddressClass> {
        let address = self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        Some(classify(address)).filter(|class| class.never_allowed())
    }

    /// Whether a request to `url` is covered.
    pub fn covers(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let host_fits = if self.any_subdomain {
            host.strip_suffix(self.host.as_str()).is_some_and(|label| label.len() > 1 && label.ends_with('.'))
        } else {
            host == self.host
        };
        host_fits && url.scheme() == self.scheme && url.port_or_known_default() == Some(self.port)
    }

    /// Whether everything that `other` covers is covered.
    pub fn includes(&self, other: &Self) -> bool {
        let host_fits = if self.any_subdomain {
            let below = other.host.strip_suffix(self.host.as_str());
            below.is_some_and(|label| label.ends_with('.') || (label.is_empty() && other.any_subdomain))
        } else {
            !other.any_subdomain && other.host == self.host
        };
        host_fits && other.scheme == self.scheme && other.port == self.port
    }
}

impl std::str::FromStr for HostGrant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("`{text}` is no grant: {why}; write `https://host` or `http://host:port`");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it names no scheme"))?;
        let (any_subdomain, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.contains('*') {
            return Err(wrong("`*.` may only begin the host"));
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|error| wrong(&error.to_string()))?;
        let has_more = url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
        if has_more || !matches!(url.path(), "" | "/") {
            return Err(wrong("it may have a scheme, a host and a port, nothing else"));
        }
        if any_subdomain && !matches!(url.host(), Some(url::Host::Domain(_))) {
            return Err(wrong("`*.` needs a name, not an address"));
        }
        let origin = Self::origin_of(&url).ok_or_else(|| wrong("only http and https can be granted"))?;
        Ok(Self { any_subdomain, ..origin })
    }
}

impl fmt::Display for HostGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wildcard = if self.any_subdomain { "*." } else { "" };
        write!(f, "{}://{wildcard}{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("https", 443) | ("http", 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

as_text!(HostGrant);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_its_origin_alone() {
        let cases = "\
            https://discord.com covers https://discord.com/api https://discord.com:443/api and not \
              https://discord.com:8443/api http://discord.com/api https://discord.com.evil.example/ \
              https://evil-discord.com/
            https://*.example.com covers https://a.b.example.com/ and not https://example.com/ https://notexample.com/
            http://127.0.0.1:9000 covers http://127.0.0.1:9000/x http://2130706433:9000/x and not http://127.0.0.1/
            http://[::1]:9000 covers http://[0:0::1]:9000/ and not http://[::2]:9000/";
        for case in cases.lines().map(str::trim) {
            let (grant, urls) = case.split_once(" covers ").expect(case);
            let (inside, outside) = urls.split_once(" and not ").expect(case);
            let grant: HostGrant = grant.parse().expect(grant);
            for (urls, covered) in [(inside, true), (outside, false)] {
                for url in urls.split(' ') {
                    assert_eq!(grant.covers(&Url::parse(url).expect(url)), covered, "{grant} {url}");
                }
            }
        }
    }

    #[test]
    fn a_grant_includes_what_covers_no_more() {
        for (grant, other, included) in [
            ("https://a.example", "https://a.example", true),
            ("https://a.example", "https://*.a.example", false),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://*.example", "https://a.example", true),
            ("https://*.example", "https://*.example", true),
            ("https://*.example", "https://*.a.example", true),
            ("https://*.a.example", "https://*.example", false),
            ("https://*.a.example", "https://a.example", false),
            ("https://*.a.example", "https://ba.example", false),
        ] {
            let [one, two]: [HostGrant; 2] = [grant, other].map(|text| text.parse().expect(text));
            assert_eq!(one.includes(&two), included, "{grant} {other}");
        }
    }

    #[test]
    fn what_is_never_open_is_known() {
        for (grant, opens) in [
            ("http://169.254.169.254", false),
            ("http://[fe80::1]:80", false),
            ("http://0/", false),
            ("http://10.0.0.1", true),
            ("http://[::1]", true),
            ("https://example.com", true),
        ] {
            assert_eq!(grant.parse::<HostGrant>().expect(grant).never_opens().is_none(), opens, "{grant}");
        }
    }

    #[test]
    fn grants_are_written_as_read() {
        for text in
            ["https://discord.com", "https://*.example.com", "http://127.0.0.1:9000", "http://[::1]:9000"]
        {
            assert_eq!(text.parse::<HostGrant>().expect(text).to_string(), text);
        }
        let wrong = "discord.com ftp://a https://a/b https://a*.b https://*.*.b https://*.127.0.0.1 https://u@a https://";
        for text in wrong.split(' ') {
            assert!(text.parse::<HostGrant>().is_err(), "{text}");
        }
    }
}
