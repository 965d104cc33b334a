//! A monitor: a thing watched, how it is checked, and by which policy it is judged.

mod conflict;
mod http;
mod location;
mod ping;
pub mod request;
mod tcp;
mod tls;

pub use crate::protocol::{HttpVersion, TlsVersion};
pub use conflict::{Conflict, Words};
pub use http::{Auth, HttpExpect, HttpSpec, HttpVersions, StatusRule};
pub use location::{Location, NoLocation};
pub use ping::PingSpec;
pub use tcp::{Bytes, ExpectedBytes, StartTls, TcpSpec};
pub use tls::{CertificateDays, ClientIdentity, TlsSpec};

use crate::duration::{as_ms, as_optional_ms};
use crate::secret::SecretRef;
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A thing watched, as the file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// Unique; what people call it.
    pub name: String,
    /// A disabled monitor keeps its history and is not checked.
    pub enabled: bool,
    pub check: CheckSpec,
    /// When a check is due and what follows from its outcomes.
    pub policy: Policy,
    /// Who is told, by the channels' names.
    pub channels: Vec<String>,
    /// From where it is looked at, each once; empty: from wherever a worker without a location runs.
    pub locations: Vec<Location>,
    /// What it is reached through, by the monitor's name: while that is down, nothing is told of this one.
    pub parent: Option<String>,
    /// For filters and displays.
    pub group: Option<String>,
    /// For filters and displays.
    pub tags: BTreeMap<String, String>,
}

/// When a monitor is checked, and when what was found becomes an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// From one slot to the next.
    #[serde(with = "as_ms")]
    pub interval: Duration,
    /// The deadline of one check, over everything that it does.
    #[serde(with = "as_ms")]
    pub timeout: Duration,
    /// Failures in a row that open an incident; at least 1.
    pub confirm: u32,
    /// Successes in a row that close it; at least 1.
    pub recover: u32,
    /// From a failure (or a success during an outage) that decides nothing yet to the next look.
    #[serde(with = "as_ms")]
    pub retry_interval: Duration,
    /// So many failures among so many checks open an incident too, in a row or not.
    #[serde(default)]
    pub window: Option<Window>,
    /// Failures of an outage that make it critical; `None`: however many.
    #[serde(default)]
    pub critical_failures: Option<u32>,
    /// How long an outage lasts until it is critical; `None`: however long.
    #[serde(default, with = "as_optional_ms")]
    pub critical_after: Option<Duration>,
    /// How long after it was told an incident is told again, and then after twice as long each time; `None`: never.
    #[serde(default, with = "as_optional_ms")]
    pub remind: Option<Duration>,
    #[serde(default)]
    pub remind_most: u32,
    /// Whether a monitor that goes up and down too often is told as that, instead of each time.
    #[serde(default)]
    pub flapping: bool,
    /// In how many of its locations it has to be down to be down; `None`: in more than half.
    #[serde(default)]
    pub down_in: Option<u32>,
}

/// So many failures among the last checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// So many failures, at least 1.
    pub failures: u32,
    /// Among so many checks: at least as many, at most [`Window::LONGEST`].
    pub of: u32,
}

impl Window {
    /// The most checks that a window looks at.
    pub const LONGEST: u32 = 20;
}

impl Default for Policy {
    /// Every 60 s, 10 s to answer, three failures 10 s apart make an incident, one success ends it; twenty failures make it
    /// critical.
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(10),
            confirm: 3,
            recover: 1,
            retry_interval: Duration::from_secs(10),
            window: None,
            critical_failures: Some(20),
            critical_after: None,
            remind: None,
            remind_most: 5,
            flapping: true,
            down_in: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum CheckSpec {
    /// A request, and what its answer must be.
    Http(HttpSpec),
    /// A connection that must come about.
    Tcp(TcpSpec),
    /// Echoes that must come back.
    Ping(PingSpec),
}

impl CheckSpec {
    /// `http`, `tcp` or `ping`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Ping(_) => "ping",
        }
    }

    pub fn lookup(&self) -> Lookup {
        match self {
            Self::Http(http) => http.lookup,
            Self::Tcp(tcp) => tcp.lookup,
            Self::Ping(ping) => ping.lookup,
        }
    }

    /// How long the target's certificates have to last, for checks that see some.
    pub fn certificate_days(&self) -> Option<CertificateDays> {
        match self {
            Self::Http(http) => Some(http.expect.certificate_days),
            Self::Tcp(tcp) => Some(tcp.certificate_days),
            Self::Ping(_) => None,
        }
    }

    /// How TLS is spoken, where it is or may be after a redirect.
    pub fn tls(&self) -> Option<&TlsSpec> {
        match self {
            Self::Http(http) => Some(&http.tls),
            Self::Tcp(tcp) => tcp.tls.as_ref(),
            Self::Ping(_) => None,
        }
    }

    /// The values that may live elsewhere, each with its key in the file, but for those of [`CheckSpec::tls`].
    pub fn references(&self) -> Vec<(&'static str, &SecretRef)> {
        match self {
            Self::Http(http) => {
                let auth = http.auth.iter().map(|auth| match auth {
                    Auth::Basic { password, .. } => ("auth", password),
                    Auth::Bearer { token } => ("auth", token),
                });
                let headers = http.headers.values().map(|value| ("headers", value));
                headers.chain(auth).chain(http.proxy.iter().map(|proxy| ("proxy", proxy))).collect()
            }
            Self::Tcp(TcpSpec { send: Some(Bytes::Text(text)), .. }) => vec![("send", text)],
            Self::Tcp(_) | Self::Ping(_) => Vec::new(),
        }
    }

    /// What is checked, for people: the URL without userinfo and query, `tcp://host:port`, `ping://host`.
    pub fn target(&self) -> String {
        match self {
            Self::Http(http) => {
                let mut url = http.url.clone();
                url.set_query(None);
                url.set_fragment(None);
                // Neither can fail: an http URL has a host.
                let _ = url.set_username("");
                let _ = url.set_password(None);
                url.into()
            }
            Self::Tcp(TcpSpec { host, port, .. }) if host.contains(':') => format!("tcp://[{host}]:{port}"),
            Self::Tcp(TcpSpec { host, port, .. }) => format!("tcp://{host}:{port}"),
            Self::Ping(PingSpec { host, .. }) if host.contains(':') => format!("ping://[{host}]"),
            Self::Ping(PingSpec { host, .. }) => format!("ping://{host}"),
        }
    }
}

/// How a name becomes the addresses that are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lookup {
    #[serde(default)]
    pub ip: IpFamily,
    /// Who is asked; this machine's own resolver when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<SocketAddr>,
}

words! {
    /// Which addresses of a name are used.
    #[derive(Default)]
    pub enum IpFamily: "address family" {
        /// Whatever the name has, in the resolver's order; the first that answers.
        #[default]
        Any = "any",
        V4 = "4",
        V6 = "6",
        /// Every address of the name by itself, of both families: each must be up.
        All = "all",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_target_shows_no_credentials() {
        let spec = crate::target::parse("https://user:word@example.com/a?token=1#x").expect("a target");
        assert_eq!(spec.target(), "https://example.com/a");
    }

    #[test]
    fn what_is_shown_is_a_target_again() {
        for text in ["https://[::1]/", "tcp://[::1]:22", "ping://[fe80::1]", "ping://example.com"] {
            let shown = crate::target::parse(text).expect(text).target();
            assert_eq!(crate::target::parse(&shown).expect("what was shown").target(), text);
        }
    }
}
