//! A monitor: a thing watched, how it is checked, and by which policy it is judged.

use crate::duration::{as_ms, as_optional_ms};
use crate::secret::SecretRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use url::Url;

/// A thing watched, as the file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// Unique; what people call it.
    pub name: String,
    /// A disabled monitor keeps its history and is not checked.
    pub enabled: bool,
    /// What a check does.
    pub check: CheckSpec,
    /// When a check is due and what follows from its outcomes.
    pub policy: Policy,
    /// Who is told, by the channels' names.
    pub channels: Vec<String>,
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
}

impl Default for Policy {
    /// Every 60 s, 10 s to answer, three failures 10 s apart make an incident, one success ends it.
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(10),
            confirm: 3,
            recover: 1,
            retry_interval: Duration::from_secs(10),
        }
    }
}

/// What a check does.
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
            Self::Ping(PingSpec { host, .. }) => format!("ping://{host}"),
        }
    }
}

/// Which addresses of a name are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpFamily {
    /// Whatever the name has, in the resolver's order.
    #[default]
    Any,
    /// IPv4 alone.
    #[serde(rename = "4")]
    V4,
    /// IPv6 alone.
    #[serde(rename = "6")]
    V6,
}

/// An HTTP check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSpec {
    /// `http` or `https`, with a host.
    pub url: Url,
    /// An upper-case method.
    pub method: String,
    /// Sent as they are; a value may be a secret.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// The request's body.
    #[serde(default)]
    pub body: Option<String>,
    /// How many redirects are followed; 0 judges the first answer.
    pub redirects: u8,
    /// Which addresses are used.
    #[serde(default)]
    pub ip: IpFamily,
    /// What the answer must be.
    pub expect: HttpExpect,
}

/// What an HTTP answer must be.
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
    /// The check's total must be below it.
    #[serde(default, with = "as_optional_ms")]
    pub latency_below: Option<Duration>,
}

impl Default for HttpExpect {
    /// Any 2xx.
    fn default() -> Self {
        Self {
            status: vec![StatusRule { first: 200, last: 299 }],
            body_contains: Vec::new(),
            body_not_contains: Vec::new(),
            latency_below: None,
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
    /// Whether `status` fits.
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

impl TryFrom<String> for StatusRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StatusRule> for String {
    fn from(rule: StatusRule) -> Self {
        rule.to_string()
    }
}

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

/// A TCP check: the connection must come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpSpec {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// Not 0.
    pub port: u16,
    /// Which addresses are used.
    #[serde(default)]
    pub ip: IpFamily,
}

/// A ping check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingSpec {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// Echoes sent; 1 to 20.
    pub count: u8,
    /// Down at this share of lost echoes or more, in percent; 100: only when none comes back.
    pub loss_below: u8,
    /// The mean round trip must be below it.
    #[serde(default, with = "as_optional_ms")]
    pub latency_below: Option<Duration>,
    /// Which addresses are used.
    #[serde(default)]
    pub ip: IpFamily,
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

    #[test]
    fn a_target_shows_no_credentials() {
        let spec = crate::target::parse("https://user:word@example.com/a?token=1#x").expect("a target");
        assert_eq!(spec.target(), "https://example.com/a");
    }
}
