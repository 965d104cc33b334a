//! What a ping check sends, and what must come back.

use super::{Conflicts, Lookup, Spec};
use crate::duration::{as_ms, as_optional_ms};
use crate::uri::bracketed;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingSpec {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// Echoes sent; 1 to 20.
    pub count: u8,
    /// From one echo to the next, when the deadline leaves room for it.
    #[serde(default = "PingSpec::spacing", with = "as_ms")]
    pub spacing: Duration,
    /// Bytes of each echo's payload; 24 to 1472, of which the first 24 make it ours.
    #[serde(default = "PingSpec::size")]
    pub size: u16,
    /// Down at this share of lost echoes or more, in percent; 100: only when none comes back.
    pub loss_below: u8,
    /// Degraded at this share of lost echoes or more, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_degraded: Option<u8>,
    /// Down unless the mean round trip is below it.
    #[serde(default, with = "as_optional_ms")]
    pub latency_below: Option<Duration>,
    /// Degraded when the mean round trip is above it.
    #[serde(default, with = "as_optional_ms")]
    pub degraded_above: Option<Duration>,
    /// Down unless the shortest round trip is below it.
    #[serde(default, with = "as_optional_ms")]
    pub min_below: Option<Duration>,
    /// Down unless the longest round trip is below it.
    #[serde(default, with = "as_optional_ms")]
    pub max_below: Option<Duration>,
    /// Down unless the mean difference between one round trip and the next is below it.
    #[serde(default, with = "as_optional_ms")]
    pub jitter_below: Option<Duration>,
    #[serde(default)]
    pub lookup: Lookup,
}

impl PingSpec {
    /// From one echo to the next, when nobody says it.
    pub(crate) fn spacing() -> Duration {
        Duration::from_millis(200)
    }

    /// Bytes of payload, when nobody says it: as many as `ping` sends.
    pub(crate) fn size() -> u16 {
        56
    }
}

impl Spec for PingSpec {
    fn host(&self) -> &str {
        &self.host
    }

    fn lookup(&self) -> Lookup {
        self.lookup
    }

    fn target(&self) -> String {
        format!("ping://{}", bracketed(&self.host))
    }

    fn place(&self) -> Vec<(&'static str, toml::Value)> {
        vec![("host", self.host.as_str().into())]
    }

    fn latency(&self) -> [Option<Duration>; 2] {
        [self.degraded_above, self.latency_below]
    }

    fn rules(&self, found: &mut Conflicts<'_>) {
        found.of_host(self);
        let below = self.loss_below;
        if let Some(degraded) = self.loss_degraded.filter(|degraded| *degraded >= below) {
            found.never_degraded(["loss_degraded", "loss_below"], &degraded.to_string(), &below.to_string());
        }
    }
}
