//! The ways in which a delivery does not come about, each told apart, with what may be done about it.
//!
//! The retry decision looks at [`NotifierError::class`] alone. No message holds a secret: what a plugin or a provider
//! said was redacted, put on one line and cut before it got in here.

use crate::source::Origin;
use std::time::Duration;
use thiserror::Error;
use uptime_core::ErrorClass;
use uptime_core::notifier::Limit;
use uptime_core::text::did_you_mean;

/// Something about a channel's settings that an operator has to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key, where it is about one.
    pub key: Option<String>,
    pub message: String,
}

impl std::fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.key {
            Some(key) => write!(f, "`{key}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Why a notifier could not be asked, or did not deliver.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotifierError {
    #[error("unknown notifier `{name}`")]
    Unknown { name: String, known: Vec<String> },
    /// The channel's settings are wrong.
    #[error("the settings for `{notifier}` are wrong: {}", list(problems))]
    Config {
        notifier: String,
        /// There is at least one.
        problems: Vec<ConfigProblem>,
    },
    #[error("`{notifier}` was refused: {message}")]
    Unauthorized { notifier: String, message: String },
    /// The destination is not there, or no longer.
    #[error("`{notifier}` did not find the destination: {message}")]
    Gone { notifier: String, message: String },
    /// Too many messages; the whole channel should wait.
    #[error("`{notifier}` was told to slow down: {message}")]
    RateLimited {
        notifier: String,
        message: String,
        /// What the provider asked for, at most an hour.
        after: Option<Duration>,
        /// How far the plugin says that it has come.
        progress: Option<Vec<u8>>,
    },
    /// It may work later.
    #[error("`{notifier}` could not deliver for now: {message}")]
    Transient {
        notifier: String,
        message: String,
        /// What the provider asked for, at most an hour.
        after: Option<Duration>,
        /// How far the plugin says that it has come.
        progress: Option<Vec<u8>>,
    },
    /// The same message would be refused again.
    #[error("`{notifier}` can't deliver: {message}")]
    Permanent { notifier: String, message: String },
    /// A request that nobody granted was stopped.
    #[error("`{notifier}` may not send to `{origin}`: {reason}")]
    EgressDenied {
        notifier: String,
        /// `scheme://host[:port]`, or what stood there.
        origin: String,
        reason: String,
        /// Whether an `allow` could open it.
        openable: bool,
        /// Whether it was a name server's answer that was refused, which may be another one soon.
        by_answer: bool,
        allowed_in: AllowedIn,
    },
    #[error("the plugin `{notifier}` crashed: {message}")]
    Trap {
        notifier: String,
        /// Where, or in which way.
        message: String,
    },
    /// The plugin handed over, or returned, what the interface does not know: text that is no UTF-8, a place outside its
    /// memory, a case that there is not.
    #[error("the plugin `{notifier}` handed over what can't be read: {message}")]
    BadReturn { notifier: String, message: String },
    /// The plugin failed so often in a row for a channel that it is left alone there for a while.
    #[error("the plugin `{notifier}` is in quarantine here for {} s: it failed {failures} times in a row", left.as_secs().max(1))]
    Quarantined {
        notifier: String,
        /// Crashes, overdrawn limits and unreadable answers in a row.
        failures: u32,
        left: Duration,
    },
    /// The plugin computed for too long.
    #[error("the plugin `{notifier}` used up its {} ms of CPU time", budget.as_millis())]
    Cpu { notifier: String, budget: Duration },
    /// The plugin wanted more memory than it may have.
    #[error("the plugin `{notifier}` wanted more than its {} KiB of memory", limit / 1024)]
    Memory {
        notifier: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The plugin handed over more at once, or sent more often, than it may.
    #[error("the plugin `{notifier}` went over its limit of {limit}")]
    Limit {
        notifier: String,
        /// Which, with its size.
        limit: String,
    },
    /// The call took too long, whatever it did.
    #[error("`{notifier}` did not end within {} ms", limit.as_millis())]
    WallClock { notifier: String, limit: Duration },
    /// The file is no plugin that this program can run.
    #[error("the plugin `{notifier}` can't be loaded: {reason}")]
    BadComponent { notifier: String, reason: String },
    /// The plugin's component is not the one that is trusted.
    #[error("the plugin `{notifier}` {}", mistrust(found, trusted.as_deref()))]
    Untrusted {
        notifier: String,
        found: String,
        /// The SHA-256 of what is trusted; `None`: nobody said.
        trusted: Option<String>,
        origin: Origin,
    },
    /// The plugin's files can't be read, or anybody could have written them.
    #[error("the plugin `{notifier}` can't be read: {reason}")]
    Unreadable { notifier: String, reason: String, hint: String },
    /// This program's own fault.
    #[error("the plugin host failed: {0}")]
    Host(String),
}

impl NotifierError {
    pub fn class(&self) -> ErrorClass {
        match self {
            // A loaded machine stretches both, and a provider may be slow today.
            Self::RateLimited { .. }
            | Self::Transient { .. }
            | Self::Cpu { .. }
            | Self::WallClock { .. }
            | Self::Quarantined { .. }
            | Self::EgressDenied { by_answer: true, .. }
            // Not the message's fault, so it is not the message that pays.
            | Self::Host(_) => ErrorClass::Transient,
            Self::Unknown { .. }
            | Self::Config { .. }
            | Self::EgressDenied { .. }
            | Self::BadComponent { .. }
            | Self::Untrusted { .. }
            | Self::Unreadable { .. } => ErrorClass::Config,
            Self::Unauthorized { .. }
            | Self::Gone { .. }
            | Self::Permanent { .. }
            | Self::Trap { .. }
            | Self::BadReturn { .. }
            | Self::Memory { .. }
            | Self::Limit { .. } => ErrorClass::Permanent,
        }
    }

    /// Whether the whole channel has to wait, through no fault of this message: that uses up no try.
    pub fn waits_for_provider(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Quarantined { .. })
    }

    /// Whether the plugin itself has failed, whatever it was to tell.
    pub(crate) fn is_the_plugins_fault(&self) -> bool {
        matches!(
            self,
            Self::Trap { .. }
                | Self::BadReturn { .. }
                | Self::Cpu { .. }
                | Self::Memory { .. }
                | Self::Limit { .. }
        )
    }

    /// How long the provider, or a plugin's quarantine, wants it to be left alone; at most an hour.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            // Somebody may mend it meanwhile, and to ask costs nothing.
            Self::Quarantined { left, .. } => Some((*left).min(Duration::from_mins(1))),
            Self::RateLimited { after, .. } | Self::Transient { after, .. } => *after,
            _ => None,
        }
    }

    /// What a try left to the next.
    pub fn progress(&self) -> Option<&[u8]> {
        match self {
            Self::RateLimited { progress, .. } | Self::Transient { progress, .. } => progress.as_deref(),
            _ => None,
        }
    }

    /// Whether no message at all gets through until somebody changes something: the channel is broken.
    pub fn channel_broken(&self) -> bool {
        self.class() == ErrorClass::Config
            || matches!(self, Self::Unauthorized { .. } | Self::Gone { .. } | Self::EgressDenied { .. })
    }

    /// The way out, where an operator has one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { name, known } => {
                Some(did_you_mean(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
                    format!(
                        "it was not added here: `uptime plugin add FILE` does that, for the user and the data directory of \
                         this process; there are {}",
                        known.join(", ")
                    )
                }))
            }
            Self::Config { notifier, .. } => {
                Some(format!("`uptime config schema` lists the settings of `{notifier}`"))
            }
            Self::Unauthorized { .. } => {
                Some("look whether the channel's token is right and still valid".into())
            }
            Self::Gone { .. } => {
                Some("look whether the channel's address or destination still exists".into())
            }
            Self::EgressDenied { notifier, origin, openable: true, allowed_in, .. } => {
                Some(allowed_in.hint(notifier, origin))
            }
            Self::BadComponent { reason, .. } if reason.contains("this program speaks") => {
                Some("build it again for this version, or run an `uptime` that speaks its version".into())
            }
            Self::BadComponent { reason, .. } if reason.starts_with("compiling it") => Some(
                "build it optimised and without debug information; one that is small and still too much was made to be"
                    .into(),
            ),
            Self::BadComponent { reason, .. } if reason.starts_with("it does not export") => Some(
                "it is a component for another world: in Rust, does it say `export!(ITS_TYPE);`?".into(),
            ),
            Self::BadComponent { .. } => Some("build it again from its sources".into()),
            Self::Untrusted { notifier, origin: Origin::File, found, .. } => {
                Some(format!("if it is the one you want: `sha256 = \"{found}\"` in `[plugins.{notifier}]`"))
            }
            Self::Untrusted { notifier, .. } => Some(format!(
                "`uptime plugin inspect {notifier}` shows what is there now, `uptime plugin trust {notifier}` trusts it"
            )),
            Self::Unreadable { hint, .. } => Some(hint.clone()),
            Self::Cpu { notifier, budget } => Some(more(notifier, Limit::Cpu, in_ms(*budget))),
            Self::WallClock { notifier, limit } => Some(more(notifier, Limit::Timeout, in_ms(*limit))),
            Self::Memory { notifier, limit } => {
                Some(more(notifier, Limit::Memory, u64::try_from(*limit).unwrap_or(u64::MAX)))
            }
            Self::Limit { .. } => Some("`uptime plugin trust --help` has the limits and how they are raised".into()),
            Self::Host(_) => Some("this is a bug in uptime, or this machine is out of memory".into()),
            _ => None,
        }
    }
}

/// How a plugin gets twice as much.
fn more(notifier: &str, limit: Limit, value: u64) -> String {
    let twice = value.saturating_mul(2).min(*limit.bounds().end());
    let (key, twice) = (limit.as_str(), limit.show(twice));
    format!(
        "if it should have more: `uptime plugin trust {notifier} --limit {key}='{twice}'`, or `limits.{key} = \"{twice}\"` in \
         the channel's table"
    )
}

fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where an operator allows a plugin a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedIn {
    Channel,
    /// In the grant of an added plugin.
    Grant,
    /// In the table of a plugin of the file.
    PluginTable,
}

impl AllowedIn {
    fn hint(self, notifier: &str, origin: &str) -> String {
        match self {
            Self::Channel => format!("if it should: `allow = [\"{origin}\"]` in the channel's table"),
            Self::Grant => format!("if it should: `uptime plugin trust {notifier} --allow {origin}`"),
            Self::PluginTable => format!("if it should: `allow = [\"{origin}\"]` in `[plugins.{notifier}]`"),
        }
    }
}

fn mistrust(found: &str, trusted: Option<&str>) -> String {
    match trusted {
        Some(trusted) => {
            format!("is not the one that is trusted: its SHA-256 is `{found}`, and `{trusted}` is trusted")
        }
        None => {
            format!("is trusted by nobody: its SHA-256 is `{found}`, and no `sha256` says that it may be")
        }
    }
}

fn list(problems: &[ConfigProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
