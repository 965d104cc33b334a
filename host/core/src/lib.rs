//! The domain of `uptime`: what is watched, what was found, what follows from it.
//!
//! Everything here is pure. Nothing reads a clock, a file, the environment or the network, and nothing is
//! random: `now` and randomness are arguments. So each decision that wakes a person can be tested as a table.
//! The crates around it do the work: `uptime-store` keeps it, `uptime-engine` moves it, `uptime-notifier` tells it.

pub mod address;
pub mod announcement;
pub mod backoff;
pub mod calendar;
pub mod changes;
pub mod channel;
pub mod check;
pub mod config;
pub mod decision;
pub mod dependency;
pub mod digest;
pub mod duration;
pub mod event;
pub mod expectation;
pub mod grant;
pub mod id;
pub mod incident;
pub mod judgement;
pub mod liveness;
pub mod maintenance;
pub mod message;
pub mod monitor;
pub mod notification;
pub mod notifier;
pub mod protocol;
pub mod queue;
pub mod recheck;
pub mod reconcile;
pub mod redaction;
pub mod route;
pub mod samples;
pub mod schedule;
pub mod secret;
pub mod size;
pub mod target;
pub mod text;
pub mod uri;
pub mod witness;
mod words;

words::words! {
    /// What a caller may do about an error. Retry decisions look at this and at nothing else.
    pub enum ErrorClass: "error class" {
        /// May go away by itself: retry with backoff.
        Transient = "transient",
        /// The same attempt would fail in the same way.
        Permanent = "permanent",
        /// An operator has to change the configuration.
        Config = "config",
        Bug = "bug",
    }
}
