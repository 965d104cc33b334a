//! What a DNS check asks, and what name servers must answer.
//!
//! An answer is compared as text ([`RecordType::answer`]): names in lower case and without the dot at their end, the
//! strings of a `TXT` joined.

use super::{Conflicts, Lookup, Spec};
use crate::duration::as_optional_ms;
use crate::uri::bracketed;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use url::Host;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSpec {
    /// A name, or an address whose name for `PTR` is meant, IPv6 without brackets.
    pub host: String,
    pub record: RecordType,
    /// Whether each of the zone's own name servers is asked, and the resolver for their addresses alone.
    #[serde(default)]
    pub authoritative: bool,
    #[serde(default)]
    pub lookup: Lookup,
    #[serde(default)]
    pub expect: DnsExpect,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsExpect {
    pub rcode: Rcode,
    /// As [`RecordType::answer`] writes them; none of them: there must be no record. `None`: any record will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<String>>,
    pub answers_match: AnswersMatch,
    /// Whether the resolver must have validated the answer (RFC 4035, 3.2.3).
    pub ad: bool,
    /// Down unless the time to live of each record is above it.
    #[serde(with = "as_optional_ms")]
    pub ttl_above: Option<Duration>,
    /// Down unless the check's total is below it.
    #[serde(with = "as_optional_ms")]
    pub latency_below: Option<Duration>,
    /// Degraded when the check's total is above it.
    #[serde(with = "as_optional_ms")]
    pub degraded_above: Option<Duration>,
}

impl Spec for DnsSpec {
    fn host(&self) -> &str {
        &self.host
    }

    fn lookup(&self) -> Lookup {
        self.lookup
    }

    fn target(&self) -> String {
        format!("dns://{}?type={}", bracketed(&self.host), self.record)
    }

    fn place(&self) -> Vec<(&'static str, toml::Value)> {
        vec![("host", self.host.as_str().into()), ("record", self.record.as_str().into())]
    }

    fn connects_to_host(&self) -> bool {
        false
    }

    fn latency(&self) -> [Option<Duration>; 2] {
        [self.expect.degraded_above, self.expect.latency_below]
    }

    fn rules(&self, found: &mut Conflicts<'_>) {
        found.latency(["expect.degraded_above", "expect.latency_below"], self);
        if self.host.parse::<IpAddr>().is_ok() && self.record != RecordType::Ptr {
            let keys = ["record", "host"];
            let [record, host] = found.names(keys);
            let message =
                format!("{record} is `{}`, and {host} is an address, which has only `PTR`", self.record);
            let hint = format!("write {}, or leave it out", found.words.with("record", "\"PTR\""));
            found.add(keys, message, hint);
        }
        if self.expect.ad && self.authoritative {
            let keys = ["expect.ad", "authoritative"];
            let [ad, authoritative] = found.names(keys);
            let message =
                format!("{ad} asks for a validated answer, and with {authoritative} nobody validates it");
            found.add(keys, message, "leave one of the two out");
        }
        if self.expect.answers.is_some() && self.expect.rcode != Rcode::NoError {
            let keys = ["expect.answers", "expect.rcode"];
            let [answers, rcode] = found.names(keys);
            let message = format!("{rcode} is `{}`, with which none of {answers} comes", self.expect.rcode);
            found.add(keys, message, "leave one of the two out");
        }
    }
}

words! {
    pub enum RecordType: "record type" {
        A = "A",
        Aaaa = "AAAA",
        Cname = "CNAME",
        Mx = "MX",
        Txt = "TXT",
        Ns = "NS",
        Soa = "SOA",
        Srv = "SRV",
        Caa = "CAA",
        Ptr = "PTR",
    }
}

words! {
    /// The code of an answer (RFC 1035, 4.1.1).
    #[derive(Default)]
    pub enum Rcode: "response code" {
        #[default]
        NoError = "NOERROR",
        FormErr = "FORMERR",
        ServFail = "SERVFAIL",
        NxDomain = "NXDOMAIN",
        NotImp = "NOTIMP",
        Refused = "REFUSED",
    }
}

words! {
    /// Which records there must be of those that are expected.
    #[derive(Default)]
    pub enum AnswersMatch: "match" {
        #[default]
        All = "all",
        Any = "any",
        /// All, and no others.
        Exact = "exact",
    }
}

impl RecordType {
    /// A record's data in the form in which answers are compared; `None`: it is no such data.
    pub fn answer(self, text: &str) -> Option<String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        // Numbers, names, and numbers after them.
        let (before, names, after) = match self {
            Self::A => return text.parse::<Ipv4Addr>().ok().map(|address| address.to_string()),
            Self::Aaaa => return text.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
            Self::Txt => return Some(text.to_owned()),
            Self::Caa => {
                let (flags, rest) = text.trim().split_once(' ')?;
                let (tag, value) = rest.trim_start().split_once(' ')?;
                let (flags, tag) = (flags.parse::<u8>().ok()?, tag.to_ascii_lowercase());
                return Some(format!("{flags} {tag} {}", value.trim().trim_matches('"')));
            }
            Self::Cname | Self::Ns | Self::Ptr => (0, 1, 0),
            Self::Mx => (1, 1, 0),
            Self::Srv => (3, 1, 0),
            Self::Soa => (0, 2, 5),
        };
        let word = |(place, word): (usize, &&str)| {
            if (before..before + names).contains(&place) {
                name(word)
            } else {
                word.parse::<u32>().ok().map(|number| number.to_string())
            }
        };
        let words: Vec<String> = words.iter().enumerate().map(word).collect::<Option<_>>()?;
        (words.len() == before + names + after).then(|| words.join(" "))
    }

    /// Data of such a record.
    pub fn example(self) -> &'static str {
        match self {
            Self::A => "192.0.2.1",
            Self::Aaaa => "2001:db8::1",
            Self::Cname | Self::Ptr => "host.example.com",
            Self::Mx => "10 mail.example.com",
            Self::Txt => "v=spf1 -all",
            Self::Ns => "ns1.example.com",
            Self::Soa => "ns1.example.com hostmaster.example.com 2026113001 7200 3600 1209600 3600",
            Self::Srv => "10 5 5060 sip.example.com",
            Self::Caa => "0 issue \"ca.example.net\"",
        }
    }
}

/// A name as it is compared.
fn name(text: &str) -> Option<String> {
    let name = if text.is_ascii() { text.to_ascii_lowercase() } else { Host::parse(text).ok()?.to_string() };
    Some(if name.len() > 1 { name.strip_suffix('.').map(str::to_owned).unwrap_or(name) } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_one_form() {
        for (record, text, form) in [
            (RecordType::A, "192.0.2.1", Some("192.0.2.1")),
            (RecordType::A, "2001:db8::1", None),
            (RecordType::Aaaa, "2001:DB8:0::1", Some("2001:db8::1")),
            (RecordType::Cname, "WWW.Example.com.", Some("www.example.com")),
            (RecordType::Ns, "bücher.example", Some("xn--bcher-kva.example")),
            (RecordType::Ns, "a b", None),
            (RecordType::Ns, ".", Some(".")),
            (RecordType::Mx, "010  Mail.example.com.", Some("10 mail.example.com")),
            (RecordType::Mx, "mail.example.com", None),
            (RecordType::Mx, "0 .", Some("0 .")),
            (RecordType::Srv, "10 5 5060 _sip.example.com", Some("10 5 5060 _sip.example.com")),
            (RecordType::Srv, "10 5 sip.example.com", None),
            (
                RecordType::Soa,
                "NS.example. root.example. 1 2 3 4 5",
                Some("ns.example root.example 1 2 3 4 5"),
            ),
            (RecordType::Txt, "V=spf1  -all.", Some("V=spf1  -all.")),
            (RecordType::Caa, "0 ISSUE \"ca.example; a=B\"", Some("0 issue ca.example; a=B")),
            (RecordType::Caa, "0 issue", None),
        ] {
            assert_eq!(record.answer(text).as_deref(), form, "{record} {text}");
        }
        for record in RecordType::ALL {
            let form = record.answer(record.example()).expect("an example is an answer");
            assert_eq!(record.answer(&form), Some(form));
        }
    }
}
