//! What a check saw on its way, beside its verdict.

use crate::check::Failure;
use crate::protocol::{HttpVersion, TlsVersion};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

/// How long each part took. `None` where the check has no such part or did not get there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    pub dns: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    /// From the request's last byte to the answer's first; for ping the mean round trip, for DNS the whole answer.
    pub first_byte: Option<Duration>,
    /// From the answer's first byte to its last.
    pub transfer: Option<Duration>,
}

/// One connection of a check: HTTP has one for each redirect, DNS one for each name server, the others have one in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// HTTP's URL, for people: without userinfo, query and fragment.
    pub url: Option<String>,
    /// The address that was spoken to, or tried last. Behind a proxy the proxy's.
    pub address: Option<IpAddr>,
    pub status_code: Option<u16>,
    /// The size of HTTP's body, decompressed where it was judged: as much of it as was read.
    pub body_bytes: Option<u64>,
    pub http_version: Option<HttpVersion>,
    /// How the answer departs from the standard where it was taken all the same, as curl and browsers take it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Cow<'static, str>>,
    pub tls: Option<TlsEvidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsEvidence>,
    pub phases: Phases,
}

/// What a name server answered to a DNS check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsEvidence {
    /// As [`Rcode`](crate::monitor::Rcode) has it; others as `code N`.
    pub rcode: String,
    /// The data of the records, in order.
    pub answers: Vec<String>,
    /// The shortest time to live, in seconds.
    pub ttl_s: Option<u32>,
    /// The flag AA: from the zone's own data.
    pub authoritative: bool,
    /// The flag AD: validated by the resolver.
    pub authenticated: bool,
    /// UDP was too small for it.
    pub over_tcp: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsEvidence {
    pub version: Option<TlsVersion>,
    /// Why the certificate is not trusted; `None`: it is. With `verify = false` this is all that becomes of it.
    #[serde(rename = "distrust")]
    pub trust_failure: Option<Failure>,
    /// The target's certificates as they came, its own first.
    pub chain: Vec<Certificate>,
    /// The authority that vouches for them, where they are trusted and its certificate is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Certificate>,
    /// Whether the target wanted a certificate of ours.
    pub asks_for_client: bool,
}

impl TlsEvidence {
    /// The certificate that ends first, of those that count.
    pub fn first_to_end(&self) -> Option<&Certificate> {
        let counting = self.chain.iter().filter(|certificate| certificate.counts);
        counting.chain(&self.authority).min_by_key(|certificate| certificate.not_after)
    }
}

/// A certificate, as far as people want to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose it is, as `CN=example.com, O=Example`.
    pub subject: String,
    pub issuer: String,
    /// The names and addresses that it is for; at most the first 50.
    pub names: Vec<String>,
    /// From when on it is valid.
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SHA-256 of its DER form, in hexadecimal digits.
    pub sha256: String,
    /// Whether it is on the way from the target's own certificate to an authority that is trusted here. What else a
    /// target sends (an old cross-signature) may end without consequence.
    pub counts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echoes {
    pub sent: u32,
    pub received: u32,
    /// The round trips of those that came back.
    pub round_trips: Option<RoundTrips>,
}

/// The round trips of one check; there is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrips {
    pub min: Duration,
    pub mean: Duration,
    pub max: Duration,
    /// The mean difference between one and the next, in the order in which they were sent; 0 for a single one.
    pub jitter: Duration,
}
