//! Everything that is SQL.
//!
//! One module for each thing that is kept: [`queue`] (jobs, whatever they are about), [`failed`] (those that will not run
//! again by themselves), [`operations`] (what operators see and say), [`workers`] (their heartbeats),
//! [`schedule`] (what is due), [`liveness`] (schedulers, and checks that have stalled), [`own_network`] (which hosts are blind),
//! [`apply`] (what the file says is to be watched and told), [`maintenance`] (when nobody is to be told), [`results`] (the one transaction behind a batch of
//! checks), [`notifications`] (deliveries and their tries), [`summaries`] (what people look at). The store decides
//! nothing: judgement, retries and filters are its callers'. Between hosts the database's clock rules.

mod applied;
mod connection;
mod error;
mod hosts;
mod refusal;
mod row;
mod session;

pub mod apply;
pub mod by_operator;
pub mod failed;
pub mod incidents;
pub mod liveness;
pub mod maintenance;
pub mod notifications;
pub mod operations;
pub mod own_network;
pub mod queue;
pub mod results;
pub mod schedule;
pub mod summaries;
pub mod workers;

pub use connection::{ExclusiveLock, Store, Wakeup, Wakeups};
pub use error::StoreError;

/// What most of this crate gives.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

pub use uptime_core::queue::{MONITOR_CHECKS, NOTIFICATIONS};
