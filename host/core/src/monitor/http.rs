//! What an HTTP check asks for, and what its answer must be.

mod rules;

use super::{CertificateDays, Conflicts, Lookup, Spec, TlsSpec};
use crate::duration::as_optional_ms;
use crate::expectation::{HeaderCondition, JsonCondition, Pattern};
use crate::protocol::{HttpVersion, TlsVersion};
use crate::secret::SecretRef;
use crate::uri;
use crate::words::{as_text, words};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use url::Url;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSpec {
    /// `http` or `https`, with a host.
    pub url: Url,
    /// In upper case: `GET`.
    pub method: String,
    /// Sent as they are; a value may be a secret. A `Host` here goes to the named origin in place of the URL's.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Who asks. A header `Authorization` wins over it, and it over the URL's userinfo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    #[serde(default)]
    pub versions: HttpVersions,
    /// A compressed answer is asked for. One that comes unasked is decompressed as well.
    #[serde(default)]
    pub compression: bool,
    /// How many redirects are followed; 0 judges the first answer. One whose status is expected is not followed, unless
    /// a 2xx is expected as well.
    pub redirects: u8,
    /// Whether a redirect may lead from `https` to `http`.
    #[serde(default)]
    pub downgrade: bool,
    /// Whether a redirect may lead inwards: from a public address to a private, link-local or loopback one, or from a
    /// private one to this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redirect_to_private: bool,
    /// `http://host:port` or `socks5://host:port`, perhaps with a user and a password, through which each hop goes. The
    /// proxy looks names up; the connection's phase is the one to it, and what it takes to reach the target through it.
    /// Plain `http` is fetched by an `http` proxy, and then an error of the proxy's own (403, 502, 504) can't be told from
    /// the target's and is judged as such; only its wish for a login (407) is surely its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<SecretRef>,
    #[serde(default)]
    pub lookup: Lookup,
    #[serde(default)]
    pub tls: TlsSpec,
    pub expect: HttpExpect,
}

impl Spec for HttpSpec {
    fn host(&self) -> &str {
        uri::host(&self.url)
    }

    fn lookup(&self) -> Lookup {
        self.lookup
    }

    fn target(&self) -> String {
        uri::shown(&self.url)
    }

    fn place(&self) -> Vec<(&'static str, toml::Value)> {
        vec![("url", self.url.as_str().into())]
    }

    fn connects_to_host(&self) -> bool {
        self.proxy.is_none()
    }

    fn latency(&self) -> [Option<Duration>; 2] {
        [self.expect.degraded_above, self.expect.latency_below]
    }

    fn certificate_days(&self) -> Option<CertificateDays> {
        Some(self.expect.certificate_days)
    }

    fn tls(&self) -> Option<&TlsSpec> {
        Some(&self.tls)
    }

    fn references(&self) -> Vec<(&'static str, &SecretRef)> {
        let auth = self.auth.iter().map(|auth| match auth {
            Auth::Basic { password: secret, .. } | Auth::Bearer { token: secret } => ("auth", secret),
        });
        let headers = self.headers.values().map(|value| ("headers", value));
        let proxy = self.proxy.iter().map(|proxy| ("proxy", proxy));
        headers.chain(auth).chain(proxy).chain(self.tls.reference()).collect()
    }

    fn rules(&self, found: &mut Conflicts<'_>) {
        found.of_http(self);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// A user and a password (RFC 7617).
    Basic {
        /// Without a colon (RFC 7617).
        user: String,
        password: SecretRef,
    },
    /// A token (RFC 6750).
    Bearer {
        /// Sent as it is.
        token: SecretRef,
    },
}

words! {
    #[derive(Default)]
    pub enum HttpVersions: "choice of HTTP versions" {
        /// Over TLS whichever of HTTP/2 and HTTP/1.1 the target prefers; else HTTP/1.1.
        #[default]
        Auto = "auto",
        Http1 = "1.1",
        /// HTTP/2 alone; without TLS from the first byte on.
        Http2 = "2",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpExpect {
    /// One of them must fit.
    pub status: Vec<StatusRule>,
    /// Each must be in the body.
    #[serde(default)]
    pub body_contains: Vec<String>,
    /// None may be in the body.
    #[serde(default)]
    pub body_not_contains: Vec<String>,
    /// Each must match the body.
    #[serde(default)]
    pub body_matches: Vec<Pattern>,
    /// Each must hold of the body, which is JSON then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json: Vec<JsonCondition>,
    /// Each must hold of the answer's headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderCondition>,
    /// The body in its plain form must have fewer bytes. It is counted as far as the limit, though no more than the first
    /// MiB is kept for the other expectations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_below: Option<u64>,
    /// Where the redirects must lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_url: Option<Url>,
    /// The answer must come in one of them; empty: any.
    #[serde(default)]
    pub http_version: Vec<HttpVersion>,
    /// The lowest version of TLS that will do, on every hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<TlsVersion>,
    /// How long each hop's certificates must still be valid. An answer in the clear has none, and does not do where other
    /// than the default is asked for.
    #[serde(default)]
    pub certificate_days: CertificateDays,
    /// Down unless the check's total is below it.
    #[serde(default, with = "as_optional_ms")]
    pub latency_below: Option<Duration>,
    /// Degraded when the check's total is above it.
    #[serde(default, with = "as_optional_ms")]
    pub degraded_above: Option<Duration>,
}

impl Default for HttpExpect {
    /// Any 2xx, and certificates that are valid for a while.
    fn default() -> Self {
        Self {
            status: vec![StatusRule { first: 200, last: 299 }],
            body_contains: Vec::new(),
            body_not_contains: Vec::new(),
            body_matches: Vec::new(),
            json: Vec::new(),
            headers: Vec::new(),
            size_below: None,
            final_url: None,
            http_version: Vec::new(),
            tls_version: None,
            certificate_days: CertificateDays::default(),
            latency_below: None,
            degraded_above: None,
        }
    }
}

/// A range of statuses, both ends in it: `200`, `2xx` or `200-204`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StatusRule {
    /// The lowest that fits.
    pub first: u16,
    /// The highest that fits.
    pub last: u16,
}

impl StatusRule {
    pub fn matches(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl std::str::FromStr for StatusRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no status: write `200`, `2xx` or `200-299`");
        let status = |text: &str| {
            text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status)).ok_or_else(wrong)
        };
        if let Some(class) = text.strip_suffix("xx") {
            let first = status(&format!("{class}00"))?;
            return Ok(Self { first, last: first + 99 });
        }
        let rule = match text.split_once('-') {
            Some((first, last)) => Self { first: status(first)?, last: status(last)? },
            None => status(text).map(|status| Self { first: status, last: status })?,
        };
        if rule.first > rule.last { Err(wrong()) } else { Ok(rule) }
    }
}

as_text!(StatusRule);

impl fmt::Display for StatusRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = *self;
        match (first % 100, last - first) {
            (_, 0) => write!(f, "{first}"),
            (0, 99) => write!(f, "{}xx", first / 100),
            _ => write!(f, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_read_as_they_are_written() {
        for text in ["200", "2xx", "200-204", "500-599"] {
            let rule: StatusRule = text.parse().expect(text);
            let expected = if text == "500-599" { "5xx" } else { text };
            assert_eq!(rule.to_string(), expected);
        }
        assert!("3xx".parse::<StatusRule>().expect("a class").matches(304));
        for text in ["", "20", "2x", "xx", "600", "6xx", "299-200", "200-"] {
            assert!(text.parse::<StatusRule>().is_err(), "{text}");
        }
    }
}
