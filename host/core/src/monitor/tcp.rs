//! What a TCP check says over its connection, and what it must hear.

use super::{CertificateDays, Conflicts, Lookup, Spec, TlsSpec};
use crate::duration::as_optional_ms;
use crate::expectation::Pattern;
use crate::protocol::TlsVersion;
use crate::secret::SecretRef;
use crate::uri::bracketed;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A TCP check: the connection must come about, and what is expected over it must come. By default nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpSpec {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// A port is never 0.
    pub port: u16,
    #[serde(default)]
    pub lookup: Lookup,
    /// TLS from the first byte on, or after `starttls`; without, the port is spoken to in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// The protocol's own way to ask for TLS; needs `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starttls: Option<StartTls>,
    /// What the target must say first, before anything is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<ExpectedBytes>,
    /// What is then sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<Bytes>,
    /// What must come then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ExpectedBytes>,
    /// The lowest version of TLS that will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<TlsVersion>,
    /// How long the certificates must still be valid.
    #[serde(default)]
    pub certificate_days: CertificateDays,
    /// Down unless the check's total is below it.
    #[serde(default, with = "as_optional_ms")]
    pub latency_below: Option<Duration>,
    /// Degraded when the check's total is above it.
    #[serde(default, with = "as_optional_ms")]
    pub degraded_above: Option<Duration>,
}

impl Spec for TcpSpec {
    fn host(&self) -> &str {
        &self.host
    }

    fn lookup(&self) -> Lookup {
        self.lookup
    }

    fn target(&self) -> String {
        format!("tcp://{}:{}", bracketed(&self.host), self.port)
    }

    fn place(&self) -> Vec<(&'static str, toml::Value)> {
        vec![("host", self.host.as_str().into()), ("port", i64::from(self.port).into())]
    }

    fn latency(&self) -> [Option<Duration>; 2] {
        [self.degraded_above, self.latency_below]
    }

    fn certificate_days(&self) -> Option<CertificateDays> {
        Some(self.certificate_days)
    }

    fn tls(&self) -> Option<&TlsSpec> {
        self.tls.as_ref()
    }

    fn references(&self) -> Vec<(&'static str, &SecretRef)> {
        let send = match &self.send {
            Some(Bytes::Text(text)) => Some(("send", text)),
            Some(Bytes::Hex(_)) | None => None,
        };
        send.into_iter().chain(self.tls.iter().filter_map(TlsSpec::reference)).collect()
    }

    fn rules(&self, found: &mut Conflicts<'_>) {
        found.of_host(self);
    }
}

words! {
    /// A protocol that begins in the clear and goes over to TLS when asked.
    pub enum StartTls: "protocol" {
        /// `STARTTLS` after `EHLO` (RFC 3207).
        Smtp = "smtp",
        /// The command `STARTTLS` (RFC 3501).
        Imap = "imap",
        /// The command `STLS` (RFC 2595).
        Pop3 = "pop3",
        /// `AUTH TLS` (RFC 4217).
        Ftp = "ftp",
        /// The extended operation 1.3.6.1.4.1.1466.20037 (RFC 4511).
        Ldap = "ldap",
        /// `SSLRequest` (PostgreSQL's protocol, 55.2).
        Postgres = "postgres",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    /// A text, which may be a secret.
    Text(SecretRef),
    /// Bytes, written in hexadecimal digits.
    Hex(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedBytes {
    /// A text, anywhere in what comes.
    Text(String),
    /// A pattern that matches what has come so far.
    Matches(Pattern),
    /// Bytes, written in hexadecimal digits, anywhere in what comes.
    Hex(String),
}
