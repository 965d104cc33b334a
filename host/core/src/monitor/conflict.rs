//! Settings of a check that contradict each other, so that no target could ever be up.
//!
//! Pure, and about the finished [`CheckSpec`]: the file's reader and the command line both ask here, each with its own
//! words for the settings. What is merely useless is not looked at: that depends on what somebody wrote.

use super::{CheckSpec, IpFamily, Spec};
use crate::duration;
use std::net::IpAddr;

/// How settings are called where they are written. A key is the file's, and in `[monitors.NAME.expect]` begins with
/// `expect.`.
pub trait Words {
    /// The setting, such as `` `method` ``.
    fn name(&self, key: &str) -> String;
    /// The setting with another value, to be pasted; `value` is TOML.
    fn with(&self, key: &str, value: &str) -> String;
}

/// Two settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The key to point at, as [`Words`] has it.
    pub key: &'static str,
    /// One line: what contradicts what.
    pub message: String,
    /// One line: the way out.
    pub hint: String,
}

impl CheckSpec {
    pub fn conflicts(&self, words: &dyn Words) -> Vec<Conflict> {
        let mut found = Conflicts { words, conflicts: Vec::new() };
        self.rules(&mut found);
        found.conflicts
    }
}

/// What was found so far.
pub struct Conflicts<'w> {
    pub(super) words: &'w dyn Words,
    conflicts: Vec<Conflict>,
}

impl Conflicts<'_> {
    pub(super) fn add(&mut self, [key, _]: [&'static str; 2], message: String, hint: impl Into<String>) {
        self.conflicts.push(Conflict { key, message, hint: hint.into() });
    }

    pub(super) fn names(&self, keys: [&'static str; 2]) -> [String; 2] {
        keys.map(|key| self.words.name(key))
    }

    /// Of a type that names its host, and its limits at the top.
    pub(super) fn of_host(&mut self, spec: &dyn Spec) {
        self.latency(["degraded_above", "latency_below"], spec);
        self.family("host", spec);
    }

    pub(super) fn latency(&mut self, keys: [&'static str; 2], spec: &dyn Spec) {
        let [Some(degraded), Some(below)] = spec.latency() else { return };
        if degraded >= below {
            self.never_degraded(keys, &duration::format(degraded), &duration::format(below));
        }
    }

    pub(super) fn never_degraded(&mut self, keys: [&'static str; 2], degraded: &str, below: &str) {
        let [first, second] = self.names(keys);
        let message = format!("{first} is `{degraded}`, and from {second}, `{below}`, on it is down");
        let hint = format!("a target is degraded before it is down: make {first} the smaller one");
        self.add(keys, message, hint);
    }

    /// An address has one family, whatever is asked for.
    pub(super) fn family(&mut self, key: &'static str, spec: &dyn Spec) {
        // A zone (`fe80::1%eth0`) is no part of the address.
        let address = spec.host().split('%').next().and_then(|host| host.parse::<IpAddr>().ok());
        let (wanted, other) = match (spec.lookup().ip, address) {
            (IpFamily::V6, Some(IpAddr::V4(_))) => ("6", "4"),
            (IpFamily::V4, Some(IpAddr::V6(_))) => ("4", "6"),
            _ => return,
        };
        let [ip, target] = self.names(["ip", key]);
        let message = format!("{ip} is `{wanted}`, and {target} is an IPv{other} address");
        let right = self.words.with("ip", &format!("\"{other}\""));
        self.add(["ip", key], message, format!("write {right}, or leave it out"));
    }
}
