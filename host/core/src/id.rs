//! Identifiers as types of their own, so that a channel's id can't be handed over as a monitor's.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident($of:ty)),+ $(,)?) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $of);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A row of `monitors`.
    MonitorId(i64),
    /// A row of `channels`.
    ChannelId(i64),
    /// A row of `incidents`.
    IncidentId(i64),
    /// A row of `notifications`.
    NotificationId(i64),
    /// A row of `jobs`; kept when the job moves to `failed_jobs`.
    JobId(i64),
    /// Names one notification to its receiver, the same over all tries: the receiver's idempotency key.
    DeliveryId(Uuid),
}
