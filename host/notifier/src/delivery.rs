//! What a call of a notifier is given, and what comes back when the provider has accepted the message.

use crate::settings::ResolvedSettings;
use jiff::Timestamp;
use std::time::Duration;
use uptime_core::event::{Event, Severity};
use uptime_core::grant::HostGrant;
use uptime_core::notifier::LimitChanges;
use uptime_core::recheck::Digest;
use uptime_core::secret::Secret;
use uuid::Uuid;

/// One try to tell one event to one channel.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    pub notifier: &'a str,
    pub settings: &'a ResolvedSettings,
    /// The channel's extra egress.
    pub allow: &'a [HostGrant],
    /// What the call may use up, over what the plugin may.
    pub limits: &'a LimitChanges,
    pub channel: &'a str,
    /// The IANA name of its time zone.
    pub time_zone: &'a str,
    /// Tells this installation's keys from those of others.
    pub installation: Uuid,
    pub event: &'a Event,
    /// Of a digest.
    pub digest: Option<&'a Digest>,
    /// What the channel got before.
    pub before: Earlier<'a>,
    /// The instant of this try, by the clock that all hosts share: receivers judge a message's age and signature by it.
    pub now: Timestamp,
    /// The first try is 1.
    pub attempt: u32,
    /// Values that no text may show, beside the secrets: an operator who keeps an address out of the file wants it
    /// nowhere else either.
    pub hidden: &'a [Secret],
    /// The HTTP proxy that requests go through.
    pub proxy: Option<&'a Secret>,
}

/// What a channel got before of the same incident, and what the last try of this message left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Earlier<'a> {
    /// The worst that it was told; `None`: nothing.
    pub worst: Option<Severity>,
    /// [`Receipt::remote_id`] of the first message.
    pub first_remote_id: Option<&'a str>,
    /// Of the last.
    pub last_remote_id: Option<&'a str>,
    /// [`NotifierError::progress`](crate::NotifierError::progress) of the last try.
    pub progress: Option<&'a [u8]>,
}

/// The provider has accepted the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's name for the message.
    pub remote_id: Option<String>,
    /// What an operator should know.
    pub detail: Option<String>,
    /// The status of the provider's last answer.
    pub status: Option<u16>,
    /// Settings that the provider has replaced (a chat that moved), to be used from now on; with 0 or an empty text it refuses
    /// them. Never secrets or addresses.
    pub replaced: ResolvedSettings,
    /// The provider wants no other message from this channel for so long; at most an hour.
    pub pause: Option<Duration>,
}
