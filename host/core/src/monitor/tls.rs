//! How TLS is spoken with a target, and what its certificates must be.

use crate::secret::SecretRef;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// How TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TlsSpec {
    /// `false`: a certificate that is not trusted is told of, and is no failure.
    #[serde(default = "yes")]
    pub verify: bool,
    /// A PEM file with the authorities that are trusted, in place of this machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Who we are, for targets that want to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientIdentity>,
    /// The name that is asked for and that the certificate must have, in place of the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

impl Default for TlsSpec {
    fn default() -> Self {
        Self { verify: true, ca: None, client: None, server_name: None }
    }
}

fn yes() -> bool {
    true
}

/// A certificate of ours and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientIdentity {
    /// A PEM file with the certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The key, as PEM.
    pub key: SecretRef,
}

/// How many days before the end of the first certificate of the chain to end people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateDays {
    /// Degraded with fewer days left.
    #[serde(default)]
    pub warning: Option<u16>,
    /// Down with fewer days left.
    #[serde(default)]
    pub critical: Option<u16>,
}

impl Default for CertificateDays {
    /// A warning two weeks ahead: those who renew by themselves do so earlier.
    fn default() -> Self {
        Self { warning: Some(14), critical: None }
    }
}

/// A version of TLS that is spoken. Older ones are not, by anybody who should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

impl TlsVersion {
    /// `1.2` or `1.3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
