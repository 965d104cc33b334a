//! A monitor: a thing watched, how it is checked, and by which policy it is judged.

mod conflict;
mod dns;
mod http;
mod location;
mod ping;
pub mod request;
mod tcp;
mod tls;

pub use crate::protocol::{HttpVersion, TlsVersion};
pub use conflict::{Conflict, Conflicts, Words};
pub use dns::{AnswersMatch, DnsExpect, DnsSpec, Rcode, RecordType};
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
use std::ops::Deref;
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
    pub window: Option<Window>,
    /// Failures of an outage that make it critical; `None`: however many.
    pub critical_failures: Option<u32>,
    /// How long an outage lasts until it is critical; `None`: however long.
    #[serde(default, with = "as_optional_ms")]
    pub critical_after: Option<Duration>,
    /// How long after it was told an incident is told again, and then after twice as long each time; `None`: never.
    #[serde(default, with = "as_optional_ms")]
    pub remind: Option<Duration>,
    #[serde(default)]
    pub remind_most: u32,
    /// Send one `flapping-start` and one `flapping-end` for a monitor that goes up and down too often, not every change.
    #[serde(default)]
    pub flapping: bool,
    /// In how many of its locations it has to be down to be down; `None`: in more than half.
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

/// The types of checks: each with its settings and its word in the file and the database.
macro_rules! check_types {
    ($($(#[$doc:meta])* $type:ident($spec:ty) = $word:literal),+ $(,)?) => {
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum CheckSpec { $($(#[$doc])* #[serde(rename = $word)] $type($spec)),+ }

        impl CheckSpec {
            /// The words of all types.
            pub const TYPES: &'static [&'static str] = &[$($word),+];

            /// One of [`CheckSpec::TYPES`].
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$type(_) => $word),+ }
            }
        }

        impl Deref for CheckSpec {
            type Target = dyn Spec;

            fn deref(&self) -> &Self::Target {
                match self { $(Self::$type(spec) => spec),+ }
            }
        }
    };
}

check_types! {
    /// A request, and what its answer must be.
    Http(HttpSpec) = "http",
    /// A connection that must come about.
    Tcp(TcpSpec) = "tcp",
    /// Echoes that must come back.
    Ping(PingSpec) = "ping",
    /// A question to name servers, and what they must answer.
    Dns(DnsSpec) = "dns",
}

/// What every type of check says of itself.
pub trait Spec {
    /// A name or an address, IPv6 without brackets.
    fn host(&self) -> &str;

    fn lookup(&self) -> Lookup;

    /// What is checked, for people: as a target of the command line, without what may be a secret.
    fn target(&self) -> String;

    /// The keys of the file that name the target.
    fn place(&self) -> Vec<(&'static str, toml::Value)>;

    /// Whether the check connects to the addresses of its host.
    fn connects_to_host(&self) -> bool {
        true
    }

    /// The check's duration above which the target is degraded, and the one from which on it is down.
    fn latency(&self) -> [Option<Duration>; 2];

    /// How long the target's certificates have to last, for checks that see some.
    fn certificate_days(&self) -> Option<CertificateDays> {
        None
    }

    /// How TLS is spoken, where it is or may be after a redirect.
    fn tls(&self) -> Option<&TlsSpec> {
        None
    }

    /// The values that may live elsewhere, each with its key in the file.
    fn references(&self) -> Vec<(&'static str, &SecretRef)> {
        Vec::new()
    }

    /// Looks for settings that contradict each other.
    fn rules(&self, found: &mut Conflicts<'_>);
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
