//! What becomes of a notification: one message for one channel.

use crate::words::words;

words! {
    pub enum NotificationState: "state of a notification" {
        Queued = "queued",
        /// It is queued, and its channel's provider wants to be told nothing for now. Shown, and never stored.
        Paused = "paused",
        Delivered = "delivered",
        Failed = "failed",
        /// It was not wanted any more when its turn had come.
        Muted = "muted",
        /// Nobody will be told.
        Discarded = "discarded",
    }
}
